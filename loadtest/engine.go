package loadtest

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// engine is one run of a plan against an address.
type engine struct {
	plan    Plan // with defaults
	road    *road
	workers []*worker
	links   []*link
	ctx     context.Context
	fail    context.CancelCauseFunc // ends ctx
	meter   meter
}

// newEngine makes all that a run needs, and starts nothing. end must be called.
func newEngine(ctx context.Context, p Plan, address netip.AddrPort) (*engine, error) {
	roots, err := loadRoots(p)
	if err != nil {
		return nil, err
	}
	who, err := loadClients(p)
	if err != nil {
		return nil, err
	}
	request, err := newRequest(p)
	if err != nil {
		return nil, err
	}
	e := &engine{plan: p, meter: meter{pid: p.PID}}
	e.ctx, e.fail = context.WithCancelCause(ctx)
	e.road = &road{
		ctx: e.ctx, plan: &e.plan, address: address, request: request, clients: who,
		verifier: &verifier{roots: roots, name: p.ServerName},
	}
	switch {
	case p.keepAlive():
		for range p.Connections {
			l := &link{road: e.road, securer: newSecurer(p, e.road.verifier, false)}
			e.links = append(e.links, l)
			for range max(1, p.Streams) {
				e.workers = append(e.workers, &worker{road: e.road, link: l})
			}
		}
	default:
		n := p.Connections
		if p.Scenario == Idle {
			n = min(n, openers)
		}
		for i := range n {
			w := &worker{road: e.road, securer: newSecurer(p, e.road.verifier, p.Scenario == Resume)}
			if p.Scenario == Resume {
				w.keeps = who.at(i)
			}
			e.workers = append(e.workers, w)
		}
	}
	return e, nil
}

// end closes what is open.
func (e *engine) end() {
	for _, l := range e.links {
		l.close()
	}
	e.fail(context.Canceled)
}

// run does all that the plan says but to calibrate. The error is only of what
// kept the generator from working.
func (e *engine) run(each func(Second)) (*Result, error) {
	defer e.end()
	e.prepare()
	if e.plan.WarmUp > 0 {
		pace := e.plan.Pace
		if pace.Open() {
			pace = pace.over(e.plan.Duration).first()
		}
		if _, err := e.phase(newRecorder(&e.plan, len(e.workers)), pace, e.plan.WarmUp, MaxCount, nil); err != nil {
			return nil, err
		}
	}
	if err := e.meter.start(e.ctx); err != nil {
		return nil, err
	}
	if e.plan.Scenario == Idle {
		return e.idle(each)
	}
	r := newRecorder(&e.plan, len(e.workers))
	watch := &watch{engine: e, recorder: r, each: each}
	started := time.Now()
	done, err := e.phase(r, e.plan.Pace, e.plan.Duration, e.plan.Count, watch)
	if err != nil {
		return nil, err
	}
	e.meter.stop(e.ctx)
	return e.result(started, done, r, watch), nil
}

// prepare makes what units need to be there: connections, or sessions. What
// fails here fails again in a unit, where it counts.
func (e *engine) prepare() {
	var doing []func()
	for _, l := range e.links {
		doing = append(doing, func() { l.open(&outcome{begun: time.Now()}) })
	}
	if e.plan.Scenario == Resume {
		for _, w := range e.workers {
			doing = append(doing, func() { w.unit(time.Now()) })
		}
	}
	const atOnce = 64
	for some := range slices.Chunk(doing, atOnce) {
		var all sync.WaitGroup
		for _, do := range some {
			all.Go(do)
		}
		all.Wait()
	}
}

// phase is what became of one: how long it took, and how many units were due.
type phase struct {
	wall time.Duration // until its end by the plan, or its last unit's where that is later or units were counted
	due  int64
}

// phase has the workers take turns for a time, and returns when all have ended.
func (e *engine) phase(r *recorder, pace Pace, length time.Duration, count int64, w *watch) (phase, error) {
	t, err := newTurns(e.ctx, e.fail, pace, length, count)
	if err != nil {
		return phase{}, err
	}
	defer t.close()
	defer context.AfterFunc(e.ctx, t.stop)()
	for i, worker := range e.workers {
		worker.shard, worker.begun = r.shard(i), 0
	}
	var all sync.WaitGroup
	t.begin()
	stopWatch := w.start(t)
	for _, worker := range e.workers {
		all.Go(func() { worker.work(t) })
	}
	all.Wait()
	if !t.counted() {
		e.sleep(t.end - time.Since(t.start))
	}
	wall := time.Since(t.start)
	stopWatch(wall)
	r.waited(t, wall)
	p := phase{wall: wall, due: t.due(wall)}
	if p.due < 0 {
		p.due = 0
		for _, worker := range e.workers {
			p.due += worker.begun
		}
	}
	return p, timerError(e.ctx)
}

// sleep returns after d, or when the run ends.
func (e *engine) sleep(d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-e.ctx.Done():
	}
}
