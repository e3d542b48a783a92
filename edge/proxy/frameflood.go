package proxy

import (
	"net"
	"sync/atomic"
	"time"
)

// frugalConn is a client's connection of HTTP/2. It ends when the client goes on
// sending frames that cost the edge work and the client next to nothing: PING and
// SETTINGS, which have to be answered, PRIORITY, WINDOW_UPDATE, RST_STREAM, unknown
// types, and DATA with nothing in it. net/http takes any number of them, as long as
// the client reads what is answered.
//
// What is done with a connection pays for them: requests, and what the client is
// sent, which it has to open windows for; and a few come with time.
type frugalConn struct {
	net.Conn // of TLS
	in       frameReader
	spent    int64 // cheap frames, less those that time has given back
	since    time.Time
	requests int64
	sent     atomic.Int64 // bytes
}

const (
	// freeFrames are what a client has in advance, and perSecond what time adds.
	freeFrames      = 1000
	framesPerSecond = 20
	// framesPerRequest go with each HEADERS frame.
	framesPerRequest = 10
	// bytesPerFrame is how much is sent to a client for each frame more that it may
	// send: the quickest to open windows do it for every 4 KiB, twice.
	bytesPerFrame = 1 << 10
)

// floodError is why a connection was ended.
type floodError struct{}

func (floodError) Error() string { return "too many frames of HTTP/2 that do nothing" }

func newFrugalConn(conn net.Conn) *frugalConn {
	return &frugalConn{Conn: conn, in: frameReader{skip: len(clientPreface)}, since: time.Now()}
}

// Read is called by one goroutine at a time.
func (c *frugalConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	before := c.spent
	c.in.follow(p[:n], c.count)
	if c.spent > before && !c.solvent() {
		c.Conn.Close()
		return 0, floodError{}
	}
	return n, err
}

func (c *frugalConn) count(kind, flags byte, length int) {
	switch {
	case kind == headersFrame:
		c.requests++
	case kind == continuationFrame: // net/http bounds them
	case kind != dataFrame, length == 0 && flags&endStream == 0:
		c.spent++
	}
}

// solvent says whether all cheap frames are paid for.
func (c *frugalConn) solvent() bool {
	paid := freeFrames + framesPerRequest*c.requests + c.sent.Load()/bytesPerFrame
	if c.spent <= paid {
		return true
	}
	now := time.Now()
	back := int64(now.Sub(c.since).Seconds() * framesPerSecond)
	if back > 0 {
		c.spent, c.since = max(0, c.spent-back), now
	}
	return c.spent <= paid
}

func (c *frugalConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.sent.Add(int64(n))
	return n, err
}
