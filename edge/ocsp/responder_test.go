package ocsp

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	xocsp "golang.org/x/crypto/ocsp"

	"github.com/sallyport/sallyport/edge/fetch"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var here = fetch.Network{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}}

// responder is a CA that answers about its certificates.
type responder struct {
	t    testing.TB
	key  crypto.Signer
	cert *x509.Certificate

	mu       sync.Mutex
	requests []string // method and, of a GET, how it was escaped
	status   int      // xocsp's
	reason   int
	http     int           // status other than 200
	refusal  string        // method answered 405
	validity time.Duration // of answers
	age      time.Duration // of thisUpdate
	hold     chan struct{} // answers wait for it
	endless  bool          // no nextUpdate
}

func newResponder(t testing.TB) *responder {
	t.Helper()
	r := &responder{t: t, validity: time.Hour}
	var err error
	if r.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	r.cert = r.issue("Issuing CA", nil)
	return r
}

// issue makes a certificate that names urls as responders; the first is the CA's.
func (r *responder) issue(name string, urls []string) *x509.Certificate {
	r.t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(1000 * time.Hour), OCSPServer: urls}
	parent := r.cert
	if parent == nil {
		template.IsCA, template.BasicConstraintsValid = true, true
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, r.key.Public(), r.key)
	if err != nil {
		r.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		r.t.Fatal(err)
	}
	return cert
}

func (r *responder) set(change func(*responder)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(r)
}

func (r *responder) asked() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.requests...)
}

func (r *responder) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	r.mu.Lock()
	hold := r.hold
	r.requests = append(r.requests, strings.TrimSpace(request.Method+" "+strings.TrimPrefix(request.URL.EscapedPath(), "/")))
	r.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-request.Context().Done():
			return
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.http != 0 || request.Method == r.refusal {
		w.WriteHeader(max(r.http, http.StatusMethodNotAllowed))
		return
	}
	der, err := io.ReadAll(request.Body)
	if request.Method == http.MethodGet {
		var text string
		if text, err = url.PathUnescape(strings.TrimPrefix(request.URL.EscapedPath(), "/")); err == nil {
			der, err = base64.StdEncoding.DecodeString(text)
		}
	}
	question := &xocsp.Request{}
	if err == nil {
		question, err = xocsp.ParseRequest(der)
	}
	if err != nil {
		_, _ = w.Write(xocsp.MalformedRequestErrorResponse)
		return
	}
	this := time.Now().UTC().Add(-r.age).Truncate(time.Second)
	next := this.Add(r.validity)
	if r.endless {
		next = time.Time{}
	}
	answer, err := xocsp.CreateResponse(r.cert, r.cert, xocsp.Response{Status: r.status, SerialNumber: question.SerialNumber,
		ThisUpdate: this, NextUpdate: next, RevokedAt: this, RevocationReason: r.reason, IssuerHash: question.HashAlgorithm}, r.key)
	if err != nil {
		r.t.Error(err)
	}
	_, _ = w.Write(answer)
}

// serve has the responder answer on loopback, and gives it a leaf.
func (r *responder) serve(t *testing.T) (leaf *x509.Certificate, base string) {
	server := httptest.NewServer(r)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return r.issue("leaf", []string{server.URL + "/"}), server.URL
}
