package loadtest

import (
	"bufio"
	"context"
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
	"time"

	utls "github.com/refraction-networking/utls"
	"golang.org/x/net/http2"

	"github.com/sallyport/sallyport/loadtest/pki"
)

//lint:file-ignore SA1019 as in fault.go

// TestKindOf has every kind there is. Those that a server can bring about are in
// TestFailures too.
func TestKindOf(t *testing.T) {
	t.Parallel()
	call := func(op, name string, err error) error {
		return &net.OpError{Op: op, Net: "tcp", Err: os.NewSyscallError(name, err)}
	}
	for _, c := range []struct {
		err        error
		connecting bool
		kind       string
		refusal    bool
	}{
		{err: &net.OpError{Op: "remote error", Err: errors.New("tls: access denied")}, kind: "tls alert access denied", refusal: true},
		{err: fmt.Errorf("read: %w", &net.OpError{Op: "remote error", Err: errors.New("tls: alert(200)")}), kind: "tls alert alert(200)", refusal: true},
		{err: &net.OpError{Op: "local error", Err: errors.New("tls: bad record MAC")}, kind: "tls failed"},
		{err: errors.New("tls: server selected unsupported protocol version 301"), kind: "tls failed"},
		{err: tls.RecordHeaderError{Msg: "first record does not look like a TLS handshake"}, kind: "tls failed"},
		{err: utls.RecordHeaderError{Msg: "first record does not look like a TLS handshake"}, kind: "tls failed"},
		{err: faultf("wrong protocol", "h3"), kind: "wrong protocol"},
		{err: fmt.Errorf("handshake: %w", faultf("server certificate", "expired")), kind: "server certificate"},
		{err: &net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded}, connecting: true, kind: "connect timeout"},
		{err: call("dial", "connect", syscall.ETIMEDOUT), connecting: true, kind: "connect timeout"},
		{err: &net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}, kind: "timeout"},
		{err: context.DeadlineExceeded, kind: "timeout"},
		{err: call("dial", "connect", syscall.ECONNREFUSED), connecting: true, kind: "connect refused"},
		{err: call("dial", "connect", syscall.EADDRNOTAVAIL), connecting: true, kind: "no local port"},
		{err: call("dial", "socket", syscall.EMFILE), connecting: true, kind: "too many open files"},
		{err: call("dial", "socket", syscall.ENFILE), connecting: true, kind: "too many open files"},
		{err: call("dial", "connect", syscall.ENETUNREACH), connecting: true, kind: "unreachable"},
		{err: call("dial", "connect", syscall.EHOSTUNREACH), connecting: true, kind: "unreachable"},
		{err: call("read", "read", syscall.ECONNRESET), kind: "reset"},
		{err: call("write", "write", syscall.EPIPE), kind: "reset"},
		{err: http2.GoAwayError{ErrCode: http2.ErrCodeEnhanceYourCalm}, kind: "http2 goaway"},
		{err: http2.StreamError{StreamID: 1, Code: http2.ErrCodeInternal}, kind: "http2 stream reset"},
		{err: http2.ConnectionError(http2.ErrCodeProtocol), kind: "http2 error"},
		{err: errors.New("http2: client connection lost"), kind: "http2 error"},
		{err: errors.New(gracefulGoAway), kind: "http2 goaway"},
		{err: errors.New(notUsable), kind: "http2 goaway"},
		{err: io.EOF, kind: "eof before answer"},
		{err: fmt.Errorf("read: %w", io.ErrUnexpectedEOF), kind: "eof before answer"},
		{err: errors.New("tls without a colon"), kind: "other"},
	} {
		if kind, refusal := kindOf(c.err, c.connecting); kind != c.kind || refusal != c.refusal {
			t.Errorf("%v: kind %q, refusal %t; want %q, %t", c.err, kind, refusal, c.kind, c.refusal)
		}
	}
}

// TestFailures has servers, and plans, that go wrong in every way that there is
// over a loopback.
func TestFailures(t *testing.T) {
	t.Parallel()
	plain := func(*Plan) {}
	h2 := func(p *Plan) { p.Protocol = HTTP2 }
	for _, c := range []struct {
		name, kind string
		target     func(*testing.T) string
		edit       func(*Plan)
	}{
		{"nobody listens", "connect refused", func(t *testing.T) string {
			l := listen(t)
			defer l.Close()
			return targetOf(l)
		}, plain},
		{"no time to connect", "connect timeout", func(t *testing.T) string { return serve(t, ok) },
			func(p *Plan) { p.Timeout = 1 }},
		{"never answers", "timeout", silent, func(p *Plan) { p.Timeout, p.Count = 2*time.Second, 2 }},
		{"never answers over HTTP/2", "timeout", func(t *testing.T) string {
			return serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		}, func(p *Plan) { p.Protocol, p.Timeout, p.Count = HTTP2, 2*time.Second, 2 }},
		{"speaks no TLS", "tls failed", func(t *testing.T) string {
			return serveRaw(t, func(raw *net.TCPConn) {
				raw.Read(make([]byte, 64<<10))
				io.WriteString(raw, "HTTP/1.1 400 Bad Request\r\n\r\n")
			})
		}, plain},
		{"is for another name", "server certificate", func(t *testing.T) string { return serve(t, ok) },
			func(p *Plan) { p.ServerName = "elsewhere.test" }},
		{"is of another CA", "server certificate", func(t *testing.T) string { return serve(t, ok) },
			func(p *Plan) { p.Roots = pki.Must(pki.NewRoot()).Pool() }},
		{"has expired, for a browser too", "server certificate", func(t *testing.T) string {
			return serve(t, ok, func(c *tls.Config) {
				c.Certificates[0] = pki.Must(authority().root.Issue(pki.Server("127.0.0.1"), pki.NotAfter(time.Now().Add(-time.Minute)))).TLSCertificate()
			})
		}, func(p *Plan) { p.Profile, p.Protocol = "chrome", HTTP1 }},
		{"picks HTTP/1.1", "wrong protocol", func(t *testing.T) string {
			return serve(t, ok, func(c *tls.Config) { c.NextProtos = nil })
		}, func(p *Plan) { p.Protocol, p.ALPN = HTTP2, []string{"http/1.1"} }},
		{"picks HTTP/2", "wrong protocol", func(t *testing.T) string { return serve(t, ok) },
			func(p *Plan) { p.Protocol, p.ALPN = HTTP1, []string{"h2"} }},
		{"knows no protocol", "tls alert no application protocol", func(t *testing.T) string {
			return serveTLS(t, says("")) // http/1.1 alone
		}, func(p *Plan) { p.Protocol = HTTP2 }},
		{"speaks another protocol", "bad response", func(t *testing.T) string {
			return serveTLS(t, says("220 mail.test ESMTP\r\n"))
		}, plain},
		{"ends in the head", "eof before answer", func(t *testing.T) string {
			return serveTLS(t, says("HTTP/1.1 200 OK\r\nContent-Le"))
		}, plain},
		{"ends in the body", "short body", func(t *testing.T) string {
			return serveTLS(t, says("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell"))
		}, plain},
		{"ends in a chunk", "short body", func(t *testing.T) string {
			return serveTLS(t, says("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhell"))
		}, plain},
		{"breaks off within a record", "short body", func(t *testing.T) string {
			return serveRaw(t, func(raw *net.TCPConn) {
				conn := tls.Server(raw, tlsConfig(func(c *tls.Config) { c.NextProtos = nil }))
				if conn.Handshake() == nil && skipRequest(bufio.NewReader(conn)) == nil {
					io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n")
					raw.Write([]byte{23, 3, 3, 1, 0}) // the header of a record of 256 bytes
				}
			})
		}, plain},
		{"resets the stream", "http2 stream reset", func(t *testing.T) string {
			return serve(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
		}, h2},
		{"breaks off a stream's body", "http2 stream reset", func(t *testing.T) string {
			return serve(t, func(w http.ResponseWriter, _ *http.Request) {
				io.WriteString(w, "half")
				http.NewResponseController(w).Flush()
				panic(http.ErrAbortHandler)
			})
		}, h2},
		{"says less than it promised over HTTP/2", "short body", func(t *testing.T) string {
			return serveFrames(t, func(f *http2.Framer) {
				// :status 200, and content-length 5 as a literal with an indexed name.
				f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, EndHeaders: true, BlockFragment: []byte{0x88, 0x0f, 0x0d, 0x01, '5'}})
				f.WriteData(1, true, []byte("hell"))
			})
		}, h2},
		{"goes away", "http2 goaway", func(t *testing.T) string {
			return serveFrames(t, func(f *http2.Framer) { f.WriteGoAway(1, http2.ErrCodeEnhanceYourCalm, nil) })
		}, h2},
		{"goes away in order, before this request", "http2 goaway", func(t *testing.T) string {
			return serveFrames(t, func(f *http2.Framer) { f.WriteGoAway(0, http2.ErrCodeNo, nil) })
		}, h2},
		{"breaks the rules of HTTP/2", "http2 error", func(t *testing.T) string {
			return serveFrames(t, func(f *http2.Framer) {
				f.AllowIllegalWrites = true
				f.WriteData(0, false, []byte("x"))
			})
		}, h2},
		{"closes a connection of HTTP/2", "eof before answer", func(t *testing.T) string {
			return serveFrames(t, func(*http2.Framer) {})
		}, h2},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := planFor(c.target(t), Handshake)
			c.edit(&p)
			r := run(t, p)
			refusal := c.kind == "tls alert no application protocol"
			if refusal {
				wantUnits(t, r, 0, p.Count, 0)
			} else {
				wantUnits(t, r, 0, 0, p.Count)
			}
			wantKind(t, r, c.kind, refusal)
		})
	}
}

// silent is a server that makes handshakes and reads, and never answers.
func silent(t *testing.T) string {
	return serveTLS(t, func(conn *tls.Conn) { io.Copy(io.Discard, conn) })
}

// serveFrames starts a server of HTTP/2 that does as it likes when it has a
// request, and then closes.
func serveFrames(t *testing.T, each func(*http2.Framer)) string {
	cfg := tlsConfig(func(c *tls.Config) { c.NextProtos = []string{"h2"} })
	return serveRaw(t, func(raw *net.TCPConn) {
		conn := tls.Server(raw, cfg)
		if _, err := io.ReadFull(conn, make([]byte, len(http2.ClientPreface))); err != nil {
			return
		}
		f := http2.NewFramer(conn, conn)
		f.WriteSettings()
		for {
			frame, err := f.ReadFrame()
			if err != nil {
				return
			}
			if _, is := frame.(*http2.HeadersFrame); is {
				break
			}
		}
		each(f)
		conn.CloseWrite()
		io.Copy(io.Discard, conn) // what is unread would make a reset of it
	})
}

// The address of a certificate's owner must not pass for another's, and what was
// good once is looked at again when it changes.
func TestVerifier(t *testing.T) {
	t.Parallel()
	root := pki.Must(pki.NewRoot())
	mid := pki.Must(root.NewIntermediate())
	chain := func(l *pki.Leaf) []*x509.Certificate {
		certs := []*x509.Certificate{l.Cert}
		for _, der := range l.Chain {
			c, err := x509.ParseCertificate(der)
			if err != nil {
				t.Fatal(err)
			}
			certs = append(certs, c)
		}
		return certs
	}
	good := chain(pki.Must(mid.Issue(pki.Server("a.test"))))
	v := &verifier{roots: root.Pool(), name: "a.test"}
	for _, c := range []struct {
		name  string
		chain []*x509.Certificate
		good  bool
	}{
		{"none", nil, false},
		{"good", good, true},
		{"the same", good, true},
		{"without its issuer", good[:1], false},
		{"none after a good one", nil, false},
		{"another name", chain(pki.Must(mid.Issue(pki.Server("b.test")))), false},
		{"another root", chain(pki.Must(pki.Must(pki.NewRoot()).Issue(pki.Server("a.test")))), false},
		{"a client's", chain(pki.Must(mid.Issue(pki.DNS("a.test")))), false},
		{"forged", chain(pki.Must(mid.Issue(pki.Server("a.test"))).FlipSignature()), false},
		{"renewed", chain(pki.Must(mid.Issue(pki.Server("a.test")))), true},
		{"good again", good, true},
	} {
		err := v.verify(c.chain)
		if (err == nil) != c.good {
			t.Errorf("%s: %v", c.name, err)
		}
		if err != nil {
			if kind, _ := kindOf(err, false); kind != "server certificate" {
				t.Errorf("%s: %v is of kind %q", c.name, err, kind)
			}
		}
	}
}
