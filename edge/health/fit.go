package health

import (
	"slices"
	"time"
)

// fit is which targets may have requests. It is never changed.
type fit struct {
	targets []int // indexes, ascending
	open    bool  // none is healthy, and they all may
	closed  bool  // none is healthy, and none may
}

// Fit returns the targets that may have a request, by their places in the
// configuration; none, if it is to be refused. What it returns must not be changed.
// It is called for every request: it neither waits nor allocates.
func (g *Group) Fit() []int {
	f := g.fit.Load()
	if f.open {
		g.counts.open.Add(1)
	}
	return f.targets
}

// candidates are the targets that may have requests as far as checks go: healthy
// and unchecked ones; without any, those of which nothing is known yet; without
// any, all. The latter two only if the group fails open. mu is held, as for
// publish.
func (g *Group) candidates() (list []*member, open bool) {
	in := func(states ...State) []*member {
		return slices.DeleteFunc(slices.Clone(g.members), func(m *member) bool { return !slices.Contains(states, m.now().state) })
	}
	if list = in(Healthy, Unavailable); len(list) > 0 || !g.failsOpen() {
		return list, false
	}
	if list = in(Initial); len(list) > 0 {
		return list, false
	}
	return g.members, true
}

// publish puts in force what is known. Ejections count as long as they leave
// somebody.
func (g *Group) publish() {
	candidates, open := g.candidates()
	next := &fit{open: open, closed: len(candidates) == 0}
	for _, m := range candidates {
		if m.ejectedUntil.IsZero() {
			next.targets = append(next.targets, m.index)
		}
	}
	if len(next.targets) == 0 {
		for _, m := range candidates {
			next.targets = append(next.targets, m.index)
		}
	}
	g.tell(g.fit.Swap(next), next)
}

// tell logs that no target is healthy any more, and that one is again.
func (g *Group) tell(was, is *fit) {
	switch {
	case was == nil: // there was nothing to be lost
	case is.open && !was.open:
		g.log.Warn("no target is healthy: requests go to all of them", "target_group", g.name)
	case is.closed && !was.closed:
		g.log.Warn("no target is healthy: requests are refused", "target_group", g.name)
	case (was.open || was.closed) && !is.open && !is.closed:
		g.log.Info("requests go to healthy targets", "target_group", g.name)
	}
}

// Target is what is known of one.
type Target struct {
	URL         string
	State       State
	Reason      Reason // none of a healthy one
	Description string
	Since       time.Time
	// Last is the last check, nil if there was none.
	Last *Check
	// EjectedUntil is when the target has requests again that it has none of for now
	// as they failed; zero if it is not ejected.
	EjectedUntil time.Time
}

// Check is one that was made.
type Check struct {
	Time     time.Time // when it was over
	Latency  time.Duration
	Pass     bool
	Code     int  // the status, of HTTP or gRPC
	Answered bool // there was one
	Reason   string
	Detail   string
}

// Status returns what is known of the targets, in the order of the configuration.
func (g *Group) Status() []Target {
	g.mu.Lock()
	defer g.mu.Unlock()
	var list []Target
	for _, m := range g.members {
		s := m.now()
		t := Target{URL: m.url, State: s.state, Reason: s.reason, Description: s.description, Since: s.since, EjectedUntil: m.ejectedUntil}
		if r := &s.last; !r.began.IsZero() {
			t.Last = &Check{r.began.Add(r.took), r.took, r.pass, r.code, r.answered, r.reason, r.detail}
		}
		list = append(list, t)
	}
	return list
}

// FailingOpen says whether no target is healthy and requests go to all of them.
func (g *Group) FailingOpen() bool { return g.fit.Load().open }

// Refusing says whether requests are refused, as no target is healthy.
func (g *Group) Refusing() bool { return g.fit.Load().closed }
