package loadtest

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"testing"

	"github.com/sallyport/sallyport/loadtest/pki"
)

// authority is the PKI of all tests, made once: alice is below its root, and
// stranger is below another.
var authority = sync.OnceValue(func() (a struct {
	root                    *pki.CA
	server, alice, stranger *pki.Leaf
}) {
	a.root = pki.Must(pki.NewRoot())
	a.server = pki.Must(a.root.Issue(pki.Server("127.0.0.1", "localhost", "rebind.test")))
	a.alice = pki.Must(a.root.Issue(pki.CommonName("alice")))
	a.stranger = pki.Must(pki.Must(pki.NewRoot()).Issue(pki.CommonName("stranger")))
	return a
})

// roots is what the servers' certificate leads to.
func roots() *x509.CertPool { return authority().root.Pool() }

// tlsConfig is that of a server that takes only clients below the root.
func tlsConfig(edits ...func(*tls.Config)) *tls.Config {
	cfg := &tls.Config{
		Certificates: []tls.Certificate{authority().server.TLSCertificate()},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    roots(),
		NextProtos:   []string{"h2", "http/1.1"},
	}
	for _, edit := range edits {
		edit(cfg)
	}
	return cfg
}

// onlyVersion has a server speak one version of TLS.
func onlyVersion(version uint16) func(*tls.Config) {
	return func(c *tls.Config) { c.MinVersion, c.MaxVersion = version, version }
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func targetOf(l net.Listener) string { return "https://" + l.Addr().String() + "/" }

// serve starts Go's own server of HTTP/1.1 and HTTP/2, which ends with the test,
// and returns its URL.
func serve(t testing.TB, handler http.HandlerFunc, edits ...func(*tls.Config)) string {
	t.Helper()
	return serveWith(t, &http.Server{Handler: handler}, edits...)
}

func serveWith(t testing.TB, s *http.Server, edits ...func(*tls.Config)) string {
	t.Helper()
	s.TLSConfig = tlsConfig(edits...)
	s.ErrorLog = log.New(io.Discard, "", 0) // it writes of every client refused
	l := listen(t)
	var serving sync.WaitGroup
	serving.Go(func() { s.ServeTLS(l, "", "") })
	t.Cleanup(func() {
		s.Close()
		serving.Wait()
	})
	return targetOf(l)
}

// serveRaw starts a server that does with every connection as it likes. What is
// open at the test's end is closed then.
func serveRaw(t testing.TB, each func(raw *net.TCPConn)) string {
	t.Helper()
	l := listen(t)
	var serving sync.WaitGroup
	var mu sync.Mutex
	open := map[net.Conn]bool{}
	serving.Go(func() {
		for {
			raw, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open[raw] = true
			mu.Unlock()
			serving.Go(func() {
				defer raw.Close()
				each(raw.(*net.TCPConn))
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for raw := range open {
			raw.Close()
		}
		mu.Unlock()
		serving.Wait()
	})
	return targetOf(l)
}

// serveTLS starts a server that makes a handshake, reads a request of HTTP/1.1
// without a body, and goes on as it likes until it returns.
func serveTLS(t testing.TB, each func(conn *tls.Conn), edits ...func(*tls.Config)) string {
	t.Helper()
	cfg := tlsConfig(func(c *tls.Config) { c.NextProtos = []string{"http/1.1"} })
	for _, edit := range edits {
		edit(cfg)
	}
	return serveRaw(t, func(raw *net.TCPConn) {
		conn := tls.Server(raw, cfg)
		if conn.Handshake() == nil && skipRequest(bufio.NewReader(conn)) == nil {
			each(conn)
		}
	})
}

// says is a server of serveTLS that answers with a text, and then closes as TLS
// wants it.
func says(text string) func(*tls.Conn) {
	return func(conn *tls.Conn) {
		io.WriteString(conn, text)
		conn.Close()
	}
}

// ok answers 200 and reads what it was sent.
func ok(w http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) }
