package health

import (
	"context"
	"time"

	"github.com/sallyport/sallyport/edge/config"
)

// maxDoublings is how often the time of an ejection doubles.
const maxDoublings = 4

func (g *Group) failsOpen() bool { return g.cfg.HealthCheck.AllUnhealthy == config.FailOpen }

// Tried is told what became of a request at a target: ok unless it was the target
// that failed it. It is called for every request: it allocates nothing, and waits
// only when a target is ejected or has just got over it.
func (g *Group) Tried(target int, ok bool) {
	limit := g.cfg.HealthCheck.Passive.Failures
	if limit == 0 {
		return
	}
	m := g.members[target]
	if ok {
		if m.failures.Load() != 0 {
			m.failures.Store(0)
		}
		if m.repeats.Load() != 0 {
			g.forgive(m)
		}
		return
	}
	if m.failures.Add(1) >= uint32(limit) {
		m.failures.Store(0)
		g.eject(m)
	}
}

// forgive has the next ejection be a first one. An answer that comes while the
// target is ejected is to an earlier request.
func (g *Group) forgive(m *member) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if m.ejectedUntil.IsZero() {
		m.repeats.Store(0)
	}
}

// eject has a target get no requests for a time, if another is left for them.
func (g *Group) eject(m *member) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !m.ejectedUntil.IsZero() {
		return
	}
	candidates, _ := g.candidates()
	among, others := false, 0
	for _, c := range candidates {
		if c == m {
			among = true
		} else if c.ejectedUntil.IsZero() {
			others++
		}
	}
	if !among || others == 0 {
		return
	}
	d := g.cfg.HealthCheck.Passive.For.Std() << min(m.repeats.Load(), maxDoublings)
	m.repeats.Add(1)
	m.ejectedUntil = time.Now().Add(d)
	g.counts.ejections.Add(1)
	g.publish()
	g.log.Warn("target ejected: its requests failed", "target_group", g.name, "target", m.url, "failures", g.cfg.HealthCheck.Passive.Failures, "for", d)
	select {
	case g.wake <- struct{}{}:
	default:
	}
}

// readmit ends ejections when their time is over, until ctx is done.
func (g *Group) readmit(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-g.wake:
		case <-timer.C:
		}
		if next := g.endEjections(time.Now()); !next.IsZero() {
			timer.Reset(time.Until(next))
		}
	}
}

// endEjections ends those that are over by now, and returns when the next one is;
// zero if there is none.
func (g *Group) endEjections(now time.Time) (next time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	ended := false
	for _, m := range g.members {
		switch {
		case m.ejectedUntil.IsZero():
		case !m.ejectedUntil.After(now):
			m.ejectedUntil, ended = time.Time{}, true
			g.log.Info("target is no longer ejected", "target_group", g.name, "target", m.url)
		case next.IsZero() || m.ejectedUntil.Before(next):
			next = m.ejectedUntil
		}
	}
	if ended {
		g.publish()
	}
	return next
}
