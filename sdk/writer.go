package sdk

import (
	"net"
	"sync"
	"sync/atomic"

	"github.com/sallyport/sallyport/sdk/frame"
)

// writer puts frames on the connection. Everybody appends to one buffer, and who
// finds nobody writing writes what is there: many verdicts go out in one write.
type writer struct {
	conn net.Conn

	mu      sync.Mutex
	pending []byte
	spare   []byte
	writing bool
	err     error
	dropped uint64 // lines of the log

	epoch atomic.Uint64 // counts invalidations; changed with mu held
}

// Lines of the log are dropped, and counted, while more than this waits for an edge
// that does not read: a flood of them must not take the memory.
const logRoom = 256 << 10

// spareRoom is the most that an idle buffer keeps.
const spareRoom = 256 << 10

// verdict appends a verdict on a call that began in the given epoch. If anything
// was invalidated since, the plugin may have decided by what it knew before, and
// the edge must not keep it.
func (w *writer) verdict(id uint32, v *frame.VerdictBody, epoch uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return
	}
	if w.epoch.Load() != epoch {
		v.TTL = 0
	}
	start := len(w.pending)
	w.pending = frame.End(v.Append(frame.Begin(w.pending, frame.Verdict, id)), start)
}

// plain appends a frame without a body.
func (w *writer) plain(t frame.Type, id uint32) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		w.pending = frame.Append(w.pending, t, id)
	}
}

// hello and its like: appends a frame with what body appends.
func (w *writer) frame(t frame.Type, body interface{ Append([]byte) []byte }) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		start := len(w.pending)
		w.pending = frame.End(body.Append(frame.Begin(w.pending, t, 0)), start)
	}
}

// invalidate appends an INVALIDATE and begins a new epoch.
func (w *writer) invalidate(body *frame.InvalidateBody) {
	w.mu.Lock()
	w.epoch.Add(1)
	if w.err == nil {
		start := len(w.pending)
		w.pending = frame.End(body.Append(frame.Begin(w.pending, frame.Invalidate, 0)), start)
	}
	w.mu.Unlock()
	w.flush()
}

// log appends a line of the log and writes it, or drops it.
func (w *writer) log(body *frame.LogBody) {
	w.mu.Lock()
	switch {
	case w.err != nil:
	case len(w.pending) > logRoom:
		w.dropped++
	default:
		if w.dropped > 0 {
			body.Attrs = append(body.Attrs, droppedLines(w.dropped))
			w.dropped = 0
		}
		start := len(w.pending)
		w.pending = frame.End(body.Append(frame.Begin(w.pending, frame.Log, 0)), start)
	}
	w.mu.Unlock()
	w.flush()
}

// flush writes what is pending, unless somebody is writing: who is takes it along.
func (w *writer) flush() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.writing {
		return
	}
	for len(w.pending) > 0 && w.err == nil {
		batch := w.pending
		w.pending, w.writing = w.spare[:0], true
		w.mu.Unlock()
		_, err := w.conn.Write(batch)
		w.mu.Lock()
		w.writing, w.err = false, err
		w.spare = nil
		if cap(batch) <= spareRoom {
			w.spare = batch[:0]
		}
	}
}

// waiting reports how many bytes wait to be written.
func (w *writer) waiting() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.pending)
}
