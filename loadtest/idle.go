package loadtest

import (
	"sync"
	"time"
)

// idle opens all connections, each with one exchange, and holds them: what the
// server has in memory is read while they are open.
func (e *engine) idle(each func(Second)) (*Result, error) {
	r := newRecorder(&e.plan, len(e.workers))
	t, err := newTurns(e.ctx, e.fail, Pace{}, MaxDuration, int64(e.plan.Connections))
	if err != nil {
		return nil, err
	}
	defer t.close()
	w := &watch{engine: e, recorder: r, each: each}
	started := time.Now()
	t.begin()
	stopWatch := w.start(t)

	held := make([][]*conn, len(e.workers))
	var all sync.WaitGroup
	for i, worker := range e.workers {
		worker.shard = r.shard(i)
		all.Go(func() { held[i] = worker.hold(t) })
	}
	all.Wait()
	e.sleep(e.plan.Duration)
	e.meter.stop(e.ctx)
	wall := time.Since(t.start)
	stopWatch()
	for _, conns := range held {
		for _, c := range conns {
			c.close()
		}
	}
	p := phase{wall: wall}
	for _, worker := range e.workers {
		p.due += worker.begun
	}
	return e.result(started, p, r, w), nil
}

// hold takes turns at opening connections, and returns those that are open.
func (w *worker) hold(t *turns) []*conn {
	var open []*conn
	for {
		due, ok := t.take()
		if !ok {
			return open
		}
		w.begun++
		w.outcome = outcome{begun: due}
		c := w.connect()
		switch {
		case c != nil && w.outcome.err == nil:
			open = append(open, c)
		case c != nil:
			c.close()
		}
		w.shard.record(w.road.plan, due, &w.outcome)
	}
}
