package edge

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/sallyport/sallyport/edge/connlog"
	"github.com/sallyport/sallyport/edge/identity"
	"github.com/sallyport/sallyport/edge/proxy"
	"github.com/sallyport/sallyport/edge/reason"
	"github.com/sallyport/sallyport/edge/securitypolicy"
)

// serve is a connection's way from the accepted socket to its end. When ctx is
// done it is to end.
//
// It is served by one goroutine after another: the handshake and the requests that
// follow at once by one with a stack that suffices for them; a connection that is
// quiet by a fresh one, since a stack that has grown shrinks little.
func (s *Server) serve(ctx context.Context, sock *socket, raw net.Conn) {
	c := newConn(raw, sock, s.tickets, time.Now())
	s.connections.add(c)
	if ctx.Err() != nil {
		c.finish() // too late to be told with the others
	}

	// No path out of here escapes this: the record is written and the socket
	// closed whatever happens in between, a panic included.
	passedOn := false
	defer func() {
		if !passedOn {
			s.leave(c, recover())
		}
	}()
	growStack()
	if refused := s.admit(c); refused != nil {
		s.refuse(c, refused)
		if c.tls != nil {
			c.wire.linger()
		}
		return
	}
	c.outcome = reason.Success
	if refused := s.authorize(c); refused != nil {
		c.outcome, c.cause = refused.Code, refused.Cause.Error()
	}
	s.logConnection(c)
	c.limitLife(time.Now())
	// From here on a sweep sees it; what changed since the handshake judged it,
	// no sweep has told.
	c.admitted.Store(true)
	s.recheck(c, time.Now())

	if c.policy.page != nil {
		s.servePage(c)
		return
	}
	session := s.proxy.Begin(s.proxied(c))
	if session.Serve() {
		passedOn = true
		sock.connections.Go(func() { s.keep(c, session) })
	}
}

// keep waits on a quiet connection, and then serves it until it is quiet again or
// ends.
func (s *Server) keep(c *Conn, session *proxy.Session) {
	passedOn := false
	defer func() {
		if !passedOn {
			s.leave(c, recover())
		}
	}()
	if session.Wait() && session.Serve() {
		passedOn = true
		c.socket.connections.Go(func() { s.keep(c, session) })
	}
}

// growStack grows the goroutine's stack to what a handshake needs, while there is
// nothing on it: to grow it again and again in the middle means to copy, and to
// mend every pointer into it, as often.
//
//go:noinline
func growStack() {
	var room [handshakeStack]byte
	runtime.KeepAlive(&room)
}

// handshakeStack is what a handshake with the usual keys takes, and a little less
// than a stack's size, which is a power of two.
const handshakeStack = 12 << 10

// admit judges a connection, up to the end of its handshake.
func (s *Server) admit(c *Conn) *reason.Error {
	if refused := s.refuseBanned(c); refused != nil {
		return refused
	}
	if refused := c.socket.admit(c); refused != nil {
		return refused
	}
	if c.policy.trusts(c.client.Addr()) {
		c.wire.SetDeadline(c.accepted.Add(c.policy.cfg.Limits.HandshakeTimeout.Std()))
		if refused := c.readProxyHeader(); refused != nil {
			return refused
		}
		c.wire.SetDeadline(time.Time{})
		if refused := s.refuseBanned(c); refused != nil { // whom the proxy names
			return refused
		}
	}
	if refused := c.socket.admitAddress(c); refused != nil {
		return refused
	}
	if c.policy.tls == nil {
		return nil
	}
	return s.secure(c)
}

// secure runs the handshake within its deadline and its listener's limit on
// handshakes at once.
func (s *Server) secure(c *Conn) *reason.Error {
	limits := c.policy.cfg.Limits
	deadline := c.accepted.Add(limits.HandshakeTimeout.Std())
	c.wire.SetDeadline(deadline)
	turn := &handshakeTurn{turns: c.policy.handshakes, deadline: deadline}
	c.wire.shaking = turn
	defer func() {
		turn.wait() // also when a panic goes through here
		c.wire.shaking = nil
	}()
	refused := s.doHandshake(c, time.Now)
	if refused == nil {
		c.wire.SetDeadline(time.Time{})
		return nil
	}
	if errors.Is(refused.Cause, errNoTurn) {
		return reason.Errorf(reason.LimitExceeded, "%d handshakes at once on listener %s: no turn within %s",
			limits.Handshakes, c.policy.name, limits.HandshakeTimeout)
	}
	if alert, ok := turn.alert(); ok && refused.Code == reason.ProtocolError {
		return reason.Errorf(reason.ClientAlert, "remote error: %w", alert)
	}
	return refused
}

// refuse notes why a connection is turned away.
func (s *Server) refuse(c *Conn, refused *reason.Error) {
	c.outcome, c.cause = refused.Code, refused.Cause.Error()
	if isOurs(c.outcome) {
		s.log.Error("connection failed for a reason of our own",
			"conn_trace_id", c.traceID, "listener", c.policy.name, "code", c.outcome, "cause", c.cause)
	}
	s.logConnection(c)
}

// leave is the last thing done for a connection, on every path; panicked is what
// the goroutine that served it has panicked with, if it has.
func (s *Server) leave(c *Conn, panicked any) {
	if panicked != nil {
		s.log.Error("panic while serving a connection", "conn_trace_id", c.traceID, "panic", panicked, slog.String("stack", string(debug.Stack())))
		if !c.logged {
			c.outcome, c.cause = reason.InternalError, "panic"
		}
		end := connlog.Error
		c.ending.CompareAndSwap(nil, &end)
	}
	s.logConnection(c)
	if c.outcome == reason.Success {
		s.logEnd(c)
	}
	if c.life != nil {
		c.life.Stop()
	}
	c.stream().Close()
	c.socket.release(c)
	s.connections.remove(c)
}

// logConnection writes the connection's one record, when the verdict on it has
// fallen; a second call does nothing.
func (s *Server) logConnection(c *Conn) {
	if c.logged {
		return
	}
	c.logged = true
	s.observe(c)
	s.metrics.connection(c.policy.name, c.outcome, c.tls != nil, c.handshake)
	if c.tls != nil || c.outcome != reason.Success {
		s.history.Count(c.outcome)
	}
	s.traceConnection(c)
	sink := s.generation.Load().logs.connection
	if sink == nil && c.outcome == reason.Success {
		return // nobody reads it, and printing names costs microseconds
	}
	record := s.record(c)
	if c.outcome != reason.Success {
		s.failures.add(record)
	}
	sink.print(&record)
}

func (s *Server) logEnd(c *Conn) {
	now := time.Now()
	ending := connlog.Ending{
		Time:          now,
		TraceID:       c.traceID,
		Client:        c.client,
		Listener:      c.policy.name,
		End:           c.wire.end(),
		Duration:      now.Sub(c.accepted),
		BytesReceived: c.wire.received.Load(),
		BytesSent:     c.wire.sent.Load(),
		Requests:      c.requests(),
	}
	if end := c.ending.Load(); end != nil {
		ending.End = *end
	}
	if cause := c.endCause.Load(); cause != nil {
		ending.Cause = *cause
	}
	s.metrics.ended(c.policy.name, ending.End)
	s.generation.Load().logs.connection.end(&ending)
}

// flooded notes that the proxy cuts the connection off, and why.
func (s *Server) flooded(c *Conn, cause string) {
	s.metrics.floods.WithLabelValues(c.policy.name).Inc()
	if end := connlog.Error; c.ending.CompareAndSwap(nil, &end) {
		c.endCause.Store(&cause)
	}
}

// record is the connection as its log prints it.
func (s *Server) record(c *Conn) connlog.Record {
	now := time.Now()
	g := s.generation.Load()
	r := connlog.Record{
		Time:              now,
		Elapsed:           now.Sub(c.accepted),
		TraceID:           c.traceID,
		Client:            c.client,
		Server:            c.server,
		Peer:              c.peer,
		Listener:          c.policy.name,
		LoadBalancer:      g.loadBalancer,
		Plaintext:         c.policy.tls == nil,
		HandshakeLatency:  c.handshake,
		ServerName:        c.hello.serverName,
		JA4:               c.hello.ja4,
		ServerCertificate: c.hello.certificate,
		Mode:              string(c.mode()),
		Status:            c.outcome,
		Cause:             c.cause,
	}
	if c.tls != nil {
		state := c.tls.ConnectionState()
		r.TLSVersion, r.CipherSuite = tlsNames(&state)
		if state.HandshakeComplete {
			r.KeyExchange = securitypolicy.GroupName(state.CurveID)
		}
		r.ALPN = state.NegotiatedProtocol
		r.Resumed = state.DidResume
	}
	if len(c.presented) > 0 {
		leaf := c.presented[0]
		r.PresentedCertificates = len(c.presented)
		r.LeafSubject = identity.Subject(leaf)
		r.LeafIssuer = identity.Issuer(leaf)
		r.LeafValidity = identity.Validity(leaf)
		r.LeafSerial = identity.Serial(leaf)
		r.LeafSHA256 = sha256.Sum256(leaf.Raw)
	}
	if c.admission != nil {
		r.TrustStore = c.admission.mutual.TrustStore
	}
	if g.tracer != nil {
		r.Trace, _ = connectionTrace(c.traceID)
	}
	// Only a handshake that came to its end has proved that the client holds the
	// key of what it presented.
	r.Authenticated = (c.outcome == reason.Success || c.judgement.Load() != nil) && len(c.presented) > 0
	if c.verified != nil {
		r.TrustStoreGeneration = c.verified.Generation
		if c.verified.ExpiryIgnored {
			r.Ignored = reason.ClientCertExpired
		}
	}
	return r
}

// tlsNames returns version and suite as ALB prints them, "" before they are
// agreed on.
func tlsNames(state *tls.ConnectionState) (version, suite string) {
	if state.Version != 0 {
		version = securitypolicy.VersionName(state.Version)
	}
	if state.CipherSuite != 0 {
		suite = securitypolicy.CipherSuiteName(state.CipherSuite)
	}
	return version, suite
}
