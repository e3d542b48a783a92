package health

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/sallyport/sallyport/edge/accesslog"
	"github.com/sallyport/sallyport/edge/config"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// groupOf is a configuration with these targets and ALB's defaults.
func groupOf(targets ...string) config.TargetGroup {
	return config.TargetGroup{Targets: targets, ProtocolVersion: config.HTTP1, HealthCheck: config.HealthCheck{
		Enabled: true, Path: "/", Matcher: "200", Interval: config.Duration(30 * time.Second), Timeout: config.Duration(5 * time.Second),
		HealthyThreshold: 5, UnhealthyThreshold: 2, AllUnhealthy: config.FailOpen,
	}}
}

// rig is a group whose targets answer as the test says, in the time of synctest.
type rig struct {
	*Group
	t       *testing.T
	records []accesslog.HealthCheck
	logged  bytes.Buffer
	stop    func()

	// Shared with the group before, as some of its checks may be.
	mu      *sync.Mutex
	answers map[int]result // by target
	asked   map[int][]time.Time
}

var (
	good    = result{pass: true, code: 200, answered: true}
	broken  = result{code: 503, answered: true, reason: accesslog.CheckTargetError, detail: "status code 503"}
	silent  = result{reason: accesslog.CheckTimedOut, detail: "timed out"}
	gone    = result{reason: accesslog.CheckConnectionReset, detail: "refused"}
	ourselv = result{reason: accesslog.CheckInternalError, detail: "too many open files"}
)

// newRig makes a group that nobody runs yet; its targets are good.
func newRig(t *testing.T, cfg config.TargetGroup, previous *rig) *rig {
	t.Helper()
	r := &rig{t: t, mu: new(sync.Mutex), answers: map[int]result{}, asked: map[int][]time.Time{}}
	o := Options{Log: slog.New(slog.NewTextHandler(&r.logged, nil)), SameTLS: true}
	if previous != nil {
		o.Previous = previous.Group
		r.mu, r.answers, r.asked = previous.mu, previous.answers, previous.asked
	}
	g, err := New("app", cfg, o)
	if err != nil {
		t.Fatal(err)
	}
	for i := range cfg.Targets {
		if previous == nil {
			r.answers[i] = good
		}
	}
	for _, m := range g.members {
		if previous != nil && slices.ContainsFunc(previous.members, func(was *member) bool { return was.checker == m.checker }) {
			continue // it may run
		}
		m.probe = func(context.Context, *checker) result {
			r.mu.Lock()
			defer r.mu.Unlock()
			answer := at(time.Now(), r.answers[m.index])
			r.asked[m.index] = append(r.asked[m.index], answer.began)
			return answer
		}
	}
	r.Group = g
	return r
}

// settle has a check find r, also while nothing runs.
func (r *rig) settle(m *member, found result) {
	m.settle(found)
	r.refresh()
}

// at is a check that was made then.
func at(began time.Time, r result) result {
	r.began = began
	return r
}

// run runs the group until the test, or stop, ends it.
func (r *rig) run() {
	ctx, cancel := context.WithCancel(r.t.Context())
	var tasks sync.WaitGroup
	for _, task := range r.Tasks(func(h *accesslog.HealthCheck) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.records = append(r.records, *h)
	}) {
		tasks.Go(func() { task(ctx) })
	}
	r.stop = sync.OnceFunc(func() { cancel(); tasks.Wait() })
}

func (r *rig) answer(target int, with result) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answers[target] = with
}

// count is how often each target has been asked.
func (r *rig) count() (list []int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.members {
		list = append(list, len(r.asked[i]))
	}
	return list
}

// checks waits until each target has been asked n times more.
func (r *rig) checks(n int) {
	first := r.count()
	for {
		synctest.Wait()
		least := n
		for i, now := range r.count() {
			least = min(least, now-first[i])
		}
		if least == n {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// states are those of the targets, in short.
func (r *rig) states() string {
	var list []string
	for _, t := range r.Status() {
		text := string(t.State)
		if t.Reason != "" {
			text += " " + string(t.Reason)
		}
		if !t.EjectedUntil.IsZero() {
			text += " ejected"
		}
		list = append(list, text)
	}
	return strings.Join(list, ", ")
}

func (r *rig) want(states, fit string) {
	r.t.Helper()
	if got := r.states(); got != states {
		r.t.Errorf("states %q, want %q", got, states)
	}
	if got := fmt.Sprint(r.Fit()); got != fit {
		r.t.Errorf("fit %s, want %s", got, fit)
	}
}
