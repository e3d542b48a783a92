package truststore

import (
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/reason"
	"github.com/sallyport/sallyport/loadtest/pki"
)

// alb is a listener's default policy.
var alb = Policy{MaxChainDepth: 4, MaxSize: 64 << 10}

// limits are the defaults of the configuration.
var limits = config.TrustStoreLimits{CACertificates: 25, CACertificateSize: 16 << 10, SubjectsSize: 10000}

// fixture is a trust store on files that a test can change.
type fixture struct {
	t   testing.TB
	dir string
	cfg config.TrustStore
	log logged
	now time.Time // of Options.Now; zero: the real one
}

func newFixture(t testing.TB, cas ...*pki.CA) *fixture {
	f := &fixture{t: t, dir: t.TempDir()}
	f.cfg = config.TrustStore{
		CABundle:   config.File{File: "ca.pem"},
		Revocation: config.Revocation{CRL: config.CRLAuto, Scope: config.ScopeChain, OnExpiredCRL: config.ExpiredCRL{Then: config.ThenDeny}},
		Limits:     limits,
	}
	f.write("ca.pem", pki.Bundle(cas...))
	return f
}

// write puts a whole file in place, as a careful operator does.
func (f *fixture) write(name string, data []byte) {
	f.t.Helper()
	path := filepath.Join(f.dir, name)
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		f.t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		f.t.Fatal(err)
	}
}

// crl writes a configured CRL file.
func (f *fixture) crl(name string, ders ...[]byte) {
	f.t.Helper()
	f.write(name, pki.CRLPEM(ders...))
	for _, c := range f.cfg.CRLs {
		if c.File == name {
			return
		}
	}
	f.cfg.CRLs = append(f.cfg.CRLs, config.CRL{File: name})
}

func (f *fixture) options() Options {
	return Options{
		Dir:     filepath.Join(f.dir, "state"),
		Resolve: func(name string) string { return filepath.Join(f.dir, name) },
		Log:     slog.New(slog.NewTextHandler(&f.log, nil)),
		Now: func() time.Time {
			if f.now.IsZero() {
				return time.Now()
			}
			return f.now
		},
	}
}

func (f *fixture) open() *Store {
	f.t.Helper()
	s, _, err := New("partners", f.cfg, f.options())
	if err != nil {
		f.t.Fatal(err)
	}
	return s
}

func newStore(t *testing.T, cas ...*pki.CA) *Store {
	t.Helper()
	return newFixture(t, cas...).open()
}

// presented parses what a client sends.
func presented(t testing.TB, c tls.Certificate) []*x509.Certificate {
	t.Helper()
	var certs []*x509.Certificate
	for _, der := range c.Certificate {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		certs = append(certs, cert)
	}
	return certs
}

func chainOf(t testing.TB, leaf *pki.Leaf) []*x509.Certificate {
	t.Helper()
	return presented(t, leaf.TLSCertificate())
}

// wantCode checks an outcome: Success for no error.
func wantCode(t *testing.T, err error, want reason.Code) {
	t.Helper()
	got, ok := reason.Of(err)
	if err == nil {
		got, ok = reason.Success, true
	}
	if !ok {
		t.Fatalf("error without a code: %v", err)
	}
	if got != want {
		t.Errorf("got %v, want %v: %v", got, want, err)
	}
}

// wantRefusal checks a refusal's code and that its text holds the words.
func wantRefusal(t *testing.T, err error, want reason.Code, words string) {
	t.Helper()
	wantCode(t, err, want)
	if err == nil || !strings.Contains(err.Error(), words) {
		t.Errorf("refusal %q, want it to contain %q", err, words)
	}
}

func code(t *testing.T, name string) reason.Code {
	t.Helper()
	var c reason.Code
	if err := c.UnmarshalText([]byte(name)); err != nil {
		t.Fatal(err)
	}
	return c
}

func root(opts ...pki.Option) *pki.CA { return pki.Must(pki.NewRoot(opts...)) }

func below(ca *pki.CA, opts ...pki.Option) *pki.CA { return pki.Must(ca.NewIntermediate(opts...)) }

func issue(ca *pki.CA, opts ...pki.Option) *pki.Leaf { return pki.Must(ca.Issue(opts...)) }

func crl(ca *pki.CA, opts ...pki.CRLOption) []byte { return pki.Must(ca.CRL(opts...)) }

// logged keeps what the stores of a fixture log. Each has a handler of its own,
// and they may log at once.
type logged struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
