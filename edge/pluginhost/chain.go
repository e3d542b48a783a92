package pluginhost

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/http1"
	"github.com/sallyport/sallyport/sdk/frame"
)

// Chain is the plugins of a listener, in their order. The first that denies, or
// gives no verdict and is needed, ends the asking.
//
// Whoever uses a chain must be in it, by Enter and Leave, from the first question
// about a request to the last: until then its plugins stay, also when a reload has
// taken another chain in its place.
type Chain struct {
	key     string
	plugins []*Plugin

	users  atomic.Int64
	closed atomic.Bool
	once   sync.Once
	idle   chan struct{} // closed when it is closed and nobody is in it
}

// Enter says whether the chain may be used: not once another one is in force.
func (c *Chain) Enter() bool {
	c.users.Add(1)
	if c.closed.Load() {
		c.Leave()
		return false
	}
	return true
}

// Leave ends a use that Enter has begun.
func (c *Chain) Leave() {
	if c.users.Add(-1) == 0 && c.closed.Load() {
		c.once.Do(func() { close(c.idle) })
	}
}

func (c *Chain) close() {
	c.users.Add(1)
	c.closed.Store(true)
	c.Leave()
}

// Version is another one when what plugins have said of a connection may no longer
// hold: because one has said so, is another process now, or has other rules about
// headers. It does not change while a plugin is away: what it has said holds until
// somebody can be asked again.
func (c *Chain) Version() (sum uint64) {
	for _, p := range c.plugins {
		if p.asks(OnConnection) {
			sum += p.version.Load()
		}
	}
	return sum
}

// NeedsJA4 says whether some plugin wants to be told it.
func (c *Chain) NeedsJA4() bool {
	for _, p := range c.plugins {
		if p.shape != nil && p.shape.needsJA4() || p.shape == nil && p.current.Load().needs.ja4 {
			return true
		}
	}
	return false
}

// Decisive says whether some plugin is told, by name, of a request's header that a
// target could take for this one.
func (c *Chain) Decisive(name string) bool {
	for _, p := range c.plugins {
		var n *needs
		if p.shape != nil {
			n = p.shape.request.needs
		} else {
			n = p.current.Load().needs
		}
		for _, need := range n.list {
			if need.Tag == frame.TagHeader && need.Header != "" && http1.SameName(need.Header, name) {
				return true
			}
		}
	}
	return false
}

// Connection asks whether a client may come in. The edits of d are for each of its
// requests. It waits for the plugins.
func (c *Chain) Connection(conn *Connection, d *Decision) {
	d.reset()
	c.ask(OnConnection, &subject{connection: conn}, d)
}

// Request asks whether a request may pass, and how its header is to change; edits
// are those of its connection, which come first. It waits for the plugins. What d
// holds afterwards lives as long as d and the verdicts.
func (c *Chain) Request(conn *Connection, r *Request, edits http1.Edits, d *Decision) {
	d.reset()
	d.Edits = append(d.Edits, edits...)
	r.Edits = d.Edits
	s := subject{connection: conn, request: r}
	c.ask(OnRequest, &s, d)
}

// Response asks how a response's header is to change. A plugin that denies has it
// withheld.
func (c *Chain) Response(conn *Connection, r *Request, response *http1.Response, d *Decision) {
	d.reset()
	s := subject{connection: conn, request: r, response: response}
	c.ask(OnResponse, &s, d)
}

// Observe tells the plugins that want to know how a request was answered; response
// is nil if it was not. It waits for nobody.
func (c *Chain) Observe(conn *Connection, r *Request, response *http1.Response) {
	s := subject{connection: conn, request: r, response: response}
	for _, p := range c.plugins {
		if p.hooks&frame.HookObserve != 0 {
			p.tell(&s)
		}
	}
}

func (c *Chain) ask(h Hook, s *subject, d *Decision) {
	for _, p := range c.plugins {
		if p.asks(h) && !p.decideTold(h, s, d) {
			return
		}
	}
	d.Outcome = Admitted
}

// decideTold is decide, and tells of it where somebody wants to know.
func (p *Plugin) decideTold(h Hook, s *subject, d *Decision) (next bool) {
	if d.Told == nil {
		return p.decide(h, s, d)
	}
	begun := time.Now()
	next = p.decide(h, s, d)
	outcome := d.Outcome
	if next {
		outcome = Admitted
	}
	d.Told(p.name, h, outcome, begun, time.Since(begun))
	return next
}

// decide has one plugin add to d. It says no if that ends the asking.
func (p *Plugin) decide(h Hook, s *subject, d *Decision) (next bool) {
	if p.shape != nil {
		return p.apply(h, s, d)
	}
	v, failure := p.ask(h, s)
	if failure != 0 {
		if p.cfg.OnError == config.OnErrorAllow && failure.mayAllow() {
			p.failOpen(h, failure)
			d.Open = true
			return true
		}
		d.Outcome, d.Plugin, d.Failure, d.Edits = Unavailable, p.name, failure, nil
		return false
	}
	d.Ban += v.ban
	if !v.allow {
		p.stats.hooks[h].denied.Add(1)
		d.Outcome, d.Plugin, d.Status, d.Reason = Denied, p.name, v.status, v.reason
		d.Edits = d.room[:0]
		if len(v.edits) > 0 {
			d.Edits = append(d.Edits, v.edits)
		}
		return false
	}
	if len(v.edits) > 0 {
		d.take(h, s, v.edits)
	}
	return true
}

// take adds edits to those so far: the next plugin sees them.
func (d *Decision) take(h Hook, s *subject, edits []http1.Edit) {
	d.Edits = append(d.Edits, edits)
	if h == OnRequest {
		s.request.Edits = d.Edits
	}
	s.edits = d.Edits
}
