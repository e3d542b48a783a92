package edge

import (
	"net"
	"sync/atomic"
	"syscall"
)

// cork has the kernel hold what is written back for what follows at once. A body
// is written a TLS record at a time, and to send each by itself, as the edge's
// sockets do lest answers wait, costs a tenth of what a large body does. The zero
// cork is ready.
type cork struct {
	follow atomic.Int32 // writes that are to be followed by another
	held   atomic.Bool  // the last write was
	writer *heldWriter  // of whoever writes
}

// heldWriter writes with MSG_MORE. What it calls the runtime with is made once,
// not for each write.
type heldWriter struct {
	raw  syscall.RawConn
	call func(fd uintptr) bool
	rest []byte
	err  error
}

// more says that the next n writes are each followed by another at once. With 0,
// what is held is sent: the kernel does so itself only after 200 ms.
func (w *wire) more(n int) {
	w.cork.follow.Store(int32(n))
	if n == 0 && w.cork.held.Swap(false) {
		if tcp, ok := w.Conn.(*net.TCPConn); ok {
			tcp.SetNoDelay(true) // as it is; to say so sends what waits
		}
	}
}

// hold writes p if that is to be followed by another write; done says whether.
// As for Write, one caller at a time.
func (w *wire) hold(p []byte) (n int, done bool, err error) {
	c := &w.cork
	if c.follow.Load() <= 0 || c.follow.Add(-1) < 0 || w.socket() == nil {
		c.held.Store(false)
		return 0, false, nil
	}
	if c.writer == nil {
		raw, err := w.socket().SyscallConn()
		if err != nil {
			return 0, true, err
		}
		c.writer = newHeldWriter(raw)
	}
	c.held.Store(true)
	n, err = c.writer.write(p)
	return n, true, err
}

func newHeldWriter(raw syscall.RawConn) *heldWriter {
	h := &heldWriter{raw: raw}
	h.call = func(fd uintptr) bool {
		for len(h.rest) > 0 {
			n, err := syscall.SendmsgN(int(fd), h.rest, nil, nil, syscall.MSG_MORE|syscall.MSG_NOSIGNAL)
			switch err {
			case nil:
				h.rest = h.rest[n:]
			case syscall.EINTR:
			case syscall.EAGAIN:
				return false
			default:
				h.err = err
				return true
			}
		}
		return true
	}
	return h
}

// write writes p whole, or returns why not.
func (h *heldWriter) write(p []byte) (n int, err error) {
	h.rest, h.err = p, nil
	err = h.raw.Write(h.call)
	n, h.rest = len(p)-len(h.rest), nil
	if err == nil {
		err = h.err
	}
	return n, err
}
