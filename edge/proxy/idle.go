package proxy

import (
	"sync"
	"sync/atomic"
	"time"
)

// idleTimer ends an exchange in which nothing has moved for limit: the client
// does not send its body or does not read, or the target does not take the body
// or does not go on with the response. It does not count while a target that has
// the whole request has yet to begin its response: that has its own timeout. An
// exchange that never waits for the rest of a body does not start it.
type idleTimer struct {
	limit time.Duration
	last  atomic.Int64 // when something moved, since the exchange began

	answered atomic.Bool // the target's response has begun
	writing  atomic.Bool // to the client
	tunnel   func()      // ends a tunnel; set before the timer is started for it

	// life is held by the timer while it acts on the exchange.
	life    sync.Mutex
	timer   *time.Timer
	stopped bool
	fault   idleFault
}

// idleFault is who was idle.
type idleFault uint8

const (
	nobodyIdle idleFault = iota
	clientIdle           // did not send
	clientDeaf           // did not read
	targetIdle
)

// moved notes that something did.
func (x *exchange) moved() { x.idle.last.Store(int64(time.Since(x.started))) }

// watchIdle starts the timer, which first fires after d.
func (x *exchange) watchIdle(d time.Duration) {
	t := &x.idle
	x.moved()
	t.life.Lock()
	defer t.life.Unlock()
	switch {
	case t.stopped:
	case t.timer == nil:
		t.timer = time.AfterFunc(d, x.tick)
	default:
		t.timer.Reset(d)
	}
}

// stop returns when the timer acts no more, nor is started by anyone: what holds a
// head back may be about to.
func (t *idleTimer) stop() {
	t.life.Lock()
	defer t.life.Unlock()
	t.stopped = true
	if t.timer != nil {
		t.timer.Stop()
	}
}

// who says who was idle, if that is why the exchange ended.
func (t *idleTimer) who() idleFault {
	t.life.Lock()
	defer t.life.Unlock()
	return t.fault
}

func (x *exchange) tick() {
	t := &x.idle
	t.life.Lock()
	defer t.life.Unlock()
	if t.stopped || t.fault != nobodyIdle {
		return
	}
	left := t.limit - (time.Since(x.started) - time.Duration(t.last.Load()))
	waiting := x.body.complete() && !t.answered.Load() && !t.writing.Load()
	if left > 0 || waiting {
		if waiting {
			left = t.limit
		}
		t.timer.Reset(left)
		return
	}
	switch {
	case t.writing.Load():
		t.fault = clientDeaf
		x.side.cutWrite()
	case x.body.reading.Load() && !t.answered.Load():
		t.fault = clientIdle
	default:
		t.fault = targetIdle
	}
	if t.tunnel != nil {
		t.tunnel()
		return
	}
	if x.body.reading.Load() {
		x.side.cutRead()
	}
	x.cutTarget()
}
