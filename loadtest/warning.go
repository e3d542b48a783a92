package loadtest

import (
	"fmt"
	"os"
	"time"
)

const (
	// busy is the share of the cores that a process may use from which on it is
	// taken to have been at its limit.
	busy = 0.85
	// missed is the share of the units due that may be missing without a word.
	missed = 0.01
	// nearCapacity is the share of its capacity from which on a generator may be
	// what is measured.
	nearCapacity = 0.8
	// fewTicks is how little CPU time of a server is too little for a figure: a
	// tick lost at either end is five per cent of it.
	fewTicks = 40 * tick
)

// warn says what is to be held against the result.
func (r *Result) warn(e *engine) {
	say := func(format string, args ...any) { r.Warnings = append(r.Warnings, fmt.Sprintf(format, args...)) }
	if err := e.meter.lost; err != nil {
		say("the server could not be accounted to the end: %v", err)
	}
	cores := max(1, coresOf(os.Getpid()))
	used := (r.Generator.User + r.Generator.System).Seconds() / max(r.Wall.Seconds(), 1e-9)
	generator := used > busy*float64(cores)
	if generator {
		say("the generator used %.2f of the %d cores that it may: it was the bottleneck, and the figures are its own", used, cores)
	}
	if r.Capacity > 0 && r.Units.Rate > nearCapacity*r.Capacity {
		say("the rate of %.0f a second is near the %.0f that the generator reaches against a server that does nothing", r.Units.Rate, r.Capacity)
	}
	ended := r.Units.Done + r.Units.Refused + r.Units.Failed
	if r.Plan.Pace.Open() && float64(r.Units.Due-ended) > missed*float64(r.Units.Due) {
		switch {
		case e.meter.pid != 0 && e.meter.saturated(r.Wall):
			say("the server was saturated: of %d units due, %d were begun and ended", r.Units.Due, ended)
		case generator:
		case e.meter.pid == 0:
			say("of %d units due, only %d ended: the server may be saturated (pid tells), or %d connections are too few", r.Units.Due, ended, r.Plan.Connections)
		default:
			say("of %d units due, only %d ended, and the server was not saturated: %d connections are too few, or the generator is too slow", r.Units.Due, ended, r.Plan.Connections)
		}
	}
	if s := r.Server; s != nil && r.Plan.Scenario != Idle && s.User+s.System < fewTicks {
		say("the server's CPU time of %s is too little for a figure: ticks are %s", (s.User + s.System).Round(time.Millisecond), tick)
	}
}
