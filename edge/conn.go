package edge

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/edge/accesslog"
	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/connlog"
	"github.com/sallyport/sallyport/edge/identity"
	"github.com/sallyport/sallyport/edge/pluginhost"
	"github.com/sallyport/sallyport/edge/proxy"
	"github.com/sallyport/sallyport/edge/reason"
	"github.com/sallyport/sallyport/edge/tickets"
	"github.com/sallyport/sallyport/edge/truststore"
)

// Conn is one client's connection on its way from the listener to the target:
// the one value that travels. Its goroutine owns it; what others read is atomic
// or fixed before they can see it.
type Conn struct {
	traceID  string
	accepted time.Time
	client   netip.AddrPort // the direct peer, or whom a trusted proxy named
	server   netip.AddrPort
	peer     netip.AddrPort // the trusted proxy, if there is one
	socket   *socket
	policy   *policy // the listener's, as it was at the accept
	wire     *wire
	tls      *tls.Conn // nil on a plain listener
	tickets  *tickets.Store

	// What the handshake showed. presented is what the client claims;
	// verified is set only once the handshake has proved it.
	hello     hello
	admission *admission // by the server name asked for; nil before, and on a plain listener
	presented []*x509.Certificate
	verified  *truststore.Verified
	handshake time.Duration
	checked   checked

	// What the socket has counted in, and is to count out again.
	counted        bool
	countedAddress netip.Addr

	outcome  reason.Code
	cause    string
	logged   bool
	admitted atomic.Bool // what is above may be read by others from here on

	identity atomic.Pointer[identityBlock]

	// What plugins are told of the connection, and what they say. judging is held
	// by who asks them anew.
	facts     atomic.Pointer[pluginhost.Connection]
	judgement atomic.Pointer[judgement]
	judging   sync.Mutex
	hinted    int                 // failures that plugins have seen in the connection; under judging
	verdicts  []accesslog.Verdict // at first, where they are traced

	ending   atomic.Pointer[connlog.End] // why the edge ends it, if it does
	endCause atomic.Pointer[string]      // and what a person should know of it
	life     *time.Timer                 // ends it when its time is over; nil for never
	http     proxy.Conn                  // as the proxy sees it
	finished atomic.Bool                 // finish was called
	onFinish atomic.Pointer[func()]      // what else is told then; it does not block
	lookups  atomic.Int64                // of the listener's rules: one at the beginning and one for each request
}

// hello is what of a ClientHello the edge keeps.
type hello struct {
	serverName  string
	certificate string // name of the edge's certificate shown
	shown       *x509.Certificate
	unknownName bool // refused for its server name
	challenge   bool // answered for a CA's sake, and for nothing else
	ja4         string
}

// identityBlock is the header block of this client under one set of header
// names: it is built once, and again only if a reload changes the names.
type identityBlock struct {
	headers *identity.Headers
	path    []*x509.Certificate // that a verified client was let in by
	server  *x509.Certificate   // that it was shown
	fields  []identity.Field
}

// suits says whether the block is also that of a client with the same leaf.
func (b *identityBlock) suits(h *identity.Headers, path []*x509.Certificate, server *x509.Certificate) bool {
	return b.headers == h && b.server == server && slices.Equal(b.path, path)
}

func newConn(raw net.Conn, s *socket, store *tickets.Store, now time.Time) *Conn {
	return &Conn{
		traceID:  connlog.NewTraceID(),
		accepted: now,
		client:   addrPort(raw.RemoteAddr()),
		server:   addrPort(raw.LocalAddr()),
		socket:   s,
		policy:   s.policy.Load(),
		wire:     &wire{Conn: raw},
		tickets:  store,
		outcome:  reason.UnmappedConnectionError,
	}
}

// addrPort returns a's address, IPv4 as such also on a dual-stack socket.
func addrPort(a net.Addr) netip.AddrPort {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	return unmapped(tcp)
}

// stream is the connection as HTTP sees it.
func (c *Conn) stream() net.Conn {
	if c.tls != nil {
		return c.tls
	}
	return c.wire
}

// proxied is the connection as the proxy needs it.
func (s *Server) proxied(c *Conn) *proxy.Conn {
	p := &c.http
	p.Judge = judge{s, c}
	p.Conn = c.stream()
	p.TraceID = c.traceID
	p.Client, p.Server = c.client, c.server
	p.ServerName = c.hello.serverName
	p.Listener = c.currentListener
	p.Identity = c.identityFields
	p.Misdirected = c.misdirected
	if c.wire.socket() != nil {
		p.Readable = c.wire.readable
	}
	if c.tls != nil {
		p.More = c.wire.more
		state := c.tls.ConnectionState()
		p.ALPN = state.NegotiatedProtocol
		p.TLSVersion, p.CipherSuite = tlsNames(&state)
		p.ServerCertificate, p.Resumed = c.hello.certificate, state.DidResume
		if p.ALPN == "h2" {
			p.Flooded = func(cause string) { s.flooded(c, cause) }
		}
	}
	return p
}

// finish ends the connection gracefully. Where another process has the listening
// socket, and there is no other haste, a request that is on its way is waited for.
func (c *Conn) finish() {
	c.finished.Store(true)
	if tell := c.onFinish.Load(); tell != nil {
		(*tell)()
	}
	if end := c.ending.Load(); c.socket.patient.Load() && (end == nil || *end == connlog.Drained) {
		c.http.EndAfterNext()
		return
	}
	c.http.End()
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
	// A client's connections share what is made of its chain, where they were let
	// in by the same of its paths: once a CA on one is revoked, it is by another.
	var shared *atomic.Value
	block := &identityBlock{headers: h}
	if c.verified != nil {
		block.path, block.server = c.verified.Path, c.shown()
	}
	if c.verified != nil && c.verified.Chain != nil {
		shared = &c.verified.Chain.Memo
		if known, ok := shared.Load().(*identityBlock); ok && known.suits(h, block.path, block.server) {
			c.identity.Store(known)
			return known.fields
		}
	}
	switch {
	case c.verified != nil:
		block.fields = h.Verified(identity.Client{Path: c.verified.Path, Server: block.server})
		if shared != nil {
			shared.Store(block)
		}
	case len(c.presented) > 0 && c.admission.mode() == config.ModePassthrough:
		block.fields = h.Presented(c.presented)
	}
	c.identity.Store(block)
	return block.fields
}

// shown is the edge's certificate that the client was shown. In a resumed session
// none is: then it is the one that a client who asks for the same name is shown.
func (c *Conn) shown() *x509.Certificate {
	if c.hello.shown != nil {
		return c.hello.shown
	}
	if c.policy.selector == nil {
		return nil
	}
	pair, err := c.policy.selector.Pick(&tls.ClientHelloInfo{ServerName: c.hello.serverName})
	if pair == nil || err != nil {
		return nil
	}
	return pair.Leaf()
}

// endWith makes the connection finish what it is doing and then end, for the
// given reason; the first reason counts.
func (c *Conn) endWith(end connlog.End) {
	c.ending.CompareAndSwap(nil, &end)
	c.finish()
}

// mode is the one that the client was judged in, or the listener's if it did not
// come to that.
func (c *Conn) mode() config.Mode {
	if c.admission != nil {
		return c.admission.mode()
	}
	return c.policy.cfg.MutualAuthentication.Mode
}

// misdirected says whether a request for this host must not be served on this
// connection: somebody judged more mildly than that host's clients are must not
// reach it by a borrowed name, and a connection that is to end for its client's
// sake takes no more requests.
func (c *Conn) misdirected(host string) bool {
	if end := c.ending.Load(); end != nil && !patient(*end) {
		return true
	}
	return !c.judgedAs(c.socket.policy.Load().admissions.ofHost(host))
}

// judgedAs says whether this connection was judged as these clients are; nil is
// those of a plain listener, who are nobody.
func (c *Conn) judgedAs(a *admission) bool {
	if c.admission == nil || a == nil {
		return c.admission == a
	}
	return c.admission.digest == a.digest
}
