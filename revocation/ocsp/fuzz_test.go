package ocsp

import (
	"crypto/ed25519"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"testing"
	"time"

	xocsp "golang.org/x/crypto/ocsp"
)

// FuzzValidate changes responses that are right. What is still taken has to be
// signed by one who may: with the same keys in every process, that is one of
// the signed parts that the seeds have.
func FuzzValidate(f *testing.F) {
	key := func(b byte) ed25519.PrivateKey {
		seed := make([]byte, ed25519.SeedSize)
		seed[0] = b
		return ed25519.NewKeyFromSeed(seed)
	}
	now := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	dated := func(c *x509.Certificate) { c.NotBefore, c.NotAfter = now.Add(-time.Hour), now.Add(time.Hour) }
	ca := issue(f, "Issuing CA", key(1), nil, dated)
	leaf := issue(f, "leaf", key(2), ca, dated)
	delegate := issue(f, "OCSP responder", key(3), ca, func(c *x509.Certificate) {
		dated(c)
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning}
		c.ExtraExtensions = []pkix.Extension{{Id: oidNoCheck, Value: []byte{5, 0}}}
	})
	q, err := NewQuestion(leaf.cert, ca.cert)
	if err != nil {
		f.Fatal(err)
	}
	signed := map[string]bool{}
	for _, alter := range []func(*fixture){
		func(*fixture) {},
		func(x *fixture) { x.byName = true },
		func(x *fixture) { x.singles[0].status, x.singles[0].reason = statusRevoked, 6 },
		func(x *fixture) { x.singles[0].status = statusUnknown },
		func(x *fixture) { x.signer, x.named, x.certs = delegate, delegate, []*party{ca, delegate} },
		func(x *fixture) {
			x.extensions = []extension{nonceExtension("nonce")}
			x.singles[0].extensions = []extension{{unknownExtension, false, []byte{5, 0}}}
		},
		func(x *fixture) {
			other := x.singles[0]
			other.serial = big.NewInt(4)
			x.singles = append(x.singles, other)
		},
		func(x *fixture) { x.status = 3 },
		func(x *fixture) { x.signer, x.certs = leaf, []*party{leaf} }, // not one of signed
	} {
		x := fixtureOf(f, ca, leaf.cert)
		x.produced, x.singles[0].this, x.singles[0].next = now, now, now.Add(time.Hour)
		alter(x)
		der := x.der()
		f.Add(der)
		if r, err := parse(der); err == nil && x.signer != leaf {
			signed[string(r.signed)] = true
		}
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		a, err := q.Validate(der, Check{Now: now, Nonce: []byte("nonce"), MaxAge: time.Hour})
		if err != nil {
			if a != (Answer{}) {
				t.Fatalf("got %+v with error %v", a, err)
			}
			return
		}
		r, err := parse(der)
		if err != nil || !signed[string(r.signed)] {
			t.Fatalf("took what nobody has signed: %x, %v", der, err)
		}
		if x, err := xocsp.ParseResponseForCert(der, leaf.cert, nil); err == nil {
			if want := map[int]Status{xocsp.Good: Good, xocsp.Revoked: Revoked, xocsp.Unknown: Unknown}[x.Status]; a.Status != want {
				t.Fatalf("got %s, x/crypto says %s", a.Status, want)
			}
		}
	})
}
