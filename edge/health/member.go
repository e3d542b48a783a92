package health

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/edge/accesslog"
	"github.com/sallyport/sallyport/edge/config"
)

// member is one target. Its checks are made by one goroutine.
type member struct {
	index                      int // in the configuration
	url, scheme, host, address string

	// Requests change these without mu.
	failures atomic.Uint32 // in a row
	repeats  atomic.Uint32 // ejections without a success in between

	// Under the group's mu.
	standing
	ejectedUntil time.Time
}

// standing is what checks have found.
type standing struct {
	state       State
	reason      Reason
	description string
	since       time.Time
	streak      int    // results in a row that speak against the state
	last        result // none: it began at the zero time
	due         bool   // the next check is not to wait
}

// result is one check's.
type result struct {
	began    time.Time
	took     time.Duration
	pass     bool
	code     int
	answered bool // there is a code
	reason   string
	detail   string
	from     netip.Addr // the edge's own
}

// watch checks one target until ctx is done.
func (g *Group) watch(ctx context.Context, m *member, record func(*accesslog.HealthCheck)) {
	timer := time.NewTimer(g.first(m))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		select {
		case <-ctx.Done():
			return
		case g.slots <- struct{}{}:
		}
		g.begin(m)
		r := g.probe(ctx, m)
		<-g.slots
		if ctx.Err() != nil {
			return // cut off, it says nothing of the target
		}
		g.settle(m, r)
		record(g.recordOf(m, &r))
		timer.Reset(max(0, time.Until(r.began.Add(g.interval()))))
	}
}

// interval is the time to the next check, a tenth more or less: edges that were
// started together must not ask together for ever.
func (g *Group) interval() time.Duration {
	d := g.cfg.HealthCheck.Interval.Std()
	return d - d/10 + rand.N(d/5+1)
}

// firstWithin is how soon a target is checked of which nothing is known.
const firstWithin = 100 * time.Millisecond

func (g *Group) first(m *member) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	if m.due || m.last.began.IsZero() {
		return rand.N(min(firstWithin, g.cfg.HealthCheck.Interval.Std()/10) + 1)
	}
	return max(0, time.Until(m.last.began.Add(g.interval())))
}

func (g *Group) begin(m *member) {
	g.mu.Lock()
	defer g.mu.Unlock()
	m.due = false
	if m.state == Initial {
		m.reason, m.description = InitialHealthChecking, InitialHealthChecking.Description()
	}
}

// settle makes of a result what it means for its target.
func (g *Group) settle(m *member, r result) {
	g.counts.check(&r)
	g.mu.Lock()
	defer g.mu.Unlock()
	m.last = r
	if r.reason == accesslog.CheckInternalError {
		return // the edge's own trouble is not held against targets
	}
	against, needed := !r.pass, g.cfg.HealthCheck.UnhealthyThreshold
	switch {
	case m.state == Unhealthy:
		against, needed = r.pass, g.cfg.HealthCheck.HealthyThreshold
	case m.state == Initial && r.pass:
		against, needed = true, 1
	}
	if !against {
		m.streak = 0
		if m.state == Unhealthy {
			m.reason, m.description = r.why()
		}
		return
	}
	if m.streak++; m.streak < needed {
		return
	}
	if r.pass {
		m.state, m.reason, m.description = Healthy, "", ""
	} else {
		m.state = Unhealthy
		m.reason, m.description = r.why()
	}
	m.since, m.streak = r.began.Add(r.took), 0
	g.publish()
	if m.state == Healthy {
		g.log.Info("target is healthy", "target_group", g.name, "target", m.url)
	} else {
		g.log.Warn("target is unhealthy", "target_group", g.name, "target", m.url, "reason", string(m.reason), "cause", r.detail)
	}
}

// why is what a failed check makes an unhealthy target's reason.
func (r *result) why() (Reason, string) {
	reason := reasonOf(r.reason)
	return reason, reason.Description(r.code)
}

// recordOf is the check as the health-check log has it.
func (g *Group) recordOf(m *member, r *result) *accesslog.HealthCheck {
	h := &accesslog.HealthCheck{
		Type: m.scheme, Time: r.began.Add(r.took), Latency: r.took, Target: m.address, TargetGroup: g.name,
		Pass: r.pass, StatusCode: r.code, HasStatus: r.answered, Reason: r.reason, Detail: r.detail, Address: r.from,
	}
	switch g.cfg.ProtocolVersion {
	case config.HTTP2:
		h.Type = "h2"
	case config.GRPC:
		h.Type = "grpc"
	}
	return h
}
