package proxy

import (
	"encoding/binary"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// frugalConn is a client's connection of HTTP/2. It ends when the client goes on
// sending frames that cost the edge work and the client next to nothing: PING and
// SETTINGS, which have to be answered, PRIORITY, WINDOW_UPDATE, RST_STREAM, unknown
// types, DATA with nothing in it, CONTINUATION, of which net/http bounds what they
// hold and not how many hold nothing, and HEADERS that make no request, which net/http
// answers with RST_STREAM: malformed ones, and those of more streams at once than
// there may be. net/http takes any number of them, as long as the client reads what
// is answered.
//
// What is done with a connection pays for them: requests, and what the client is
// sent, which it has to open windows for. Clients of gRPC measure the way by a PING
// for nearly every frame of DATA, be it of ten bytes. And a few come with time.
type frugalConn struct {
	net.Conn // of TLS
	in       frameReader
	spent    int64 // cheap frames, less those that time has given back
	since    time.Time
	requests atomic.Int64

	writing sync.Mutex
	out     frameReader  // under writing
	sent    atomic.Int64 // bytes
	frames  atomic.Int64 // of HEADERS and DATA, sent

	last  atomic.Uint32 // the client's last stream
	flood func(cause string)

	ending sync.Mutex
	over   bool // cut was called
}

const (
	// freeFrames are what a client has in advance, as many as net/http has answers
	// wait for it, and framesPerSecond what time adds.
	freeFrames      = 10000
	framesPerSecond = 200
	// framesPerRequest go with each request, its HEADERS among them, and framesPerFrame
	// with each frame of HEADERS or DATA that the client is sent: two WINDOW_UPDATE and
	// a PING.
	framesPerRequest = 11
	framesPerFrame   = 3
	// bytesPerFrame is how much is sent to a client for each frame more that it may
	// send: the quickest to open windows do it for every 4 KiB, twice.
	bytesPerFrame = 1 << 10
)

const (
	// A client that is cut off has farewellTime to read why, and is read farewellBytes
	// of what is still on its way: unread, they would have the kernel reset the
	// connection, and that may come before the word.
	farewellTime  = 500 * time.Millisecond
	farewellBytes = 64 << 10
)

// floodError is why a connection was ended.
type floodError struct{}

func (floodError) Error() string { return causeFrames }

// What a client can be cut off for.
const (
	causeFrames  = "too many frames of HTTP/2 that do nothing"
	causeStreams = "too many streams of HTTP/2 abandoned before their answer"
)

// newFrugalConn makes one that tells flood, once, when it cuts its client off, and
// why.
func newFrugalConn(conn net.Conn, flood func(cause string)) *frugalConn {
	c := &frugalConn{Conn: conn, in: frameReader{skip: len(clientPreface)}, since: time.Now(), flood: flood}
	c.out.begun = true // a server has no preface
	return c
}

// Read is called by one goroutine at a time.
func (c *frugalConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	before := c.spent
	c.in.follow(p[:n], c.count)
	if c.spent > before && !c.solvent() {
		c.cut(causeFrames)
	}
	if c.isOver() {
		for left := farewellBytes; left > 0 && err == nil; left -= n {
			n, err = c.Conn.Read(p)
		}
		c.Conn.Close()
		return 0, floodError{}
	}
	return n, err
}

func (c *frugalConn) count(kind, flags byte, length int) {
	switch {
	case kind == headersFrame:
		c.spent++ // until it is a request
		c.last.Store(max(c.last.Load(), c.in.stream()))
	case kind != dataFrame, length == 0 && flags&endStream == 0:
		c.spent++
	}
}

// request pays for a request, which net/http has taken for one. Any goroutine may
// call it.
func (c *frugalConn) request() { c.requests.Add(1) }

// solvent says whether all cheap frames are paid for. Time that was not made use of
// is not saved up.
func (c *frugalConn) solvent() bool {
	paid := freeFrames + framesPerRequest*c.requests.Load() + framesPerFrame*c.frames.Load() + c.sent.Load()/bytesPerFrame
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
	c.writing.Lock()
	defer c.writing.Unlock()
	if c.isOver() {
		// An error would have net/http close the connection before the word is out. The
		// reader ends it.
		return len(p), nil
	}
	n, err := c.Conn.Write(p)
	c.sent.Add(int64(n))
	c.out.follow(p[:n], c.pay)
	return n, err
}

func (c *frugalConn) pay(kind, _ byte, _ int) {
	if kind == dataFrame || kind == headersFrame {
		c.frames.Add(1)
	}
}

// SetWriteDeadline is net/http's, for each write. That of cut stays.
func (c *frugalConn) SetWriteDeadline(t time.Time) error {
	c.ending.Lock()
	defer c.ending.Unlock()
	if c.over {
		return nil
	}
	return c.Conn.SetWriteDeadline(t)
}

func (c *frugalConn) isOver() bool {
	c.ending.Lock()
	defer c.ending.Unlock()
	return c.over
}

// cut ends the connection, with ENHANCE_YOUR_CALM (RFC 9113, section 7) where the
// client reads. The reader closes it. Any goroutine may call it.
func (c *frugalConn) cut(cause string) {
	c.ending.Lock()
	first := !c.over
	c.over = true
	if first {
		c.Conn.SetDeadline(time.Now().Add(farewellTime))
	}
	c.ending.Unlock()
	if !first {
		return
	}
	c.flood(cause)
	c.writing.Lock() // a write that does not get on ends by the deadline
	defer c.writing.Unlock()
	if c.out.between() {
		const enhanceYourCalm = 0xb
		frame := append([]byte{2: 8, 3: goAwayFrame, frameHeader - 1: 0}, make([]byte, 8)...)
		binary.BigEndian.PutUint32(frame[frameHeader:], c.last.Load())
		frame[frameHeader+7] = enhanceYourCalm
		if _, err := c.Conn.Write(frame); err != nil {
			return
		}
		if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
			half.CloseWrite()
		}
	}
}
