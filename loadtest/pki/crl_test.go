package pki

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestCRLDefaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := Must(NewRoot())
		der := Must(ca.CRL())
		crl := Must(x509.ParseRevocationList(der))
		if err := crl.CheckSignatureFrom(ca.Cert); err != nil {
			t.Error(err)
		}
		if len(crl.RevokedCertificateEntries) != 0 || crl.Number.Int64() != 1 {
			t.Errorf("%d entries, number %v", len(crl.RevokedCertificateEntries), crl.Number)
		}
		if diff := cmp.Diff(ca.Cert.SubjectKeyId, crl.AuthorityKeyId); diff != "" {
			t.Errorf("key identifier (-want +got):\n%s", diff)
		}
		if now := time.Now(); !crl.ThisUpdate.Equal(now.Add(-time.Hour)) || !crl.NextUpdate.Equal(now.AddDate(0, 0, 7)) {
			t.Errorf("from %v to %v", crl.ThisUpdate, crl.NextUpdate)
		}
		block, rest := pem.Decode(CRLPEM(der))
		if block.Type != "X509 CRL" || string(block.Bytes) != string(der) || len(rest) > 0 {
			t.Errorf("PEM has type %q, %d bytes left", block.Type, len(rest))
		}
	})
}

func TestCRLEntries(t *testing.T) {
	ca := Must(NewRoot())
	leaf, mid := Must(ca.Issue()), Must(ca.NewIntermediate())
	at := time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC)
	invalidity := pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 24}, Critical: true, Value: []byte{5, 0}}
	made := Must(ca.CRL(
		Revoke(leaf, mid),
		RevokeEntries(
			Entry{Serial: big.NewInt(-3), At: at, Reason: KeyCompromise},
			Entry{Serial: new(big.Int), At: at.AddDate(40, 0, 0), Extensions: []pkix.Extension{invalidity}},
		),
		RevokeSeq(func(yield func(Entry) bool) {
			for i := range int64(3) {
				if !yield(Entry{Serial: big.NewInt(100 + i)}) {
					return
				}
			}
		}),
	))
	crl := Must(x509.ParseRevocationList(made))
	type entry struct {
		Serial     string
		At         time.Time
		Reason     int
		Extensions int
	}
	var got []entry
	for _, e := range crl.RevokedCertificateEntries {
		got = append(got, entry{e.SerialNumber.String(), e.RevocationTime, e.ReasonCode, len(e.Extensions)})
	}
	want := []entry{
		{leaf.Serial().String(), crl.ThisUpdate, 0, 0},
		{mid.Serial().String(), crl.ThisUpdate, 0, 0},
		{"-3", at, 1, 1},
		{"0", at.AddDate(40, 0, 0), 0, 1},
		{"100", crl.ThisUpdate, 0, 0}, {"101", crl.ThisUpdate, 0, 0}, {"102", crl.ThisUpdate, 0, 0},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
	if _, err := ca.CRL(RevokeEntries(Entry{})); err == nil {
		t.Error("an entry without a serial was encoded")
	}
}

// TestCRLOptions checks what each option does to a CRL that Go parses.
func TestCRLOptions(t *testing.T) {
	ca, other := Must(NewRoot()), Must(NewRoot())
	unknown := asn1.ObjectIdentifier{1, 2, 3}
	day := time.Date(2031, 2, 3, 4, 5, 6, 0, time.UTC)
	extension := func(crl *x509.RevocationList, id asn1.ObjectIdentifier) string {
		for _, e := range crl.Extensions {
			if e.Id.Equal(id) && e.Critical {
				return "critical " + hex.EncodeToString(e.Value)
			}
			if e.Id.Equal(id) {
				return hex.EncodeToString(e.Value)
			}
		}
		return "none"
	}
	valid := func(crl *x509.RevocationList) any { return crl.CheckSignatureFrom(ca.Cert) == nil }
	tests := map[string]struct {
		opt  CRLOption
		got  func(*x509.RevocationList) any
		want any
	}{
		"number":           {Number(big.NewInt(7)), func(c *x509.RevocationList) any { return c.Number.Int64() }, int64(7)},
		"no number":        {Number(nil), func(c *x509.RevocationList) any { return c.Number == nil }, true},
		"this update":      {ThisUpdate(day), func(c *x509.RevocationList) any { return c.ThisUpdate }, day},
		"next update":      {NextUpdate(day), func(c *x509.RevocationList) any { return c.NextUpdate }, day},
		"no next update":   {NoNextUpdate(), func(c *x509.RevocationList) any { return c.NextUpdate.IsZero() }, true},
		"delta":            {DeltaTo(big.NewInt(1)), func(c *x509.RevocationList) any { return extension(c, oidDeltaCRLIndicator) }, "critical 020101"},
		"unknown critical": {Extension(unknown, true, []byte{5, 0}), func(c *x509.RevocationList) any { return extension(c, unknown) }, "critical 0500"},
		"unknown":          {Extension(unknown, false, []byte{5, 0}), func(c *x509.RevocationList) any { return extension(c, unknown) }, "0500"},
		"replaced":         {Extension(oidCRLNumber, false, []byte{2, 1, 9}), func(c *x509.RevocationList) any { return extension(c, oidCRLNumber) }, "020109"},
		"no key id":        {WithoutExtension(oidAuthorityKeyID), func(c *x509.RevocationList) any { return len(c.AuthorityKeyId) }, 0},
		"key id":           {AuthorityKeyID([]byte{9}), func(c *x509.RevocationList) any { return c.AuthorityKeyId }, []byte{9}},
		"SHA-1":            {SHA1(), func(c *x509.RevocationList) any { return c.SignatureAlgorithm }, x509.ECDSAWithSHA1},
		"own key":          {Number(nil), valid, true},
		"another's key":    {SignedBy(other), valid, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, tt.got(Must(x509.ParseRevocationList(Must(ca.CRL(tt.opt)))))); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
	if crl := Must(x509.ParseRevocationList(FlipSignature(Must(ca.CRL())))); valid(crl) == true {
		t.Error("a flipped signature verifies")
	}
}

// TestCRLVersion1 looks at the bytes, since Go parses version 2 only.
func TestCRLVersion1(t *testing.T) {
	ca := Must(NewRoot())
	der := Must(ca.CRL(V1(), RevokeEntries(Entry{Serial: big.NewInt(1), Reason: Superseded})))
	if _, err := x509.ParseRevocationList(der); err == nil || !strings.Contains(err.Error(), "version") {
		t.Errorf("got %v, want an error about the version", err)
	}
	var crl struct {
		TBS struct {
			Algorithm pkix.AlgorithmIdentifier // a version would stand before it
			Issuer    asn1.RawValue
			This      time.Time
			Next      time.Time
			Revoked   []struct {
				Serial *big.Int
				At     time.Time
			}
		}
		Algorithm pkix.AlgorithmIdentifier
		Signature asn1.BitString
	}
	if rest, err := asn1.Unmarshal(der, &crl); err != nil || len(rest) > 0 || len(crl.TBS.Revoked) != 1 {
		t.Errorf("%v, %d bytes left, %d entries", err, len(rest), len(crl.TBS.Revoked))
	}
}

// TestScope compares with encodings worked out by hand from RFC 5280 section
// 5.2.5.
func TestScope(t *testing.T) {
	for name, tt := range map[string]struct {
		scope IssuingDistributionPoint
		want  string
	}{
		"empty":            {IssuingDistributionPoint{}, "3000"},
		"URI":              {IssuingDistributionPoint{URIs: []string{"a:b"}}, "3009 a007 a005 8603 613a62"},
		"directory name":   {IssuingDistributionPoint{DirectoryNames: [][]byte{{0x30, 0}}}, "3008 a006 a004 a402 3000"},
		"user":             {IssuingDistributionPoint{OnlyUserCerts: true}, "3003 8101ff"},
		"CA":               {IssuingDistributionPoint{OnlyCACerts: true}, "3003 8201ff"},
		"indirect":         {IssuingDistributionPoint{Indirect: true}, "3003 8401ff"},
		"attribute":        {IssuingDistributionPoint{OnlyAttributeCerts: true}, "3003 8501ff"},
		"one reason":       {IssuingDistributionPoint{OnlySomeReasons: []Reason{KeyCompromise}}, "3004 8302 0640"},
		"reasons":          {IssuingDistributionPoint{OnlySomeReasons: []Reason{AACompromise, CACompromise, PrivilegeWithdrawn}}, "3005 8303 07 2180"},
		"user, not marked": {IssuingDistributionPoint{OnlyUserCerts: true, NotCritical: true}, "3003 8101ff"},
	} {
		t.Run(name, func(t *testing.T) {
			ca := Must(NewRoot())
			crl := Must(x509.ParseRevocationList(Must(ca.CRL(Scope(tt.scope)))))
			i := slices.IndexFunc(crl.Extensions, func(e pkix.Extension) bool { return e.Id.Equal(oidIssuingDistributionPoint) })
			if i < 0 {
				t.Fatal("no such extension")
			}
			if got := hex.EncodeToString(crl.Extensions[i].Value); got != strings.ReplaceAll(tt.want, " ", "") {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			if crl.Extensions[i].Critical == tt.scope.NotCritical {
				t.Errorf("critical: %v", crl.Extensions[i].Critical)
			}
		})
	}
	ca := Must(NewRoot())
	if _, err := ca.CRL(Scope(IssuingDistributionPoint{OnlySomeReasons: []Reason{RemoveFromCRL}})); err == nil {
		t.Error("removeFromCRL was encoded as a flag")
	}
}
