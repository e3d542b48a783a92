package proxy

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/identity"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what should happen at once, on a machine
// that has other things to do.
const patience = 60 * time.Second

// certificate is self-signed, for the edge in tests and for targets.
var certificate = sync.OnceValues(func() (tls.Certificate, *x509.CertPool) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "edge.test"},
		DNSNames:     []string{"edge.test"},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		IsCA:         true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, pool
})

// edge is a Server behind a real socket.
type edge struct {
	t        testing.TB
	listener *Listener
	judge    Judge
	addr     string
	records  chan Record // nil: not wanted
	ctx      context.Context
	drain    context.CancelFunc
	served   chan net.Conn // connections whose ServeConn has returned
	open     chan *Conn    // connections that were accepted, as the caller of ServeConn has them
}

// identityBlock is what every client of a secure edge is, in tests.
var identityBlock = []identity.Field{
	{Name: "X-Amzn-Mtls-Clientcert-Serial-Number", Value: "03A5B1"},
	{Name: "X-Client-Subject", Value: "CN=alice"},
}

func newListener(secure bool) *Listener {
	headers, err := identity.Compile(config.IdentityHeaders{
		Presets: []config.HeaderPreset{config.PresetALB},
		Rename:  map[config.HeaderKey]string{config.KeySubject: "X-Client-Subject"},
		MaxSize: 16 << 10,
	})
	if err != nil {
		panic(err)
	}
	return &Listener{
		Name:       "public",
		Secure:     secure,
		Port:       443,
		Strip:      identity.NewStripper(headers.Names()...),
		Identity:   headers,
		Attributes: config.Attributes{XFFHeaderProcessing: config.XFFAppend, TLSVersionAndCipherSuite: true, HTTP2: true},
		Timeouts:   config.Timeouts{Idle: config.Duration(time.Minute), RequestHead: config.Duration(10 * time.Second)},
	}
}

// startEdge serves l until the test ends, with a Judge if one is given.
func startEdge(t testing.TB, l *Listener, judge ...Judge) *edge {
	t.Helper()
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e := &edge{t: t, listener: l, addr: tcp.Addr().String(),
		records: make(chan Record, 4096), served: make(chan net.Conn, 4096), open: make(chan *Conn, 4096)}
	if len(judge) > 0 {
		e.judge = judge[0]
	}
	e.ctx, e.drain = context.WithCancel(context.Background())
	s := New(Options{
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Access: func(r *Record) {
			if e.records != nil {
				kept := *r
				for _, s := range []*string{&kept.Method, &kept.Host, &kept.URI, &kept.UserAgent, &kept.TraceID} {
					*s = strings.Clone(*s) // in a buffer that is used again
				}
				if r.Trace != nil {
					trace := *r.Trace
					kept.Trace = &trace
				}
				e.records <- kept
			}
		},
	})
	var conns sync.WaitGroup
	var mu sync.Mutex
	var all []net.Conn
	conns.Go(func() {
		for {
			raw, err := tcp.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			all = append(all, raw)
			mu.Unlock()
			conns.Go(func() { e.serve(s, raw) })
		}
	})
	t.Cleanup(func() {
		tcp.Close()
		e.drain()
		mu.Lock()
		for _, c := range all {
			c.Close()
		}
		mu.Unlock()
		conns.Wait()
	})
	return e
}

func (e *edge) serve(s *Server, raw net.Conn) {
	defer raw.Close()
	c := &Conn{
		Conn:    raw,
		TraceID: "TID_00000000000000000000000000000001",
		Client:  raw.RemoteAddr().(*net.TCPAddr).AddrPort(),
		Server:  raw.LocalAddr().(*net.TCPAddr).AddrPort(),
		Listener: func() *Listener {
			return e.listener
		},
		Judge: e.judge,
	}
	if e.listener.Secure {
		pair, _ := certificate()
		conn := tls.Server(raw, &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: []string{"h2", "http/1.1"}})
		if err := conn.HandshakeContext(context.Background()); err != nil {
			return
		}
		state := conn.ConnectionState()
		c.Conn, c.ALPN, c.ServerName = conn, state.NegotiatedProtocol, state.ServerName
		c.TLSVersion, c.CipherSuite = "TLSv1.3", tls.CipherSuiteName(state.CipherSuite)
		c.Identity = func(*identity.Headers) []identity.Field { return identityBlock }
	}
	e.open <- c
	s.ServeConn(e.ctx, c)
	e.served <- c.Conn
}

// dial connects as a client that speaks protocol.
func (e *edge) dial(protocol string) net.Conn {
	e.t.Helper()
	conn, err := net.Dial("tcp", e.addr)
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	if !e.listener.Secure {
		return conn
	}
	_, pool := certificate()
	secure := tls.Client(conn, &tls.Config{RootCAs: pool, ServerName: "edge.test", NextProtos: []string{protocol}})
	if err := secure.Handshake(); err != nil {
		e.t.Fatal(err)
	}
	return secure
}

// client is an ordinary HTTP client of the edge.
func (e *edge) client(h2 bool) *http.Client {
	_, pool := certificate()
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!h2)
	protocols.SetHTTP2(h2)
	transport := &http.Transport{
		TLSClientConfig:     &tls.Config{RootCAs: pool, ServerName: "edge.test"},
		Protocols:           protocols,
		DisableCompression:  true,
		MaxIdleConnsPerHost: 100,
	}
	e.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       patience,
	}
}

func (e *edge) url(path string) string {
	if e.listener.Secure {
		return "https://" + e.addr + path
	}
	return "http://" + e.addr + path
}

// record returns the next request's.
func (e *edge) record() Record {
	e.t.Helper()
	return receive(e.t, e.records, "access record")
}

// raw sends text on a new HTTP/1.1 connection and returns all that comes back.
func (e *edge) raw(text string) string {
	e.t.Helper()
	conn := e.dial("http/1.1")
	if _, err := io.WriteString(conn, text); err != nil {
		e.t.Fatal(err)
	}
	got, _ := io.ReadAll(conn)
	conn.Close()
	return string(got)
}

func receive[T any](t testing.TB, c <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("no %s within %s", what, patience)
		panic("unreachable")
	}
}

// newGroup makes a group of the given targets.
func newGroup(t testing.TB, targets ...string) *TargetGroup {
	t.Helper()
	g, err := NewTargetGroup("app", config.TargetGroup{
		Targets: targets,
		Timeouts: config.TargetTimeouts{
			Connect: config.Duration(patience), Response: config.Duration(patience), Idle: config.Duration(time.Minute),
		},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	return g
}

// forwardTo makes l forward to targets.
func (l *Listener) forwardTo(t testing.TB, targets ...string) *Listener {
	t.Helper()
	l.Action = Action{group: newGroup(t, targets...)}
	return l
}

// startTarget is a real HTTP server behind the edge.
func startTarget(t testing.TB, handler http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	return s.URL
}

// rawTarget accepts connections and hands each to serve, which may do to it what
// no HTTP server does.
func rawTarget(t testing.TB, serve func(net.Conn, *bufio.Reader)) string {
	t.Helper()
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			conn, err := tcp.Accept()
			if err != nil {
				return
			}
			conns.Go(func() {
				defer conn.Close()
				conn.SetDeadline(time.Now().Add(patience))
				serve(conn, bufio.NewReader(conn))
			})
		}
	})
	t.Cleanup(func() { tcp.Close(); conns.Wait() })
	return "http://" + tcp.Addr().String()
}

// readHead reads a request's head as it is on the wire.
func readHead(r *bufio.Reader) string {
	var head strings.Builder
	for {
		line, err := r.ReadString('\n')
		head.WriteString(line)
		if err != nil || line == "\r\n" {
			return head.String()
		}
	}
}

// refusedAddr is an address nobody listens on, until the test ends: a socket has it.
func refusedAddr(t testing.TB) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	bound, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("127.0.0.1:%d", bound.(*syscall.SockaddrInet4).Port)
}

func addrPort(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }
