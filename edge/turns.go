package edge

import (
	"crypto/tls"
	"errors"
	"time"
)

// turns bounds how many handshakes are worked on at once. A handshake has its
// turn only while it computes: one whose client is silent keeps nobody waiting.
type turns chan struct{}

// acquire waits for a turn until the deadline, and says whether it got one.
func (t turns) acquire(deadline time.Time) bool {
	select {
	case t <- struct{}{}:
		return true
	default:
	}
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	select {
	case t <- struct{}{}:
		return true
	case <-timer.C:
		return false
	}
}

func (t turns) release() { <-t }

// errNoTurn ends a handshake that got no turn in time.
var errNoTurn = errors.New("no turn for the handshake in time")

// handshakeTurn is one handshake's: given back when it begins to wait for its
// client, taken when there is something to work on.
type handshakeTurn struct {
	turns    turns
	deadline time.Time
	working  bool
	tail     []byte // what was received last
}

func (h *handshakeTurn) work() error {
	if !h.working {
		if !h.turns.acquire(h.deadline) {
			return errNoTurn
		}
		h.working = true
	}
	return nil
}

func (h *handshakeTurn) wait() {
	if h.working {
		h.turns.release()
		h.working = false
	}
}

// plainAlert is the length of an alert that is sent as it is.
const plainAlert = 7

func (h *handshakeTurn) remember(received []byte) {
	h.tail = append(h.tail, received...)
	if extra := len(h.tail) - plainAlert; extra > 0 {
		h.tail = h.tail[:copy(h.tail, h.tail[extra:])]
	}
}

// alert returns the alert that a client sent unencrypted as its last word. A TLS
// 1.3 client that refuses the edge's certificate may do so (OpenSSL does), and
// crypto/tls, which expects it encrypted, takes it for a forged record.
func (h *handshakeTurn) alert() (tls.AlertError, bool) {
	t := h.tail
	if len(t) != plainAlert || t[0] != 21 || t[1] != 3 || t[3] != 0 || t[4] != 2 || t[5] < 1 || t[5] > 2 {
		return 0, false
	}
	return tls.AlertError(t[6]), true
}
