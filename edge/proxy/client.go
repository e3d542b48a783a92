package proxy

import (
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/identity"
)

// client is a connection and what its requests share.
type client struct {
	*Conn
	server *Server
	ready  atomic.Pointer[prepared]

	frugal  *frugalConn // nil for HTTP/1.1
	flooded atomic.Bool // it was cut off

	mu        sync.Mutex
	inFlight  int
	wide      int // calls that have windows of full size
	abandoned int // streams of HTTP/2, less those answered since
	ended     bool
	idle      sync.Cond
}

func newClient(s *Server, c *Conn) *client {
	cl := &client{Conn: c, server: s}
	cl.idle.L = &cl.mu
	return cl
}

// gone is the ErrorReason of a request whose client went away, or was sent away.
func (c *client) gone() string {
	if c.flooded.Load() {
		return ReasonClientFlood
	}
	return ReasonClientClosed
}

// begin counts a request in. It says no once the connection is over: HTTP/2 may
// start a handler as late as that.
func (c *client) begin() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return false
	}
	c.inFlight++
	c.server.inFlight(1)
	return true
}

func (c *client) end() {
	c.server.inFlight(-1)
	c.mu.Lock()
	c.inFlight--
	c.mu.Unlock()
	c.idle.Signal()
}

// widen says whether another call may have a window of full size, until narrow. It
// bounds what the responses take up that one connection does not read: the window
// and the buffer of each, 96 KiB for wideStreams and 16 KiB for all others, which
// with 128 streams is 2.6 MiB.
func (c *client) widen() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.wide == wideStreams {
		return false
	}
	c.wide++
	return true
}

func (c *client) narrow() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wide--
}

// wait returns when the last request is over, and lets no other begin.
func (c *client) wait() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	for c.inFlight > 0 {
		c.idle.Wait()
	}
}

// recordType is that of an ordinary request on this connection.
func (c *client) recordType() string {
	switch {
	case c.ALPN == "h2":
		return "h2"
	case c.TLSVersion != "":
		return "https"
	}
	return "http"
}

// prepared is what all of a client's requests get under one configuration, made
// once: the fields behind those that are the client's own.
type prepared struct {
	listener *Listener
	// block is who the client is. Its connections share it, so it is not printed
	// for each: that would be most of what an idle connection takes.
	block        []identity.Field
	lines        []byte // the other fields, as they go on the wire
	forwardedFor string
	scheme       string
	portNumber   uint16
}

// prepare returns the fields of l, made anew only after a reload or when the
// client's header block is another one.
func (c *client) prepare(l *Listener) *prepared {
	var block []identity.Field
	if l.Secure && c.Identity != nil {
		block = c.Identity(l.Identity)
	}
	if p := c.ready.Load(); p != nil && p.listener == l && sameBlock(p.block, block) {
		return p
	}
	p := &prepared{listener: l, block: block, scheme: "http", portNumber: l.Port}
	if p.portNumber == 0 {
		p.portNumber = c.Server.Port()
	}
	if l.Secure {
		p.scheme = "https"
	}
	p.forwardedFor = forwardedAddr(c.Client, l.Attributes.XFFClientPort)
	p.add(identity.Field{Name: headerForwardedProto, Value: p.scheme}, identity.Field{Name: headerForwardedPort, Value: strconv.Itoa(int(p.portNumber))})
	if l.Secure && l.Attributes.TLSVersionAndCipherSuite {
		p.add(l.Identity.TLS(c.TLSVersion, c.CipherSuite)...)
	}
	c.ready.Store(p)
	return p
}

func (p *prepared) add(fields ...identity.Field) {
	for _, f := range fields {
		p.lines = appendField(p.lines, f.Name, f.Value)
	}
}

// appendTo appends all of them to a request's head.
func (p *prepared) appendTo(dst []byte) []byte {
	dst = append(dst, p.lines...)
	for i := range p.block {
		dst = appendField(dst, p.block[i].Name, p.block[i].Value)
	}
	return dst
}

// sameBlock says whether a and b are the same slice, not only alike.
func sameBlock(a, b []identity.Field) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// timeouts returns those of l. What is missing counts as the default: no
// connection is ever without them.
func (c *client) timeouts(l *Listener) config.Timeouts {
	var t config.Timeouts
	if l != nil {
		t = l.Timeouts
	}
	if t.Idle <= 0 {
		t.Idle = config.Duration(60 * time.Second)
	}
	if t.RequestHead <= 0 {
		t.RequestHead = config.Duration(10 * time.Second)
	}
	return t
}
