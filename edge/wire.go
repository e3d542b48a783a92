package edge

import (
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/sallyport/sallyport/edge/connlog"
)

// wire is an accepted connection as the kernel gave it, below TLS. It counts
// what passes and remembers how the last read ended, which is how the end of a
// connection is told apart.
type wire struct {
	net.Conn
	unread   []byte // read already, with a PROXY protocol header
	received atomic.Int64
	sent     atomic.Int64
	abort    atomic.Bool // the read deadline was set in the past, to wake a reader
	last     atomic.Int32
	cork     cork
	shaking  *handshakeTurn // during the handshake only
}

// How the last read ended.
const (
	readOK int32 = iota
	readClosed
	readTimeout
	readError
)

// longAgo is before any deadline that is meant as one: net/http sets such to
// wake its own background read, which is no sign of an idle client.
var longAgo = time.Unix(1e6, 0)

func (w *wire) Read(p []byte) (int, error) {
	if len(w.unread) > 0 {
		n := copy(p, w.unread)
		if w.unread = w.unread[n:]; len(w.unread) == 0 {
			w.unread = nil
		}
		w.received.Add(int64(n))
		return n, nil
	}
	if w.shaking != nil {
		w.shaking.wait()
	}
	n, err := w.Conn.Read(p)
	w.received.Add(int64(n))
	if w.shaking != nil && n > 0 {
		w.shaking.remember(p[:n])
		if err := w.shaking.work(); err != nil {
			return 0, err
		}
	}
	switch {
	case err == nil:
		w.last.Store(readOK)
	case isClosed(err):
		w.last.Store(readClosed)
	case errors.Is(err, os.ErrDeadlineExceeded):
		if !w.abort.Load() {
			w.last.Store(readTimeout)
		}
	case errors.Is(err, net.ErrClosed): // by ourselves: the reason is elsewhere
	default:
		w.last.Store(readError)
	}
	return n, err
}

// socket is the connection where it is one of the kernel's, else nil.
func (w *wire) socket() syscall.Conn {
	conn, _ := w.Conn.(syscall.Conn)
	return conn
}

// readable waits until a Read would not, or until the read deadline, and reads
// nothing. It may be called where there is a socket.
func (w *wire) readable() error {
	if len(w.unread) > 0 {
		return nil
	}
	raw, err := w.socket().SyscallConn()
	if err != nil {
		return err
	}
	// What has come before the kernel is asked to tell of it, it does not tell: so
	// look.
	return raw.Read(func(fd uintptr) bool {
		var one [1]byte
		for {
			_, _, err := syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
			if err != syscall.EINTR {
				return err != syscall.EAGAIN
			}
		}
	})
}

func (w *wire) Write(p []byte) (int, error) {
	n, done, err := w.hold(p)
	if !done {
		n, err = w.Conn.Write(p)
	}
	w.sent.Add(int64(n))
	return n, err
}

// CloseWrite says that no more will be sent, while the client may go on.
func (w *wire) CloseWrite() error {
	if half, ok := w.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// SetLinger chooses whether Close resets the connection: so that what was cut
// off cannot pass for complete.
func (w *wire) SetLinger(seconds int) error {
	if tcp, ok := w.Conn.(interface{ SetLinger(int) error }); ok {
		return tcp.SetLinger(seconds)
	}
	return errors.ErrUnsupported
}

func (w *wire) SetReadDeadline(t time.Time) error {
	w.abort.Store(!t.IsZero() && t.Before(longAgo))
	return w.Conn.SetReadDeadline(t)
}

func (w *wire) SetDeadline(t time.Time) error {
	w.abort.Store(!t.IsZero() && t.Before(longAgo))
	return w.Conn.SetDeadline(t)
}

// lingerTime and lingerBytes bound what a refused client may still send.
const (
	lingerTime  = 500 * time.Millisecond
	lingerBytes = 64 << 10
)

// linger lets a refused client read why. A socket closed with bytes unread is
// reset by the kernel, and a reset overtakes the alert: the client would see a
// broken connection instead of "bad certificate".
func (w *wire) linger() {
	if w.CloseWrite() != nil {
		return
	}
	w.Conn.SetReadDeadline(time.Now().Add(lingerTime))
	io.CopyN(io.Discard, w.Conn, lingerBytes) // however it ends, the connection does
}

// end says how the client's side ended, as far as the socket knows.
func (w *wire) end() connlog.End {
	switch w.last.Load() {
	case readTimeout:
		return connlog.Idle
	case readError:
		return connlog.Error
	}
	return connlog.ClientClosed
}

// isClosed says whether the client closed or reset the connection.
func isClosed(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}
