package health

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/edge/accesslog"
	"github.com/sallyport/sallyport/edge/config"
)

// checker checks one target, in one goroutine and one check at a time: a target
// that hangs delays nobody else's checks. A group and its successor share it if the
// target and its checks are the same in both: a reload does not cut its check.
type checker struct {
	url, scheme, host, address string

	group   string // its name
	cfg     config.HealthCheck
	version config.ProtocolVersion
	https   config.TargetTLS
	spread  time.Duration // within which the first check is made
	probe   func(context.Context, *checker) result
	log     *slog.Logger
	counts  *counts

	// owner is the group that what is found counts for; nil while none runs.
	owner atomic.Pointer[Group]

	mu sync.Mutex
	standing
	before *checker // whose place it takes; nil from run on
}

// run checks the target until ctx is done. The one before must not run any more.
func (c *checker) run(ctx context.Context, record func(*accesslog.HealthCheck)) error {
	c.succeed()
	timer := time.NewTimer(c.first())
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		c.begin()
		r := c.probe(ctx, c)
		if ctx.Err() != nil {
			return nil // cut off, it says nothing of the target
		}
		c.settle(r)
		record(c.recordOf(&r))
		timer.Reset(max(0, time.Until(r.began.Add(c.interval()))))
	}
}

// now returns what is known.
func (c *checker) now() standing {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.standing
}

// inherit takes over what was found before: all of it if the checks are the same.
// Else a healthy target stays so until the new checks find otherwise, and an
// unhealthy one begins anew: that the checks were wrong may be why they were changed.
func (c *checker) inherit(before *checker) {
	was := before.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.sameAs(before):
		c.standing = was
	case c.cfg.Enabled && before.cfg.Enabled && was.state == Healthy:
		c.standing = was
		c.streak, c.due = 0, true
	}
}

// sameAs says whether both judge a target alike, as far as the configuration goes.
func (c *checker) sameAs(before *checker) bool {
	x, y := c.cfg, before.cfg
	x.Passive, x.AllUnhealthy, y.Passive, y.AllUnhealthy = config.PassiveHealthCheck{}, "", config.PassiveHealthCheck{}, ""
	return c.url == before.url && c.version == before.version && c.https == before.https && (x == y || !x.Enabled && !y.Enabled)
}

// succeed inherits again what the one before has found since the group was made.
func (c *checker) succeed() {
	c.mu.Lock()
	before := c.before
	c.before = nil
	c.mu.Unlock()
	if before != nil {
		c.inherit(before)
		c.tell()
	}
}

// tell has the group see what is new.
func (c *checker) tell() {
	if g := c.owner.Load(); g != nil {
		g.refresh()
	}
}

// interval is the time to the next check, a tenth more or less: edges that were
// started together must not ask together for ever.
func (c *checker) interval() time.Duration {
	d := c.cfg.Interval.Std()
	return d - d/10 + rand.N(d/5+1)
}

// A target of which nothing is known is checked within firstWithin, and in a large
// group within a millisecond for each target: handshakes of TLS take that long.
const (
	firstWithin = 100 * time.Millisecond
	firstPace   = time.Millisecond
)

func spreadOf(targets int, interval time.Duration) time.Duration {
	return min(max(firstWithin, time.Duration(targets)*firstPace), interval/10)
}

func (c *checker) first() time.Duration {
	if s := c.now(); !s.due && !s.last.began.IsZero() {
		return max(0, time.Until(s.last.began.Add(c.interval())))
	}
	return rand.N(c.spread + 1)
}

func (c *checker) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.due = false
	if c.state == Initial {
		c.reason, c.description = InitialHealthChecking, InitialHealthChecking.Description()
	}
}

// settle makes of a result what it means for the target.
func (c *checker) settle(r result) {
	c.counts.check(&r)
	c.mu.Lock()
	changed := c.take(r, &c.cfg)
	is := c.standing
	c.mu.Unlock()
	if !changed {
		return
	}
	c.tell()
	if is.state == Healthy {
		c.log.Info("target is healthy", "target_group", c.group, "target", c.url)
	} else {
		c.log.Warn("target is unhealthy", "target_group", c.group, "target", c.url, "reason", string(is.reason), "cause", r.detail)
	}
}

// recordOf is the check as the health-check log has it.
func (c *checker) recordOf(r *result) *accesslog.HealthCheck {
	h := &accesslog.HealthCheck{
		Type: c.scheme, Time: r.began.Add(r.took), Latency: r.took, Target: c.address, TargetGroup: c.group,
		Pass: r.pass, StatusCode: r.code, HasStatus: r.answered, Reason: r.reason, Detail: r.detail, Address: r.from,
	}
	if r.to.IsValid() {
		h.Target = r.to.String()
	}
	switch c.version {
	case config.HTTP2:
		h.Type = "h2"
	case config.GRPC:
		h.Type = "grpc"
	}
	return h
}
