package truststore

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/identity"
	"github.com/sallyport/sallyport/edge/reason"
	"github.com/sallyport/sallyport/loadtest/pki"
)

// wantVerdicts checks what each client gets.
func wantVerdicts(t *testing.T, s *Store, now time.Time, want map[*pki.Leaf]reason.Code) {
	t.Helper()
	for leaf, code := range want {
		for range 2 { // the second time from the cache
			_, err := s.Verify(chainOf(t, leaf), alb, now)
			wantCode(t, err, code)
		}
	}
}

func TestRevokeCertificate(t *testing.T) {
	now := time.Now()
	for _, c := range []struct {
		name string
		mode config.CRLMode
	}{{"auto", config.CRLAuto}, {"off", config.CRLOff}} {
		for _, scope := range []config.RevocationScope{config.ScopeChain, config.ScopeLeaf} {
			t.Run(c.name+"/"+string(scope), func(t *testing.T) {
				top := root()
				mid, other := below(top), below(top)
				leaf, sibling, cousin := issue(mid), issue(mid), issue(other)
				f := newFixture(t, top)
				f.cfg.Revocation.CRL, f.cfg.Revocation.Scope = c.mode, scope
				s := f.open()
				wantVerdicts(t, s, now, map[*pki.Leaf]reason.Code{leaf: reason.Success, sibling: reason.Success, cousin: reason.Success})

				r, err := s.RevokeCertificate(leaf.Cert, "laptop stolen", now)
				if err != nil {
					t.Fatal(err)
				}
				wantVerdicts(t, s, now, map[*pki.Leaf]reason.Code{leaf: reason.ClientCertCrlHit, sibling: reason.Success, cousin: reason.Success})
				_, err = s.Verify(chainOf(t, leaf), alb, now)
				wantRefusal(t, err, reason.ClientCertCrlHit, "was revoked by hand at "+stamp(now)+": laptop stolen")

				if _, err := s.RevokeCertificate(mid.Cert, "", now); err != nil {
					t.Fatal(err)
				}
				wantVerdicts(t, s, now, map[*pki.Leaf]reason.Code{leaf: reason.ClientCertCrlHit, sibling: reason.ClientCertCrlHit, cousin: reason.Success})
				if err := s.Unrevoke(r.ID, "found again", now); err != nil {
					t.Fatal(err)
				}
				wantVerdicts(t, s, now, map[*pki.Leaf]reason.Code{leaf: reason.ClientCertCrlHit, cousin: reason.Success})

				// An anchor.
				if _, err := s.RevokeCertificate(top.Cert, "", now); err != nil {
					t.Fatal(err)
				}
				wantVerdicts(t, s, now, map[*pki.Leaf]reason.Code{cousin: reason.ClientCertCrlHit})
			})
		}
	}
}

func TestRevokeSerial(t *testing.T) {
	now := time.Now()
	top := root()
	mid := below(top)
	n := big.NewInt(0x0A1B)
	leaf := issue(mid, pki.Serial(n))
	// Of the same number or the same issuer's name, and not meant.
	namesake := pki.Must(top.NewIntermediate(pki.RawSubject(mid.Cert.RawSubject)))
	others := map[*pki.Leaf]reason.Code{
		issue(below(top), pki.Serial(n)):             reason.Success,
		issue(namesake, pki.Serial(n)):               reason.Success,
		issue(mid, pki.Serial(big.NewInt(0x0A1C))):   reason.Success,
		issue(mid, pki.Serial(big.NewInt(0x0A1B00))): reason.Success,
	}
	s := newStore(t, top)
	wantVerdicts(t, s, now, others)
	r, err := s.RevokeSerial(mid.Cert, n, "", now)
	if err != nil {
		t.Fatal(err)
	}
	if r.Serial != "0A1B" || r.Issuer != identity.Subject(mid.Cert) || r.IssuerSPKI == "" || r.ID == "" {
		t.Errorf("%+v", r)
	}
	wantVerdicts(t, s, now, others)
	wantVerdicts(t, s, now, map[*pki.Leaf]reason.Code{leaf: reason.ClientCertCrlHit})
	_, err = s.Verify(chainOf(t, leaf), alb, now)
	if err == nil || !strings.HasSuffix(err.Error(), "was revoked by hand at "+stamp(now)) {
		t.Errorf("refusal %v", err)
	}

	// The issuer's other certificates make no difference: it is name and key.
	crossed := pki.Must(top.CrossSign(mid))
	wantVerdicts(t, s, now, map[*pki.Leaf]reason.Code{leaf.Present(crossed): reason.ClientCertCrlHit})

	// Twice is once, in any form.
	generation := s.Generation()
	again, err := s.RevokeSerial(crossed.Cert, n, "again", now)
	if err != nil || again.ID != r.ID || s.Generation() != generation {
		t.Errorf("again: %+v, %v", again, err)
	}

	for name, revoke := range map[string]func() (Revocation, error){
		"no certificate":        func() (Revocation, error) { return s.RevokeCertificate(nil, "", now) },
		"unparsed certificate":  func() (Revocation, error) { return s.RevokeCertificate(&x509.Certificate{}, "", now) },
		"no issuer":             func() (Revocation, error) { return s.RevokeSerial(nil, n, "", now) },
		"issuer without a key":  func() (Revocation, error) { return s.RevokeSerial(&x509.Certificate{}, n, "", now) },
		"no serial":             func() (Revocation, error) { return s.RevokeSerial(top.Cert, nil, "", now) },
		"negative serial":       func() (Revocation, error) { return s.RevokeSerial(top.Cert, big.NewInt(-1), "", now) },
		"reason of two lines":   func() (Revocation, error) { return s.RevokeSerial(top.Cert, n, "a\nb", now) },
		"reason not UTF-8":      func() (Revocation, error) { return s.RevokeSerial(top.Cert, n, "\xff", now) },
		"reason of many pages":  func() (Revocation, error) { return s.RevokeSerial(top.Cert, n, strings.Repeat("x", 501), now) },
		"zero store":            func() (Revocation, error) { return new(Store).RevokeSerial(top.Cert, n, "", now) },
		"zero store, from cert": func() (Revocation, error) { return new(Store).RevokeCertificate(top.Cert, "", now) },
	} {
		if r, err := revoke(); err == nil || r != (Revocation{}) {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
	if got := s.Revocations(); len(got) != 1 || got[0].ID != r.ID {
		t.Errorf("%+v", got)
	}
}

// Where the issuer is no anchor, its key is found out by the signature.
func TestRevokeCertificateOfAnUnknownIssuer(t *testing.T) {
	now := time.Now()
	top := root()
	mid := below(top)
	namesake := pki.Must(top.NewIntermediate(pki.RawSubject(mid.Cert.RawSubject)))
	n := big.NewInt(1)
	leaf, others := issue(mid, pki.Serial(n)), issue(namesake, pki.Serial(n))
	renewed := issue(mid, pki.Serial(n)) // as no CA should
	f := newFixture(t, top)
	s := f.open()
	r, err := s.RevokeCertificate(leaf.Cert, "", now)
	if err != nil || r.IssuerSPKI != "" || r.Fingerprint != hex.EncodeToString(sum(leaf.DER)) {
		t.Fatalf("%+v, %v", r, err)
	}
	want := map[*pki.Leaf]reason.Code{
		leaf:              reason.ClientCertCrlHit,
		reshaped(t, leaf): reason.ClientCertCrlHit,
		renewed:           reason.ClientCertCrlHit,
		others:            reason.Success,
	}
	wantVerdicts(t, s, now, want)
	wantVerdicts(t, f.open(), now, want)
	if again, err := s.RevokeCertificate(reshaped(t, leaf).Cert, "", now); err != nil || again.ID != r.ID {
		t.Errorf("again: %+v, %v", again, err)
	}

	// A forgery under a good certificate's number revokes nobody.
	forged := issue(pki.Must(mid.Impostor()), pki.Serial(big.NewInt(2)))
	good := issue(mid, pki.Serial(big.NewInt(2)))
	if _, err := s.RevokeCertificate(forged.Cert, "", now); err != nil {
		t.Fatal(err)
	}
	wantVerdicts(t, s, now, map[*pki.Leaf]reason.Code{good: reason.Success})
}

func sum(der []byte) []byte {
	s := sha256.Sum256(der)
	return s[:]
}

// reshaped is the leaf with its ECDSA signature in the other form that verifies,
// as anyone can make it.
func reshaped(t *testing.T, leaf *pki.Leaf) *pki.Leaf {
	t.Helper()
	var signature struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(leaf.Cert.Signature, &signature); err != nil {
		t.Fatal(err)
	}
	signature.S.Sub(elliptic.P256().Params().N, signature.S)
	flipped, err := asn1.Marshal(signature)
	if err != nil {
		t.Fatal(err)
	}
	var c struct {
		TBS       asn1.RawValue
		Algorithm asn1.RawValue
		Signature asn1.BitString
	}
	if _, err := asn1.Unmarshal(leaf.DER, &c); err != nil {
		t.Fatal(err)
	}
	c.Signature = asn1.BitString{Bytes: flipped, BitLength: 8 * len(flipped)}
	der, err := asn1.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	other := leaf.WithDER(der)
	if bytes.Equal(other.DER, leaf.DER) || !bytes.Equal(other.Cert.RawTBSCertificate, leaf.Cert.RawTBSCertificate) {
		t.Fatal("not another form of the same certificate")
	}
	if _, ok := other.Cert.PublicKey.(*ecdsa.PublicKey); !ok {
		t.Fatalf("key is %T", other.Cert.PublicKey)
	}
	return other
}

// Another form of the signature is no way around a revocation.
func TestRevocationIsNotOfTheBytes(t *testing.T) {
	now := time.Now()
	anchor := root()
	leaf := issue(anchor)
	s := newStore(t, anchor)
	other := reshaped(t, leaf)
	wantVerdicts(t, s, now, map[*pki.Leaf]reason.Code{leaf: reason.Success, other: reason.Success})
	if r, err := s.RevokeCertificate(leaf.Cert, "", now); err != nil || r.IssuerSPKI == "" {
		t.Fatalf("%+v, %v", r, err)
	}
	wantVerdicts(t, s, now, map[*pki.Leaf]reason.Code{leaf: reason.ClientCertCrlHit, other: reason.ClientCertCrlHit})
}

// An anchor has no issuer on the path, but is not beyond reach.
func TestRevokeAnchor(t *testing.T) {
	now := time.Now()
	top, stranger := root(), root()
	mid, sound := below(top), below(top)
	old := below(top, pki.SHA1())
	for _, c := range []struct {
		name    string
		anchors []*pki.CA
		revoke  func(s *Store) (Revocation, error)
		leaf    *pki.Leaf
		want    reason.Code
	}{
		{"by certificate, issuer unknown", []*pki.CA{mid, sound}, func(s *Store) (Revocation, error) { return s.RevokeCertificate(mid.Cert, "", now) }, issue(mid), reason.ClientCertCrlHit},
		{"by certificate, issuer an anchor", []*pki.CA{mid, sound, top}, func(s *Store) (Revocation, error) { return s.RevokeCertificate(mid.Cert, "", now) }, issue(mid), reason.ClientCertCrlHit},
		{"another", []*pki.CA{mid, sound}, func(s *Store) (Revocation, error) { return s.RevokeCertificate(mid.Cert, "", now) }, issue(sound), reason.Success},
		{"by serial, issuer no anchor", []*pki.CA{mid}, func(s *Store) (Revocation, error) { return s.RevokeSerial(top.Cert, mid.Serial(), "", now) }, issue(mid), reason.ClientCertCrlHit},
		{"by serial, signed with SHA-1", []*pki.CA{old}, func(s *Store) (Revocation, error) { return s.RevokeSerial(top.Cert, old.Serial(), "", now) }, issue(old), reason.ClientCertCrlHit},
		{"by serial of a namesake of its issuer", []*pki.CA{mid}, func(s *Store) (Revocation, error) {
			return s.RevokeSerial(pki.Must(top.Impostor()).Cert, mid.Serial(), "", now)
		}, issue(mid), reason.Success},
		{"by serial of a stranger", []*pki.CA{mid}, func(s *Store) (Revocation, error) { return s.RevokeSerial(stranger.Cert, mid.Serial(), "", now) }, issue(mid), reason.Success},
		{"root by serial", []*pki.CA{top}, func(s *Store) (Revocation, error) { return s.RevokeSerial(top.Cert, top.Serial(), "", now) }, issue(top), reason.ClientCertCrlHit},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t, c.anchors...)
			s := f.open()
			wantVerdicts(t, s, now, map[*pki.Leaf]reason.Code{c.leaf: reason.Success})
			if _, err := c.revoke(s); err != nil {
				t.Fatal(err)
			}
			wantVerdicts(t, s, now, map[*pki.Leaf]reason.Code{c.leaf: c.want})
			wantVerdicts(t, f.open(), now, map[*pki.Leaf]reason.Code{c.leaf: c.want})
		})
	}

	// A client that is an anchor itself.
	s := newStore(t, top, mid)
	alone := []*x509.Certificate{mid.Cert}
	_, err := s.Verify(alone, alb, now)
	wantCode(t, err, reason.Success)
	if _, err := s.RevokeCertificate(mid.Cert, "", now); err != nil {
		t.Fatal(err)
	}
	_, err = s.Verify(alone, alb, now)
	wantCode(t, err, reason.ClientCertCrlHit)
}

// An anchor that comes with a later bundle is judged by earlier revocations.
func TestRevocationBeforeItsAnchor(t *testing.T) {
	now := time.Now()
	first, next := root(), root()
	leaf := issue(next)
	f := newFixture(t, first)
	s := f.open()
	for _, revoke := range []func() (Revocation, error){
		func() (Revocation, error) { return s.RevokeCertificate(leaf.Cert, "", now) },
		func() (Revocation, error) { return s.RevokeCertificate(next.Cert, "", now) },
	} {
		if _, err := revoke(); err != nil {
			t.Fatal(err)
		}
	}
	f.write("ca.pem", pki.Bundle(next))
	if err := s.Reload(); err != nil {
		t.Fatal(err)
	}
	wantVerdicts(t, s, now, map[*pki.Leaf]reason.Code{leaf: reason.ClientCertCrlHit, issue(next): reason.ClientCertCrlHit})
	if err := s.Unrevoke(s.Revocations()[1].ID, "is good", now); err != nil {
		t.Fatal(err)
	}
	wantVerdicts(t, s, now, map[*pki.Leaf]reason.Code{leaf: reason.ClientCertCrlHit, issue(next): reason.Success})
}

// With two paths, one that was revoked leaves the other.
func TestRevokedPathLeavesAnother(t *testing.T) {
	now := time.Now()
	a, b := root(), root()
	mid := below(a)
	crossed := pki.Must(b.CrossSign(mid, pki.NotAfter(now.Add(time.Hour))))
	leaf := issue(mid).Present(mid, crossed)
	s := newStore(t, a, b)
	before, err := s.Verify(chainOf(t, leaf), alb, now)
	if err != nil || !samePath(before.Path, []*x509.Certificate{leaf.Cert, mid.Cert, a.Cert}) {
		t.Fatalf("%+v, %v", before, err)
	}
	for i, want := range []reason.Code{reason.Success, reason.ClientCertCrlHit} {
		if _, err := s.RevokeCertificate([]*pki.CA{mid, crossed}[i].Cert, "", now); err != nil {
			t.Fatal(err)
		}
		wantVerdicts(t, s, now, map[*pki.Leaf]reason.Code{leaf: want})
		if v, err := s.Verify(chainOf(t, leaf), alb, now); err == nil && (v.Generation != 2 || !samePath(v.Path, []*x509.Certificate{leaf.Cert, crossed.Cert, b.Cert})) {
			t.Errorf("by generation %d, path %v", v.Generation, v.Path)
		}
	}
}
