package proxy

import (
	"sync"
	"time"
)

// pool keeps the connections to one target that are not in use. The one used
// last is used next: few stay warm, and the others age out.
type pool struct {
	limit time.Duration // unused, a connection is kept for this long

	mu     sync.Mutex
	idle   []*targetConn // by since
	timer  *time.Timer
	closed bool
}

// take returns a connection on which nothing is under way, nil if there is none.
func (p *pool) take(now time.Time) *targetConn {
	for {
		p.mu.Lock()
		n := len(p.idle)
		if n == 0 {
			p.mu.Unlock()
			return nil
		}
		c := p.idle[n-1]
		p.idle[n-1] = nil
		p.idle = p.idle[:n-1]
		p.mu.Unlock()
		if now.Sub(c.since) < p.limit && c.quiet() {
			return c
		}
		c.Close()
	}
}

// put takes back a connection whose answer was read to its end.
func (p *pool) put(c *targetConn, now time.Time) {
	c.since, c.used = now, true
	p.mu.Lock()
	if p.closed || len(p.idle) >= idlePerTarget {
		p.mu.Unlock()
		c.Close()
		return
	}
	p.idle = append(p.idle, c)
	if p.timer == nil {
		p.timer = time.AfterFunc(p.limit, p.sweep)
	} else if len(p.idle) == 1 {
		p.timer.Reset(p.limit)
	}
	p.mu.Unlock()
}

// sweep closes what was not used for too long.
func (p *pool) sweep() {
	p.mu.Lock()
	defer p.mu.Unlock()
	now, old := time.Now(), 0
	for old < len(p.idle) && now.Sub(p.idle[old].since) >= p.limit {
		p.idle[old].Close()
		old++
	}
	p.idle = append(p.idle[:0], p.idle[old:]...)
	clear(p.idle[len(p.idle) : len(p.idle)+old])
	if len(p.idle) > 0 && !p.closed {
		p.timer.Reset(p.limit - now.Sub(p.idle[0].since))
	}
}

// close closes what is unused, and lets nothing be kept any more.
func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for _, c := range p.idle {
		c.Close()
	}
	p.idle = nil
	if p.timer != nil {
		p.timer.Stop()
	}
}
