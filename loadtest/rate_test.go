package loadtest

import (
	"fmt"
	"math"
	"net/http"
	"sync/atomic"
	"testing"
	"time"
)

// attempts has a measurement made again where the machine may have been at fault:
// others use it too. What is wrong with the generator is wrong each time.
func attempts(t *testing.T, measure func(fault func(format string, args ...any))) {
	t.Helper()
	const most = 5
	for n := 1; ; n++ {
		var faults []string
		measure(func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) })
		if len(faults) == 0 {
			return
		}
		if n == most {
			for _, text := range faults {
				t.Error(text)
			}
			return
		}
		t.Logf("attempt %d: %q", n, faults)
	}
}

// TestRate asks for rates far below what server and generator can do. No test
// runs beside it.
func TestRate(t *testing.T) {
	for name, c := range map[string]struct {
		pace Pace
		due  int64
	}{
		"constant": {Pace{Rate: 500}, 1000},
		"ramp":     {Pace{From: 0, To: 800}, 800},
		"steps":    {Pace{Steps: []float64{200, 600}}, 800},
	} {
		t.Run(name, func(t *testing.T) {
			p := planFor(serve(t, ok), Request)
			p.Pace, p.Duration, p.Count, p.Connections = c.pace, 2*time.Second, 0, 16
			attempts(t, func(fault func(string, ...any)) {
				r := run(t, p)
				if r.Units.Due != c.due || float64(r.Units.Done) < 0.99*float64(c.due) {
					fault("%d due and %d done, want %d: %+v", r.Units.Due, r.Units.Done, c.due, r.Errors)
				}
				// Not only the sum is right, but when they were.
				for _, s := range r.Seconds {
					if math.Abs(float64(s.Done)-s.Asked) > 0.15*s.Asked+5 {
						fault("second %d: %d done of %g asked for", s.At, s.Done, s.Asked)
					}
				}
				if len(r.Seconds) != 2 {
					fault("%d seconds: %+v", len(r.Seconds), r.Seconds)
				}
			})
		})
	}
}

// TestStall has a server stand still once, for all. An open loop finds that a
// quarter of its units had to wait. A closed loop begins nothing meanwhile, so
// only those that were under way count, and its percentiles hide the stall.
func TestStall(t *testing.T) {
	const (
		rate  = 1000
		units = 2 * rate
		stall = 500 * time.Millisecond
		conns = 4
	)
	measure := func(pace Pace) *Result {
		var seen atomic.Int64
		gate := make(chan struct{})
		p := planFor(serve(t, func(_ http.ResponseWriter, r *http.Request) {
			switch n := seen.Add(1); {
			case n == units/4:
				<-time.After(stall)
				close(gate)
			case n > units/4:
				<-gate
			}
		}), Request)
		p.Pace, p.Connections, p.Count, p.Duration = pace, conns, units, 2*time.Second
		if !pace.Open() {
			p.Duration = time.Hour // it ends by its count
		}
		return run(t, p)
	}
	attempts(t, func(fault func(string, ...any)) {
		open, closed := measure(Pace{Rate: rate}), measure(Pace{})

		for name, r := range map[string]*Result{"open": open, "closed": closed} {
			if float64(r.Units.Done) < 0.99*units {
				fault("%s loop: %d of %d done: %+v", name, r.Units.Done, units, r.Errors)
			}
			if r.Latency.Max < stall {
				fault("%s loop: no unit waited for the stall; the longest took %s", name, r.Latency.Max)
			}
		}
		// Units that came due in the stall waited for what was left of it: the hundredth
		// part of all that waited longest came in its first 20 ms, and more than a
		// tenth waited for half of it.
		if open.Latency.P99 < stall*3/4 || open.Latency.P90 < stall/4 {
			fault("open loop: p99 %s, p90 %s; the stall was %s", open.Latency.P99, open.Latency.P90, stall)
		}
		if closed.Latency.P99 > stall/4 {
			fault("closed loop: p99 %s, although %d units of %d met the stall of %s", closed.Latency.P99, conns, units, stall)
		}
		// Beginning late is what makes the difference: it is not in the service time.
		if open.Service.P99 > stall/4 {
			fault("open loop: p99 of service %s, although %d units of %d met the stall of %s", open.Service.P99, conns, units, stall)
		}
	})
}
