package truststore

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"math/big"
	"slices"
	"testing"
	"time"

	"github.com/sallyport/sallyport/edge/reason"
	"github.com/sallyport/sallyport/loadtest/pki"
)

// TestCatalogue judges every bad client that the peers and the edge's own tests
// present, and counts that none is left out.
func TestCatalogue(t *testing.T) {
	anchor := root()
	catalogue := pki.Must(pki.Bad(anchor))
	f := newFixture(t, anchor)
	f.crl("all.crl", catalogue.CRLs...)
	s := f.open()

	// crypto/tls refuses these before any callback.
	unparsable := []string{"garbage", "truncated", "trailing-data", "negative-serial", "garbage-in-chain"}
	// A Store sees no proof of possession.
	proof := []string{"another-key"}
	judged := 0
	for _, c := range catalogue.Clients {
		if slices.Contains(unparsable, c.Name) {
			continue
		}
		judged++
		t.Run(c.Name, func(t *testing.T) {
			want := code(t, c.Code)
			if slices.Contains(proof, c.Name) {
				want = reason.Success
			}
			_, err := s.Verify(presented(t, c.TLS), alb, time.Now())
			wantCode(t, err, want)
			if err != nil {
				t.Log(err)
			}
		})
	}
	if want := len(catalogue.Clients) - len(unparsable); judged != want || judged < 25 {
		t.Errorf("judged %d clients, want %d", judged, want)
	}
}

func TestStrictCatalogue(t *testing.T) {
	anchor := root()
	s := newStore(t, anchor)
	strict := alb
	strict.Strict = true
	for _, c := range pki.Must(pki.BadIfStrict(anchor)) {
		t.Run(c.Name, func(t *testing.T) {
			_, err := s.Verify(presented(t, c.TLS), alb, time.Now())
			wantCode(t, err, reason.Success)
			_, err = s.Verify(presented(t, c.TLS), strict, time.Now())
			wantCode(t, err, code(t, c.Code))
		})
	}
	_, err := s.Verify(chainOf(t, issue(anchor)), strict, time.Now())
	wantCode(t, err, reason.Success)
}

func TestStrictRules(t *testing.T) {
	anchor := root()
	s := newStore(t, anchor)
	strict := alb
	strict.Strict = true
	longest := new(big.Int).Lsh(big.NewInt(1), 158) // 20 octets
	for _, c := range []struct {
		name string
		leaf *pki.Leaf
		want reason.Code
	}{
		{"serial of 20 octets", issue(anchor, pki.Serial(longest)), reason.Success},
		{"serial of 20 bytes with the first bit set is 21 octets", issue(anchor, pki.Serial(new(big.Int).Lsh(longest, 1))), reason.ClientCertInvalid},
		{"CA with serial 0", issue(below(anchor, pki.Serial(new(big.Int)))), reason.ClientCertInvalid},
		{"any usage is not clientAuth by name", issue(anchor, pki.EKU(x509.ExtKeyUsageAny)), reason.ClientCertPurposeInvalid},
		{"no key usage", issue(anchor, pki.KeyUsage(0)), reason.ClientCertPurposeInvalid},
		{"stranger with serial 0", pki.Must(pki.SelfSigned(pki.Serial(new(big.Int)))), reason.ClientCertInvalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := s.Verify(chainOf(t, c.leaf), strict, time.Now())
			wantCode(t, err, c.want)
		})
	}
}

func TestZeroValuesDeny(t *testing.T) {
	anchor := root()
	chain := chainOf(t, issue(anchor))
	_, err := new(Store).Verify(chain, alb, time.Now())
	wantCode(t, err, reason.TrustStoreUnavailable)
	wantCode(t, new(Store).CheckRevocation(&Chain{}, time.Now()), reason.TrustStoreUnavailable)

	s := newStore(t, anchor)
	_, err = s.Verify(chain, Policy{}, time.Now())
	wantCode(t, err, reason.ClientCertMaxSizeExceeded)
	_, err = s.Verify(chain, Policy{MaxSize: 1 << 20}, time.Now())
	wantCode(t, err, reason.ClientCertMaxChainDepthExceeded)
	wantCode(t, s.CheckRevocation(&Chain{}, time.Now()), reason.ClientCertUntrusted)
	wantCode(t, s.CheckRevocation(nil, time.Now()), reason.ClientCertUntrusted)
	_, err = s.Verify([]*x509.Certificate{nil}, alb, time.Now())
	wantCode(t, err, reason.ClientCertInvalid)
	_, err = s.Verify([]*x509.Certificate{{}}, alb, time.Now())
	wantCode(t, err, reason.ClientCertInvalid)
	_, err = s.Verify(chain, alb, time.Time{})
	wantCode(t, err, reason.ClientCertNotYetValid)
}

func TestPresentedLimits(t *testing.T) {
	anchor := root()
	s := newStore(t, anchor)
	ca := anchor
	for range 3 {
		ca = below(ca)
	}
	four := chainOf(t, issue(ca))
	size := int64(0)
	for _, c := range four {
		size += int64(len(c.Raw))
	}
	for _, c := range []struct {
		name   string
		policy Policy
		want   reason.Code
	}{
		{"both at the limit", Policy{MaxChainDepth: 4, MaxSize: size}, reason.Success},
		{"one byte more", Policy{MaxChainDepth: 4, MaxSize: size - 1}, reason.ClientCertMaxSizeExceeded},
		{"one certificate more", Policy{MaxChainDepth: 3, MaxSize: size}, reason.ClientCertMaxChainDepthExceeded},
		{"size is judged first", Policy{MaxChainDepth: 3, MaxSize: size - 1}, reason.ClientCertMaxSizeExceeded},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := s.Verify(four, c.policy, time.Now())
			wantCode(t, err, c.want)
		})
	}
	wantCode(t, CheckPresented(nil, 1<<20), reason.ClientCertMissing)
	wantCode(t, CheckPresented(four, size), reason.Success)
	wantCode(t, CheckPresented(four, size-1), reason.ClientCertMaxSizeExceeded)
}

func TestVersionOneSaysWhatToChange(t *testing.T) {
	anchor := root()
	_, err := newStore(t, anchor).Verify(chainOf(t, issue(anchor, pki.V1())), alb, time.Now())
	wantRefusal(t, err, reason.ClientCertTypeUnsupported, "-extfile")
}

func TestKeysAndHashes(t *testing.T) {
	anchor := root()
	rsa := root(pki.Key(pki.RSA(2048)))
	ed := root(pki.Key(pki.Ed25519))
	weak := root(pki.Key(pki.RSA(1024)))
	s := newStore(t, anchor, rsa, ed, weak)
	allowed := alb
	allowed.AllowEd25519 = true
	for _, c := range []struct {
		name   string
		policy Policy
		leaf   *pki.Leaf
		want   reason.Code
	}{
		{"RSA 2048", alb, issue(anchor, pki.Key(pki.RSA(2048))), reason.Success},
		{"RSA 2047", alb, issue(anchor, pki.Key(pki.RSA(2047))), reason.ClientCertTypeUnsupported},
		{"P-384", alb, issue(anchor, pki.Key(pki.P384)), reason.Success},
		{"P-521", alb, issue(anchor, pki.Key(pki.P521)), reason.Success},
		{"P-224 CA", alb, issue(below(anchor, pki.Key(pki.P224))), reason.ClientCertTypeUnsupported},
		{"PSS", alb, issue(rsa, pki.SignedWith(x509.SHA384WithRSAPSS)), reason.Success},
		{"RSA with SHA-512", alb, issue(rsa, pki.SignedWith(x509.SHA512WithRSA)), reason.Success},
		{"Ed25519 leaf, allowed", allowed, issue(anchor, pki.Key(pki.Ed25519)), reason.Success},
		{"Ed25519 anchor", alb, issue(ed), reason.ClientCertTypeUnsupported},
		{"Ed25519 anchor, allowed", allowed, issue(ed), reason.Success},
		{"RSA 1024 anchor", alb, issue(weak), reason.ClientCertTypeUnsupported},
		{"RSA 512 CA, whose signatures crypto/rsa refuses", alb, underWeak(t, anchor), reason.ClientCertTypeUnsupported},
		{"v1 CA", alb, issue(below(anchor, pki.V1())), reason.ClientCertTypeUnsupported},
		{"RSA 1024 stranger", alb, pki.Must(pki.SelfSigned(pki.Key(pki.RSA(1024)))), reason.ClientCertUntrusted},
		{"SHA-1 from a stranger", alb, issue(root(), pki.SHA1()), reason.ClientCertUntrusted},
		{"SHA-1 whose signature is wrong", alb, issue(anchor, pki.SHA1()).FlipSignature(), reason.ClientCertInvalid},
		{"SHA-1 by the anchor", alb, issue(anchor, pki.SHA1()), reason.ClientCertIncompatible},
		{"SHA-1 below a forged CA", alb, issue(below(anchor, pki.SignedBy(root())), pki.SHA1()), reason.ClientCertInvalid},
		{"SHA-1 on an RSA 1024 leaf", alb, issue(anchor, pki.SHA1(), pki.Key(pki.RSA(1024))), reason.ClientCertTypeUnsupported},
		{"SHA-1 and a path too long", alb, issue(below(below(anchor, pki.PathLen(0))), pki.SHA1()), reason.ClientCertUntrusted},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := s.Verify(chainOf(t, c.leaf), c.policy, time.Now())
			wantCode(t, err, c.want)
		})
	}
}

// A self-signed anchor may be signed with SHA-1: nobody checks that signature.
func TestAnchorsOwnSignatureDoesNotMatter(t *testing.T) {
	anchor := root(pki.SHA1())
	_, err := newStore(t, anchor).Verify(chainOf(t, issue(anchor)), alb, time.Now())
	wantCode(t, err, reason.Success)
}

func TestNoPath(t *testing.T) {
	anchor := root()
	s := newStore(t, anchor)
	mid := below(anchor)
	stranger := pki.Must(anchor.Impostor())
	withoutIDs := pki.WithoutExtension(asn1.ObjectIdentifier{2, 5, 29, 35}, asn1.ObjectIdentifier{2, 5, 29, 14})
	namesake := pki.Must(mid.Impostor())
	for _, c := range []struct {
		name string
		leaf *pki.Leaf
		want reason.Code
		say  string
	}{
		{"namesake root with other key identifier", issue(stranger), reason.ClientCertUntrusted, "no path"},
		{"namesake root without key identifiers", issue(pki.Must(anchor.Impostor(withoutIDs)), withoutIDs), reason.ClientCertInvalid, "not signed by the key"},
		{"forged in the anchor's name", issue(anchor, pki.SignedBy(stranger)), reason.ClientCertInvalid, "not signed by the key"},
		{"namesake CA presented, which did sign", issue(namesake).Present(namesake), reason.ClientCertUntrusted, ""},
		{"namesake CA beside the right one, which did not sign", issue(namesake, withoutIDs).Present(namesake, mid), reason.ClientCertUntrusted, ""},
		{"tampered below an intermediate", issue(mid).FlipSignature(), reason.ClientCertInvalid, "not signed by the key"},
		{"tampered below a CA that leads nowhere", issue(below(root())).FlipSignature(), reason.ClientCertUntrusted, "neither presented nor in the trust store"},
		{"self-signed", pki.Must(pki.SelfSigned()), reason.ClientCertUntrusted, "self-signed and not in the trust store"},
		{"own root presented", func() *pki.Leaf { r := root(); return issue(r).Present(r) }(), reason.ClientCertUntrusted, "self-signed certificate"},
		{"expired stranger", issue(root(), pki.NotAfter(time.Now().Add(-time.Minute))), reason.ClientCertUntrusted, ""},
		{"leaf of a leaf", func() *pki.Leaf {
			victim := issue(anchor, pki.CommonName("victim"))
			forger := pki.Must(pki.NewRoot(pki.CommonName("victim")))
			l := issue(forger)
			l.Chain = [][]byte{victim.DER}
			return l
		}(), reason.ClientCertUntrusted, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := s.Verify(chainOf(t, c.leaf), alb, time.Now())
			wantRefusal(t, err, c.want, c.say)
		})
	}
}

func TestExtKeyUsageIsNestedOverThePath(t *testing.T) {
	serverOnly, both := x509.ExtKeyUsageServerAuth, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	anchor := root()
	serverRoot := root(pki.EKU(serverOnly))
	s := newStore(t, anchor, serverRoot)
	ekuOID := asn1.ObjectIdentifier{2, 5, 29, 37}
	for _, c := range []struct {
		name string
		leaf *pki.Leaf
		want reason.Code
	}{
		{"none in the leaf", issue(anchor, pki.EKU()), reason.Success},
		{"any in the leaf", issue(anchor, pki.EKU(x509.ExtKeyUsageAny)), reason.Success},
		{"both in the leaf", issue(anchor, pki.EKU(both...)), reason.Success},
		{"both in the CA", issue(below(anchor, pki.EKU(both...))), reason.Success},
		{"server only in the CA", issue(below(anchor, pki.EKU(serverOnly))), reason.ClientCertPurposeInvalid},
		{"server only in the anchor", issue(serverRoot), reason.ClientCertPurposeInvalid},
		{"unknown usage only", issue(anchor, pki.Template(func(t *x509.Certificate) {
			t.ExtKeyUsage, t.UnknownExtKeyUsage = nil, []asn1.ObjectIdentifier{{1, 2, 3}}
		})), reason.ClientCertPurposeInvalid},
		{"empty, which is malformed", issue(anchor, pki.Extension(ekuOID, false, []byte{0x30, 0})), reason.ClientCertPurposeInvalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := s.Verify(chainOf(t, c.leaf), alb, time.Now())
			wantCode(t, err, c.want)
		})
	}
}

// Only the first certificate is the client's, whatever comes with it.
func TestOnlyTheLeafIsTheIdentity(t *testing.T) {
	anchor := root()
	mid := below(anchor)
	s := newStore(t, anchor)
	victim := issue(mid, pki.CommonName("victim"))
	thief := pki.Must(pki.SelfSigned(pki.CommonName("thief")))
	member := issue(anchor, pki.CommonName("member"))

	stolen := append(chainOf(t, thief), chainOf(t, victim)...)
	_, err := s.Verify(stolen, alb, time.Now())
	wantCode(t, err, reason.ClientCertUntrusted)

	for name, extra := range map[string][]*x509.Certificate{
		"stolen chain": chainOf(t, victim),
		"twice":        {member.Cert, member.Cert},
		"its anchor":   {anchor.Cert},
		"a stranger":   {thief.Cert},
	} {
		t.Run(name, func(t *testing.T) {
			v, err := s.Verify(append(chainOf(t, member), extra...), alb, time.Now())
			wantCode(t, err, reason.Success)
			if err == nil && (!bytes.Equal(v.Path[0].Raw, member.DER) || len(v.Path) != 2) {
				t.Errorf("path of %d certificates from %v, want [member, anchor]", len(v.Path), v.Path[0].Subject)
			}
		})
	}
}

// What is presented may come in any order after the leaf.
func TestOrderOfIntermediates(t *testing.T) {
	anchor := root()
	upper := below(anchor)
	lower := below(upper)
	leaf := issue(lower)
	s := newStore(t, anchor)
	v, err := s.Verify(chainOf(t, leaf.Present(upper, lower)), alb, time.Now())
	wantCode(t, err, reason.Success)
	if err == nil && len(v.Path) != 4 {
		t.Errorf("path of %d, want 4", len(v.Path))
	}
}

func TestAdversarialChainsAreBounded(t *testing.T) {
	anchor := root()
	s := newStore(t, anchor)
	// Sixteen certificates of one name and key identifier with fifteen keys, each
	// of which could have signed every other, under the anchor's name.
	id := pki.SubjectKeyID(anchor.Cert.SubjectKeyId)
	first := pki.Must(anchor.Impostor(id))
	chain := []*x509.Certificate{issue(first).Cert}
	for range 15 {
		chain = append(chain, pki.Must(anchor.Impostor(id, pki.Key(pki.P521), pki.AuthorityKeyID(anchor.Cert.SubjectKeyId))).Cert)
	}
	p := Policy{MaxChainDepth: 16, MaxSize: 1 << 20}
	start := time.Now()
	_, err := s.Verify(chain, p, time.Now())
	wantCode(t, err, reason.ClientCertInvalid)
	t.Logf("took %v", time.Since(start))
	search := newSearch(s.gen.Load().anchors, chain)
	search.namesLeadToAnchor()
	d := &diagnosis{search: search, policy: p, checks: diagnosisChecks, links: map[[2]*x509.Certificate]link{}, best: map[*x509.Certificate]hop{}}
	d.relax()
	if d.checks < 0 {
		t.Errorf("%d signature checks more than allowed", -d.checks)
	}
}

func TestHugeRSAIsNeverUsed(t *testing.T) {
	anchor := root()
	s := newStore(t, anchor)
	huge := below(anchor, pki.Key(pki.RSA(8200)))
	_, err := s.Verify(chainOf(t, issue(huge)), alb, time.Now())
	wantRefusal(t, err, reason.ClientCertTypeUnsupported, "8200 bits")
}

// A mesh of CAs that all signed one another has more paths than can be walked.
func TestMeshOfCrossSignedCAsIsBounded(t *testing.T) {
	anchor := root()
	s := newStore(t, anchor)
	var cas []*pki.CA
	for range 4 {
		cas = append(cas, below(anchor))
	}
	leaf := issue(cas[0])
	leaf.Chain = nil
	for _, a := range cas {
		for _, b := range cas {
			if a != b && len(leaf.Chain) < 11 {
				leaf.Chain = append(leaf.Chain, pki.Must(a.CrossSign(b)).DER)
			}
		}
	}
	p := Policy{MaxChainDepth: 16, MaxSize: 1 << 20}
	start := time.Now()
	_, err := s.Verify(chainOf(t, leaf), p, time.Now())
	wantCode(t, err, reason.ClientCertUntrusted)
	leaf.Chain = append(leaf.Chain, cas[3].DER)
	_, err = s.Verify(chainOf(t, leaf), p, time.Now())
	wantCode(t, err, reason.Success)
	t.Logf("took %v", time.Since(start))
}

// underWeak is a leaf below an RSA key so small that Go does not sign with it.
func underWeak(t *testing.T, anchor *pki.CA) *pki.Leaf {
	t.Helper()
	weak := below(anchor, pki.Key(pki.RSA(512)))
	return issue(weak, pki.SignedBy(anchor))
}
