package loadtest

import (
	"sync"
	"time"
)

// fraction is how much of a second, past the planned end, is no second of its
// own: the time that the last units took.
const fraction = 250 * time.Millisecond

// watch looks at a phase once a second. A nil one does not.
type watch struct {
	engine   *engine
	recorder *recorder
	each     func(Second) // may be nil

	turns   *turns
	seconds []Second
	looked  time.Duration // from the start
}

// start begins to look, and returns what ends that: it is told when, from the
// start, the phase ended.
func (w *watch) start(t *turns) (stop func(at time.Duration)) {
	if w == nil {
		return func(time.Duration) {}
	}
	w.turns = t
	var all sync.WaitGroup
	over := make(chan time.Duration)
	all.Go(func() {
		for k := 1; ; k++ {
			timer := time.NewTimer(time.Until(t.start.Add(time.Duration(k) * time.Second)))
			select {
			case <-timer.C:
				w.look(time.Since(t.start))
			case at := <-over:
				timer.Stop()
				w.lookLast(at)
				return
			}
		}
	})
	return func(at time.Duration) {
		over <- at
		all.Wait()
	}
}

// look makes the second that has passed.
func (w *watch) look(now time.Duration) {
	s := w.take(now)
	s.At = len(w.seconds)
	w.seconds = append(w.seconds, s)
	if w.each != nil {
		w.each(s)
	}
}

func (w *watch) take(now time.Duration) Second {
	t := w.recorder.second()
	cpu, rss := w.engine.meter.sample()
	s := Second{
		Asked: w.turns.asked(w.looked, now), Done: t.done, Refused: t.refused, Failed: t.failed,
		P50: t.latency.at(50), P99: t.latency.at(99), Max: t.latency.max,
		Open: w.engine.road.open.Load(), CPU: cpu, RSS: rss,
	}
	w.looked = now
	return s
}

// lookLast makes what is left of a second one, unless it is what units took
// beyond the last: that belongs to the last.
func (w *watch) lookLast(at time.Duration) {
	n := len(w.seconds)
	if n == 0 || at-w.looked > fraction || w.turns.asked(w.looked, w.turns.end) >= 1 {
		w.look(at)
		return
	}
	rest, last := w.take(at), &w.seconds[n-1]
	last.Asked += rest.Asked
	last.Done += rest.Done
	last.Refused += rest.Refused
	last.Failed += rest.Failed
	last.Max = max(last.Max, rest.Max)
	last.CPU += rest.CPU
	last.Open, last.RSS = rest.Open, rest.RSS
}
