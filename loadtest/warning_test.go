package loadtest

import (
	"errors"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestWarnings reaches every warning with figures, and none without need.
func TestWarnings(t *testing.T) {
	t.Parallel()
	self, cores := os.Getpid(), coresOf(os.Getpid())
	used := func(d time.Duration) Usage { return Usage{User: d / 2, System: d / 2} }
	const wall = 10 * time.Second
	// A server of one thread can use one core, and did for so long.
	server := func(r *Result, e *engine, busy time.Duration) {
		u := used(busy)
		r.Server = &u
		e.meter = meter{pid: self,
			before: reading{processes: map[int]stat{self: {user: time.Hour, threads: 1}}},
			after:  reading{processes: map[int]stat{self: {user: time.Hour + busy, threads: 1}}}}
	}
	open := func(r *Result, due, done int64) {
		r.Plan.Pace, r.Units.Due, r.Units.Done = Pace{Rate: 100}, due, done
	}
	for _, c := range []struct {
		name string
		edit func(*Result, *engine)
		want []string // what each begins with
	}{
		{"nothing", func(*Result, *engine) {}, nil},
		{"busy generator", func(r *Result, _ *engine) { r.Generator = used(wall * time.Duration(cores) * 9 / 10) },
			[]string{"the generator used "}},
		{"generator below that", func(r *Result, _ *engine) { r.Generator = used(wall * time.Duration(cores) * 8 / 10) }, nil},
		{"near capacity", func(r *Result, _ *engine) { r.Units.Rate, r.Capacity = 81, 100 },
			[]string{"the rate of 81 a second is near the 100 "}},
		{"below capacity", func(r *Result, _ *engine) { r.Units.Rate, r.Capacity = 79, 100 }, nil},
		{"not calibrated", func(r *Result, _ *engine) { r.Units.Rate = 79 }, nil},
		{"short without a pid", func(r *Result, _ *engine) { open(r, 1000, 989) },
			[]string{"of 1000 units due, only 989 ended: the server may be saturated"}},
		{"short by one per cent", func(r *Result, _ *engine) { open(r, 1000, 990) }, nil},
		{"refused and failed are not missing", func(r *Result, _ *engine) {
			open(r, 1000, 0)
			r.Units.Refused, r.Units.Failed = 500, 500
		}, nil},
		{"closed loop has nothing due", func(r *Result, _ *engine) { r.Units.Due = 1000 }, nil},
		{"short beside a server at its limit", func(r *Result, e *engine) {
			open(r, 1000, 900)
			server(r, e, wall*9/10)
		}, []string{"the server was saturated: of 1000 units due, 900 "}},
		{"short beside a server that is not", func(r *Result, e *engine) {
			open(r, 1000, 900)
			server(r, e, wall*8/10)
		}, []string{"of 1000 units due, only 900 ended, and the server was not saturated"}},
		{"short by the generator", func(r *Result, _ *engine) {
			open(r, 1000, 900)
			r.Generator = used(wall * time.Duration(cores))
		}, []string{"the generator used "}},
		{"little CPU time", func(r *Result, e *engine) { server(r, e, fewTicks-tick) },
			[]string{"the server's CPU time of 390ms is too little"}},
		{"enough CPU time", func(r *Result, e *engine) { server(r, e, fewTicks) }, nil},
		{"idle uses none", func(r *Result, e *engine) {
			r.Plan.Scenario = Idle
			server(r, e, 0)
		}, nil},
		{"lost", func(r *Result, e *engine) { e.meter = meter{pid: self, lost: errors.New("no process 5")} },
			[]string{"the server could not be accounted to the end: no process 5"}},
	} {
		r, e := &Result{Wall: wall}, &engine{}
		c.edit(r, e)
		r.warn(e)
		if !slices.EqualFunc(r.Warnings, c.want, strings.HasPrefix) {
			t.Errorf("%s: got %q, want %q", c.name, r.Warnings, c.want)
		}
	}
}

// A server too slow for what is asked of it, for real.
func TestWarnedOfTooFewConnections(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	p := planFor(serve(t, func(http.ResponseWriter, *http.Request) { <-release }), Request)
	p.Pace, p.Count, p.Duration = Pace{Rate: 100}, 0, 100*time.Millisecond
	r, err := Run(t.Context(), p, func(s Second) {
		if s.At == 0 {
			close(release)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	// There may be another, of this process, which other tests use as well; and on a
	// machine that is busy only one connection may have begun in time.
	want := regexp.MustCompile(`^of 10 units due, only [12] ended: the server may be saturated \(pid tells\), or 2 connections are too few$`)
	if !slices.ContainsFunc(r.Warnings, want.MatchString) {
		t.Errorf("got %q, want %q", r.Warnings, want)
	}
}

// TestCalibrate has no test beside it: both ends of it are this process.
func TestCalibrate(t *testing.T) {
	p := planFor(serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }), Handshake)
	p.Calibrate, p.ExpectRefusal = true, true
	r := run(t, p)
	wantUnits(t, r, 0, 6, 0)
	// How many a second is the machine's affair, and that of what else it does.
	if r.Capacity <= 0 {
		t.Errorf("capacity %g", r.Capacity)
	}
}

// The server that it is calibrated against serves what any plan can ask for.
func TestIdleServer(t *testing.T) {
	t.Parallel()
	for _, profile := range Profiles() {
		for _, protocol := range []Protocol{HTTP1, HTTP2} {
			for _, scenario := range []Scenario{Handshake, Request, Upload} {
				p := planFor("https://127.0.0.1/", scenario)
				p.Profile, p.Protocol, p.Count = profile, protocol, 3
				if scenario == Upload {
					p.BodySize = 100_000
				}
				p = p.withDefaults()
				s, err := newIdleServer(p)
				if err != nil {
					t.Fatal(err)
				}
				p.ServerName, p.Roots = s.name, s.roots
				e, err := newEngine(t.Context(), p, s.address)
				if err != nil {
					t.Fatal(err)
				}
				r, err := e.run(nil)
				if err != nil {
					t.Fatal(err)
				}
				check(t, r)
				wantUnits(t, r, 3, 0, 0)
				s.end()
			}
		}
	}
}
