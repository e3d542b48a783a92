package servercert

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"strings"
	"sync/atomic"
	"time"
)

// Pair is a certificate with its key, ready to be shown. It is immutable.
type Pair struct {
	name   string // of the entry in the configuration
	tls    tls.Certificate
	raw    []byte       // the files it was read from, to tell a change from a touch
	wanted *atomic.Bool // set when a client is shown it, if not nil
}

// Name returns the name of the entry that it belongs to.
func (p *Pair) Name() string { return p.name }

// Current returns what is shown in a handshake.
func (p *Pair) Current() *tls.Certificate { return &p.tls }

// valid says whether the certificate has not expired.
func (p *Pair) valid(now time.Time) bool { return now.Before(p.tls.Leaf.NotAfter) }

// Leaf returns the parsed certificate.
func (p *Pair) Leaf() *x509.Certificate { return p.tls.Leaf }

// newPair checks that a certificate and a key belong together.
func newPair(name string, certPEM, keyPEM []byte) (*Pair, error) {
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return nil, err
	}
	if pair.Leaf == nil {
		return nil, errors.New("certificate was not parsed")
	}
	return &Pair{name: name, tls: pair}, nil
}

// stapled is the pair with another OCSP answer, or none.
func (p *Pair) stapled(answer []byte) *Pair {
	next := *p
	next.tls.OCSPStaple = answer
	return &next
}

// issuer is the certificate that signed the leaf, nil where the chain lacks it.
func (p *Pair) issuer() *x509.Certificate {
	if len(p.tls.Certificate) < 2 {
		return nil
	}
	issuer, err := x509.ParseCertificate(p.tls.Certificate[1])
	if err != nil {
		return nil
	}
	return issuer
}

// view is what an entry shows: its pairs by the hosts that they are for. It is
// immutable.
type view struct {
	exact map[string]*Pair
	wild  map[string]*Pair // "example.com" for *.example.com
	first *Pair            // for clients that name nobody; nil for none
	// awaited are hosts of the entry, as configured, that have no pair yet, with
	// why.
	awaited map[string]string
}

func newView() *view {
	return &view{exact: map[string]*Pair{}, wild: map[string]*Pair{}, awaited: map[string]string{}}
}

// add puts a pair behind a host; the first one added is the first.
func (v *view) add(host string, pair *Pair) {
	if v.first == nil {
		v.first = pair
	}
	v.put(host, pair)
}

// put puts a pair behind a host, and behind no other name.
func (v *view) put(host string, pair *Pair) {
	if rest, ok := strings.CutPrefix(host, "*."); ok {
		v.wild[rest] = pair
	} else {
		v.exact[host] = pair
	}
}

// covers says whether the certificate is for host; a wildcard host needs the
// same wildcard in the certificate.
func covers(leaf *x509.Certificate, host string) bool {
	if strings.HasPrefix(host, "*.") {
		for _, name := range leaf.DNSNames {
			if strings.EqualFold(name, host) {
				return true
			}
		}
		return false
	}
	return leaf.VerifyHostname(host) == nil
}

func namesOf(leaf *x509.Certificate) string {
	names := append([]string{}, leaf.DNSNames...)
	for _, ip := range leaf.IPAddresses {
		names = append(names, ip.String())
	}
	if len(names) == 0 {
		return "no name at all: it has no subject alternative names"
	}
	return strings.Join(names, ", ")
}

// wildcardOf is "example.com" for a.example.com, the key of a wildcard for it.
func wildcardOf(name string) (string, bool) {
	_, rest, ok := strings.Cut(name, ".")
	return rest, ok && rest != ""
}
