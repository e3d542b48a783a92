package proxy

import (
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/sallyport/sallyport/edge/http1"
)

// conn1 is a client's HTTP/1.1 connection, served by one goroutine. Between
// requests it holds one byte: what a request needs is taken when that has come
// and given back when nothing more is there.
type conn1 struct {
	*client
	listener *Listener // of the last request; before the first, the one in force
	first    [1]byte   // of what comes next, if waiting is over
	ahead    bool      // first is there
	asked    bool      // an earlier request was answered
	unread   bool      // bytes may be on their way that nobody wants
	torn     bool      // the end of the connection must not look like that of a body
	x        *exchange
	w        int // end of what was read into x.in
	r        int // and of what was taken of it
	scan     http1.Scanner
	rest     []byte // read beyond the end of a chunked body
	body     body1
	response response1
	watching watch
	reading  deadline // while a request is awaited
	sending  deadline
	limit    time.Duration // of a write, and of being idle
	since    time.Time     // idle; zero while it is not

	mu      sync.Mutex
	waiting bool // for a request
	ending  leave
}

const (
	lingerTime  = 500 * time.Millisecond
	lingerBytes = 1 << 20
	// maxDiscard is how much of a body is read that nobody wants, to keep the
	// connection.
	maxDiscard = 256 << 10
)

func newConn1(cl *client) *conn1 {
	c := &conn1{client: cl, listener: cl.Listener()}
	c.watching.conn = c
	cl.onEnd(c.drain)
	return c
}

// burst serves requests until none comes for a while, or until the connection
// ends and is closed.
func (c *conn1) burst() (quiet bool) {
	defer func() {
		if !quiet { // also when a panic goes through here
			c.close()
		}
	}()
	for {
		switch c.await() {
		case comes:
			if !c.serve() {
				return false
			}
		case stays:
			return true
		default:
			return false
		}
	}
}

// drain takes no more requests, or one more: then an idle connection ends at once,
// or stays until that has come.
func (c *conn1) drain(how leave) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ending = max(c.ending, how)
	if c.waiting && how == atOnce {
		c.Conn.Conn.SetReadDeadline(longAgo)
	}
}

// isDraining says whether a response that begins now is to be the last.
func (c *conn1) isDraining() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ending != notYet
}

// isOver says whether no other request is taken.
func (c *conn1) isOver() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ending == atOnce
}

// serve reads a request and answers it. It says whether the connection goes on.
func (c *conn1) serve() bool {
	if c.x == nil {
		c.x = newExchange(c.client)
		c.r, c.w = 0, 0
	}
	x := c.x
	if c.ahead {
		x.in[0], c.w, c.ahead = c.first[0], 1, false
	}
	if len(c.rest) > 0 {
		c.w = copy(x.in[:cap(x.in)], c.rest)
		c.rest = nil
	}
	c.scan = http1.Scanner{}
	x.started = time.Now()
	end, ok := c.readHead()
	if !ok {
		return false
	}
	x.started = time.Now()
	head := x.in[:end]
	c.r = end
	found := x.req.Parse(head)
	if found.Refused(http1.Monitor) {
		c.refuse(found, end)
		return false
	}
	return c.exchange(end)
}

// exchange serves the request that was read. It says whether the connection goes
// on, with what is left of the exchange in c.x if something was read ahead.
func (c *conn1) exchange(head int) bool {
	x := c.x
	c.body = body1{left: x.req.Length, chunked: x.req.Length < 0}
	// An answer of our own does not look at the body: what comes of it later must
	// not pass for the next request, nor the next request for it.
	c.body.held = x.req.Length != 0 && x.req.Minor > 0 && c.r == c.w && aboutOf(x.req.Fields).expects
	c.response = response1{}
	x.side = c
	x.record.ReceivedBytes = int64(head)
	if !c.client.begin() {
		return false
	}
	x.run()
	c.client.end()
	c.watching.stop()
	if x.req.Length != 0 {
		c.reading.reset() // the body had deadlines of its own
	}
	if x.listener != nil {
		c.listener = x.listener
	}
	c.asked = true
	keep := c.settle()
	if !keep {
		c.x = nil
		x.release()
		return false
	}
	return true
}

// settle ends a request whose exchange is over. It says whether another can
// follow it.
func (c *conn1) settle() bool {
	x := c.x
	if x.aborted || c.response.close || x.record.ELBStatusCode == http.StatusSwitchingProtocols {
		if !c.body.whole() {
			c.unread = true
		}
		c.torn = x.aborted && c.response.endless
		return false
	}
	if !c.body.whole() && !c.discard() {
		c.unread = true
		return false
	}
	if c.isOver() {
		return false
	}
	left := x.in[c.r:c.w]
	if len(left) == 0 {
		c.x = nil
		x.release()
		if len(c.rest) == 0 {
			return true
		}
		c.x = newExchange(c.client)
		c.r, c.w = 0, 0 // before grow, which takes along what is between them
		c.grow(len(c.rest))
		return true
	}
	if x.shared {
		next := newExchange(c.client)
		c.x = next
		c.w = 0
		c.grow(len(left))
		c.w = copy(next.in, left)
	} else {
		c.w = copy(x.in, left)
		x.renew()
	}
	c.r = 0
	return true
}

// grow makes room for n bytes in the exchange's buffer.
func (c *conn1) grow(n int) {
	for len(c.x.in) < n {
		in := make([]byte, 2*len(c.x.in))
		copy(in, c.x.in[:c.w])
		c.x.in = in
	}
}

// readHead reads until the head is there, and returns its size. The connection
// ends here if the client is too slow, or goes away.
func (c *conn1) readHead() (end int, ok bool) {
	x := c.x
	// The rest of the head mostly comes with its first byte, which has shown that the
	// deadline for that one has not passed: another is set only where it does not.
	timed, waits := false, c.Readable == nil || !c.reading.known()
	for {
		end, oversized := c.scan.End(x.in[:c.w], http1.MaxLine, http1.MaxHead)
		if oversized {
			c.tooLarge()
			return 0, false
		}
		if end > 0 {
			return end, true
		}
		if !timed && waits {
			timed = true
			c.reading.reset()
			c.Conn.Conn.SetReadDeadline(x.started.Add(c.timeouts(c.listener).RequestHead.Std()))
		}
		if c.w == len(x.in) {
			c.grow(c.w + 1)
		}
		n, err := c.Conn.Conn.Read(x.in[c.w:])
		c.w += n
		if n == 0 && err != nil && (timed || !isTimeout(err)) {
			return 0, false
		}
		waits = true
	}
}

// tooLarge answers a head beyond its limits: 414 for a request line (RFC 9112,
// section 3), else 400, as ALB does.
func (c *conn1) tooLarge() {
	if c.scan.InFirstLine() {
		c.refuseWith(http.StatusRequestURITooLong, http1.Finding{Class: http1.Severe, Reason: http1.ReasonTargetTooLarge}, c.w)
		return
	}
	c.refuse(http1.Finding{Class: http1.Severe, Reason: http1.ReasonHeadTooLarge}, c.w)
}

func (c *conn1) refuse(why http1.Finding, read int) {
	c.refuseWith(http.StatusBadRequest, why, read)
}

// refuseWith reports and answers what was refused before it was a request.
func (c *conn1) refuseWith(status int, why http1.Finding, read int) {
	x := c.x
	// Of the head nothing is to be relied on, but what is printed of it.
	x.req.Fields, x.req.Method, x.req.Major, x.req.Minor = nil, "", 1, 1
	x.side, x.closing, x.about, x.listener = c, true, about{}, nil
	c.response = response1{}
	c.body = body1{}
	c.unread = true
	now := time.Now()
	x.record = Record{
		Type: c.recordType(), Created: now, Client: c.Client, Server: c.Server,
		RequestProcessing: -1, TargetProcessing: -1, ResponseProcessing: -1,
		CipherSuite: c.CipherSuite, TLSVersion: c.TLSVersion, ServerName: c.ServerName, ConnTraceID: c.TraceID,
		ServerCertificate: c.ServerCertificate, Resumed: c.Resumed,
		ReceivedBytes:  int64(read),
		Classification: why.Class.String(), ClassificationReason: why.Reason,
	}
	if l := c.Listener(); l != nil {
		x.record.Listener, x.edits = l.Name, l.Response
	}
	x.record.ErrorReason, x.record.ELBStatusCode = ReasonMalformedRequest, status
	// Behind an answer, what does not even begin like a request is rather the end
	// of the last one, and nobody waits for what is said about it.
	if !c.asked || http1.IsToken(string(x.in[:1])) {
		x.answer(status, ReasonMalformedRequest, why.Reason)
	}
	x.record.Time = time.Now()
	c.server.access(&x.record)
	c.x = nil
	x.release()
}

// close closes the connection. Bytes that nobody has read make the kernel reset
// it, by which the client may lose the answer: so they are read away for a
// moment (RFC 9112, section 9.6).
func (c *conn1) close() {
	conn := c.Conn.Conn
	if c.torn {
		tear(conn)
		return
	}
	if c.unread {
		if cw, ok := conn.(closeWriter); ok {
			cw.CloseWrite()
		}
		conn.SetReadDeadline(time.Now().Add(lingerTime))
		io.CopyN(io.Discard, conn, lingerBytes)
	}
	conn.Close()
}

// tear resets a connection: with neither TLS's word for the end nor TCP's, a
// client of HTTP/1.0 cannot take what it has of a body for all of it.
func tear(conn net.Conn) {
	if secure, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = secure.NetConn()
	}
	if tcp, ok := conn.(interface{ SetLinger(seconds int) error }); ok {
		tcp.SetLinger(0)
	}
	conn.Close()
}
