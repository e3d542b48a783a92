package edge

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/edge/connlog"
	"github.com/sallyport/sallyport/edge/identity"
	"github.com/sallyport/sallyport/edge/proxy"
	"github.com/sallyport/sallyport/edge/reason"
	"github.com/sallyport/sallyport/edge/truststore"
)

// Conn is one client's connection on its way from the listener to the target:
// the one value that travels. Its goroutine owns it; what others read is atomic
// or fixed before they can see it.
type Conn struct {
	traceID  string
	accepted time.Time
	client   netip.AddrPort
	server   netip.AddrPort
	socket   *socket
	policy   *policy // the listener's, as it was at the handshake
	wire     *wire
	tls      *tls.Conn // nil on a plain listener

	// What the handshake showed. presented is what the client claims;
	// verified is set only once the handshake has proved it.
	hello     hello
	presented []*x509.Certificate
	verified  *truststore.Verified
	handshake time.Duration

	outcome  reason.Code
	cause    string
	logged   bool
	admitted atomic.Bool // what is above may be read by others from here on

	identity atomic.Pointer[identityBlock]
	ending   atomic.Pointer[connlog.End] // why the edge ends it, if it does
	finish   context.CancelFunc          // ends it gracefully
	lookups  atomic.Int64                // of the listener's rules: one at the beginning and one for each request
}

// hello is what of a ClientHello the edge keeps.
type hello struct {
	serverName  string
	certificate string // name of the edge's certificate shown
	unknownName bool   // refused for its server name
}

// identityBlock is the header block of this client under one set of header
// names: it is built once, and again only if a reload changes the names.
type identityBlock struct {
	headers *identity.Headers
	fields  []identity.Field
}

func newConn(raw net.Conn, s *socket, now time.Time) *Conn {
	return &Conn{
		traceID:  connlog.NewTraceID(),
		accepted: now,
		client:   addrPort(raw.RemoteAddr()),
		server:   addrPort(raw.LocalAddr()),
		socket:   s,
		policy:   s.policy.Load(),
		wire:     &wire{Conn: raw},
		outcome:  reason.UnmappedConnectionError,
	}
}

// addrPort returns a's address, IPv4 as such also on a dual-stack socket.
func addrPort(a net.Addr) netip.AddrPort {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	ap := tcp.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

// stream is the connection as HTTP sees it.
func (c *Conn) stream() net.Conn {
	if c.tls != nil {
		return c.tls
	}
	return c.wire
}

// proxied is the connection as the proxy needs it.
func (c *Conn) proxied() *proxy.Conn {
	p := &proxy.Conn{
		Conn:       c.stream(),
		TraceID:    c.traceID,
		Client:     c.client,
		Server:     c.server,
		ServerName: c.hello.serverName,
		Listener:   c.currentListener,
		Identity:   c.identityFields,
	}
	if c.tls != nil {
		state := c.tls.ConnectionState()
		p.ALPN = state.NegotiatedProtocol
		p.TLSVersion, p.CipherSuite = tlsNames(&state)
	}
	return p
}

// currentListener returns what the listener makes of requests now. A listener
// that a reload took away keeps its last rules for the connections it still has.
func (c *Conn) currentListener() *proxy.Listener {
	c.lookups.Add(1)
	return c.socket.policy.Load().http
}

// requests counts the requests made so far.
func (c *Conn) requests() int64 { return max(0, c.lookups.Load()-1) }

// identityFields returns the headers that tell a target who this client is, in
// the mode it was admitted in: of a verified leaf, or of a presented chain, never
// of both.
func (c *Conn) identityFields(h *identity.Headers) []identity.Field {
	if block := c.identity.Load(); block != nil && block.headers == h {
		return block.fields
	}
	block := &identityBlock{headers: h}
	switch {
	case c.verified != nil:
		block.fields = h.Verified(c.verified.Path[0])
	case len(c.presented) > 0 && c.policy.passthrough():
		block.fields = h.Presented(c.presented)
	}
	c.identity.Store(block)
	return block.fields
}

// endWith makes the connection finish what it is doing and then end, for the
// given reason; the first reason counts.
func (c *Conn) endWith(end connlog.End) {
	c.ending.CompareAndSwap(nil, &end)
	c.finish()
}
