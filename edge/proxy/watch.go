package proxy

import (
	"sync"
	"time"
)

// watchDelay is how long a target may take before anybody looks whether the
// client is still there. Most requests are over by then, and cost a timer only,
// not a goroutine.
const watchDelay = 50 * time.Millisecond

// watch looks out for the client's going away while a target makes it wait: it
// reads the byte that a client has no reason to send yet. The connection's end,
// half or whole, is the client's; a byte is kept, and the look-out is over.
type watch struct {
	conn  *conn1
	timer *time.Timer
	armed bool // by the exchange's goroutine, or that of its body

	mu      sync.Mutex
	x       *exchange // nil: nothing to look out for
	reading bool
	looked  bool // and so has changed the read deadline
	over    sync.Cond
}

// watch begins to look out, unless more of the client's is there already.
func (c *conn1) watch(x *exchange) {
	w := &c.watching
	if w.armed || c.r < c.w || len(c.rest) > 0 || c.ahead {
		return
	}
	w.armed = true
	w.mu.Lock()
	w.x = x
	w.mu.Unlock()
	if w.timer == nil {
		w.over.L = &w.mu
		w.timer = time.AfterFunc(watchDelay, w.look)
	} else {
		w.timer.Reset(watchDelay)
	}
}

// look is the timer's.
func (w *watch) look() {
	w.mu.Lock()
	x := w.x
	if x == nil || w.reading || w.conn.ahead {
		w.mu.Unlock()
		return
	}
	w.reading, w.looked = true, true
	conn := w.conn.Conn.Conn
	conn.SetReadDeadline(time.Time{})
	w.mu.Unlock()

	n, _ := conn.Read(w.conn.first[:])

	w.mu.Lock()
	gone := n == 0 && w.x != nil
	w.conn.ahead = n == 1
	w.mu.Unlock()
	if gone {
		x.clientGone()
	}
	w.mu.Lock()
	w.reading = false
	w.over.Broadcast()
	w.mu.Unlock()
}

// stop returns when nobody looks any more.
func (w *watch) stop() {
	if !w.armed {
		return
	}
	w.armed = false
	w.mu.Lock()
	defer w.mu.Unlock()
	w.x = nil
	// A look that an earlier timer began may only now get to run: that this timer
	// was stopped in time says nothing of it.
	w.timer.Stop()
	if w.reading {
		w.conn.Conn.Conn.SetReadDeadline(longAgo)
		for w.reading {
			w.over.Wait()
		}
	}
	if w.looked {
		w.looked = false
		w.conn.reading.reset()
	}
}
