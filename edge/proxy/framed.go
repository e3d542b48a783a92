package proxy

import (
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"
)

// framedConn is a client's HTTP/1.1 connection, read one request at a time: a
// Read never goes past the end of a request, and never delivers the end of a
// head that is not framed beyond doubt.
//
// One goroutine at a time reads; abandon and cut may be called by any.
type framedConn struct {
	net.Conn
	idle    time.Duration // until the first byte
	head    time.Duration // from a head's first byte to its last
	refused func(*framingError)

	framing framing
	rest    []byte        // read beyond the end of a request
	wrong   *framingError // what every further Read says; set before a Read has failed
	begun   bool

	dead   atomic.Bool // delivers nothing any more
	linger atomic.Bool // the client may still be sending: let it read our last words
}

// errAbandoned ends reading without an answer: net/http answers nothing to a
// timeout.
var errAbandoned = os.ErrDeadlineExceeded

// longAgo is a deadline that wakes a reader and is told apart from a client's
// being idle.
var longAgo = time.Unix(1, 0)

const (
	lingerTime  = 500 * time.Millisecond
	lingerBytes = 1 << 20
)

func (c *framedConn) Read(p []byte) (int, error) {
	if c.dead.Load() {
		return 0, errAbandoned
	}
	if c.wrong != nil {
		return 0, c.wrong
	}
	if c.framing.phase == inBody && uint64(len(p)) > c.framing.left {
		p = p[:c.framing.left]
	}
	if len(p) == 0 {
		return 0, nil
	}
	untouched := c.framing.untouched()
	if !c.begun {
		// net/http allows a connection's first head its time from here on, but it
		// is from its first byte that a head has a limited time.
		c.Conn.SetReadDeadline(time.Now().Add(c.idle))
	}
	n, err := c.fill(p)
	if n == 0 {
		return 0, err
	}
	if !c.begun {
		c.begun = true
		c.Conn.SetReadDeadline(time.Now().Add(c.head))
	}
	used, wrong := c.framing.advance(p[:n])
	if wrong != nil {
		c.wrong = wrong
		c.linger.Store(true)
		if wrong.head {
			c.refused(wrong)
		}
		if used == 0 && len(p) == 1 && untouched {
			// net/http is only looking whether the client is still there, while an
			// earlier request is being answered: that goes on.
			return 1, nil
		}
		if used == 0 {
			return 0, wrong
		}
		return used, nil
	}
	if used < n {
		c.rest = append([]byte(nil), p[used:n]...)
	}
	return used, err
}

// fill reads what is left over before it reads on.
func (c *framedConn) fill(p []byte) (int, error) {
	if len(c.rest) == 0 {
		return c.Conn.Read(p)
	}
	n := copy(p, c.rest)
	if c.rest = c.rest[n:]; len(c.rest) == 0 {
		c.rest = nil
	}
	return n, nil
}

// Write gives each write its time: a client that does not read is not waited for.
func (c *framedConn) Write(p []byte) (int, error) {
	c.Conn.SetWriteDeadline(time.Now().Add(c.idle))
	return c.Conn.Write(p)
}

// between says whether the last request was read to its end.
func (c *framedConn) between() bool { return c.wrong == nil && c.framing.between() }

// abandon stops reading in the middle of a request: a Read in progress returns,
// and the connection ends once what is to be written is written.
func (c *framedConn) abandon() {
	c.linger.Store(true)
	c.dead.Store(true)
	c.Conn.SetReadDeadline(longAgo)
}

// cutRead ends the reading from a client that has been idle for too long.
func (c *framedConn) cutRead() {
	c.dead.Store(true)
	c.Conn.SetReadDeadline(time.Now())
}

// release hands the connection over to one that reads no HTTP, with what was
// read beyond the last request.
func (c *framedConn) release() (net.Conn, []byte) { return c.Conn, c.rest }

type closeWriter interface{ CloseWrite() error }

// CloseWrite says that no more is to come.
func (c *framedConn) CloseWrite() error {
	if cw, ok := c.Conn.(closeWriter); ok {
		return cw.CloseWrite()
	}
	return errors.ErrUnsupported
}

// Close closes the connection. Bytes that nobody has read make the kernel reset
// it, by which the client may lose the answer: so they are read away for a
// moment (RFC 9112, section 9.6).
func (c *framedConn) Close() error {
	if c.linger.CompareAndSwap(true, false) {
		c.CloseWrite()
		c.Conn.SetReadDeadline(time.Now().Add(lingerTime))
		io.CopyN(io.Discard, c.Conn, lingerBytes)
	}
	return c.Conn.Close()
}

// limitRest bounds the time that a client has for the rest of a body that nobody
// wants.
func (c *framedConn) limitRest() { c.Conn.SetReadDeadline(time.Now().Add(lingerTime)) }
