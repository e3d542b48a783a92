package proxy

import (
	"sync"
	"sync/atomic"
	"time"
)

// heartbeat tells a target that is merely quiet from one that is gone without a
// word: its host was switched off, or nothing gets there any more. TCP would find
// out after many minutes, and till then all requests would go that way. Where
// requests wait and nothing has come for some time, a PING is sent (RFC 9113,
// section 6.7), which most targets answer at once. A connection on which none is
// answered gets no more requests. Those it has wait on, for as long as they may: a
// target may be busy, or the PING behind what it has yet to read.
type heartbeat struct {
	conn   *settingsConn
	limits heartbeatLimits
	calls  func() int32 // how many requests wait
	lost   func()       // called once, when a PING was not answered; must not block
	began  time.Time    // what the times below count from

	last   atomic.Int64 // when something came
	asked  atomic.Int64 // when a first request was sent to a connection with none
	spoken atomic.Bool  // HEADERS or DATA came
	armed  atomic.Bool  // the timer runs

	// mu is held by the timer while it acts.
	mu      sync.Mutex
	timer   *time.Timer
	stopped bool
	pinged  time.Duration // when the PING was sent that is not answered; 0 without
	overdue bool          // its answer is, and there has been one more look
	spent   int           // PINGs since HEADERS or DATA came
	latest  time.Duration // the last of them
}

// heartbeatLimits are its times. Tests vary them.
type heartbeatLimits struct {
	quiet  time.Duration // that nothing comes, before it is asked for
	answer time.Duration // to a PING
	// Targets of gRPC end a connection with GOAWAY for more than two PINGs within
	// five minutes in which they have sent neither HEADERS nor DATA. So there are
	// two, and others once in spare.
	spare time.Duration
}

var defaultHeartbeat = heartbeatLimits{quiet: 5 * time.Second, answer: 5 * time.Second, spare: 6 * time.Minute}

// maxPings is how many are sent for want of HEADERS and DATA before spare counts.
const maxPings = 2

// start begins the look-out, on a connection that has no requests yet.
func (h *heartbeat) start(limits heartbeatLimits, calls func() int32, lost func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.limits, h.calls, h.lost = limits, calls, lost
	h.timer = time.AfterFunc(time.Hour, h.tick)
	h.timer.Stop()
}

func (h *heartbeat) clock() time.Duration { return time.Since(h.began) }

// heard notes that something came.
func (h *heartbeat) heard() { h.last.Store(int64(h.clock())) }

// expect notes that a request is about to be sent.
func (h *heartbeat) expect() {
	if h.armed.Load() || !h.armed.CompareAndSwap(false, true) {
		return
	}
	h.asked.Store(int64(h.clock()))
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.stopped {
		h.timer.Reset(h.limits.quiet)
	}
}

func (h *heartbeat) stop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stopped = true
	if h.timer != nil {
		h.timer.Stop()
	}
}

// tick is the timer's.
func (h *heartbeat) tick() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.stopped {
		return
	}
	if h.calls() == 0 {
		h.pinged, h.overdue = 0, false
		h.armed.Store(false)
		// A request may have seen it armed just before.
		if h.calls() == 0 || !h.armed.CompareAndSwap(false, true) {
			return
		}
	}
	again, lost := h.look(h.clock())
	if !lost {
		h.timer.Reset(again)
		return
	}
	h.stopped = true
	h.lost()
}

// look does what there is to do now. It returns when to look again, or that the
// target is silent.
func (h *heartbeat) look(now time.Duration) (again time.Duration, lost bool) {
	last := time.Duration(h.last.Load())
	if h.pinged > 0 && last >= h.pinged {
		h.pinged, h.overdue = 0, false
	}
	if h.pinged > 0 {
		if wait := h.pinged + h.limits.answer - now; wait > 0 {
			return min(wait, h.limits.quiet), false
		}
		if !h.overdue {
			// This process may have stood still itself, and the answer be in the socket.
			h.overdue = true
			return h.limits.answer / 4, false
		}
		return 0, true
	}
	if wait := max(last, time.Duration(h.asked.Load())) + h.limits.quiet - now; wait > 0 {
		return wait, false
	}
	if h.spoken.Swap(false) {
		h.spent = 0
	}
	if h.spent >= maxPings && now < h.latest+h.limits.spare {
		return h.limits.quiet, false
	}
	if !h.conn.ping() {
		return h.limits.quiet, false // a request is being written: what becomes of that shows
	}
	h.spent++
	h.pinged, h.latest = now, now
	return min(h.limits.answer, h.limits.quiet), false
}
