package revocation

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"testing"
	"time"
)

func asCA(c *x509.Certificate) { c.BasicConstraintsValid, c.IsCA = true, true }

func none(*x509.Certificate) {}

func notCA(c *x509.Certificate) { c.BasicConstraintsValid = true }

func TestScope(t *testing.T) {
	ca := newCA(t, "Scope CA")
	const one, two = "http://crl.example/1.crl", "http://crl.example/2.crl"
	point := func(fields ...[]byte) func(*x509.Certificate) { return withPoints(seq(fields...)) }

	for name, tt := range map[string]struct {
		idp    []byte
		cert   func(*x509.Certificate)
		listed Status // 7 is on the list; 8 must be Good exactly if 7 is Revoked, but for reasons
		clear  Status
	}{
		"whole, no points":                   {nil, none, Revoked, Good},
		"whole, point":                       {nil, point(pointOf(uri(one))), Revoked, Good},
		"point matches":                      {idpExt(pointOf(uri(one))), point(pointOf(uri(one))), Revoked, Good},
		"one of the list's names":            {idpExt(pointOf(uri(two), uri(one))), point(pointOf(uri(one))), Revoked, Good},
		"one of the certificate's names":     {idpExt(pointOf(uri(one))), point(pointOf(uri(two), uri(one))), Revoked, Good},
		"one of the certificate's points":    {idpExt(pointOf(uri(one))), withPoints(seq(pointOf(uri(two))), seq(pointOf(uri(one)))), Revoked, Good},
		"other point":                        {idpExt(pointOf(uri(two))), point(pointOf(uri(one))), Unknown, Unknown},
		"URI case":                           {idpExt(pointOf(uri("HTTP" + one[4:]))), point(pointOf(uri(one))), Unknown, Unknown},
		"URI not the same as DNS name":       {idpExt(pointOf(tlv(0x82, []byte(one)))), point(pointOf(uri(one))), Unknown, Unknown},
		"certificate without points":         {idpExt(pointOf(uri(one))), none, Unknown, Unknown},
		"issuer's name as the point":         {idpExt(pointOf(tlv(0xa4, ca.cert.RawSubject))), none, Revoked, Good},
		"point with cRLIssuer":               {idpExt(pointOf(uri(one))), point(pointOf(uri(one)), tlv(0xa2, tlv(0xa4, ca.cert.RawSubject))), Unknown, Unknown},
		"non-critical IDP":                   {ext(oidIssuingDistribution, false, seq(pointOf(uri(two)))), point(pointOf(uri(one))), Unknown, Unknown},
		"user list, end entity":              {idpExt(only(1)), notCA, Revoked, Good},
		"user list, no basicConstraints":     {idpExt(only(1)), none, Revoked, Good},
		"user list, CA":                      {idpExt(only(1)), asCA, Unknown, Unknown},
		"CA list, CA":                        {idpExt(only(2)), asCA, Revoked, Good},
		"CA list, end entity":                {idpExt(only(2)), notCA, Unknown, Unknown},
		"CA list, no basicConstraints":       {idpExt(only(2)), none, Unknown, Unknown},
		"attribute list":                     {idpExt(only(5)), none, Unknown, Unknown},
		"user list at other point":           {idpExt(pointOf(uri(two)), only(1)), point(pointOf(uri(one))), Unknown, Unknown},
		"flags FALSE":                        {idpExt([]byte{0x81, 1, 0}, []byte{0x84, 1, 0}), none, Revoked, Good},
		"some reasons":                       {idpExt(onlySome(1, 2)), none, Revoked, Unknown},
		"all reasons":                        {idpExt(onlySome(1, 2, 3, 4, 5, 6, 7, 8)), none, Revoked, Good},
		"unused bit only":                    {idpExt(onlySome(0)), none, Revoked, Unknown},
		"point for some reasons":             {idpExt(pointOf(uri(one))), point(pointOf(uri(one)), tlv(0x81, flagBits(1))), Revoked, Unknown},
		"list at the point for some reasons": {idpExt(pointOf(uri(one)), onlySome(1, 2)), point(pointOf(uri(one))), Revoked, Unknown},
		"two points with half the reasons":   {idpExt(pointOf(uri(one))), withPoints(seq(pointOf(uri(one)), tlv(0x81, flagBits(1, 2, 3, 4))), seq(pointOf(uri(one)), tlv(0x81, flagBits(5, 6, 7, 8)))), Revoked, Good},
	} {
		t.Run(name, func(t *testing.T) {
			extensions := all(numberExt(1))
			if tt.idp != nil {
				extensions = append(extensions, tt.idp)
			}
			list := ca.list(t, t0, all(revoke(7)), extensions)
			wantStatus(t, tt.listed, ca.link(t, 7, tt.cert), list)
			wantStatus(t, tt.clear, ca.link(t, 8, tt.cert), list)
		})
	}
}

// TestRelativePoint puts the extension into a parsed certificate: crypto/x509
// refuses certificates with such a point.
func TestRelativePoint(t *testing.T) {
	ca := newCA(t, "Relative CA")
	relative := tlv(0xa0, tlv(0xa1, attribute(oidCommonName, tagUTF8String, "CRL 1")))
	cert := *ca.issue(t, big.NewInt(7))
	cert.Extensions = append(cert.Extensions, pkix.Extension{Id: asn1CRLDistributionPoints, Value: seq(seq(relative))})
	link := Prepare(&cert, ca.cert)
	wantStatus(t, Revoked, link, ca.list(t, t0, all(revoke(7)), all(idpExt(relative))))
	wantStatus(t, Good, link, ca.list(t, t0, all(revoke(8)), all(idpExt(relative))))
	wantStatus(t, Unknown, ca.link(t, 7), ca.list(t, t0, all(revoke(7)), all(idpExt(relative))))
}

// TestScopeText wants the words of scopes to differ where these do: by them callers
// tell the editions of one list from those of another.
func TestScopeText(t *testing.T) {
	ca := newCA(t, "Words CA")
	relative := func(name string) []byte {
		return tlv(0xa0, tlv(0xa1, attribute(oidCommonName, tagUTF8String, name)))
	}
	seen := map[string]string{}
	for name, fields := range map[string][]byte{
		"URI 1":             pointOf(uri("http://crl.example/1.crl")),
		"URI 2":             pointOf(uri("http://crl.example/2.crl")),
		"both URIs":         pointOf(uri("http://crl.example/1.crl"), uri("http://crl.example/2.crl")),
		"one URI with both": pointOf(uri("http://crl.example/1.crl\" or \"http://crl.example/2.crl")),
		"directory 1":       pointOf(tlv(0xa4, cn(tagUTF8String, "CRL 1"))),
		"directory 2":       pointOf(tlv(0xa4, cn(tagUTF8String, "CRL 2"))),
		"relative 1":        relative("CRL 1"),
		"relative 2":        relative("CRL 2"),
		"DNS name 1":        pointOf(tlv(0x82, []byte("crl1.example"))),
		"DNS name 2":        pointOf(tlv(0x82, []byte("crl2.example"))),
		"mail address":      pointOf(tlv(0x81, []byte("crl1.example"))),
		"users":             only(1),
		"CAs":               only(2),
		"reasons 1 and 2":   onlySome(1, 2),
		"reasons 1 and 3":   onlySome(1, 3),
	} {
		text := ca.list(t, t0, nil, all(numberExt(1), idpExt(fields))).Scope()
		if other, again := seen[text]; again {
			t.Errorf("%s and %s are both %q", name, other, text)
		}
		seen[text] = name
	}
}

func TestReasonsAddUp(t *testing.T) {
	ca := newCA(t, "Reasons CA")
	early := ca.list(t, t0.Add(-time.Hour), all(revoke(7)), all(numberExt(1), idpExt(onlySome(1, 2, 3, 4))))
	late := ca.list(t, t0, all(revoke(8)), all(numberExt(2), idpExt(onlySome(5, 6, 7, 8))))
	whole := ca.list(t, t0.Add(-2*time.Hour), nil, all(numberExt(3)))

	wantStatus(t, Unknown, ca.link(t, 9), early)
	wantStatus(t, Unknown, ca.link(t, 9), late)
	if v := wantStatus(t, Good, ca.link(t, 9), late, early); v.List != early {
		t.Errorf("dated %s: want the stalest of the two", v.ThisUpdate)
	}
	wantStatus(t, Revoked, ca.link(t, 7), early, late, whole)
	wantStatus(t, Revoked, ca.link(t, 8), early, late, whole)
	if v := wantStatus(t, Good, ca.link(t, 9), early, late, whole); v.List != whole {
		t.Errorf("dated %s: want the list that covers all reasons", v.ThisUpdate)
	}
}

func TestFreshestScopeAnswers(t *testing.T) {
	ca := newCA(t, "Freshest CA")
	whole := ca.list(t, t0.Add(-time.Hour), nil, all(numberExt(1)))
	users := ca.list(t, t0, nil, all(numberExt(1), idpExt(only(1))))
	cas := ca.list(t, t0, all(revoke(7)), all(numberExt(1), idpExt(only(2))))
	for _, lists := range [][]*List{{whole, users, cas}, {cas, users, whole}} {
		if v := wantStatus(t, Good, ca.link(t, 7), lists...); v.List != users {
			t.Errorf("answered by the list of %s", v.List.Scope())
		}
	}
	wantStatus(t, Revoked, ca.link(t, 7, asCA), whole, users, cas)
}

// FuzzDistributionPoints feeds certificates' extension values to the parser.
func FuzzDistributionPoints(f *testing.F) {
	issuer := cn(tagUTF8String, "CA")
	f.Add(seq(seq(pointOf(uri("http://crl.example/")), tlv(0x81, flagBits(1)), tlv(0xa2, tlv(0xa4, issuer)))))
	f.Add(seq(seq(tlv(0xa0, tlv(0xa1, attribute(oidCommonName, tagUTF8String, "x"))))))
	f.Fuzz(func(t *testing.T, value []byte) {
		points, err := parseDistributionPoints(value, issuer)
		if err != nil && points != nil {
			t.Error("points and an error")
		}
		for _, p := range points {
			if p.reasons&^allReasons != 0 {
				t.Errorf("reasons %b", p.reasons)
			}
		}
	})
}
