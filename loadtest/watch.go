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

// start begins to look, and returns what ends that.
func (w *watch) start(t *turns) (stop func()) {
	if w == nil {
		return func() {}
	}
	w.turns = t
	var all sync.WaitGroup
	over := make(chan struct{})
	all.Go(func() {
		for k := 1; ; k++ {
			timer := time.NewTimer(time.Until(t.start.Add(time.Duration(k) * time.Second)))
			select {
			case <-timer.C:
				w.look()
			case <-over:
				timer.Stop()
				w.lookLast()
				return
			}
		}
	})
	return func() {
		close(over)
		all.Wait()
	}
}

// look makes the second that has passed.
func (w *watch) look() {
	s := w.take()
	s.At = len(w.seconds)
	w.seconds = append(w.seconds, s)
	if w.each != nil {
		w.each(s)
	}
}

func (w *watch) take() Second {
	now := time.Since(w.turns.start)
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
func (w *watch) lookLast() {
	n := len(w.seconds)
	if n == 0 || time.Since(w.turns.start)-w.looked > fraction || w.turns.asked(w.looked, w.turns.end) >= 1 {
		w.look()
		return
	}
	rest, last := w.take(), &w.seconds[n-1]
	last.Asked += rest.Asked
	last.Done += rest.Done
	last.Refused += rest.Refused
	last.Failed += rest.Failed
	last.Max = max(last.Max, rest.Max)
	last.CPU += rest.CPU
	last.Open, last.RSS = rest.Open, rest.RSS
}
