// Package health finds out which targets of a group may have requests: by asking
// them at intervals (member.go, prober.go), as ALB does and in its words, and by
// what becomes of clients' requests (eject.go). What it has found is one pointer to
// a list of targets (fit.go), which a request loads and no more.
package health

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/url"
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
	probe   func(context.Context, *member) result
	slots   chan struct{} // one for each check under way
	wake    chan struct{} // an ejection has begun
	counts  *counts

	fit atomic.Pointer[fit]

	mu       sync.Mutex // of what members say is under it
	previous *Group     // until Run
}

// checksAtOnce bounds the checks of one group that are under way, and so the
// sockets they take: what a thousand dead targets must not use up.
const checksAtOnce = 64

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
}

// New makes a Group of its configuration. It starts nothing: until Run, targets
// are as the previous group has left them.
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
	g := &Group{
		name: name, cfg: cfg, log: o.Log, probe: p.check, previous: o.Previous,
		slots: make(chan struct{}, checksAtOnce), wake: make(chan struct{}, 1), counts: &counts{},
	}
	now := time.Now()
	for i, text := range cfg.Targets {
		m, err := newMember(i, text, &cfg.HealthCheck, now)
		if err != nil {
			return nil, fmt.Errorf("health checks of target group %s: %w", name, err)
		}
		g.members = append(g.members, m)
	}
	if o.Previous != nil {
		g.counts = o.Previous.counts
	}
	g.takeOver()
	g.publish()
	return g, nil
}

// Run checks the targets, and has ejected ones take part again in time, until ctx
// is done and all it started has stopped. record gets each check, concurrently; it
// must not wait, and not keep what it gets. The previous group's Run must have
// returned. It may run again once it has returned.
func (g *Group) Run(ctx context.Context, record func(*accesslog.HealthCheck)) error {
	g.mu.Lock()
	g.takeOver() // again: the previous group may have checked since
	g.previous = nil
	g.publish()
	g.mu.Unlock()
	var checking sync.WaitGroup
	if g.cfg.HealthCheck.Enabled {
		for _, m := range g.members {
			checking.Go(func() { g.watch(ctx, m, record) })
		}
	}
	g.readmit(ctx)
	checking.Wait()
	return nil
}

// Name returns the group's name.
func (g *Group) Name() string { return g.name }

// newMember reads a target's URL; it is not checked yet.
func newMember(index int, text string, cfg *config.HealthCheck, now time.Time) (*member, error) {
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("target %q: want http://host:port or https://host:port", text)
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	m := &member{index: index, url: text, scheme: u.Scheme, host: u.Hostname()}
	m.since = now
	if cfg.Protocol != "" {
		m.scheme = string(cfg.Protocol)
	}
	if cfg.Port != 0 {
		port = fmt.Sprint(cfg.Port)
	}
	m.address = net.JoinHostPort(m.host, port)
	if m.state, m.reason = Unavailable, HealthCheckDisabled; cfg.Enabled {
		m.state, m.reason = Initial, RegistrationInProgress
	}
	m.description = m.reason.Description()
	return m, nil
}

// takeOver takes over what the previous group knows; mu is held, or nobody else
// has the group yet.
func (g *Group) takeOver() {
	if g.previous == nil {
		return
	}
	old := g.previous
	old.mu.Lock()
	defer old.mu.Unlock()
	old.previous = nil // else each group would keep all that were before it
	same := sameChecks(&g.cfg, &old.cfg)
	for _, m := range g.members {
		for _, was := range old.members {
			if was.url != m.url {
				continue
			}
			switch checked := g.cfg.HealthCheck.Enabled; {
			case same:
				m.standing = was.standing
			case checked && old.cfg.HealthCheck.Enabled && was.state == Healthy:
				// It goes on until the new checks find otherwise. An unhealthy one begins
				// anew: that the checks were wrong may be why they were changed.
				m.standing = was.standing
				m.streak, m.due = 0, true
			}
			if g.cfg.HealthCheck.Passive.Failures > 0 {
				m.repeats.Store(was.repeats.Load())
				if was.ejectedUntil.After(m.ejectedUntil) {
					m.ejectedUntil = was.ejectedUntil
				}
			}
		}
	}
}

// sameChecks says whether a target is judged alike under both.
func sameChecks(a, b *config.TargetGroup) bool {
	x, y := a.HealthCheck, b.HealthCheck
	x.Passive, x.AllUnhealthy, y.Passive, y.AllUnhealthy = config.PassiveHealthCheck{}, "", config.PassiveHealthCheck{}, ""
	return a.ProtocolVersion == b.ProtocolVersion && a.HTTPS == b.HTTPS && (x == y || !x.Enabled && !y.Enabled)
}
