package loadtest

import (
	"context"
	"errors"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// held is a connection that was answered on, with what became of its unit until
// then.
type held struct {
	conn    *conn
	due     time.Time
	outcome outcome
}

// idle opens all connections, each with one exchange, and holds them: what the
// server has in memory is read while they are open. A unit is done when its
// connection was held to the end, so that is when it is recorded.
func (e *engine) idle(each func(Second)) (*Result, error) {
	r := newRecorder(&e.plan, len(e.workers))
	t, err := newTurns(e.ctx, e.fail, e.plan.Pace, MaxDuration, int64(e.plan.Connections))
	if err != nil {
		return nil, err
	}
	defer t.close()
	defer context.AfterFunc(e.ctx, t.stop)()
	w := &watch{engine: e, recorder: r, each: each}
	started := time.Now()
	t.begin()
	stopWatch := w.start(t)

	all := make([][]held, len(e.workers))
	var opening sync.WaitGroup
	for i, worker := range e.workers {
		worker.shard = r.shard(i)
		opening.Go(func() { all[i] = worker.open(t) })
	}
	opening.Wait()
	e.sleep(e.plan.Duration)
	var open int64
	for i, some := range all {
		for _, h := range some {
			if err := h.conn.gone(); err != nil && e.ctx.Err() == nil {
				h.outcome.err = &fault{kind: "closed while idle", cause: err}
			} else {
				open++
			}
			e.workers[i].shard.record(&e.plan, h.due, &h.outcome)
		}
	}
	p := phase{wall: time.Since(t.start)}
	stopWatch(p.wall)
	e.meter.stop(e.ctx)
	for i, some := range all {
		for _, h := range some {
			h.conn.close()
		}
		p.due += e.workers[i].begun
	}
	res := e.result(started, p, r, w)
	if res.Server != nil && open > 0 {
		res.Server.RSSPerConnection = (res.Server.RSSAfter - res.Server.RSSBefore) / open
	}
	return res, timerError(e.ctx)
}

// open takes turns at opening connections, and returns those that it got the
// answer on that was wanted.
func (w *worker) open(t *turns) []held {
	var open []held
	for {
		due, ok := t.take()
		if !ok {
			return open
		}
		w.begun++
		w.outcome = outcome{begun: time.Now()}
		if t.token == nil {
			due = w.outcome.begun
		}
		c := w.connect()
		if v, _, _ := w.outcome.judge(w.road.plan); v == done {
			open = append(open, held{c, due, w.outcome})
			continue
		}
		if c != nil {
			c.close()
		}
		if w.outcome.err != nil && t.ctx.Err() != nil {
			return open // the run's end broke it off
		}
		w.shard.record(w.road.plan, due, &w.outcome)
	}
}

// gone says why a connection on which nothing is under way cannot be used any
// more; nil if it can.
func (c *conn) gone() error {
	raw, err := c.raw.(syscall.Conn).SyscallConn()
	if err != nil {
		return err
	}
	var info *unix.TCPInfo
	if controlErr := raw.Control(func(fd uintptr) {
		info, err = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
	}); controlErr != nil {
		return controlErr
	}
	if err == nil && info.State != unix.BPF_TCP_ESTABLISHED {
		err = errors.New("the server closed the connection")
	}
	return err
}
