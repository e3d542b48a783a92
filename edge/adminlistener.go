package edge

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/sallyport/sallyport/edge/identity"
	"github.com/sallyport/sallyport/edge/page"
	"github.com/sallyport/sallyport/edge/proxy"
	"github.com/sallyport/sallyport/edge/servercert"
)

// adminListenerName is what logs and metrics call the admin listener. No listener
// of the configuration can have it, for its dot.
const adminListenerName = "admin.listener"

// pageAccess is what those may do whom the admin listener lets in.
type pageAccess struct{ handler http.Handler }

// adminListener makes the admin listener's policy: the same that a listener has, so
// that its clients are judged by the same code, with the page behind it.
func (b *builder) adminListener() {
	cfg := b.cfg.Admin.Listener
	if !cfg.On() {
		return
	}
	l := cfg.Listener()
	tlsPolicy, err := b.securityPolicy(l.SecurityPolicy)
	if err != nil {
		b.problem("admin.listener", "%v", err)
		return
	}
	admission := b.admission("admin.listener", l.MutualAuthentication, l)
	if admission == nil {
		return
	}
	headers, err := identity.Compile(l.IdentityHeaders)
	if err != nil {
		b.problem("admin.listener", "%v", err)
		return
	}
	certificates := b.shown(l)
	p := newPolicy(adminListenerName, l, tlsPolicy, servercert.NewSelector(certificates, false),
		admissions{byDefault: admission}, &proxy.Listener{Name: adminListenerName, Secure: true, Identity: headers})
	p.page = &pageAccess{}
	if b.page != nil {
		p.page.handler = b.page.Handler(page.Access{Actions: cfg.Actions, Host: func(name string) bool {
			return slices.ContainsFunc(certificates, func(c *servercert.Certificate) bool {
				leaf := c.Leaf() // nil until a CA has issued it
				return leaf != nil && leaf.VerifyHostname(name) == nil
			})
		}})
	}
	b.next.policies[adminListenerName] = p
}

// Bounds of a connection that the page is served on.
const (
	pageHeadTime = 10 * time.Second
	pageIdle     = 2 * time.Minute
	pageFinish   = 500 * time.Millisecond // for answers under way, when it is to end
)

// servePage serves the page on a connection whose client was let in, until it ends.
func (s *Server) servePage(c *Conn) {
	one := &oneConn{conn: c.stream(), ended: make(chan struct{}), shut: make(chan struct{})}
	begun := make(chan struct{})
	begin := sync.OnceFunc(func() { close(begun) })
	server := &http.Server{
		Handler:           s.logPage(c, http.HandlerFunc(c.page)),
		ReadHeaderTimeout: pageHeadTime,
		IdleTimeout:       pageIdle,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
		ConnState: func(_ net.Conn, state http.ConnState) {
			switch state {
			case http.StateActive:
				begin()
			case http.StateClosed:
				close(one.ended)
			}
		},
	}
	over := make(chan struct{})
	tell := sync.OnceFunc(func() { close(over) })
	c.onFinish.Store(&tell)
	if c.finished.Load() {
		tell()
	}
	c.lookups.Add(1) // as a proxied connection's beginning is one
	var watch sync.WaitGroup
	watch.Go(func() {
		select {
		case <-over:
			// Not Shutdown: after that, a request that is read is not answered, nor a
			// connection served that the server has not got yet.
			server.SetKeepAlivesEnabled(false)
			if end := c.ending.Load(); end == nil || patient(*end) {
				select {
				case <-begun: // the first request, for pageHeadTime at most
				case <-one.ended:
				}
			}
			finish := time.NewTimer(pageFinish)
			defer finish.Stop()
			select {
			case <-finish.C:
				server.Close()
			case <-one.ended:
			}
		case <-one.ended:
		}
	})
	server.Serve(one) // says that the listener is closed, or that there is no more
	if !one.taken {   // it was closed before
		one.conn.Close()
		close(one.ended)
	}
	<-one.ended
	watch.Wait()
}

// page answers one request for the page.
func (c *Conn) page(w http.ResponseWriter, r *http.Request) {
	c.lookups.Add(1)
	// As it is now: a reload may have taken actions away, or the page.
	access := c.socket.policy.Load().page
	if end := c.ending.Load(); access == nil || end != nil && !patient(*end) {
		w.Header().Set("Connection", "close")
		http.Error(w, "this connection is to end", http.StatusMisdirectedRequest)
		return
	}
	access.handler.ServeHTTP(w, r.WithContext(c.visitor().Context(r.Context())))
}

// visitor is who asks on a connection for the page.
func (c *Conn) visitor() page.Visitor {
	v := page.Visitor{slog.String("via", "admin listener")}
	if c.verified != nil && len(c.verified.Path) > 0 {
		leaf := c.verified.Path[0]
		v = append(v, slog.String("subject", identity.Subject(leaf)), slog.String("serial", identity.Serial(leaf)), slog.String("issuer", identity.Issuer(leaf)))
	}
	return append(v, slog.String("client_ip", c.client.Addr().String()), slog.String("conn_trace_id", c.traceID))
}

// oneConn is a net.Listener with one connection.
type oneConn struct {
	conn  net.Conn
	taken bool
	ended chan struct{} // closed when the connection has ended
	shut  chan struct{}
	once  sync.Once
}

// Accept returns the connection, and then waits for its end.
func (l *oneConn) Accept() (net.Conn, error) {
	if !l.taken {
		l.taken = true
		return l.conn, nil
	}
	select {
	case <-l.ended:
	case <-l.shut:
	}
	return nil, io.EOF
}

func (l *oneConn) Close() error {
	l.once.Do(func() { close(l.shut) })
	return nil
}

func (l *oneConn) Addr() net.Addr { return l.conn.LocalAddr() }
