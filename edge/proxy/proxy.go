// Package proxy serves HTTP on a client's connection whose handshake is done:
// HTTP/1.1 and HTTP/2 in, and both out.
//
// The way of a request: conn1.go or conn2.go (the protocol) → exchange.go (one
// request and its record) → request.go (what a target may see of it) → action.go
// → forward.go → response.go or upgrade.go. Both protocols fill the same request,
// an http1.Request, and are a side to the exchange; how a target is spoken to is
// forward.go's, on connections that target.go makes and pool.go keeps, or for
// HTTP/2 call.go's, on those of sharedpool.go.
package proxy

import (
	"log"
	"log/slog"
	"net"
	"net/netip"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/http1"
	"github.com/sallyport/sallyport/edge/identity"
)

// Listener is what a listener's configuration makes of requests. It is
// immutable. One without Strip or Action answers every request with an error.
type Listener struct {
	Name   string
	Secure bool   // https: clients may have an identity, and targets are told "https"
	Port   uint16 // what X-Forwarded-Port and redirects say; 0 for the port the client came in by
	Action Action
	// Strip names the headers that a client may not send.
	Strip *identity.Stripper
	// Identity makes the headers that only the edge may send.
	Identity   *identity.Headers
	Attributes config.Attributes
	Timeouts   config.Timeouts
	// Desync says which requests are refused that other servers may read
	// differently. They are in the access log in any mode.
	Desync http1.Mode
	// Response are changes of the header of every response, a target's as well as
	// the edge's own, after all others.
	Response http1.Edits
	// Respond, if not nil, gets each final response before its head is sent, one
	// of the edge's own as well, and may change its fields; not its status, nor
	// what frames it. Neither value may be kept, nor anything of them: their
	// strings are in buffers that are used again. Called concurrently.
	Respond func(*http1.Request, *http1.Response)
	// Challenge, if not nil, returns what a CA that checks the host by HTTP-01 is
	// to be told (RFC 8555, section 8.3), before the action has a say; ok is false
	// for a token that is none. Only for listeners without Secure.
	Challenge func(host, token string) (answer string, ok bool)
	// Judged says that each request is put before its connection's Judge, once
	// nothing else stands against it.
	Judged bool
	// Tracer, if not nil, gives each request its place in a trace, which the record
	// has and the target is told in the place of what the client says. Without one,
	// a client's traceparent and tracestate pass. TrustParent says that the client's
	// place is the request's parent.
	Tracer      Tracer
	TrustParent bool
}

// Conn is a client's connection as the proxy needs it.
type Conn struct {
	// Conn is the *tls.Conn itself after its handshake, or a plain connection.
	// Where it has CloseWrite, WebSockets can be half closed.
	Conn net.Conn
	// ALPN is the protocol agreed on: h2, or anything else for HTTP/1.1.
	ALPN string
	// TraceID is the connection's, TID_ and 32 hex digits.
	TraceID string
	// Client and Server are the connection's two ends.
	Client, Server netip.AddrPort
	// TLSVersion and CipherSuite as ALB prints them, and the client's SNI; empty
	// on a plain connection.
	TLSVersion, CipherSuite, ServerName string
	// ServerCertificate is the configured name of the certificate that the client
	// was shown; Resumed says that its session is an earlier one. For the log.
	ServerCertificate string
	Resumed           bool
	// Listener returns the configuration now in force. It is called when the
	// connection begins, for its timeouts, and then once per request (malformed
	// ones included), concurrently for requests of one HTTP/2 connection.
	Listener func() *Listener
	// Identity returns the header fields that tell a target who this client is,
	// under the given names; none if nil. It is called once per request, as
	// Listener is, and should return the same slice each time: the proxy then
	// reuses what it made of it. It is not called on a listener without Secure.
	Identity func(*identity.Headers) []identity.Field
	// Misdirected says whether a request for this host, as Host or :authority
	// has it, must not be served on this connection, because clients of that
	// host are judged otherwise than this one was, or this one would be let in no
	// more: it is answered 421 (RFC 9110, section 15.5.20). It is called once per
	// request, as Listener is. Never if nil.
	Misdirected func(host string) bool
	// Judge decides about requests on listeners with Judged. Without one they are
	// refused there.
	Judge Judge
	// Readable waits until there is something to be read, below TLS, or the
	// connection's end, and reads nothing of it. It returns nil then, and an error
	// when Conn's read deadline passes. A connection that is idle for some time is
	// waited for by it, with less memory than a reader needs; by reading, if nil.
	Readable func() error

	// More says of a connection of TLS that the next n records written are each
	// followed by another at once, so that they need not be sent one by one. With 0
	// none is, and what was kept back is sent. Nobody is told, if nil.
	More func(n int)

	// Flooded, if not nil, is told, once, why the proxy cuts a client of HTTP/2 off:
	// before anything of it shows. It must not block.
	Flooded func(cause string)

	ending ending
}

// Options are what a Server reports to.
type Options struct {
	// Log gets faults of ours; details of single clients at level debug. Default
	// slog.Default().
	Log *slog.Logger
	// Access gets the record of each request once it is over. The record may be
	// changed but not kept, nor may its strings, which are in buffers that are
	// used again. Called concurrently.
	Access func(*Record)
	// InFlight gets 1 when a request begins and -1 when it is over. Called
	// concurrently.
	InFlight func(delta int)
}

// Server serves HTTP on connections handed to it. Any number of goroutines may
// use one.
type Server struct {
	log      *slog.Logger
	protocol *log.Logger // what net/http has to say about single clients
	access   func(*Record)
	inFlight func(int)
}

// New returns a Server; it starts nothing.
func New(o Options) *Server {
	s := &Server{log: o.Log, access: o.Access, inFlight: o.InFlight}
	if s.log == nil {
		s.log = slog.Default()
	}
	if s.access == nil {
		s.access = func(*Record) {}
	}
	if s.inFlight == nil {
		s.inFlight = func(int) {}
	}
	s.protocol = slog.NewLogLogger(s.log.Handler(), slog.LevelDebug)
	return s
}
