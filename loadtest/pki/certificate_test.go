package pki

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"math/big"
	"net"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func verify(root *CA, leaf *Leaf, usage x509.ExtKeyUsage) error {
	between := x509.NewCertPool()
	for _, der := range leaf.Chain {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return err
		}
		between.AddCert(cert)
	}
	_, err := leaf.Cert.Verify(x509.VerifyOptions{
		Roots: root.Pool(), Intermediates: between, KeyUsages: []x509.ExtKeyUsage{usage},
	})
	return err
}

func TestDefaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		root := Must(NewRoot())
		mid := Must(root.NewIntermediate())
		leaf := Must(mid.Issue())
		for _, c := range []*x509.Certificate{root.Cert, mid.Cert, leaf.Cert} {
			if c.Version != 3 || c.SignatureAlgorithm != x509.ECDSAWithSHA256 {
				t.Errorf("%v: version %d, %v", c.Subject, c.Version, c.SignatureAlgorithm)
			}
			from, to := time.Now().Add(-time.Hour), time.Now().AddDate(1, 0, 0)
			if !c.NotBefore.Equal(from) || !c.NotAfter.Equal(to) {
				t.Errorf("%v: valid from %v to %v, want %v to %v", c.Subject, c.NotBefore, c.NotAfter, from, to)
			}
			if c.SerialNumber.BitLen() != 127 {
				t.Errorf("%v: serial %v has %d bits, want 127", c.Subject, c.SerialNumber, c.SerialNumber.BitLen())
			}
		}
		for _, c := range []*x509.Certificate{root.Cert, mid.Cert} {
			if !c.IsCA || c.MaxPathLen != -1 || c.KeyUsage != x509.KeyUsageCertSign|x509.KeyUsageCRLSign || len(c.SubjectKeyId) != 20 {
				t.Errorf("%v: CA %v, path length %d, usage %v, key id %x", c.Subject, c.IsCA, c.MaxPathLen, c.KeyUsage, c.SubjectKeyId)
			}
		}
		if diff := cmp.Diff(mid.Cert.SubjectKeyId, leaf.Cert.AuthorityKeyId); diff != "" {
			t.Errorf("authority key identifier (-want +got):\n%s", diff)
		}
		if leaf.Cert.BasicConstraintsValid || leaf.Cert.KeyUsage != x509.KeyUsageDigitalSignature || leaf.Cert.Subject.String() != "CN=client" {
			t.Errorf("leaf: %v, usage %v, constraints %v", leaf.Cert.Subject, leaf.Cert.KeyUsage, leaf.Cert.BasicConstraintsValid)
		}
		if err := verify(root, leaf, x509.ExtKeyUsageClientAuth); err != nil {
			t.Error(err)
		}
		if err := verify(root, leaf, x509.ExtKeyUsageServerAuth); err == nil {
			t.Error("a client leaf verifies as a server's")
		}
	})
}

func TestRootsDifferInName(t *testing.T) {
	a, b := Must(NewRoot()), Must(NewRoot())
	if a.Cert.Subject.String() == b.Cert.Subject.String() {
		t.Errorf("both are %v", a.Cert.Subject)
	}
}

// TestOptions checks, field by field, what each option does to a certificate
// that crypto/x509 parses.
func TestOptions(t *testing.T) {
	root := Must(NewRoot())
	unknown := asn1.ObjectIdentifier{1, 2, 3, 4}
	day := time.Date(2031, 2, 3, 4, 5, 6, 0, time.UTC)
	spiffe := &url.URL{Scheme: "spiffe", Host: "example.test", Path: "/a"}
	tests := map[string]struct {
		opts []Option
		got  func(*x509.Certificate) any
		want any
	}{
		"common name": {[]Option{CommonName("alice")}, func(c *x509.Certificate) any { return c.Subject.String() }, "CN=alice"},
		"subject": {[]Option{Subject(pkix.Name{CommonName: "a", Organization: []string{"o"}})},
			func(c *x509.Certificate) any { return c.Subject.String() }, "CN=a,O=o"},
		"raw subject":  {[]Option{RawSubject([]byte{0x30, 0})}, func(c *x509.Certificate) any { return c.RawSubject }, []byte{0x30, 0}},
		"dates":        {[]Option{NotBefore(day), NotAfter(day.AddDate(30, 0, 0))}, func(c *x509.Certificate) any { return c.NotBefore.String() + c.NotAfter.String() }, day.String() + day.AddDate(30, 0, 0).String()},
		"zero serial":  {[]Option{Serial(new(big.Int))}, func(c *x509.Certificate) any { return c.SerialNumber.String() }, "0"},
		"long serial":  {[]Option{Serial(new(big.Int).Lsh(big.NewInt(1), 160))}, func(c *x509.Certificate) any { return len(c.SerialNumber.Bytes()) }, 21},
		"CA leaf":      {[]Option{IsCA(true)}, func(c *x509.Certificate) any { return c.IsCA }, true},
		"no EKU":       {[]Option{EKU()}, func(c *x509.Certificate) any { return len(c.ExtKeyUsage) }, 0},
		"any EKU":      {[]Option{EKU(x509.ExtKeyUsageAny)}, func(c *x509.Certificate) any { return c.ExtKeyUsage }, []x509.ExtKeyUsage{x509.ExtKeyUsageAny}},
		"no key usage": {[]Option{KeyUsage(0)}, func(c *x509.Certificate) any { return hasExtension(c, 2, 5, 29, 15) }, false},
		"server":       {[]Option{Server("a.test", "::1")}, func(c *x509.Certificate) any { return c.DNSNames[0] + c.IPAddresses[0].String() }, "a.test::1"},
		"server usage": {[]Option{Server()}, func(c *x509.Certificate) any { return c.ExtKeyUsage }, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}},
		"names": {[]Option{DNS("a.test"), DNS("b.test"), Email("a@b.test"), IP(net.IPv4(1, 2, 3, 4)), URI(spiffe)}, func(c *x509.Certificate) any {
			return len(c.DNSNames) + len(c.EmailAddresses) + len(c.IPAddresses) + len(c.URIs)
		}, 5},
		"CRL points":    {[]Option{CRLDistributionPoints("http://c.test/1", "http://c.test/2")}, func(c *x509.Certificate) any { return c.CRLDistributionPoints }, []string{"http://c.test/1", "http://c.test/2"}},
		"OCSP":          {[]Option{OCSPServer("http://o.test")}, func(c *x509.Certificate) any { return c.OCSPServer }, []string{"http://o.test"}},
		"subject key":   {[]Option{SubjectKeyID([]byte{1})}, func(c *x509.Certificate) any { return c.SubjectKeyId }, []byte{1}},
		"authority key": {[]Option{AuthorityKeyID([]byte{2})}, func(c *x509.Certificate) any { return c.AuthorityKeyId }, []byte{2}},
		"without":       {[]Option{WithoutExtension(oidAuthorityKeyID)}, func(c *x509.Certificate) any { return len(c.AuthorityKeyId) }, 0},
		"critical":      {[]Option{Extension(unknown, true, []byte{5, 0})}, func(c *x509.Certificate) any { return len(c.UnhandledCriticalExtensions) }, 1},
		"not critical": {[]Option{Extension(unknown, false, []byte{5, 0})}, func(c *x509.Certificate) any {
			return hasExtension(c, 1, 2, 3, 4) && len(c.UnhandledCriticalExtensions) == 0
		}, true},
		"replaced":  {[]Option{Extension(asn1.ObjectIdentifier{2, 5, 29, 15}, true, []byte{3, 2, 5, 0x20})}, func(c *x509.Certificate) any { return c.KeyUsage }, x509.KeyUsageKeyEncipherment},
		"version 1": {[]Option{V1()}, func(c *x509.Certificate) any { return c.Version*10 + len(c.Extensions) }, 10},
		"version 2": {[]Option{Version(2)}, func(c *x509.Certificate) any { return c.Version }, 2},
		"template":  {[]Option{Template(func(c *x509.Certificate) { c.IssuingCertificateURL = []string{"http://i.test"} })}, func(c *x509.Certificate) any { return c.IssuingCertificateURL }, []string{"http://i.test"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			leaf := Must(root.Issue(tt.opts...))
			if leaf.Cert == nil {
				t.Fatal(x509.ParseCertificate(leaf.DER))
			}
			if diff := cmp.Diff(tt.want, tt.got(leaf.Cert)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if err := leaf.Cert.CheckSignatureFrom(root.Cert); err != nil {
				t.Error(err)
			}
		})
	}
}

func hasExtension(c *x509.Certificate, oid ...int) bool {
	for _, e := range c.Extensions {
		if e.Id.Equal(oid) {
			return true
		}
	}
	return false
}

func TestUnparsable(t *testing.T) {
	root := Must(NewRoot())
	for name, tt := range map[string]struct {
		opt  Option
		want string
	}{
		"negative serial": {Serial(big.NewInt(-5)), "negative serial"},
		"version 7":       {Version(7), "invalid version"},
	} {
		t.Run(name, func(t *testing.T) {
			leaf := Must(root.Issue(tt.opt))
			if leaf.Cert != nil {
				t.Fatal("crypto/x509 parses it")
			}
			if _, err := x509.ParseCertificate(leaf.DER); !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			var seen struct{ TBS, Algorithm, Signature asn1.RawValue }
			if rest, err := asn1.Unmarshal(leaf.DER, &seen); err != nil || len(rest) > 0 {
				t.Errorf("not the three parts of a certificate: %v, %d bytes left", err, len(rest))
			}
		})
	}
	if leaf := Must(root.Issue(Serial(big.NewInt(-5)))); leaf.Serial().Int64() != -5 {
		t.Errorf("serial %v, want -5", leaf.Serial())
	}
}

func TestSignatureAlgorithms(t *testing.T) {
	// MD5 is missing: crypto/x509 does not verify it. openssl does, in openssl_test.go.
	for key, algorithms := range map[KeyType][]x509.SignatureAlgorithm{
		RSA(2048): {x509.SHA1WithRSA, x509.SHA256WithRSA, x509.SHA384WithRSA, x509.SHA512WithRSA,
			x509.SHA256WithRSAPSS, x509.SHA384WithRSAPSS, x509.SHA512WithRSAPSS},
		P256:    {x509.ECDSAWithSHA1, x509.ECDSAWithSHA256, x509.ECDSAWithSHA384, x509.ECDSAWithSHA512},
		P224:    {x509.ECDSAWithSHA256},
		P384:    {x509.ECDSAWithSHA384},
		P521:    {x509.ECDSAWithSHA512},
		Ed25519: {x509.PureEd25519},
	} {
		root := Must(NewRoot(Key(key)))
		if root.Cert.SignatureAlgorithm == x509.UnknownSignatureAlgorithm {
			t.Errorf("%v: root has no known signature algorithm", key)
		}
		for _, algorithm := range algorithms {
			t.Run(key.String()+"/"+algorithm.String(), func(t *testing.T) {
				c := Must(root.Issue(SignedWith(algorithm))).Cert
				if c.SignatureAlgorithm != algorithm {
					t.Errorf("signed as %v", c.SignatureAlgorithm)
				}
				if err := root.Cert.CheckSignature(algorithm, c.RawTBSCertificate, c.Signature); err != nil {
					t.Error(err)
				}
			})
		}
	}
	ca := Must(NewRoot())
	if _, err := ca.Issue(SignedWith(x509.SHA256WithRSA)); err == nil {
		t.Error("an ECDSA key signed as RSA")
	}
	if _, err := Must(NewRoot(Key(Ed25519))).Issue(SHA1()); err == nil {
		t.Error("Ed25519 signed with SHA-1")
	}
}

func TestKeys(t *testing.T) {
	for _, bits := range []int{512, 1000, 1024, 2047, 4100, 8200} {
		root := Must(NewRoot())
		first, second := Must(root.Issue(Key(RSA(bits)))), Must(root.Issue(Key(RSA(bits))))
		public := first.Cert.PublicKey.(*rsa.PublicKey)
		if public.N.BitLen() != bits {
			t.Errorf("asked for %d bits, got %d", bits, public.N.BitLen())
		}
		if !public.Equal(second.Cert.PublicKey) {
			t.Errorf("RSA %d was made twice for leaves", bits)
		}
		if _, err := first.KeyPEM(); err != nil {
			t.Error(err)
		}
	}
	a, b := Must(NewRoot(Key(RSA(1024)))), Must(NewRoot(Key(RSA(1024))))
	if a.Cert.PublicKey.(*rsa.PublicKey).Equal(b.Cert.PublicKey) {
		t.Error("two roots share an RSA key")
	}
	if got := Must(a.Issue(Key(P521))).Cert.PublicKey.(*ecdsa.PublicKey).Params().Name; got != "P-521" {
		t.Errorf("got %s, want P-521", got)
	}
	if _, err := a.Issue(Key(77)); err == nil {
		t.Error("made a key of an unknown type")
	}
}

// TestCrossSign gives a leaf two paths to two roots.
func TestCrossSign(t *testing.T) {
	one, two := Must(NewRoot()), Must(NewRoot())
	mid := Must(one.NewIntermediate())
	cross := Must(two.CrossSign(mid))
	leaf := Must(mid.Issue()).Present(mid, cross)
	for name, root := range map[string]*CA{"first": one, "second": two} {
		if err := verify(root, leaf, x509.ExtKeyUsageClientAuth); err != nil {
			t.Errorf("below the %s root: %v", name, err)
		}
	}
	if err := verify(two, Must(mid.Issue()), x509.ExtKeyUsageClientAuth); err == nil {
		t.Error("verifies below the second root without the cross certificate")
	}
	if diff := cmp.Diff([][]byte{cross.DER}, Must(cross.Issue()).Chain); diff != "" {
		t.Errorf("chain of a leaf of the cross-signed CA (-want +got):\n%s", diff)
	}
}

func TestImpostor(t *testing.T) {
	root := Must(NewRoot())
	impostor := Must(root.Impostor())
	if string(impostor.Cert.RawSubject) != string(root.Cert.RawSubject) {
		t.Error("the names differ")
	}
	for name, leaf := range map[string]*Leaf{
		"issued by the impostor":         Must(impostor.Issue()),
		"signed with the impostor's key": Must(root.Issue(SignedBy(impostor))),
		"flipped":                        Must(root.Issue()).FlipSignature(),
	} {
		var unknown x509.UnknownAuthorityError
		if err := verify(root, leaf, x509.ExtKeyUsageClientAuth); !errors.As(err, &unknown) {
			t.Errorf("%s: got %v, want unknown authority", name, err)
		}
	}
	if err := verify(impostor, Must(impostor.Issue()), x509.ExtKeyUsageClientAuth); err != nil {
		t.Error(err)
	}
}
