package proxy

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
)

// settingsConn is a connection of HTTP/2 that tells when the target's first frame,
// its SETTINGS, has been taken in (RFC 9113, section 3.4), and when a GOAWAY has
// come, of which net/http says nothing. Before its SETTINGS nobody knows how many
// streams the target takes, nor whether it speaks HTTP/2 at all.
type settingsConn struct {
	net.Conn
	known chan struct{} // closed when the settings are known
	gone  chan struct{} // closed when the connection is
	close sync.Once

	// These belong to the reader.
	head  [frameHeader]byte // of the frame that is being read, n bytes of it
	n     int
	rest  int  // bytes of the frame's payload that are yet to come
	begun bool // the first frame's head has been read
	told  bool // known is closed

	away   atomic.Bool // GOAWAY has come
	onAway atomic.Pointer[func()]
}

const (
	frameHeader = 9    // bytes: length, type, flags, stream
	goAwayFrame = 0x07 // RFC 9113, section 6.8
)

var errNoSettings = errors.New("target closed the connection before its SETTINGS: want HTTP/2")

func newSettingsConn(conn net.Conn) *settingsConn {
	return &settingsConn{Conn: conn, known: make(chan struct{}), gone: make(chan struct{})}
}

// Read is called by one goroutine, which has made use of what it was given when it
// comes for more.
func (c *settingsConn) Read(p []byte) (int, error) {
	if !c.told && c.begun && c.rest == 0 {
		c.told = true
		close(c.known)
	}
	n, err := c.Conn.Read(p)
	c.follow(p[:n])
	return n, err
}

// follow goes along the frames in p.
func (c *settingsConn) follow(p []byte) {
	for len(p) > 0 {
		if c.rest > 0 {
			n := min(c.rest, len(p))
			c.rest -= n
			p = p[n:]
			continue
		}
		n := copy(c.head[c.n:], p)
		c.n += n
		p = p[n:]
		if c.n < frameHeader {
			return
		}
		c.n, c.begun = 0, true
		c.rest = int(c.head[0])<<16 | int(c.head[1])<<8 | int(c.head[2])
		if c.head[3] == goAwayFrame {
			c.away.Store(true)
			if f := c.onAway.Load(); f != nil {
				(*f)()
			}
		}
	}
}

// whenAway has f called for each GOAWAY, and at once if there was one. f must not
// block.
func (c *settingsConn) whenAway(f func()) {
	c.onAway.Store(&f)
	if c.away.Load() {
		f()
	}
}

func (c *settingsConn) Close() error {
	c.close.Do(func() { close(c.gone) })
	return c.Conn.Close()
}
