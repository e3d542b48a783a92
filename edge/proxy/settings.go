package proxy

import (
	"errors"
	"net"
	"sync"
)

// settingsConn is a connection of HTTP/2 that tells when the target's first frame,
// its SETTINGS, has been taken in (RFC 9113, section 3.4). Before that nobody knows
// how many streams the target takes, nor whether it speaks HTTP/2 at all.
type settingsConn struct {
	net.Conn
	known  chan struct{} // closed when the settings are known
	gone   chan struct{} // closed when the connection is
	close  sync.Once
	begin  [3]byte // of the first frame: its length
	n      int     // bytes read
	passed bool
}

const frameHeader = 9 // bytes

var errNoSettings = errors.New("target closed the connection before its SETTINGS: want HTTP/2")

func newSettingsConn(conn net.Conn) *settingsConn {
	return &settingsConn{Conn: conn, known: make(chan struct{}), gone: make(chan struct{})}
}

// Read is called by one goroutine, which has made use of what it was given when it
// comes for more.
func (c *settingsConn) Read(p []byte) (int, error) {
	if c.passed {
		return c.Conn.Read(p)
	}
	if length := int(c.begin[0])<<16 | int(c.begin[1])<<8 | int(c.begin[2]); c.n >= frameHeader && c.n >= frameHeader+length {
		c.passed = true
		close(c.known)
	}
	n, err := c.Conn.Read(p)
	if c.n < len(c.begin) {
		copy(c.begin[c.n:], p[:n])
	}
	c.n += n
	return n, err
}

func (c *settingsConn) Close() error {
	c.close.Do(func() { close(c.gone) })
	return c.Conn.Close()
}
