package pluginhost

import (
	"net"
	"sync"
	"syscall"
)

// outbox is what is to be written to a plugin. Whoever appends to it writes it
// out, unless somebody is at that already: then it goes with the next write. So
// many calls at once are few writes, and one alone is not held up.
//
// Nobody who appends waits for the plugin: what the socket does not take at once
// is left to a goroutine.
type outbox struct {
	conn  *net.UnixConn
	raw   syscall.RawConn
	try   func(fd uintptr) bool // made once: a closure each time would be garbage
	now   []byte                // what try writes
	wrote int
	err   error

	mu      sync.Mutex
	buf     []byte
	spare   []byte
	left    []byte // of what was being written when the socket was full
	writing bool
	closed  bool
	wake    chan struct{}
}

// maxBacklog is how much a plugin may leave unread, beyond what the kernel holds.
const maxBacklog = 1 << 20

func newOutbox(conn *net.UnixConn) (*outbox, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	o := &outbox{conn: conn, raw: raw, wake: make(chan struct{}, 1)}
	o.try = func(fd uintptr) bool {
		for {
			n, err := syscall.Write(int(fd), o.now)
			if err == syscall.EINTR {
				continue
			}
			o.wrote = max(n, 0)
			if o.err = err; err == syscall.EAGAIN {
				o.err = nil
			}
			return true
		}
	}
	return o, nil
}

// flush writes what is in buf, unless somebody else does. The caller holds mu,
// and has it no more when flush returns.
func (o *outbox) flush() error {
	defer o.mu.Unlock()
	if o.writing {
		return nil
	}
	o.writing = true
	for len(o.buf) > 0 {
		out := o.take()
		o.mu.Unlock()
		o.now, o.wrote, o.err = out, 0, nil
		err := o.raw.Write(o.try)
		if err == nil {
			err = o.err
		}
		wrote := o.wrote
		o.now = nil
		o.mu.Lock()
		if err != nil {
			return err // and writing stays: nothing more goes out
		}
		if wrote < len(out) {
			o.left = out[wrote:]
			o.wake <- struct{}{} // has room: only who is writing sends
			return nil
		}
		o.spare = out[:0]
	}
	o.writing = false
	return nil
}

// take returns what is to be written. The caller holds mu.
func (o *outbox) take() []byte {
	out := o.buf
	o.buf, o.spare = o.spare[:0], nil
	if cap(o.buf) > maxKeptFrame*4 {
		o.buf = nil
	}
	return out
}

// run writes what flush could not, until the connection is closed.
func (o *outbox) run(dead <-chan struct{}) error {
	for {
		select {
		case <-dead:
			return nil
		case <-o.wake:
		}
		o.mu.Lock()
		out := o.left
		o.left = nil
		for len(out) > 0 {
			o.mu.Unlock()
			if _, err := o.conn.Write(out); err != nil {
				return err
			}
			o.mu.Lock()
			o.spare = out[:0]
			out = nil
			if len(o.buf) > 0 {
				out = o.take()
			}
		}
		o.writing = false
		o.mu.Unlock()
	}
}
