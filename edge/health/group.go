// Package health finds out which targets of a group may have requests: by asking
// them at intervals (checker.go, prober.go), as ALB does and in its words, and by
// what becomes of clients' requests (eject.go). What it has found is one pointer to
// a list of targets (fit.go), which a request loads and no more.
package health

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/edge/accesslog"
	"github.com/sallyport/sallyport/edge/config"
)

// Group is the targets of a target group and what is known of them. Any number of
// goroutines may use it.
type Group struct {
	name    string
	cfg     config.TargetGroup
	log     *slog.Logger
	members []*member
	wake    chan struct{} // an ejection has begun
	counts  *counts

	fit atomic.Pointer[fit]

	mu       sync.Mutex // of what members say is under it; taken before a checker's
	previous *Group     // until run
}

// Options are what a Group needs besides its configuration.
type Options struct {
	// Log gets what an operator should know. Needed.
	Log *slog.Logger
	// TLS is how targets are authenticated where checks are by https. Its
	// ServerName counts if it is not empty; nil stands for the system's CAs and TLS
	// 1.2 at least.
	TLS *tls.Config
	// Previous is the group of this name that the new one takes the place of, if
	// there is one: what it knows of targets that both have is taken over.
	Previous *Group
	// SameTLS says that TLS stands for the same as Previous's, the contents of its
	// files included. Then targets whose checks have not changed share them with it.
	SameTLS bool
}

// New makes a Group of its configuration. It starts nothing: until its Tasks run,
// targets are as the previous group has left them.
func New(name string, cfg config.TargetGroup, o Options) (*Group, error) {
	if cfg.HealthCheck.Enabled {
		h := &cfg.HealthCheck
		if h.Interval <= 0 || h.Timeout <= 0 || h.HealthyThreshold <= 0 || h.UnhealthyThreshold <= 0 {
			return nil, fmt.Errorf("health checks of target group %s: want an interval, a timeout and thresholds above zero", name)
		}
	}
	p, err := newProber(cfg, o.TLS)
	if err != nil {
		return nil, fmt.Errorf("health checks of target group %s: %w", name, err)
	}
	g := &Group{name: name, cfg: cfg, log: o.Log, previous: o.Previous, wake: make(chan struct{}, 1), counts: &counts{}}
	if o.Previous != nil {
		g.counts = o.Previous.counts
	}
	now := time.Now()
	for i, text := range cfg.Targets {
		c, err := newChecker(text, &cfg.HealthCheck, now)
		if err != nil {
			return nil, fmt.Errorf("health checks of target group %s: %w", name, err)
		}
		c.group, c.version, c.https, c.probe, c.log, c.counts = name, cfg.ProtocolVersion, cfg.HTTPS, p.check, o.Log, g.counts
		c.spread = spreadOf(len(cfg.Targets), cfg.HealthCheck.Interval.Std())
		g.members = append(g.members, &member{index: i, checker: g.known(c, o.SameTLS)})
	}
	g.takeOver()
	g.publish()
	return g, nil
}

// known returns the previous group's checker if it does what c would, and else c,
// with what the previous one has found.
func (g *Group) known(c *checker, sameTLS bool) *checker {
	if g.previous == nil {
		return c
	}
	i := slices.IndexFunc(g.previous.members, func(was *member) bool { return was.url == c.url })
	if i < 0 {
		return c
	}
	was := g.previous.members[i].checker
	if sameTLS && c.sameAs(was) {
		return was
	}
	c.inherit(was)
	c.before = was
	was.mu.Lock()
	was.before = nil // else each would keep all that were before it
	was.mu.Unlock()
	return c
}

// Tasks returns what has to run for the group, by what it is for: each check of a
// target, and the group itself. What a group and its successor have in common has
// the same key in both, and is to run on. What else the previous group has must have
// returned before; each ends soon after its context is done, and may run again then.
// record gets each check, concurrently; it must not wait, and not keep what it gets.
func (g *Group) Tasks(record func(*accesslog.HealthCheck)) map[any]func(context.Context) error {
	tasks := map[any]func(context.Context) error{g: g.run}
	if g.cfg.HealthCheck.Enabled {
		for _, m := range g.members {
			tasks[m.checker] = func(ctx context.Context) error { return m.checker.run(ctx, record) }
		}
	}
	return tasks
}

// run has what checks find count for the group, and ejected targets take part again
// in time, until ctx is done.
func (g *Group) run(ctx context.Context) error {
	for _, m := range g.members {
		m.owner.Store(g)
		defer m.owner.CompareAndSwap(g, nil)
	}
	g.mu.Lock()
	g.takeOver() // again: the previous group may have ejected some since
	g.previous = nil
	g.publish()
	g.mu.Unlock()
	g.readmit(ctx)
	return nil
}

// refresh puts in force what is known by now.
func (g *Group) refresh() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.publish()
}

// Name returns the group's name.
func (g *Group) Name() string { return g.name }

// takeOver takes over the ejections of the previous group; mu is held, or nobody
// else has the group yet.
func (g *Group) takeOver() {
	if g.previous == nil {
		return
	}
	old := g.previous
	old.mu.Lock()
	defer old.mu.Unlock()
	old.previous = nil // else each group would keep all that were before it
	if g.cfg.HealthCheck.Passive.Failures == 0 {
		return
	}
	for _, m := range g.members {
		for _, was := range old.members {
			if was.url != m.url {
				continue
			}
			m.repeats.Store(was.repeats.Load())
			if was.ejectedUntil.After(m.ejectedUntil) {
				m.ejectedUntil = was.ejectedUntil
			}
		}
	}
}
