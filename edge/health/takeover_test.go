package health

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/edge/config"
)

// What a new group takes over of the one before.
func TestTakeOver(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*config.TargetGroup)
		states string // of what was healthy, unhealthy and initial
	}{
		{"nothing changed", func(g *config.TargetGroup) {}, "healthy, unhealthy Target.ResponseCodeMismatch, initial Elb.RegistrationInProgress"},
		{"what happens to requests", func(g *config.TargetGroup) {
			g.HealthCheck.AllUnhealthy = config.FailClosed
			g.HealthCheck.Passive = config.PassiveHealthCheck{}
		}, "healthy, unhealthy Target.ResponseCodeMismatch, initial Elb.RegistrationInProgress"},
		{"another order, one gone, one more", func(g *config.TargetGroup) {
			g.Targets = []string{three[1], "http://10.0.0.9:80", three[0]}
		}, "unhealthy Target.ResponseCodeMismatch, initial Elb.RegistrationInProgress, healthy"},
		{"another port", func(g *config.TargetGroup) {
			g.Targets = []string{"http://10.0.0.1:81", three[1], three[2]}
		}, "initial Elb.RegistrationInProgress, unhealthy Target.ResponseCodeMismatch, initial Elb.RegistrationInProgress"},
		{"another path", func(g *config.TargetGroup) { g.HealthCheck.Path = "/other" },
			"healthy, initial Elb.RegistrationInProgress, initial Elb.RegistrationInProgress"},
		{"another protocol version", func(g *config.TargetGroup) { g.ProtocolVersion = config.HTTP2 },
			"healthy, initial Elb.RegistrationInProgress, initial Elb.RegistrationInProgress"},
		{"another CA", func(g *config.TargetGroup) { g.HTTPS.CA = "other.pem" },
			"healthy, initial Elb.RegistrationInProgress, initial Elb.RegistrationInProgress"},
		{"no checks", func(g *config.TargetGroup) { g.HealthCheck.Enabled = false }, unchecked + ", " + unchecked + ", " + unchecked},
	} {
		t.Run(test.name, func(t *testing.T) {
			cfg := groupOf(three...)
			old := newRig(t, cfg, nil)
			old.set("hui")
			before := old.Status()
			test.change(&cfg)
			next := newRig(t, cfg, old)
			if got := next.states(); got != test.states {
				t.Errorf("got %s, want %s", got, test.states)
			}
			for _, now := range next.Status() {
				if now.State != Healthy {
					continue
				}
				if now.Since != before[0].Since || now.Last == nil {
					t.Errorf("healthy since %v, checked %v; before %v", now.Since, now.Last, before[0].Since)
				}
			}
			if next.Counts().Checks["TargetError"] != 2 {
				t.Errorf("counts %v, want them to go on", next.Counts())
			}
			if newRig(t, cfg, next); next.previous != nil {
				t.Error("groups keep all that were before them")
			}
		})
	}
}

// The schedule goes on over a reload that changes nothing of the checks, what the
// old group found last is not lost, and a change is tried at once.
func TestTakeOverSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := groupOf("http://10.0.0.1:80")
		old := newRig(t, cfg, nil)
		old.run()
		old.checks(1)
		time.Sleep(20 * time.Second)
		next := newRig(t, cfg, old)
		next.answer(0, broken)
		old.checks(1) // after the new one was made
		old.stop()
		before := next.count()[0]
		next.run()
		time.Sleep(26 * time.Second)
		synctest.Wait()
		if next.count()[0] != before {
			t.Error("asked before it was due")
		}
		time.Sleep(8 * time.Second)
		synctest.Wait()
		next.want("unhealthy Target.ResponseCodeMismatch", "[0]") // the second failure in a row
		next.stop()

		cfg.HealthCheck.Path = "/other"
		changed := newRig(t, cfg, next)
		changed.answer(0, good)
		changed.run()
		time.Sleep(firstWithin + time.Millisecond)
		synctest.Wait()
		changed.want("healthy", "[0]")
		cfg.HealthCheck.Path = "/third"
		again := newRig(t, cfg, changed)
		again.want("healthy", "[0]")
		changed.stop()
		before = again.count()[0]
		again.run()
		time.Sleep(firstWithin + time.Millisecond)
		synctest.Wait()
		if again.count()[0] != before+1 {
			t.Error("new checks did not begin at once")
		}
		again.stop()
	})
}

// Ejections go on, and end in time.
func TestTakeOverEjections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old := newRig(t, ejecting(false), nil)
		old.run()
		old.fail(1, 3)
		time.Sleep(4 * time.Second)
		next := newRig(t, ejecting(false), old)
		next.want(unchecked+", "+unchecked+" ejected, "+unchecked, "[0 2]")
		next.fail(0, 3) // before it runs
		old.stop()
		next.run()
		synctest.Wait()
		next.want(unchecked+" ejected, "+unchecked+" ejected, "+unchecked, "[2]")
		time.Sleep(6 * time.Second)
		synctest.Wait()
		next.want(unchecked+" ejected, "+unchecked+", "+unchecked, "[1 2]")
		next.fail(1, 3)
		if d := time.Until(next.Status()[1].EjectedUntil); d != 20*time.Second {
			t.Errorf("the second ejection in a row lasts %v", d)
		}
		next.stop()
		cfg := ejecting(false)
		cfg.HealthCheck.Passive = config.PassiveHealthCheck{}
		newRig(t, cfg, next).want(unchecked+", "+unchecked+", "+unchecked, "[0 1 2]")
	})
}

// What two groups have in common runs on: a check that is under way ends, and its
// result counts for the group that is in force then.
func TestChecksRunOn(t *testing.T) {
	for _, test := range []struct {
		name    string
		sameTLS bool
		change  func(*config.TargetGroup)
		shared  bool
	}{
		{"nothing changed", true, func(*config.TargetGroup) {}, true},
		{"what happens to requests", true, func(g *config.TargetGroup) {
			g.HealthCheck.AllUnhealthy, g.HealthCheck.Passive.Failures = config.FailClosed, 7
			g.Timeouts.Response = config.Duration(time.Minute)
			g.Targets = append([]string{three[1]}, g.Targets...)
		}, true},
		{"files of TLS", false, func(*config.TargetGroup) {}, false},
		{"its CA", true, func(g *config.TargetGroup) { g.HTTPS.CA = "other.pem" }, false},
		{"interval", true, func(g *config.TargetGroup) { g.HealthCheck.Interval++ }, false},
		{"version", true, func(g *config.TargetGroup) { g.ProtocolVersion = config.HTTP2 }, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			cfg := groupOf(three[0])
			old := newRig(t, cfg, nil)
			test.change(&cfg)
			next, err := New("app", cfg, Options{Log: old.log, Previous: old.Group, SameTLS: test.sameTLS})
			if err != nil {
				t.Fatal(err)
			}
			tasks, shared := next.Tasks(nil), 0
			for key := range old.Tasks(nil) {
				if tasks[key] != nil {
					shared++
				}
			}
			if len(tasks) != 1+len(cfg.Targets) || (shared == 1) != test.shared || shared > 1 {
				t.Errorf("%d of %d tasks shared", shared, len(tasks))
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		cfg := groupOf(three...)
		old := newRig(t, cfg, nil)
		old.set("hhh")
		old.answer(1, broken)
		next := newRig(t, cfg, old)
		next.run()
		old.checks(3)
		next.want("healthy, unhealthy Target.ResponseCodeMismatch, healthy", "[0 2]")
		next.stop()
	})
}
