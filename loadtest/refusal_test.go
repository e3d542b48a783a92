package loadtest

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"syscall"
	"testing"
)

// wantKind fails the test unless all that went wrong was of one kind.
func wantKind(t testing.TB, r *Result, kind string, refusal bool) {
	t.Helper()
	if len(r.Errors) != 1 || r.Errors[0].Kind != kind || r.Errors[0].Refusal != refusal {
		t.Errorf("got %+v, want kind %q only, refusal %t", r.Errors, kind, refusal)
	}
}

// TestRefusedByAlert has servers say no with a TLS alert: in TLS 1.3 that comes
// after the client's handshake has returned.
func TestRefusedByAlert(t *testing.T) {
	t.Parallel()
	judge := func(c *tls.Config) {
		c.VerifyPeerCertificate = func([][]byte, [][]*x509.Certificate) error { return errors.New("revoked") }
	}
	for _, refusal := range []struct {
		name, kind string
		kind12     string // where TLS 1.2 has another word for it
		client     tls.Certificate
		edit       func(*tls.Config)
	}{
		{name: "of another CA", kind: "tls alert unknown certificate authority", client: authority().stranger.TLSCertificate(), edit: func(*tls.Config) {}},
		{name: "judged bad", kind: "tls alert bad certificate", client: authority().alice.TLSCertificate(), edit: judge},
		{name: "none", kind: "tls alert certificate required", kind12: "tls alert handshake failure", edit: func(*tls.Config) {}},
	} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			target := serve(t, ok, onlyVersion(version), refusal.edit)
			for _, way := range []struct {
				scenario Scenario
				protocol Protocol
				profile  string
			}{
				{Handshake, HTTP1, "go"}, {Handshake, HTTP2, "go"}, {Request, HTTP1, "go"}, {Request, HTTP2, "go"},
				{Handshake, HTTP1, "chrome"}, {Handshake, HTTP2, "chrome"},
			} {
				t.Run(fmt.Sprint(refusal.name, "/", tls.VersionName(version), "/", way), func(t *testing.T) {
					p := planFor(target, way.scenario)
					p.Clients = []tls.Certificate{refusal.client}
					p.Protocol, p.Profile, p.ExpectRefusal = way.protocol, way.profile, true
					kind := refusal.kind
					if version == tls.VersionTLS12 && refusal.kind12 != "" {
						kind = refusal.kind12
					}
					r := run(t, p)
					wantUnits(t, r, 0, 6, 0)
					wantKind(t, r, kind, true)
					if r.Units.Rate != 0 || r.Latency.Count != 0 {
						t.Errorf("units refused are in the rate %g, or in %d latencies", r.Units.Rate, r.Latency.Count)
					}
				})
			}
		}
	}
}

// TestRefusedByStatus has servers say no in HTTP.
func TestRefusedByStatus(t *testing.T) {
	t.Parallel()
	for _, protocol := range []Protocol{HTTP1, HTTP2} {
		for status, refusal := range map[int]bool{
			400: true, 401: true, 403: true, 495: true, 496: true,
			200: false, 204: false, 302: false, 404: false, 429: false, 500: false, 502: false, 503: false,
		} {
			t.Run(fmt.Sprint(protocol, "/", status), func(t *testing.T) {
				t.Parallel()
				p := planFor(serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }), Request)
				p.Protocol, p.ExpectStatus = protocol, 299
				r := run(t, p)
				if refusal {
					wantUnits(t, r, 0, 6, 0)
				} else {
					wantUnits(t, r, 0, 0, 6)
				}
				wantKind(t, r, fmt.Sprint("status ", status), refusal)

				// What is expected is done, whatever it is.
				p.ExpectStatus = status
				wantUnits(t, run(t, p), 6, 0, 0)
			})
		}
	}
}

// A client that is served, where it was to be refused, has failed.
func TestNotRefused(t *testing.T) {
	t.Parallel()
	p := planFor(serve(t, ok), Handshake)
	p.ExpectRefusal = true
	r := run(t, p)
	wantUnits(t, r, 0, 0, 6)
	wantKind(t, r, "not refused", false)
}

// A server that answers and closes while it is still sent a body has said no.
func TestRefusedInUpload(t *testing.T) {
	t.Parallel()
	for _, protocol := range []Protocol{HTTP1, HTTP2} {
		p := planFor(serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(403) }), Upload)
		p.Protocol, p.BodySize, p.Count = protocol, 64<<20, 2
		r := run(t, p)
		wantUnits(t, r, 0, 2, 0)
		wantKind(t, r, "status 403", true)
		if r.Units.BytesOut >= 2*p.BodySize {
			t.Errorf("%s: all %d bytes are said to have gone", protocol, r.Units.BytesOut)
		}
	}
}

// TestClosedIsNotRefused has servers that end connections without a word, at
// every point: that is no refusal, whatever they meant by it.
func TestClosedIsNotRefused(t *testing.T) {
	t.Parallel()
	hello := func(raw *net.TCPConn) bool {
		_, err := io.ReadFull(raw, make([]byte, 5)) // its record's header
		if err != nil {
			return false
		}
		// The rest is read too: closing with bytes unread is a reset.
		_, err = raw.Read(make([]byte, 64<<10))
		return err == nil
	}
	shaken := func(raw *net.TCPConn) bool {
		conn := tls.Server(raw, tlsConfig(func(c *tls.Config) { c.NextProtos = nil }))
		return conn.Handshake() == nil && skipRequest(bufio.NewReader(conn)) == nil
	}
	for _, c := range []struct {
		name, kind string
		until      func(*net.TCPConn) bool
		reset      bool
	}{
		{"closed in the handshake", "eof before answer", hello, false},
		{"reset in the handshake", "reset", hello, true},
		{"closed after it", "eof before answer", shaken, false},
		{"reset after it", "reset", shaken, true},
	} {
		for _, profile := range []string{"go", "firefox"} {
			t.Run(c.name+"/"+profile, func(t *testing.T) {
				p := planFor(serveRaw(t, func(raw *net.TCPConn) {
					if c.until(raw) && c.reset {
						raw.SetLinger(0)
					}
				}), Handshake)
				p.Protocol, p.Profile, p.ExpectRefusal = HTTP1, profile, true
				r := run(t, p)
				wantUnits(t, r, 0, 0, 6)
				wantKind(t, r, c.kind, false)
			})
		}
	}
	// The other way to close is TLS's own, which is an alert, and says nothing.
	t.Run("closed as TLS wants it", func(t *testing.T) {
		r := run(t, planFor(serveTLS(t, says("")), Handshake))
		wantUnits(t, r, 0, 0, 6)
		wantKind(t, r, "eof before answer", false)
	})
}

// goneConn is a connection whose server has gone, after it said why.
type goneConn struct {
	net.Conn // nil: what else is called shows
	why      error
	closed   bool
}

func (c *goneConn) Write([]byte) (int, error) {
	return 0, &net.OpError{Op: "write", Err: os.NewSyscallError("write", syscall.EPIPE)}
}

func (c *goneConn) Read([]byte) (int, error) {
	if c.closed {
		return 0, net.ErrClosed
	}
	return 0, c.why
}

func (c *goneConn) Close() error           { c.closed = true; return nil }
func (c *goneConn) Handshake() error       { return nil }
func (c *goneConn) negotiated() negotiated { return negotiated{alpn: "h2"} }
func (c *goneConn) RemoteAddr() net.Addr   { return nil }

// The library of HTTP/2 closes when it cannot write. What the server had said by
// then is read first.
func TestRefusedBeforePreface(t *testing.T) {
	t.Parallel()
	alert := &net.OpError{Op: "remote error", Err: errors.New("tls: bad certificate")}
	for why, want := range map[error]string{alert: "tls alert bad certificate", io.EOF: "reset"} {
		conn := &goneConn{why: why}
		_, err := newHTTP2Conn(conn)
		if err == nil || !conn.closed {
			t.Fatalf("%v: error %v, closed: %t", why, err, conn.closed)
		}
		if kind, refusal := kindOf(err, false); kind != want || refusal != (why == alert) {
			t.Errorf("%v: %v is of kind %q, refusal %t; want %q", why, err, kind, refusal, want)
		}
	}
}
