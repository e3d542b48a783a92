package loadtest

import (
	"bytes"
	"crypto/x509"
	"errors"
	"sync/atomic"
)

// verifier judges the server's certificate, a chain once: a generator that
// verified the same signatures in every handshake would measure itself. It is
// safe for concurrent use.
type verifier struct {
	roots *x509.CertPool // nil: the system's
	name  string
	good  atomic.Pointer[[]*x509.Certificate]
}

// verify returns an error of kind "server certificate" for a chain that does not
// lead to a root or is not for the name.
func (v *verifier) verify(chain []*x509.Certificate) error {
	if good := v.good.Load(); good != nil && sameChain(*good, chain) {
		return nil
	}
	if len(chain) == 0 {
		return &fault{kind: "server certificate", cause: errors.New("the server presented none")}
	}
	intermediates := x509.NewCertPool()
	for _, c := range chain[1:] {
		intermediates.AddCert(c)
	}
	if _, err := chain[0].Verify(x509.VerifyOptions{Roots: v.roots, Intermediates: intermediates, DNSName: v.name}); err != nil {
		return &fault{kind: "server certificate", cause: err}
	}
	v.good.Store(&chain)
	return nil
}

func sameChain(a, b []*x509.Certificate) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !bytes.Equal(a[i].Raw, b[i].Raw) {
			return false
		}
	}
	return true
}
