package loadtest

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"
)

// Count is how many units there are, to the unit, whoever begins them.
func TestCount(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		scenario Scenario
		protocol Protocol
		pace     Pace
		duration time.Duration
		conns    int
	}{
		{Handshake, HTTP1, Pace{}, 0, 3},
		{Request, HTTP1, Pace{}, 0, 8},
		{Request, HTTP2, Pace{}, 0, 3},
		{Request, HTTP1, Pace{}, time.Hour, 50}, // more connections than units
		{Request, HTTP1, Pace{Rate: 5000}, 0, 3},
		{Request, HTTP2, Pace{From: 5000, To: 1}, time.Hour, 3},
		{Request, HTTP1, Pace{Steps: []float64{5000, 1}}, time.Hour, 3},
	} {
		t.Run(fmt.Sprint(c.scenario, "/", c.protocol, "/", c.pace), func(t *testing.T) {
			t.Parallel()
			var came atomic.Int64
			p := planFor(serve(t, func(http.ResponseWriter, *http.Request) { came.Add(1) }), c.scenario)
			p.Protocol, p.Pace, p.Duration, p.Connections, p.Count = c.protocol, c.pace, c.duration, c.conns, 40
			r := run(t, p)
			wantUnits(t, r, 40, 0, 0)
			if r.Units.Due != 40 || came.Load() != 40 {
				t.Errorf("%d due, %d came, want 40", r.Units.Due, came.Load())
			}
		})
	}
}

// A run ends by its duration where nothing else ends it, with all its units.
func TestDuration(t *testing.T) {
	t.Parallel()
	var came atomic.Int64
	p := planFor(serve(t, func(http.ResponseWriter, *http.Request) { came.Add(1) }), Request)
	p.Count, p.Duration = 0, 300*time.Millisecond
	r := run(t, p)
	wantUnits(t, r, came.Load(), 0, 0)
	if r.Units.Done == 0 || r.Units.Unfinished != 0 || r.Wall < p.Duration {
		t.Errorf("%+v in %s", r.Units, r.Wall)
	}
	if rate := float64(r.Units.Done) / r.Wall.Seconds(); r.Units.Rate != rate {
		t.Errorf("rate %g, want %g", r.Units.Rate, rate)
	}
}

// What runs before the clock is not in the figures.
func TestWarmUp(t *testing.T) {
	t.Parallel()
	for _, pace := range []Pace{{}, {Rate: 200}, {From: 0, To: 200}} {
		var came atomic.Int64
		p := planFor(serve(t, func(w http.ResponseWriter, r *http.Request) {
			if came.Add(1) <= 10 {
				w.WriteHeader(500)
			}
		}), Request)
		// They end by their count, long before, on a machine that has the time.
		p.Pace, p.Count, p.WarmUp, p.Duration = pace, 20, 300*time.Millisecond, 10*time.Second
		r := run(t, p)
		wantUnits(t, r, 20, 0, 0)
		if n := came.Load(); n < 20+10 {
			t.Errorf("pace %q: %d came: the warm-up's are wanting", pace, n)
		}
	}
}

// Units that are due and find nobody free are unfinished, and not forgotten.
func TestUnfinished(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	p := planFor(serve(t, func(http.ResponseWriter, *http.Request) { <-release }), Request)
	p.Pace, p.Count, p.Duration, p.Connections = Pace{Rate: 100}, 0, 500*time.Millisecond, 2
	// The first second is over when nothing is begun any more.
	r, err := Run(t.Context(), p, func(s Second) {
		if s.At == 0 {
			close(release)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	check(t, r)
	wantUnits(t, r, 2, 0, 0)
	if r.Units.Due != 50 || r.Units.Unfinished != 48 {
		t.Errorf("%+v, want 50 due and 48 unfinished", r.Units)
	}
	// Half of them were due in the first quarter of a second, and had waited for the
	// rest of the half.
	if r.Latency.P50 < 250*time.Millisecond || r.Latency.Count != 50 {
		t.Errorf("latency p50 %s of %d units: those that nobody served are not in it", r.Latency.P50, r.Latency.Count)
	}
}

// What times out had waited as long as that, and from when it was due.
func TestTimeoutLatency(t *testing.T) {
	t.Parallel()
	for _, refusal := range []bool{false, true} {
		var came atomic.Int64
		end := make(chan struct{})
		p := planFor(serve(t, func(w http.ResponseWriter, r *http.Request) {
			if came.Add(1) > 1 {
				<-end
			} else if refusal {
				w.WriteHeader(http.StatusForbidden)
			}
		}), Request)
		t.Cleanup(func() { close(end) })
		p.Pace, p.Count, p.Duration, p.Connections = Pace{Rate: 100}, 4, time.Minute, 4
		p.Timeout, p.ExpectRefusal = 500*time.Millisecond, refusal
		r := run(t, p)
		d := r.Latency
		if refusal {
			d = r.Refusal
		}
		if r.Units.Failed != 3 || d.Count != 4 || d.P90 < p.Timeout*9/10 {
			t.Errorf("%+v, p90 %s of %d: want three at the time-out of %s", r.Units, d.P90, d.Count, p.Timeout)
		}
	}
}

// More units than are worth working out one by one are all counted.
func TestWaited(t *testing.T) {
	t.Parallel()
	pace := Pace{Rate: 1e6}
	for _, count := range []int64{1, 999, 1_000_000, 1_234_567} {
		turns := &turns{end: 2 * time.Second, total: count, schedule: pace.over(2 * time.Second), token: make(chan int64, 1)}
		turns.token <- 0
		r := newRecorder(&Plan{Pace: pace}, 1)
		r.waited(turns, 2*time.Second)
		h := &r.shards[0].latency
		want := 2*time.Second - time.Duration(count/2)*time.Microsecond
		if got := h.at(50); h.n != count || got < want*99/100 || got > want*101/100 {
			t.Errorf("%d units: %d, half of them within %s, want %s", count, h.n, got, want)
		}
	}
}

// TestEndedEarly ends runs by their context, and wants what was measured.
func TestEndedEarly(t *testing.T) {
	t.Parallel()
	for _, protocol := range []Protocol{HTTP1, HTTP2} {
		for _, pace := range []Pace{{}, {Rate: 1000}, {From: 1000, To: 0.001}} {
			for _, scenario := range []Scenario{Request, Handshake, Resume} {
				t.Run(fmt.Sprint(protocol, "/", pace, "/", scenario), func(t *testing.T) {
					t.Parallel()
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					var came atomic.Int64
					p := planFor(serve(t, func(_ http.ResponseWriter, r *http.Request) {
						if came.Add(1) == 20 {
							cancel()
						}
					}), scenario)
					p.Protocol, p.Pace, p.Count, p.Duration, p.Streams = protocol, pace, 0, time.Hour, 1
					r, err := Run(ctx, p, nil)
					if err != nil {
						t.Fatal(err)
					}
					check(t, r)
					// Those that were under way are not done, and have not failed; two were the
					// first sessions.
					if n := came.Load(); r.Units.Done < 20-4 || r.Units.Done > n || r.Units.Failed != 0 || r.Units.Refused != 0 {
						t.Errorf("%+v, %d came: %+v", r.Units, n, r.Errors)
					}
				})
			}
		}
	}
}

// The end of a run breaks off what hangs, and that is nobody's failure.
func TestEndedWhileHanging(t *testing.T) {
	t.Parallel()
	for _, scenario := range []Scenario{Request, Handshake, Idle} {
		for _, where := range []string{"handshake", "answer"} {
			t.Run(fmt.Sprint(scenario, "/", where), func(t *testing.T) {
				t.Parallel()
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				var hung atomic.Int64
				p := planFor(serveRaw(t, hanging(where, func() {
					if hung.Add(1) == 2 {
						cancel()
					}
				})), scenario)
				p.Count, p.Duration, p.Timeout = 0, time.Hour, time.Hour
				r, err := Run(ctx, p, nil)
				if err != nil {
					t.Fatal(err)
				}
				check(t, r)
				wantUnits(t, r, 0, 0, 0)
			})
		}
	}
}

// A run that is over before it begins measures nothing, and is no error.
func TestEndedAtOnce(t *testing.T) {
	t.Parallel()
	target := serve(t, ok)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, scenario := range scenarios {
		p := planFor(target, Scenario(scenario))
		p.Count, p.WarmUp, p.BodySize, p.Calibrate = 0, time.Hour, 1, true
		r, err := Run(ctx, p, nil)
		if err != nil {
			t.Errorf("%s: %v", scenario, err)
			continue
		}
		check(t, r)
		wantUnits(t, r, 0, 0, 0)
	}
}

// A slow pace does not keep a run from ending: the next unit is a thousand
// seconds away.
func TestEndedBetweenUnits(t *testing.T) {
	t.Parallel()
	for _, scenario := range []Scenario{Request, Idle} {
		t.Run(string(scenario), func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			p := planFor(serve(t, ok), scenario)
			p.Pace, p.Count, p.Duration = Pace{Rate: 0.001}, 0, time.Hour
			r, err := Run(ctx, p, func(s Second) {
				if s.Done == 1 || scenario == Idle && s.Open == 1 {
					cancel()
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			check(t, r)
			wantUnits(t, r, 1, 0, 0)
		})
	}
}

// hanging does with a connection nothing any more from a point on, and tells
// so once it is there.
func hanging(where string, there func()) func(*net.TCPConn) {
	return func(raw *net.TCPConn) {
		if where == "handshake" {
			raw.Read(make([]byte, 1))
			there()
			io.Copy(io.Discard, raw)
			return
		}
		conn := tls.Server(raw, tlsConfig(func(c *tls.Config) { c.NextProtos = nil }))
		in := bufio.NewReader(conn)
		if skipRequest(in) == nil {
			there()
			io.Copy(io.Discard, in)
		}
	}
}
