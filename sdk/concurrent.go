package sdk

import (
	"context"
	"fmt"
	"sync"

	"github.com/sallyport/sallyport/sdk/frame"
)

// maxQueue is how many calls may wait for a worker before the session stops to
// read. The edge bounds its calls in flight well below it.
const maxQueue = 4096

// pool calls hooks on as many goroutines as the plugin has declared. The session's
// goroutine goes on to read, so that a call can be cancelled while all are busy.
type pool struct {
	session *session
	limit   int
	workers sync.WaitGroup

	mu       sync.Mutex
	work     sync.Cond // a call has been queued for one that waits, or all is over
	room     sync.Cond // the queue is shorter
	queue    []*call
	active   map[uint32]*call // queued or running, by id
	free     []*call
	open     int // calls and observations that were taken and are not done
	running  int // workers
	idle     int // workers that wait, less those that were woken
	draining bool
	closed   bool
}

// concurrently handles calls at once, up to the declared number.
func (s *session) concurrently(cancel context.CancelFunc) error {
	p := &pool{session: s, limit: s.hello.Concurrency, active: make(map[uint32]*call)}
	p.work.L, p.room.L = &p.mu, &p.mu
	err := p.read()
	if err != nil {
		cancel()
	}
	p.close()
	done := make(chan error, 1)
	go func() { p.workers.Wait(); done <- nil }()
	patiently(done)
	return err
}

// read takes frames until the end, whichever it is.
func (p *pool) read() error {
	s := p.session
	for {
		f, ok, err := s.in.next()
		if err != nil {
			return err
		}
		if !ok {
			if p.drained() {
				return nil
			}
			if err := s.in.fill(); err != nil {
				return err
			}
			continue
		}
		switch {
		case f.Type.Call() || f.Type == frame.Observe:
			if err := p.submit(f); err != nil {
				return err
			}
		case f.Type == frame.Cancel:
			p.abandon(f.ID)
		case f.Type == frame.Ping:
			s.out.plain(frame.Pong, f.ID)
			s.out.flush()
		case f.Type == frame.GoAway:
			p.mu.Lock()
			p.draining = true
			p.mu.Unlock()
		default:
			return unexpected(f)
		}
	}
}

// submit queues a call, and sees to it that somebody will take it.
func (p *pool) submit(f frame.Frame) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.draining {
		return fmt.Errorf("%w: %v after GOAWAY", frame.ErrMalformed, f.Type)
	}
	if p.active[f.ID] != nil {
		return fmt.Errorf("%w: %v with the id of one that is not answered: %d", frame.ErrMalformed, f.Type, f.ID)
	}
	var c *call
	if n := len(p.free); n > 0 {
		c, p.free = p.free[n-1], p.free[:n-1]
	} else {
		c = &call{session: p.session, ctx: &callContext{base: p.session.base}}
	}
	f.Body = append(c.body[:0], f.Body...)
	if err := c.load(f); err != nil {
		return err
	}
	for len(p.queue) >= maxQueue && !p.closed {
		p.room.Wait()
	}
	p.queue = append(p.queue, c)
	p.open++
	if c.id != 0 {
		p.active[c.id] = c
	}
	switch {
	case p.idle > 0:
		p.idle--
		p.work.Signal()
	case p.running < p.limit:
		p.running++
		p.workers.Add(1)
		go p.serve()
	}
	return nil
}

// serve is one worker.
func (p *pool) serve() {
	defer p.workers.Done()
	for c := p.take(nil); c != nil; c = p.take(c) {
		if c.kind == frame.Observe {
			p.session.notice(c)
			c.over()
			continue
		}
		v := p.session.decide(c)
		c.over()
		p.session.out.verdict(c.id, &v, c.epoch)
		p.session.out.flush()
	}
}

// take gives back the call that is done, and waits for another one; nil ends the
// worker. Calls that were cancelled before anybody took them are not begun.
func (p *pool) take(done *call) *call {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		if done != nil {
			p.put(done)
			done = nil
		}
		if p.closed {
			return nil
		}
		if len(p.queue) == 0 {
			p.idle++
			p.work.Wait()
			continue
		}
		c := p.queue[0]
		if p.queue = p.queue[1:]; len(p.queue) == maxQueue-1 {
			p.room.Signal()
		}
		if !c.cancelled {
			return c
		}
		c.over()
		done = c
	}
}

// put forgets a call that is done. Its memory serves another one. p.mu is held.
func (p *pool) put(c *call) {
	delete(p.active, c.id)
	if cap(c.body) > readSize {
		c.body = nil
	}
	p.free = append(p.free, c)
	if p.open--; p.open == 0 && p.draining {
		p.session.in.interrupt()
	}
}

// abandon cancels a call, if it is still open.
func (p *pool) abandon(id uint32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c := p.active[id]; c != nil {
		c.cancelled = true
		c.ctx.abandon()
	}
}

// drained reports whether no call will come, and all that came are answered.
func (p *pool) drained() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.draining && p.open == 0
}

// close ends the workers when they are done with what they have.
func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.work.Broadcast()
	p.room.Broadcast()
}
