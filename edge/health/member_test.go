package health

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/edge/accesslog"
	"github.com/sallyport/sallyport/edge/config"
)

// The states of a target as checks go by: p passes, f fails, i is the edge's own
// failure.
func TestStates(t *testing.T) {
	for _, test := range []struct {
		name, checks string
		want         State
	}{
		{"none yet", "", Initial},
		{"one is enough for a new one", "p", Healthy},
		{"one failure decides nothing", "f", Initial},
		{"two do", "ff", Unhealthy},
		{"failed, then passed", "fp", Healthy},
		{"a single failure", "pfpfpf", Healthy},
		{"two in a row", "pff", Unhealthy},
		{"four passes are too few", "ffpppp", Unhealthy},
		{"five are enough", "ffppppp", Healthy},
		{"five in a row are wanted", "ffppppfpppp", Unhealthy},
		{"back, and two failures again", "ffpppppf", Healthy},
		{"counting begins anew", "ffpppppff", Unhealthy},
		{"our own failures do not count", "piiii", Healthy},
		{"nor do they end a row", "pfif", Unhealthy},
		{"nor begin one", "iii", Initial},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t, groupOf("http://10.0.0.1:80"), nil)
			for _, c := range test.checks {
				r.members[0].begin()
				r.settle(r.members[0], map[rune]result{'p': good, 'f': broken, 'i': ourselv}[c])
			}
			if got := r.Status()[0].State; got != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
		})
	}
}

// Each state has ALB's reason and description.
func TestReasons(t *testing.T) {
	is := func(r *rig, state State, reason Reason, description string) {
		t.Helper()
		if got := r.Status()[0]; got.State != state || got.Reason != reason || got.Description != description {
			t.Errorf("%+v, want %s %s %q", got, state, reason, description)
		}
	}
	cfg := groupOf("http://10.0.0.1:80")
	r := newRig(t, cfg, nil)
	m := r.members[0]
	is(r, Initial, RegistrationInProgress, "Target registration is in progress")
	m.begin()
	is(r, Initial, InitialHealthChecking, "Initial health checks in progress")
	r.settle(m, silent)
	r.settle(m, silent)
	is(r, Unhealthy, Timeout, "Request timed out")
	r.settle(m, broken)
	is(r, Unhealthy, ResponseCodeMismatch, "Health checks failed with these codes: [503]")
	r.settle(m, gone)
	is(r, Unhealthy, FailedHealthChecks, "Health checks failed")
	r.settle(m, ourselv)
	is(r, Unhealthy, FailedHealthChecks, "Health checks failed")
	for range 5 {
		r.settle(m, good)
	}
	is(r, Healthy, "", "")
	cfg.HealthCheck.Enabled = false
	is(newRig(t, cfg, nil), Unavailable, HealthCheckDisabled, "Health checks are disabled")
}

// Checks come at the interval, a tenth more or less, the first at once; what they
// found is told.
func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, groupOf("http://10.0.0.1:80", "https://10.0.0.2"), nil)
		start := time.Now()
		r.run()
		time.Sleep(firstWithin + time.Millisecond)
		synctest.Wait()
		r.want("healthy, healthy", "[0 1]")
		r.answer(1, broken)
		r.checks(2)
		r.want("healthy, unhealthy Target.ResponseCodeMismatch", "[0]")
		r.checks(40)
		r.stop()
		for target, asked := range r.asked {
			if first := asked[0].Sub(start); first > firstWithin {
				t.Errorf("target %d: first asked after %v", target, first)
			}
			gaps := map[time.Duration]bool{}
			for i := range asked[1:] {
				gap := asked[i+1].Sub(asked[i])
				gaps[gap.Truncate(time.Millisecond)] = true
				if gap < 27*time.Second || gap > 33*time.Second {
					t.Errorf("target %d: %v between checks", target, gap)
				}
			}
			if len(gaps) < 20 {
				t.Errorf("target %d: %d different intervals of %d", target, len(gaps), len(asked)-1)
			}
		}
		if n := len(r.records); n != len(r.asked[0])+len(r.asked[1]) {
			t.Errorf("%d records of %d checks", n, len(r.asked[0])+len(r.asked[1]))
		}
		last := r.records[slices.IndexFunc(r.records, func(h accesslog.HealthCheck) bool { return !h.Pass })]
		if last.Type != "https" || last.Target != "10.0.0.2:443" || last.TargetGroup != "app" || !last.HasStatus || last.StatusCode != 503 || last.Reason != accesslog.CheckTargetError {
			t.Errorf("record %+v", last)
		}
		for _, want := range []string{`level=WARN msg="target is unhealthy" target_group=app target=https://10.0.0.2 reason=Target.ResponseCodeMismatch cause="status code 503"`, `level=INFO msg="target is healthy" target_group=app target=http://10.0.0.1:80`} {
			if strings.Count(r.logged.String(), want) != 1 {
				t.Errorf("logged, not once %q:\n%s", want, &r.logged)
			}
		}
		if n := r.Counts().Checks; n["pass"] == 0 || n["TargetError"] == 0 || n["pass"]+n["TargetError"] != uint64(len(r.records)) {
			t.Errorf("counted %v", n)
		}
	})
}

// A check that takes long does not move the next one, and one that is cut off by
// the end says nothing.
func TestSlowChecks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, groupOf("http://10.0.0.1:80"), nil)
		quick := r.members[0].probe
		r.members[0].probe = func(ctx context.Context, c *checker) result {
			answer := quick(ctx, c)
			select {
			case <-time.After(4 * time.Second):
			case <-ctx.Done():
				answer = broken
			}
			return answer
		}
		r.run()
		r.checks(5)
		time.Sleep(time.Second)
		r.stop()
		for i := range r.asked[0][1:] {
			if gap := r.asked[0][i+1].Sub(r.asked[0][i]); gap < 27*time.Second || gap > 33*time.Second {
				t.Errorf("%v between checks", gap)
			}
		}
		if len(r.records) != len(r.asked[0])-1 {
			t.Errorf("%d records of %d checks, of which one was cut off", len(r.records), len(r.asked[0]))
		}
		r.want("healthy", "[0]")
	})
}

// However many targets hang, each of the others is asked when it is due.
func TestHangingTargets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := groupOf(append(slices.Repeat([]string{"http://10.0.0.1:80"}, 500), "http://10.0.0.2:80")...)
		r := newRig(t, cfg, nil)
		for _, m := range r.members[:500] {
			m.probe = func(ctx context.Context, c *checker) result {
				began := time.Now()
				select {
				case <-time.After(5 * time.Second):
				case <-ctx.Done():
				}
				return result{began: began, took: time.Since(began), reason: accesslog.CheckTimedOut}
			}
		}
		r.run()
		time.Sleep(501*firstPace + time.Millisecond)
		synctest.Wait()
		if got := r.Status()[500].State; got != Healthy {
			t.Errorf("%s before the others had time to fail", got)
		}
		r.answer(500, broken)
		time.Sleep(2 * 33 * time.Second)
		synctest.Wait()
		if got := r.Status()[500].State; got != Unhealthy {
			t.Errorf("%s two intervals after it broke", got)
		}
		r.stop()
	})
}

// The same with sockets: 500 targets accept and never answer.
func TestHangingListeners(t *testing.T) {
	hanging := rawTarget(t, func(conn net.Conn, r *bufio.Reader) { io.Copy(io.Discard, r) })
	var status atomic.Int32
	status.Store(200)
	one := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(int(status.Load())) }))
	t.Cleanup(one.Close)
	cfg := groupOf(append(slices.Repeat([]string{hanging}, 500), one.URL)...)
	cfg.HealthCheck.Interval, cfg.HealthCheck.Timeout = config.Duration(200*time.Millisecond), config.Duration(time.Hour)
	g, err := New("app", cfg, Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	checked := make(chan State)
	var tasks sync.WaitGroup
	for _, task := range g.Tasks(func(*accesslog.HealthCheck) {
		select {
		case checked <- g.Status()[500].State: // only of this one: the others never end
		case <-ctx.Done():
		}
	}) {
		tasks.Go(func() { task(ctx) })
	}
	defer tasks.Wait()
	defer cancel()
	for _, want := range []State{Healthy, Unhealthy} {
		for deadline, state := time.After(30*time.Second), State(""); state != want; {
			select {
			case state = <-checked:
			case <-deadline:
				t.Fatalf("not %s after 30 s", want)
			}
		}
		status.Store(503)
	}
}

func TestNewRefuses(t *testing.T) {
	for _, change := range []func(*config.TargetGroup){
		func(g *config.TargetGroup) { g.HealthCheck.Interval = 0 },
		func(g *config.TargetGroup) { g.HealthCheck.Timeout = 0 },
		func(g *config.TargetGroup) { g.HealthCheck.HealthyThreshold = 0 },
		func(g *config.TargetGroup) { g.HealthCheck.UnhealthyThreshold = 0 },
		func(g *config.TargetGroup) { g.HealthCheck.Matcher = "" },
		func(g *config.TargetGroup) { g.Targets = []string{"10.0.0.1:80"} },
	} {
		cfg := groupOf("http://10.0.0.1:80")
		change(&cfg)
		if g, err := New("app", cfg, Options{}); err == nil || g != nil || !strings.HasPrefix(err.Error(), "health checks of target group app: ") {
			t.Errorf("%+v: %v", cfg.HealthCheck, err)
		}
	}
}
