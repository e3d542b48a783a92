package pluginhost

import (
	"time"

	"github.com/sallyport/sallyport/edge/http1"
	"github.com/sallyport/sallyport/sdk/frame"
)

// subject is what a plugin is asked about. Of a connection there is no request,
// and of a request no response.
type subject struct {
	connection *Connection
	request    *Request
	response   *http1.Response
	edits      http1.Edits // of the response, so far
}

// ask gets a plugin's verdict: a kept one, or the answer to a call.
func (p *Plugin) ask(h Hook, s *subject) (*verdict, Failure) {
	count := &p.stats.hooks[h]
	i := p.current.Load()
	k := newCall()
	defer k.release()
	k.compose(i.needs, types[h], s)
	k.q.hook, k.q.body, k.q.ends = h, k.frame[frame.HeaderSize:], k.ends
	c := i.cache
	if c == nil {
		return i.question(k, count)
	}

	version := c.version.Load()
	k.q.epoch, k.q.now = s.connection.epoch(), p.host.clock()
	var mine *flight
	if i.lasting.Load() { // else nothing can be in there
		if v := c.get(&k.q); v != nil {
			count.hits.Add(1)
			return v, 0
		}
		f, first := c.board(&k.q)
		switch {
		case first:
			mine = f
		case f != nil:
			if v, failure, done := k.join(f, p.cfg.Timeout.Std()); done {
				if v != nil {
					count.hits.Add(1)
				} else {
					count.failed[failure].Add(1)
				}
				return v, failure
			}
		}
	}
	v, failure := i.question(k, count)
	if v != nil && v.ttl > 0 {
		c.put(&k.q, v, s.connection.fingerprint(), p.life(v, s.connection), version)
	}
	if mine != nil {
		c.land(mine, v, failure)
	}
	return v, failure
}

// join waits for the answer to somebody else's question, which is the same. It is
// not done if that answer is nobody else's.
func (k *call) join(f *flight, timeout time.Duration) (v *verdict, failure Failure, done bool) {
	k.timer.Reset(timeout)
	select {
	case <-f.landed:
		k.timer.Stop()
		return f.verdict, f.failure, f.verdict != nil || f.failure != 0
	case <-k.timer.C:
		return nil, Timeout, true
	}
}

// life is how long a verdict is kept.
func (p *Plugin) life(v *verdict, c *Connection) time.Duration {
	most := p.cfg.Cache.TTL.Std()
	if !v.allow {
		most = p.cfg.Cache.DenyTTL.Std()
	}
	life := min(v.ttl, most)
	if !c.NotAfter.IsZero() {
		life = min(life, time.Until(c.NotAfter))
	}
	return life
}

// question asks the process, unless it has missed too many deadlines.
func (i *instance) question(k *call, count *hookStats) (*verdict, Failure) {
	p := i.plugin
	// First, so that a question of this length fails by its length whatever else
	// is wrong, and is never the canary.
	if len(k.frame)-4 > i.longest {
		count.failed[Oversized].Add(1)
		p.complain(Oversized, nil)
		return nil, Oversized
	}
	if i.isDead() {
		count.failed[Down].Add(1)
		p.complain(Down, i.cause)
		return nil, Down
	}
	ok, canary := i.breaker.enter()
	if !ok {
		count.failed[Breaker].Add(1)
		p.complain(Breaker, nil)
		return nil, Breaker
	}
	began := p.host.clock()
	v, failure := i.call(k, p.cfg.Timeout.Std())
	late := failure == Timeout || canary && failure != 0 && failure != Malformed
	if i.breaker.leave(canary, late) {
		i.suspectIt()
	}
	if failure != 0 {
		count.failed[failure].Add(1)
		if failure != Malformed { // of which more is said where it is found
			p.complain(failure, nil)
		}
		return nil, failure
	}
	count.observe(p.host.clock() - began)
	return v, 0
}

// tell has a plugin observe. Nobody waits for it.
func (p *Plugin) tell(s *subject) {
	i := p.current.Load()
	k := newCall()
	k.compose(i.needs, frame.Observe, s)
	if i.observe(k) {
		p.stats.observed.Add(1)
	} else {
		p.stats.unobserved.Add(1)
	}
	k.release()
}
