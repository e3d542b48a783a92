package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// targetConn is a connection to a target. One exchange at a time has it.
type targetConn struct {
	net.Conn // of TLS, if the target speaks it
	socket   *socket
	pool     *pool
	since    time.Time // unused
	used     bool      // by an earlier request
	deadline deadline
	unasked  [1]byte
}

// dial connects to t. It is a *connectError if t cannot be reached.
func (t *target) dial(ctx context.Context) (*targetConn, error) {
	raw, err := new(net.Dialer).DialContext(ctx, "tcp", t.host)
	if err != nil {
		return nil, &connectError{err}
	}
	s, err := newSocket(raw)
	if err != nil {
		raw.Close()
		return nil, &connectError{err}
	}
	c := &targetConn{Conn: s, socket: s, pool: &t.pool}
	if t.tls != nil {
		conn := tls.Client(s, t.tls)
		if err := conn.HandshakeContext(ctx); err != nil {
			raw.Close()
			return nil, &connectError{err}
		}
		c.Conn = conn
	}
	return c, nil
}

// quiet says whether nothing has come since the last answer, not even the
// connection's end. What a target sends unasked must never be taken for the
// answer to the next request. Records of TLS's own are read over.
func (c *targetConn) quiet() bool {
	n, err := c.readAtOnce(c.unasked[:])
	return n == 0 && errors.Is(err, os.ErrDeadlineExceeded)
}

// readAtOnce reads what is there; where nothing is, the error is
// os.ErrDeadlineExceeded.
func (c *targetConn) readAtOnce(p []byte) (int, error) {
	c.socket.atOnce = true
	n, err := c.Conn.Read(p)
	c.socket.atOnce = false
	return n, err
}

// CloseWrite says that no more is to come.
func (c *targetConn) CloseWrite() error {
	if cw, ok := c.Conn.(closeWriter); ok {
		return cw.CloseWrite()
	}
	return errors.ErrUnsupported
}

type closeWriter interface{ CloseWrite() error }

// socket is a TCP connection that can be read from without waiting, below TLS as
// well: TLS takes a deadline's error for a reason to come again.
type socket struct {
	*net.TCPConn
	atOnce bool

	control syscall.RawConn
	read    func(fd uintptr) // made once: it is called for every request
	p       []byte
	n       int
	err     error
}

func newSocket(conn net.Conn) (*socket, error) {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return nil, errors.New("no TCP connection")
	}
	control, err := tcp.SyscallConn()
	if err != nil {
		return nil, err
	}
	s := &socket{TCPConn: tcp, control: control}
	s.read = func(fd uintptr) {
		for {
			if s.n, s.err = syscall.Read(int(fd), s.p); s.err != syscall.EINTR {
				return
			}
		}
	}
	return s, nil
}

func (s *socket) Read(p []byte) (int, error) {
	if !s.atOnce {
		return s.TCPConn.Read(p)
	}
	s.p = p
	err := s.control.Control(s.read)
	s.p = nil
	switch {
	case err != nil:
		return 0, err
	case s.err == syscall.EAGAIN:
		return 0, os.ErrDeadlineExceeded
	case s.err != nil:
		return 0, s.err
	case s.n == 0 && len(p) > 0:
		return 0, io.EOF
	}
	return s.n, nil
}
