package health

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sallyport/sallyport/edge/accesslog"
	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/loadtest/pki"
)

// once checks the first target of cfg once, for real.
func once(t *testing.T, cfg config.TargetGroup, conf *tls.Config) (result, *accesslog.HealthCheck) {
	t.Helper()
	g, err := New("app", cfg, Options{Log: slog.New(slog.DiscardHandler), TLS: conf})
	if err != nil {
		t.Fatal(err)
	}
	c := g.members[0].checker
	r := c.probe(t.Context(), c)
	return r, c.recordOf(&r)
}

// patient is groupOf with a timeout that an overloaded machine keeps to.
func patient(target string) config.TargetGroup {
	cfg := groupOf(target)
	cfg.HealthCheck.Timeout = config.Duration(25 * time.Second)
	return cfg
}

// rawTarget hands each connection to serve, which may do to it what no server does.
func rawTarget(t *testing.T, serve func(net.Conn, *bufio.Reader)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conns.Go(func() {
				defer conn.Close()
				conn.SetDeadline(time.Now().Add(60 * time.Second))
				serve(conn, bufio.NewReader(conn))
			})
		}
	})
	t.Cleanup(func() { l.Close(); conns.Wait() })
	return "http://" + l.Addr().String()
}

// says answers each request so, and leaves the connection open.
func says(text string) func(net.Conn, *bufio.Reader) {
	return func(conn net.Conn, r *bufio.Reader) {
		if _, err := http.ReadRequest(r); err == nil {
			io.WriteString(conn, text)
			io.Copy(io.Discard, r)
		}
	}
}

// What a target says by HTTP/1.1, and what is made of it.
func TestHTTP1(t *testing.T) {
	var redirected atomic.Int32
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { redirected.Add(1) }))
	t.Cleanup(elsewhere.Close)
	var sent atomic.Int64
	tests := []struct {
		name   string
		serve  func(net.Conn, *bufio.Reader)
		code   int
		reason string
	}{
		{"in order", says("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), 200, ""},
		{"no content", says("HTTP/1.1 204 No Content\r\n\r\n"), 204, accesslog.CheckResponseCodeMismatch},
		{"redirect", says("HTTP/1.1 302 Found\r\nLocation: " + elsewhere.URL + "\r\nContent-Length: 0\r\n\r\n"), 302, accesslog.CheckResponseCodeMismatch},
		{"not found", says("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"), 404, accesslog.CheckResponseCodeMismatch},
		{"unavailable", says("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"), 503, accesslog.CheckTargetError},
		{"hints first", says("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"), 200, ""},
		{"hints only", says(strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", maxInterim)), 0, accesslog.CheckConnectionReset},
		{"switches", says("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"), 101, accesslog.CheckResponseCodeMismatch},
		{"a body that never comes", says("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"), 200, ""},
		{"a body without an end", func(conn net.Conn, r *bufio.Reader) {
			io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n")
			for err := error(nil); err == nil; {
				var n int
				n, err = conn.Write(make([]byte, 64<<10))
				sent.Add(int64(n))
			}
		}, 200, ""},
		{"a head without an end", func(conn net.Conn, r *bufio.Reader) {
			io.WriteString(conn, "HTTP/1.1 200 OK\r\n")
			for err := error(nil); err == nil; {
				_, err = io.WriteString(conn, "X: "+strings.Repeat("x", 1000)+"\r\n")
			}
		}, 0, accesslog.CheckConnectionReset},
		{"closed", func(conn net.Conn, r *bufio.Reader) { http.ReadRequest(r) }, 0, accesslog.CheckConnectionReset},
		{"reset", func(conn net.Conn, r *bufio.Reader) { http.ReadRequest(r); conn.(*net.TCPConn).SetLinger(0) }, 0, accesslog.CheckConnectionReset},
		{"no HTTP", says("220 mail.example.com ESMTP\r\n"), 0, accesslog.CheckConnectionReset},
		// What is read leniently by some, and refused to requests.
		{"two lengths", says("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n"), 0, accesslog.CheckConnectionReset},
		{"chunks and a length", says("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 0, accesslog.CheckConnectionReset},
		{"folded", says("HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n"), 0, accesslog.CheckConnectionReset},
		{"another version", says("HTTP/1.2 200 OK\r\n\r\n"), 0, accesslog.CheckConnectionReset},
		{"half a head", func(conn net.Conn, r *bufio.Reader) {
			http.ReadRequest(r)
			io.WriteString(conn, "HTTP/1.1 200 OK\r\nX")
		}, 0, accesslog.CheckConnectionReset},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			target := rawTarget(t, test.serve)
			r, h := once(t, patient(target), nil)
			if r.code != test.code || r.reason != test.reason || r.pass != (test.reason == "") || r.answered != (test.code != 0) || (r.detail == "") != r.pass {
				t.Errorf("got %+v", r)
			}
			if h.Type != "http" || "http://"+h.Target != target || h.Address.String() != "127.0.0.1" || h.Latency <= 0 || h.Pass != r.pass || h.HasStatus != r.answered {
				t.Errorf("record %+v", h)
			}
		})
	}
	if redirected.Load() != 0 {
		t.Error("a redirect was followed")
	}
	// What fits into the sockets' buffers goes out before the edge hangs up.
	if sent.Load() > 64<<20 {
		t.Errorf("%d bytes of a body were taken", sent.Load())
	}
}

// A target has until the timeout, whatever it does meanwhile.
func TestTimeout(t *testing.T) {
	silent := func(conn net.Conn, r *bufio.Reader) { io.Copy(io.Discard, r) }
	for name, target := range map[string]string{
		"says nothing":         rawTarget(t, silent),
		"no TLS":               strings.Replace(rawTarget(t, silent), "http", "https", 1),
		"stops in its head":    rawTarget(t, says("HTTP/1.1 200 OK\r\nX-Slow: ")),
		"does not take a byte": rawTarget(t, func(conn net.Conn, r *bufio.Reader) { <-t.Context().Done() }),
	} {
		for _, version := range []config.ProtocolVersion{config.HTTP1, config.HTTP2} {
			cfg := groupOf(target)
			cfg.ProtocolVersion = version
			cfg.HealthCheck.Timeout = config.Duration(100 * time.Millisecond)
			r, _ := once(t, cfg, nil)
			if version == config.HTTP2 && name == "stops in its head" {
				continue // it is no HTTP/2, which may show before the time is over
			}
			if r.reason != accesslog.CheckTimedOut || r.pass || r.took < 100*time.Millisecond || r.took > 30*time.Second {
				t.Errorf("%s, %s: %+v", name, version, r)
			}
		}
	}
}

func TestRefused(t *testing.T) {
	// A socket that does not listen keeps the port from everybody else.
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fd)
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	bound, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	addr := fmt.Sprintf("127.0.0.1:%d", bound.(*syscall.SockaddrInet4).Port)
	for _, version := range []config.ProtocolVersion{config.HTTP1, config.GRPC} {
		cfg := patient("http://" + addr)
		cfg.ProtocolVersion = version
		cfg.HealthCheck.Matcher = map[config.ProtocolVersion]string{config.HTTP1: "200", config.GRPC: "12"}[version]
		if r, h := once(t, cfg, nil); r.reason != accesslog.CheckConnectionReset || r.answered || h.Address.String() != "127.0.0.1" || h.Target != addr || !strings.Contains(h.Detail, "refused") {
			t.Errorf("%s: %+v", version, r)
		}
	}
}

// A target that goes by a name is logged with the address that was tried.
func TestTargetByName(t *testing.T) {
	target := rawTarget(t, says("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
	if r, h := once(t, patient(strings.Replace(target, "127.0.0.1", "localhost", 1)), nil); !r.pass || "http://"+h.Target != target {
		t.Errorf("%+v, %+v", r, h)
	}
	if r, h := once(t, patient("http://nowhere.invalid:80"), nil); r.pass || h.Target != "nowhere.invalid:80" || h.Address.IsValid() {
		t.Errorf("not found: %+v, %+v", r, h)
	}
}

// What the target gets.
func TestRequest(t *testing.T) {
	seen := make(chan *http.Request, 1)
	handler := func(w http.ResponseWriter, r *http.Request) { seen <- r }
	s := httptest.NewServer(http.HandlerFunc(handler))
	t.Cleanup(s.Close)
	h2 := httptest.NewUnstartedServer(http.HandlerFunc(handler))
	h2.Config.Protocols = new(http.Protocols)
	h2.Config.Protocols.SetUnencryptedHTTP2(true)
	h2.Start()
	t.Cleanup(h2.Close)
	for _, path := range []string{"/", "/healthz?deep=1&x=%20", "//twice", "/a%2Fb"} {
		for version, url := range map[config.ProtocolVersion]string{config.HTTP1: s.URL, config.HTTP2: h2.URL} {
			cfg := patient(url)
			cfg.ProtocolVersion, cfg.HealthCheck.Path = version, path
			result, h := once(t, cfg, nil)
			if !result.pass {
				t.Fatalf("%s %s: %+v", version, path, result)
			}
			r := <-seen
			if r.Method != "GET" || r.RequestURI != path || r.UserAgent() != "ELB-HealthChecker/2.0" || "http://"+r.Host != url || len(r.Header) > 2 {
				t.Errorf("%s %s: got %s %s for %s %v", version, path, r.Method, r.RequestURI, r.Host, r.Header)
			}
			if want := map[config.ProtocolVersion]string{config.HTTP1: "http", config.HTTP2: "h2"}[version]; h.Type != want {
				t.Errorf("type %s, want %s", h.Type, want)
			}
		}
	}
}

// Checks go to the port, and by the protocol, that are set for them.
func TestPortAndProtocol(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(299) }))
	t.Cleanup(s.Close)
	address, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	cfg := patient("http://127.0.0.1:1")
	cfg.HealthCheck.Matcher = "200-299"
	cfg.HealthCheck.Protocol = config.HTTPS
	cfg.HealthCheck.Port = s.Listener.Addr().(*net.TCPAddr).Port
	if r, h := once(t, cfg, s.Client().Transport.(*http.Transport).TLSClientConfig); !r.pass || h.Type != "https" || h.Target != address.Host {
		t.Errorf("%+v, %+v", r, h)
	}
	for target, want := range map[string]string{
		"http://a": "a", "https://a:443": "a", "http://a:81": "a:81", "http://a:443": "a:443", "https://[2001:db8::1]": "[2001:db8::1]", "https://[2001:db8::1]:1": "[2001:db8::1]:1",
	} {
		m, err := newChecker(target, &config.HealthCheck{}, time.Now())
		if err != nil || m.authority() != want {
			t.Errorf("%s: authority %q, want %q; %v", target, m.authority(), want, err)
		}
	}
}

// A target with the wrong certificate is not healthy, whatever it answers.
func TestCertificates(t *testing.T) {
	ca, stranger := pki.Must(pki.NewRoot()), pki.Must(pki.NewRoot())
	for _, test := range []struct {
		name string
		leaf *pki.Leaf
		want string // server name that is wanted
		pass bool
	}{
		{"right", pki.Must(ca.Issue(pki.Server("127.0.0.1"))), "", true},
		{"by the name that is wanted", pki.Must(ca.Issue(pki.Server("app.internal"))), "app.internal", true},
		{"another name", pki.Must(ca.Issue(pki.Server("other.internal"))), "", false},
		{"not the name that is wanted", pki.Must(ca.Issue(pki.Server("127.0.0.1"))), "app.internal", false},
		{"a stranger's", pki.Must(stranger.Issue(pki.Server("127.0.0.1"))), "", false},
		{"expired", pki.Must(ca.Issue(pki.Server("127.0.0.1"), pki.NotBefore(time.Now().Add(-2*time.Hour)), pki.NotAfter(time.Now().Add(-time.Hour)))), "", false},
	} {
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		s.TLS = &tls.Config{Certificates: []tls.Certificate{test.leaf.TLSCertificate()}}
		s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
		s.EnableHTTP2 = true
		s.StartTLS()
		t.Cleanup(s.Close)
		for _, version := range []config.ProtocolVersion{config.HTTP1, config.HTTP2} {
			cfg := patient(s.URL)
			cfg.ProtocolVersion = version
			r, _ := once(t, cfg, &tls.Config{RootCAs: ca.Pool(), ServerName: test.want, MinVersion: tls.VersionTLS12})
			if r.pass != test.pass || !test.pass && (r.reason != accesslog.CheckConnectionReset || !strings.Contains(r.detail, "x509")) {
				t.Errorf("%s, %s: %+v", test.name, version, r)
			}
		}
	}
}

// A target that wants a certificate gets the one that is configured.
func TestTargetWantsCertificate(t *testing.T) {
	ca := pki.Must(pki.NewRoot())
	ours := pki.Must(ca.Issue()).TLSCertificate()
	var resumed atomic.Bool
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS.DidResume {
			resumed.Store(true)
		}
	}))
	s.TLS = &tls.Config{Certificates: []tls.Certificate{pki.Must(ca.Issue(pki.Server("127.0.0.1"))).TLSCertificate()}, MaxVersion: tls.VersionTLS12,
		ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.Pool()}
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	s.StartTLS()
	t.Cleanup(s.Close)
	conf := &tls.Config{RootCAs: ca.Pool(), MinVersion: tls.VersionTLS12}
	if r, _ := once(t, patient(s.URL), conf); r.pass || r.reason != accesslog.CheckConnectionReset {
		t.Errorf("without a certificate: %+v", r)
	}
	conf.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &ours, nil }
	conf.ClientSessionCache = tls.NewLRUClientSessionCache(0) // each check is to see the certificate all the same
	for range 2 {
		if r, _ := once(t, patient(s.URL), conf); !r.pass {
			t.Errorf("with it: %+v", r)
		}
	}
	if resumed.Load() {
		t.Error("a check resumed a session")
	}
}

// What is our own fault is not the target's.
func TestOurOwnFailures(t *testing.T) {
	for err, want := range map[error]string{
		&net.OpError{Op: "dial", Err: syscall.EMFILE}:        accesslog.CheckInternalError,
		&net.OpError{Op: "dial", Err: syscall.EADDRNOTAVAIL}: accesslog.CheckInternalError,
		&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}:  accesslog.CheckConnectionReset,
		&net.OpError{Op: "dial", Err: syscall.ETIMEDOUT}:     accesslog.CheckTimedOut,
		context.DeadlineExceeded:                             accesslog.CheckTimedOut,
		errNoStatus:                                          accesslog.CheckGRPCStatusHeaderEmpty,
		io.ErrUnexpectedEOF:                                  accesslog.CheckConnectionReset,
	} {
		if got := reasonOfError(err); got != want {
			t.Errorf("%v: %s, want %s", err, got, want)
		}
	}
}

func FuzzReadStatus(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\n\r\n"))
	f.Add([]byte("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 503 No\r\nContent-Length: 5\r\n\r\nhello"))
	f.Add([]byte("HTTP/1.0 -20 OK\r\nTransfer-Encoding: chunked\r\n\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		code, err := readStatus(bytes.NewReader(data))
		if (err == nil) != (code > 0) || err == nil && code < 200 && code != 101 {
			t.Errorf("status %d, %v", code, err)
		}
	})
}
