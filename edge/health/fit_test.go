package health

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/edge/config"
)

var three = []string{"http://10.0.0.1:80", "http://10.0.0.2:80", "http://10.0.0.3:80"}

// set has the checks of the targets find what states says: i, h or u.
func (r *rig) set(states string) {
	for i, c := range states {
		m := r.members[i]
		switch c {
		case 'h':
			for range 5 {
				r.settle(m, at(time.Now(), good))
			}
		case 'u':
			r.settle(m, at(time.Now(), broken))
			r.settle(m, at(time.Now(), broken))
		}
	}
}

// Who may have requests, by state and by what the group does when none is healthy.
func TestFit(t *testing.T) {
	for _, test := range []struct{ states, open, closed string }{
		{"hhh", "[0 1 2]", "[0 1 2]"},
		{"huh", "[0 2]", "[0 2]"},
		{"iih", "[2]", "[2]"},
		{"uhi", "[1]", "[1]"},
		{"iii", "[0 1 2]", "[]"},
		{"uiu", "[1]", "[]"},
		{"uuu", "[0 1 2]", "[]"},
	} {
		for _, mode := range []config.AllUnhealthy{config.FailOpen, config.FailClosed, ""} {
			cfg, want := groupOf(three...), test.closed
			if cfg.HealthCheck.AllUnhealthy = mode; mode == config.FailOpen {
				want = test.open
			}
			r := newRig(t, cfg, nil)
			r.set(test.states)
			name := strings.Join([]string{test.states, string(mode)}, " ")
			r.want(r.states(), want)
			counted := r.Counts().FailedOpen
			if all := test.states == "uuu" && mode == config.FailOpen; (counted == 1) != all || r.FailingOpen() != all {
				t.Errorf("%s: %d requests counted as failing open", name, counted)
			}
			if r.Refusing() != (want == "[]") {
				t.Errorf("%s: refusing %v", name, r.Refusing())
			}
		}
	}
	cfg := groupOf(three...)
	cfg.HealthCheck.Enabled = false
	newRig(t, cfg, nil).want("unavailable Target.HealthCheckDisabled, unavailable Target.HealthCheckDisabled, unavailable Target.HealthCheckDisabled", "[0 1 2]")
}

// That no target is healthy is logged when it begins, and when it is over.
func TestNoneHealthyIsLogged(t *testing.T) {
	for mode, text := range map[config.AllUnhealthy]string{config.FailOpen: "requests go to all of them", config.FailClosed: "requests are refused"} {
		cfg := groupOf(three...)
		cfg.HealthCheck.AllUnhealthy = mode
		r := newRig(t, cfg, nil)
		if strings.Contains(r.logged.String(), "no target") {
			t.Errorf("%s: said of a group that was just made", mode)
		}
		r.set("hhh")
		for n := 1; n < 3; n++ {
			r.set("uuu")
			r.settle(r.members[1], broken)
			if got := strings.Count(r.logged.String(), text); got != n {
				t.Errorf("%s: logged %d times, want %d:\n%s", mode, got, n, &r.logged)
			}
			r.set("h")
			if got := strings.Count(r.logged.String(), "requests go to healthy targets"); got != n+map[config.AllUnhealthy]int{config.FailClosed: 1}[mode] {
				t.Errorf("%s: the end logged %d times:\n%s", mode, got, &r.logged)
			}
		}
	}
}

// ejecting is a group that ejects after three failures, for ten seconds.
func ejecting(checks bool) config.TargetGroup {
	cfg := groupOf(three...)
	cfg.HealthCheck.Enabled = checks
	cfg.HealthCheck.Passive = config.PassiveHealthCheck{Failures: 3, For: config.Duration(10 * time.Second)}
	return cfg
}

func (r *rig) fail(target, times int) {
	for range times {
		r.Tried(target, false)
	}
}

const unchecked = "unavailable Target.HealthCheckDisabled"

func TestEjection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, ejecting(false), nil)
		r.run()
		r.fail(1, 2)
		r.Tried(1, true)
		r.fail(1, 2)
		r.want(unchecked+", "+unchecked+", "+unchecked, "[0 1 2]")
		r.fail(1, 1)
		r.want(unchecked+", "+unchecked+" ejected, "+unchecked, "[0 2]")
		if until := r.Status()[1].EjectedUntil; time.Until(until) != 10*time.Second {
			t.Errorf("ejected until %v", until)
		}
		r.fail(0, 3)
		r.want(unchecked+" ejected, "+unchecked+" ejected, "+unchecked, "[2]")
		r.fail(2, 30) // never the last
		r.want(unchecked+" ejected, "+unchecked+" ejected, "+unchecked, "[2]")
		time.Sleep(10*time.Second - time.Nanosecond)
		synctest.Wait()
		r.want(unchecked+" ejected, "+unchecked+" ejected, "+unchecked, "[2]")
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		r.want(unchecked+", "+unchecked+", "+unchecked, "[0 1 2]")
		if n := r.Counts().Ejections; n != 2 {
			t.Errorf("%d ejections counted", n)
		}
		r.stop()
	})
}

// Each ejection lasts twice as long, until the target has answered once.
func TestEjectionsGrow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, ejecting(false), nil)
		r.run()
		last := func() time.Duration {
			r.fail(1, 3)
			d := time.Until(r.Status()[1].EjectedUntil)
			r.Tried(1, true) // a late answer to an earlier request
			time.Sleep(d)
			synctest.Wait()
			return d
		}
		for _, want := range []time.Duration{10, 20, 40, 80, 160, 160} {
			if got := last(); got != want*time.Second {
				t.Errorf("ejected for %v, want %v", got, want*time.Second)
			}
		}
		r.Tried(1, true)
		if got := last(); got != 10*time.Second {
			t.Errorf("after a success ejected for %v", got)
		}
		r.stop()
	})
}

// Ejections and checks together.
func TestEjectionAmongChecked(t *testing.T) {
	r := newRig(t, ejecting(true), nil)
	r.set("huh")
	r.fail(1, 3) // it has no requests in any case
	r.want("healthy, unhealthy Target.ResponseCodeMismatch, healthy", "[0 2]")
	r.fail(0, 3)
	r.want("healthy ejected, unhealthy Target.ResponseCodeMismatch, healthy", "[2]")
	r.set("-_u") // the last that is not ejected: then the ejected one has them
	r.want("healthy ejected, unhealthy Target.ResponseCodeMismatch, unhealthy Target.ResponseCodeMismatch", "[0]")
	r.set("uuu")
	r.fail(2, 3)
	r.want("unhealthy Target.ResponseCodeMismatch ejected, unhealthy Target.ResponseCodeMismatch, unhealthy Target.ResponseCodeMismatch ejected", "[1]")
}

func TestNothingIsEjectedUnasked(t *testing.T) {
	r := newRig(t, groupOf(three...), nil)
	r.set("hhh")
	r.fail(1, 10000)
	r.want("healthy, healthy, healthy", "[0 1 2]")
}

// What every request asks costs it neither memory nor a lock.
func TestHotPathDoesNotAllocate(t *testing.T) {
	r := newRig(t, ejecting(true), nil)
	r.set("huh")
	r.mu.Lock()
	r.Group.mu.Lock() // whoever takes it here waits for ever
	defer r.Group.mu.Unlock()
	defer r.mu.Unlock()
	if n := testing.AllocsPerRun(1000, func() {
		targets := r.Fit()
		r.Tried(targets[0], true)
		r.Tried(targets[1], false)
		r.Tried(targets[1], true)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkFit(b *testing.B) {
	g, err := New("app", ejecting(false), Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			g.Tried(g.Fit()[0], true)
		}
	})
}
