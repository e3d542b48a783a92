package revocation

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/pem"
	"flag"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

// The lists in testdata, one for each defect and each rule, are all of one CA
// (ca.pem), whose key is no secret and whose signatures are always the same: the
// tests make each list again and compare. So other programs can be given them.

const corpusCA = "Corpus CA"

// The octets that its key and that of another CA of its name consist of.
const (
	corpusKey = 7
	otherKey  = 8
)

func fixedCA(t testing.TB, key byte, change ...func(*x509.Certificate)) *testCA {
	t.Helper()
	signer := fixedKey(t, key)
	ca := newCAWithKey(t, corpusCA, signer, change...)
	ca.random = nil
	ca.cert.SerialNumber = big.NewInt(1)
	der, err := x509.CreateCertificate(nil, ca.cert, ca.cert, signer.Public(), signer)
	if err == nil {
		ca.cert, err = x509.ParseCertificate(der)
	}
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func fixedKey(t testing.TB, octet byte) crypto.Signer {
	t.Helper()
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), bytes.Repeat([]byte{octet}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func corpusFile(name string) string {
	return filepath.Join("testdata", strings.ReplaceAll(name, " ", "-")+".crl")
}

// golden returns the content of a file that has to have this one.
func golden(t testing.TB, path string, want []byte) []byte {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("%s differs from what the test makes: run it with -update if that is right", path)
	}
	return got
}

// acceptance is a list that is taken, and what it says about the certificates
// with serials 7 and 8 of its CA.
type acceptance struct {
	change       func(*parts)
	seven, eight Status
}

func acceptances(t *testing.T, ca *testCA) map[string]acceptance {
	extensions := func(e ...[]byte) func(*parts) { return func(p *parts) { p.extensions = tlv(0xa0, seq(e...)) } }
	entry := func(e ...[]byte) func(*parts) { return func(p *parts) { p.revoked = seq(e...) } }
	long := bytes.Repeat([]byte{0x55}, 40)
	return map[string]acceptance{
		"plain":                    {func(*parts) {}, Revoked, Good},
		"version 1":                {func(p *parts) { p.version, p.extensions, p.revoked = nil, nil, seq(revoke(7)) }, Revoked, Good},
		"no entries":               {func(p *parts) { p.revoked = nil }, Good, Good},
		"no extensions":            {func(p *parts) { p.extensions = nil }, Revoked, Good},
		"no nextUpdate":            {func(p *parts) { p.next = nil }, Revoked, Good},
		"empty entry extensions":   {entry(seq(integer(7), utc(t0), seq())), Revoked, Good},
		"explicit critical FALSE":  {extensions(seq(tlv(tagOID, []byte(oidCRLNumber)), []byte{1, 1, 0}, tlv(tagOctetString, integer(1)))), Revoked, Good},
		"critical reason":          {entry(revoke(7, ext(oidReasonCode, true, tlv(tagEnumerated, []byte{1})))), Revoked, Good},
		"given twice":              {entry(revoke(7, reasonExt(CertificateHold)), revoke(8), revoke(7, reasonExt(KeyCompromise))), Revoked, Revoked},
		"invalidity date":          {entry(revoke(7, ext(oidInvalidityDate, false, tlv(tagGeneralizedTime, []byte("20260101000000Z"))))), Revoked, Good},
		"AKI by issuer and serial": {extensions(ext(oidAuthorityKeyID, false, seq(tlv(0xa1, tlv(0xa4, ca.cert.RawSubject)), tlv(0x82, []byte{5})))), Revoked, Good},
		"number of 20 octets":      {extensions(ext(oidCRLNumber, false, tlv(tagInteger, long[:20]))), Revoked, Good},
		"issuer in other letters":  {func(p *parts) { p.issuer = cn(tagUTF8String, "  corpus   ca ") }, Revoked, Good},
		"issuer of another CA":     {func(p *parts) { p.issuer = cn(tagUTF8String, "Corpus CA 2") }, Unknown, Unknown},

		"GeneralizedTime":      {func(p *parts) { p.this = tlv(tagGeneralizedTime, []byte("20260301120000Z")) }, Revoked, Good},
		"nextUpdate in 2050":   {func(p *parts) { p.next = tlv(tagGeneralizedTime, []byte("20500101000000Z")) }, Revoked, Good},
		"thisUpdate in 1999":   {func(p *parts) { p.this = tlv(tagUTCTime, []byte("990101000000Z")) }, Revoked, Good},
		"thisUpdate to come":   {func(p *parts) { p.this = utc(t0.Add(maxSkew + 1e9)) }, Revoked, Unknown},
		"nextUpdate past":      {func(p *parts) { p.this, p.next = utc(t0.AddDate(-1, 0, 0)), utc(t0.AddDate(0, -1, 0)) }, Revoked, Good},
		"revoked in 1950":      {entry(seq(integer(7), tlv(tagUTCTime, []byte("500101000000Z")))), Revoked, Good},
		"revoked in year 0":    {entry(seq(integer(7), tlv(tagGeneralizedTime, []byte("00000101000000Z")))), Revoked, Good},
		"revoked in year 9999": {entry(seq(integer(7), tlv(tagGeneralizedTime, []byte("99991231235959Z")))), Revoked, Good},

		"serial 0":               {entry(revoke(0)), Good, Good},
		"serial 255":             {entry(revoke(255)), Good, Good},
		"serial minus 1":         {entry(revoke(-1)), Good, Good},
		"serial minus 7":         {entry(revoke(-7)), Good, Good},
		"serial of 40 octets":    {entry(revokeAt(tlv(tagInteger, long), t0)), Good, Good},
		"serial of 60000 octets": {entry(revokeAt(tlv(tagInteger, bytes.Repeat(long, 1500)), t0), revoke(7)), Revoked, Good},

		"unknown extension":                {extensions(ext(oidUnheardOf, false)), Revoked, Good},
		"unknown critical extension":       {extensions(ext(oidUnheardOf, true)), Revoked, Unknown},
		"unknown critical entry extension": {entry(revoke(1, ext(oidUnheardOf, true)), revoke(7)), Revoked, Unknown},
		"FreshestCRL":                      {extensions(ext("\x55\x1d\x2e", false, seq(seq(pointOf(uri("http://crl.example/delta.crl")))))), Revoked, Good},

		"delta": {extensions(numberExt(2), deltaExt(1)), Revoked, Unknown},
		"removeFromCRL in a delta": {func(p *parts) {
			p.revoked = seq(revoke(7, reasonExt(RemoveFromCRL)))
			extensions(numberExt(2), deltaExt(1))(p)
		}, Unknown, Unknown},
		"IDP user":           {extensions(idpExt(only(1))), Revoked, Good},
		"IDP CA":             {extensions(idpExt(only(2))), Unknown, Unknown},
		"IDP attribute":      {extensions(idpExt(only(5))), Unknown, Unknown},
		"IDP reasons 1 to 4": {extensions(idpExt(onlySome(1, 2, 3, 4))), Revoked, Unknown},
		"IDP reasons 5 to 8": {extensions(idpExt(onlySome(5, 6, 7, 8))), Revoked, Unknown},
		"IDP all reasons":    {extensions(idpExt(onlySome(1, 2, 3, 4, 5, 6, 7, 8))), Revoked, Good},
		"IDP relative name":  {extensions(idpExt(tlv(0xa0, tlv(0xa1, attribute(oidCommonName, tagUTF8String, "CRL 1"))))), Unknown, Unknown},
		"IDP partition 1":    {extensions(numberExt(1), idpExt(pointOf(uri(partition(1))))), Unknown, Unknown},
		"IDP partition 2": {func(p *parts) {
			p.revoked = seq(revoke(8))
			extensions(numberExt(1), idpExt(pointOf(uri(partition(2)))))(p)
		}, Unknown, Unknown},
		"IDP partition not critical": {extensions(ext(oidIssuingDistribution, false, seq(pointOf(uri(partition(1)))))), Unknown, Unknown},

		"base 5 holds 7": {func(p *parts) { p.revoked = seq(revoke(7, reasonExt(CertificateHold))); extensions(numberExt(5))(p) }, Revoked, Good},
		"number 5":       {extensions(numberExt(5)), Revoked, Good},
		"delta 5 to 6 lifts 7": {func(p *parts) {
			p.this = utc(t0.Add(1e9))
			p.revoked = seq(revoke(7, reasonExt(RemoveFromCRL)))
			extensions(numberExt(6), deltaExt(5))(p)
		}, Unknown, Unknown},
		"delta 6 to 7 lifts 7": {func(p *parts) {
			p.this = utc(t0.Add(1e9))
			p.revoked = seq(revoke(7, reasonExt(RemoveFromCRL)))
			extensions(numberExt(7), deltaExt(6))(p)
		}, Unknown, Unknown},
		"signature of another key": {func(p *parts) { p.signer = fixedKey(t, otherKey) }, Unknown, Unknown},
		"signature broken":         {func(p *parts) { p.signature = tlv(tagBitString, []byte{0}, bytes.Repeat([]byte{1}, 64)) }, Unknown, Unknown},
	}
}

// partition is a distribution point as AWS Private CA writes it.
func partition(n int) string {
	return fmt.Sprintf("http://crl.example/crl/6a1cd5e1-7c1f-4f5b-9d0e-1c5a3f1b2d10/partition%d.crl", n)
}

func TestAccepted(t *testing.T) {
	ca := fixedCA(t, corpusKey)
	golden(t, filepath.Join("testdata", "ca.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.cert.Raw}))
	for name, tt := range acceptances(t, ca) {
		t.Run(name, func(t *testing.T) {
			p := ca.base()
			tt.change(p)
			l := parseOne(t, golden(t, corpusFile(name), p.der(t, ca)))
			wantStatus(t, tt.seven, ca.link(t, 7), l)
			wantStatus(t, tt.eight, ca.link(t, 8), l)
		})
	}
}

// TestTogether asks several lists of testdata about certificates.
func TestTogether(t *testing.T) {
	ca, other := fixedCA(t, corpusKey), fixedCA(t, otherKey)
	noSign := fixedCA(t, corpusKey, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCertSign })
	noUsage := fixedCA(t, corpusKey, func(c *x509.Certificate) { c.KeyUsage = 0 })
	in := func(n int) func(*x509.Certificate) { return withPoints(seq(pointOf(uri(partition(n))))) }
	for name, tt := range map[string]struct {
		ca    *testCA
		lists []string
		cert  func(*x509.Certificate)
		want  map[int64]Status
	}{
		"in partition 1":      {ca, []string{"IDP partition 1", "IDP partition 2"}, in(1), map[int64]Status{7: Revoked, 8: Good}},
		"in partition 2":      {ca, []string{"IDP partition 1", "IDP partition 2"}, in(2), map[int64]Status{7: Good, 8: Revoked}},
		"in partition 3":      {ca, []string{"IDP partition 1", "IDP partition 2"}, in(3), map[int64]Status{7: Unknown, 8: Unknown}},
		"in none":             {ca, []string{"IDP partition 1", "IDP partition 2"}, none, map[int64]Status{7: Unknown, 8: Unknown}},
		"in one not critical": {ca, []string{"IDP partition not critical"}, in(1), map[int64]Status{7: Revoked, 8: Good}},
		"partition and whole": {ca, []string{"IDP partition 2", "plain"}, in(2), map[int64]Status{7: Revoked, 8: Revoked, 9: Good}},

		"all reasons from two":    {ca, []string{"IDP reasons 1 to 4", "IDP reasons 5 to 8"}, none, map[int64]Status{7: Revoked, 8: Good}},
		"users' and CAs', a user": {ca, []string{"IDP user", "IDP CA"}, notCA, map[int64]Status{7: Revoked, 8: Good}},
		"CAs' only, a user":       {ca, []string{"IDP CA"}, notCA, map[int64]Status{7: Unknown}},
		"CAs' only, a CA":         {ca, []string{"IDP CA"}, asCA, map[int64]Status{7: Revoked, 8: Good}},

		"held":                     {ca, []string{"base 5 holds 7"}, none, map[int64]Status{7: Revoked, 8: Good}},
		"held and lifted":          {ca, []string{"base 5 holds 7", "delta 5 to 6 lifts 7"}, none, map[int64]Status{7: Good, 8: Good}},
		"lifted from another base": {ca, []string{"base 5 holds 7", "delta 6 to 7 lifts 7"}, none, map[int64]Status{7: Revoked, 8: Good}},
		"lasting, not lifted":      {ca, []string{"number 5", "delta 5 to 6 lifts 7"}, none, map[int64]Status{7: Revoked, 8: Good}},
		"added to a base":          {ca, []string{"no entries", "delta"}, none, map[int64]Status{7: Revoked, 8: Good}},

		"old key, both lists":   {ca, []string{"plain", "signature of another key"}, none, map[int64]Status{7: Revoked, 8: Good}},
		"new key, both lists":   {other, []string{"plain", "signature of another key"}, none, map[int64]Status{7: Revoked, 8: Good}},
		"new key, old list":     {other, []string{"plain"}, none, map[int64]Status{7: Unknown, 8: Unknown}},
		"good list, broken one": {ca, []string{"plain", "signature broken"}, none, map[int64]Status{7: Revoked, 8: Good}},
		"CA without cRLSign":    {noSign, []string{"plain"}, none, map[int64]Status{7: Unknown, 8: Unknown}},
		"CA without keyUsage":   {noUsage, []string{"plain"}, none, map[int64]Status{7: Revoked, 8: Good}},

		"0":   {ca, []string{"serial 0"}, none, map[int64]Status{0: Revoked, 1: Good, -1: Good, 256: Good}},
		"-1":  {ca, []string{"serial minus 1"}, none, map[int64]Status{-1: Revoked, 1: Good, 255: Good, 65535: Good, 0: Good}},
		"255": {ca, []string{"serial 255"}, none, map[int64]Status{255: Revoked, 1: Good, -1: Good, 65535: Good, 0: Good}},
		"-7":  {ca, []string{"serial minus 7"}, none, map[int64]Status{-7: Revoked, 7: Good, 249: Good}},
	} {
		t.Run(name, func(t *testing.T) {
			var lists []*List
			for _, name := range tt.lists {
				data, err := os.ReadFile(corpusFile(name))
				if err != nil {
					t.Fatal(err)
				}
				lists = append(lists, parseOne(t, data))
			}
			for serial, want := range tt.want {
				// crypto/x509 makes no certificates with such serials.
				cert := *tt.ca.issue(t, big.NewInt(1), tt.cert)
				cert.SerialNumber = big.NewInt(serial)
				if v := wantStatus(t, want, Prepare(&cert, tt.ca.cert), lists...); t.Failed() {
					t.Fatalf("serial %d: %s", serial, v.Why)
				}
			}
		})
	}
}
