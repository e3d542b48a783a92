package edge

import (
	"math/big"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/edge/reason"
	"github.com/sallyport/sallyport/loadtest/pki"
)

// TestNarrowerListIsNotFetched has whoever is on the way serve other genuine lists
// of the CA in the place of the whole one: a revoked client stays out, also where
// an OCSP response that is still good would do for want of a list.
func TestNarrowerListIsNotFetched(t *testing.T) {
	r := newRig(t)
	o := newResponder(t, r.ca)
	revoked := pki.Must(r.ca.Issue(pki.OCSPServer(o.URL)))
	p := newPublisher(t, r.crl(3, revoked))
	r.start(fetching(p.URL, "ocsp: fallback, ocsp_wait: 20s, ocsp_hosts: [127.0.0.1], "))
	r.generations(2)
	staple := o.staple(revoked)
	if got := r.come(revoked, staple); got.Status != reason.ClientCertCrlHit {
		t.Fatalf("with the whole list: %s", got.Status)
	}
	for _, scope := range []pki.IssuingDistributionPoint{
		{OnlyCACerts: true},
		{URIs: []string{"http://crl.example/7.crl"}},
	} {
		failed := r.source().Failed
		p.serve(pki.Must(r.ca.CRL(pki.Number(big.NewInt(9)), pki.Scope(scope))))
		r.await("refused", func() bool {
			return r.source().Failed > failed && strings.Contains(r.source().LastError, "has no CRL of")
		})
		if got := r.come(revoked, staple); got.Status != reason.ClientCertCrlHit {
			t.Errorf("%+v: %s", scope, got.Status)
		}
	}
}
