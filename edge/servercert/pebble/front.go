package pebble

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Failure is how a CA fails. The zero Failure is not at all.
type Failure struct {
	// Down closes every connection before it has had an answer.
	Down bool
	// RateLimited answers orders with 429 and this Retry-After in seconds; 0 for none.
	RateLimited time.Duration
	// Refused answers orders with 403.
	Refused bool
	// NoWindow knows nothing of when certificates are to be renewed.
	NoWindow bool
	// PastWindow says of each certificate that it should have been renewed before it
	// was issued, and wants to be asked again within a second.
	PastWindow bool
	// Hold has orders wait until it is closed. nil: they do not.
	Hold <-chan struct{}
}

// front is the proxy before a CA.
type front struct {
	url    string
	pem    []byte // its certificate
	key    []byte
	roots  *x509.CertPool
	server *http.Server
	proxy  *httputil.ReverseProxy

	mu      sync.Mutex
	failure Failure
	names   []string
	windows int // that were asked for, with PastWindow
}

// newFront listens before the CA at this address. What it is asked reaches the CA
// under its own name, so that the URLs in answers lead here.
func newFront(behind string) (*front, error) {
	f := &front{}
	if err := f.certify(); err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(f.pem, f.key)
	if err != nil {
		return nil, err
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}})
	if err != nil {
		return nil, err
	}
	f.url = "https://" + l.Addr().String()
	f.proxy = &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "https", Host: behind})
			r.Out.Host = r.In.Host
		},
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: f.roots, ServerName: "127.0.0.1"}, DisableKeepAlives: true},
		ErrorLog:  log.New(io.Discard, "", 0),
	}
	f.server = &http.Server{Handler: f, ErrorLog: log.New(io.Discard, "", 0)}
	go f.server.Serve(l) // until close
	return f, nil
}

// certify makes a certificate for 127.0.0.1, for the proxy and for Pebble.
func (f *front) certify() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: "pebble's TLS"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true, IsCA: true,
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	f.pem = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})
	f.key = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	f.roots = x509.NewCertPool()
	f.roots.AppendCertsFromPEM(f.pem)
	return nil
}

func (f *front) files(dir string) (cert, key string, err error) {
	cert, key = filepath.Join(dir, "pebble-tls.pem"), filepath.Join(dir, "pebble-tls.key")
	if err := os.WriteFile(cert, f.pem, 0o600); err != nil {
		return "", "", err
	}
	return cert, key, os.WriteFile(key, f.key, 0o600)
}

func (f *front) close() {
	f.server.Close()
	f.proxy.Transport.(*http.Transport).CloseIdleConnections()
}

func (f *front) fail(how Failure) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failure = how
}

func (f *front) windowsAsked() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.windows
}

func (f *front) orders() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.names)
}

// ServeHTTP passes a request on, or fails it.
func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	failure := f.failure
	f.mu.Unlock()
	if failure.Down {
		panic(http.ErrAbortHandler)
	}
	if failure.NoWindow && strings.Contains(r.URL.Path, "renewalInfo") {
		http.NotFound(w, r)
		return
	}
	if failure.PastWindow && r.Method == http.MethodGet && strings.Contains(r.URL.Path, "renewalInfo") {
		f.mu.Lock()
		f.windows++
		f.mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Retry-After", "1")
		stamp := func(ago time.Duration) string { return time.Now().Add(-ago).UTC().Format(time.RFC3339) }
		fmt.Fprintf(w, `{"suggestedWindow":{"start":%q,"end":%q}}`, stamp(48*time.Hour), stamp(24*time.Hour))
		return
	}
	if strings.HasSuffix(r.URL.Path, "order-plz") && r.Method == http.MethodPost {
		body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		f.note(body)
		if failure.Hold != nil {
			select {
			case <-failure.Hold:
			case <-r.Context().Done():
				panic(http.ErrAbortHandler)
			}
		}
		switch {
		case failure.RateLimited > 0:
			w.Header().Set("Retry-After", strconv.Itoa(int(failure.RateLimited.Seconds())))
			problem(w, http.StatusTooManyRequests, "rateLimited", "too many orders")
			return
		case failure.Refused:
			problem(w, http.StatusForbidden, "rejectedIdentifier", "not for you")
			return
		}
	}
	f.proxy.ServeHTTP(w, r)
}

// note remembers which names an order is for.
func (f *front) note(body []byte) {
	var envelope struct{ Payload string }
	var order struct {
		Identifiers []struct{ Value string }
	}
	json.Unmarshal(body, &envelope)
	payload, err := base64.RawURLEncoding.DecodeString(envelope.Payload)
	if err != nil || json.Unmarshal(payload, &order) != nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, id := range order.Identifiers {
		f.names = append(f.names, id.Value)
	}
}

func problem(w http.ResponseWriter, status int, kind, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"type":"urn:ietf:params:acme:error:%s","detail":%q,"status":%d}`, kind, detail, status)
}
