package sdk

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/sallyport/sallyport/sdk/frame"
)

// ErrHostGone is in the error of [ServeConn] when the edge has closed the
// connection without saying that it would.
var ErrHostGone = errors.New("the edge has gone")

// reader takes frames off the connection. One read brings as many as there are.
type reader struct {
	conn       net.Conn
	max        int
	buf        []byte
	start, end int             // what was read and is not yet taken
	raw        syscall.RawConn // for linger; nil until then
	err        error           // of a read; what came before it is taken first
}

const (
	readSize    = 64 << 10
	spareBuffer = 2 * frame.HardMax // the most that is kept when nothing is in it
	tooMuch     = 16 << 20          // behind a call that waits
)

func newReader(conn net.Conn, max int) *reader {
	return &reader{conn: conn, max: max, buf: make([]byte, readSize)}
}

// next takes a frame, if all of it is there. Its body is good until the next fill.
func (r *reader) next() (f frame.Frame, ok bool, err error) {
	f, n, err := frame.Parse(r.buf[r.start:r.end], r.max)
	r.start += n
	return f, n > 0, err
}

// fill reads more.
func (r *reader) fill() error {
	if r.start == r.end {
		r.start, r.end = 0, 0
		if len(r.buf) > spareBuffer {
			r.buf = make([]byte, readSize)
		}
	} else if r.end == len(r.buf) && r.start > 0 {
		r.end = copy(r.buf, r.buf[r.start:r.end])
		r.start = 0
	}
	return r.more()
}

// linger waits a little for something to read, in a system call that nothing but the
// connection ends. The thread that calls is then the one that the kernel wakes: to be
// woken by way of Go's poller, which may have another thread wait, costs twice the CPU
// of a call that comes alone, and on the edge's side too, since its answer is later.
// It returns when there is something, when the time is over, and at an error, which
// the read behind it will find too.
func (r *reader) linger() {
	if r.raw == nil {
		c, ok := r.conn.(syscall.Conn)
		if !ok {
			return
		}
		raw, err := c.SyscallConn()
		if err != nil {
			return
		}
		r.raw = raw
	}
	_ = r.raw.Read(awaitReadable)
}

// lingerTime bounds linger. Whoever closes the connection meanwhile waits for it.
const lingerTime = 5 * time.Millisecond

// more reads behind what is there, and moves nothing: bodies of frames that were
// taken stay as they are.
func (r *reader) more() error {
	if r.err != nil {
		return r.err
	}
	if r.end == len(r.buf) {
		grown := make([]byte, 2*len(r.buf))
		r.end = copy(grown, r.buf[r.start:r.end])
		r.start, r.buf = 0, grown
	}
	n, err := r.conn.Read(r.buf[r.end:])
	r.end += n
	if n > 0 || err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		return nil
	}
	if errors.Is(err, io.EOF) {
		err = ErrHostGone
	}
	r.err = err
	return err
}

var longAgo = time.Unix(1, 0)

// interrupt makes a read return that goes on, and all after it until resume.
func (r *reader) interrupt() { r.conn.SetReadDeadline(longAgo) }

func (r *reader) resume() { r.conn.SetReadDeadline(time.Time{}) }

// watch reads ahead, while the hook of the call with that id waits, and cancels its
// context when the host does, is gone, sends what is malformed, or more than can be
// kept. stop ends that and waits for its end; nobody else may use r before.
func (r *reader) watch(id uint32, cancel context.CancelFunc) (stop func()) {
	stopping, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		seen := 0 // of what was not yet taken
		for {
			f, n, err := frame.Parse(r.buf[r.start+seen:r.end], r.max)
			if err != nil || r.end-r.start > tooMuch {
				cancel()
				return
			}
			if f.Type == frame.Cancel && f.ID == id {
				cancel()
			}
			if seen += n; n > 0 {
				continue
			}
			if r.more() != nil {
				cancel()
				return
			}
			select {
			case <-stopping:
				return
			default:
			}
		}
	}()
	return func() {
		close(stopping)
		r.interrupt()
		<-stopped
		r.resume()
	}
}
