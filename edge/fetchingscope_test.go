package edge

import (
	"fmt"
	"math/big"
	"net/http"
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

// TestPointIsNotRedirectedElsewhere: a distribution point leads to no host that a
// certificate could not have named.
func TestPointIsNotRedirectedElsewhere(t *testing.T) {
	r := newRig(t)
	list := newPublisher(t, r.crl(1))
	p := newPublisher(t, nil)
	p.publish(func(w http.ResponseWriter, q *http.Request) {
		http.Redirect(w, q, strings.Replace(list.URL, "127.0.0.1", "localhost", 1), http.StatusFound)
	})
	r.start("trust_stores: {clients: {ca_bundle: {file: ca.pem}, revocation: {distribution_points: [127.0.0.1], fetch: {allow: [127.0.0.0/8, \"::1/128\"], interval: 1s}}}}\n" + verifyListener)
	leaf := pki.Must(r.ca.Issue(pki.CRLDistributionPoints(fmt.Sprint(p.URL, "/ca.crl"))))
	if got := r.code(leaf); got != reason.ClientCertCrlProcessingError {
		t.Fatalf("before its list has come: %s", got)
	}
	r.await("refused", func() bool {
		sources := r.store().Status().Sources
		return len(sources) == 1 && strings.Contains(sources[0].LastError, `redirect to host "localhost" is refused`)
	})
	if n := list.requests(); n != 0 {
		t.Errorf("the other host is asked %d times", n)
	}
}
