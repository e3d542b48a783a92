package proxy

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// settingsConn is a connection of HTTP/2 to a target. It tells when the target's
// first frame, its SETTINGS, has been taken in (RFC 9113, section 3.4), and when a
// GOAWAY has come, of which net/http says nothing. Before its SETTINGS nobody knows
// how many streams the target takes, nor whether it speaks HTTP/2 at all. And it
// looks after the target's being there: heartbeat.
type settingsConn struct {
	net.Conn
	known chan struct{} // closed when the settings are known
	gone  chan struct{} // closed when the connection is
	close sync.Once
	beat  heartbeat

	// These belong to the reader.
	in   frameReader
	told bool // known is closed

	writing sync.Mutex
	out     frameReader // under writing

	away   atomic.Bool // GOAWAY has come
	onAway atomic.Pointer[func()]
}

var errNoSettings = errors.New("target closed the connection before its SETTINGS: want HTTP/2")

func newSettingsConn(conn net.Conn) *settingsConn {
	c := &settingsConn{Conn: conn, known: make(chan struct{}), gone: make(chan struct{})}
	c.out.skip = len(clientPreface)
	c.beat.conn, c.beat.began = c, time.Now()
	return c
}

// clientPreface begins what a client sends (RFC 9113, section 3.4).
const clientPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// Read is called by one goroutine, which has made use of what it was given when it
// comes for more.
func (c *settingsConn) Read(p []byte) (int, error) {
	if !c.told && c.in.between() {
		c.told = true
		close(c.known)
	}
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.beat.heard()
	}
	c.in.follow(p[:n], c.received)
	return n, err
}

func (c *settingsConn) received(kind, _ byte, _ int) {
	switch kind {
	case dataFrame, headersFrame:
		c.beat.spoken.Store(true)
	case goAwayFrame:
		c.away.Store(true)
		if f := c.onAway.Load(); f != nil {
			(*f)()
		}
	}
}

func (c *settingsConn) Write(p []byte) (int, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	n, err := c.Conn.Write(p)
	c.out.follow(p[:n], ignoreFrame)
	return n, err
}

func ignoreFrame(byte, byte, int) {}

// ping sends a PING where that is possible at once, and says whether it is. What it
// may have to wait for, the network, another goroutine does.
func (c *settingsConn) ping() bool {
	if !c.writing.TryLock() {
		return false
	}
	if !c.out.between() {
		c.writing.Unlock()
		return false
	}
	go func() {
		defer c.writing.Unlock()
		// The payload is for nobody: any frame that comes shows that the target is there.
		c.Conn.Write([]byte{2: 8, 3: pingFrame, frameHeader + 7: 1})
	}()
	return true
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
	c.beat.stop()
	return c.Conn.Close()
}
