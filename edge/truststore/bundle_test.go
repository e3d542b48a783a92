package truststore

import (
	"bytes"
	"crypto/sha256"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/loadtest/pki"
)

var update = flag.Bool("update", false, "make the files in testdata anew")

// bundleFiles are the files of testdata/bundle, each named for its defect, and
// what ParseBundle says of them. Where make is nil the file is not made.
var bundleFiles = []struct {
	name    string
	make    func(a, b string, ca *pki.CA) string // of two CAs in PEM, the first of which is ca
	want    string                               // in the error; "" for none
	cas     int
	warning string // in the only warning; "" for none
}{
	{"good.pem", func(a, b string, _ *pki.CA) string { return a + b }, "", 2, ""},
	{"comments.pem", func(a, b string, _ *pki.CA) string { return "# the root\n" + a + "#\n# and another\n" + b + "# end" }, "", 2, ""},
	{"crlf.pem", func(a, b string, _ *pki.CA) string { return strings.ReplaceAll(a+b, "\n", "\r\n") }, "", 2, ""},
	{"byte-order-mark.pem", func(a, _ string, _ *pki.CA) string { return "\xef\xbb\xbf" + a }, "", 1, ""},
	{"no-newline-at-end.pem", func(a, _ string, _ *pki.CA) string { return strings.TrimSuffix(a, "\n") }, "", 1, ""},
	{"blank-lines-at-end.pem", func(a, _ string, _ *pki.CA) string { return a + "\n  \n\n" }, "", 1, ""},
	{"spaces-at-line-ends.pem", func(a, _ string, _ *pki.CA) string { return strings.ReplaceAll(a, "\n", " \t\n") }, "", 1, ""},
	{"twice.pem", func(a, b string, _ *pki.CA) string { return a + b + a }, "", 2, "is already on line 1"},

	{"empty.pem", func(_, _ string, _ *pki.CA) string { return "" }, "no CERTIFICATE block", 0, ""},
	{"comments-only.pem", func(_, _ string, _ *pki.CA) string { return "# nothing yet\n" }, "no CERTIFICATE block", 0, ""},
	{"garbage.pem", func(_, _ string, _ *pki.CA) string { return "\x00\x01\xff\n" }, `line 1: "\x00\x01\xff": want -----BEGIN CERTIFICATE-----`, 0, ""},
	{"der.pem", func(_, _ string, ca *pki.CA) string { return string(ca.DER) }, "line 1: ", 0, ""},
	{"blank-line-first.pem", func(a, _ string, _ *pki.CA) string { return "\n" + a }, "line 1: blank line", 0, ""},
	{"blank-line-between.pem", func(a, b string, _ *pki.CA) string { return a + "\n" + b }, "blank line, want none before the end of the file", 0, ""},
	{"blank-line-inside.pem", func(a, _ string, _ *pki.CA) string { return strings.Replace(a, "\n", "\n\n", 1) }, "line 2: blank line in the certificate begun on line 1", 0, ""},
	{"comment-with-hyphen.pem", func(a, _ string, _ *pki.CA) string { return "# my-root\n" + a }, `line 1: comment "# my-root" contains a "-"`, 0, ""},
	{"comment-inside.pem", func(a, _ string, _ *pki.CA) string { return strings.Replace(a, "\n", "\n# root\n", 1) }, `line 2: "# root" in the certificate begun on line 1`, 0, ""},
	{"openssl-text.pem", func(a, _ string, _ *pki.CA) string { return "Certificate:\n    Data:\n" + a }, `line 1: "Certificate:": want -----BEGIN CERTIFICATE-----`, 0, ""},
	{"openssl-text-after.pem", func(a, _ string, _ *pki.CA) string { return a + "subject=CN = x\n" }, `"subject=CN = x": want`, 0, ""},
	{"private-key.pem", func(a, _ string, _ *pki.CA) string { return "-----BEGIN EC PRIVATE KEY-----\nAAAA\n" }, "a private key has no place in a file", 0, ""},
	{"trusted-certificate.pem", func(a, _ string, _ *pki.CA) string {
		return strings.ReplaceAll(a, " CERTIFICATE", " TRUSTED CERTIFICATE")
	}, `line 1: "-----BEGIN TRUSTED CERTIFICATE-----": want`, 0, ""},
	{"headers.pem", func(a, _ string, _ *pki.CA) string { return strings.Replace(a, "\n", "\nProc-Type: 4\n", 1) }, `line 2: "Proc-Type: 4" in the certificate`, 0, ""},
	{"no-end.pem", func(a, _ string, _ *pki.CA) string { return strings.TrimSuffix(a, endLine+"\n") }, "line 1: certificate has no line -----END CERTIFICATE-----", 0, ""},
	{"no-end-before-next.pem", func(a, b string, _ *pki.CA) string { return strings.TrimSuffix(a, endLine+"\n") + b }, "in the certificate begun on line 1", 0, ""},
	{"no-begin.pem", func(a, _ string, _ *pki.CA) string { return strings.TrimPrefix(a, beginLine+"\n") }, "line 1: ", 0, ""},
	{"bad-base64.pem", func(a, _ string, _ *pki.CA) string { return strings.Replace(a, "MII", "M*I", 1) }, "line 1: decode certificate: illegal base64", 0, ""},
	{"truncated-base64.pem", func(a, _ string, _ *pki.CA) string { return a[:100] + "\n" + endLine + "\n" }, "line 1: ", 0, ""},
	{"empty-block.pem", func(_, _ string, _ *pki.CA) string { return beginLine + "\n" + endLine + "\n" }, "line 1: parse certificate", 0, ""},
	{"trailing-der.pem", func(a, _ string, ca *pki.CA) string { return pemOf(append(slices.Clone(ca.DER), 0)) }, "line 1: parse certificate: x509: trailing data", 0, ""},
	{"crl.pem", func(_, _ string, ca *pki.CA) string { return string(pki.CRLPEM(crl(ca))) }, `line 1: "-----BEGIN X509 CRL-----": want`, 0, ""},

	{"leaf.pem", func(_, _ string, ca *pki.CA) string { return string(issue(ca, eternal).CertPEM()) }, "is no CA", 0, ""},
	{"ca-false.pem", func(_, _ string, _ *pki.CA) string { return string(pki.Bundle(root(eternal, pki.IsCA(false)))) }, "is no CA", 0, ""},
	{"x509-v1.pem", func(_, _ string, _ *pki.CA) string { return string(pki.Bundle(root(eternal, pki.V1()))) }, "is X.509v1, want v3", 0, ""},
	{"no-key-cert-sign.pem", func(_, _ string, _ *pki.CA) string {
		return string(pki.Bundle(root(eternal, pki.KeyUsage(keyAgreement))))
	}, "without keyCertSign", 0, ""},
	{"no-key-usage.pem", func(_, _ string, _ *pki.CA) string { return string(pki.Bundle(root(eternal, pki.KeyUsage(0)))) }, "", 1, ""},
	{"no-subject.pem", func(_, _ string, _ *pki.CA) string {
		return string(pki.Bundle(root(eternal, pki.RawSubject([]byte{0x30, 0}))))
	}, "has no subject", 0, ""},
}

const keyAgreement = 1 << 4

var eternal = pki.NotAfter(time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC))

func pemOf(der []byte) string {
	return string((&pki.Pair{DER: der}).CertPEM())
}

func TestParseBundle(t *testing.T) {
	if *update {
		one, two := root(eternal), root(eternal)
		for _, f := range bundleFiles {
			content := f.make(string(one.CertPEM()), string(two.CertPEM()), one)
			if err := os.WriteFile(filepath.Join("testdata/bundle", f.name), []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, f := range bundleFiles {
		t.Run(f.name, func(t *testing.T) {
			data, err := os.ReadFile(filepath.Join("testdata/bundle", f.name))
			if err != nil {
				t.Fatal(err)
			}
			cas, warnings, err := ParseBundle(data, limits)
			if f.want != "" {
				if err == nil || !strings.Contains(err.Error(), f.want) {
					t.Errorf("error %v, want one with %q", err, f.want)
				}
				if cas != nil {
					t.Errorf("%d CAs beside an error", len(cas))
				}
				return
			}
			if err != nil || len(cas) != f.cas {
				t.Fatalf("%d CAs, error %v; want %d", len(cas), err, f.cas)
			}
			if (f.warning == "") != (len(warnings) == 0) || f.warning != "" && !strings.Contains(warnings[0], f.warning) {
				t.Errorf("warnings %q, want %q", warnings, f.warning)
			}
		})
	}
}

func TestBundleLimits(t *testing.T) {
	one, two := root(), root()
	bundle := pki.Bundle(one, two)
	size := max(len(one.CertPEM()), len(two.CertPEM()))
	subjects := len(one.Cert.RawSubject) + len(two.Cert.RawSubject)
	exact := config.TrustStoreLimits{CACertificates: 2, CACertificateSize: config.Size(size), SubjectsSize: config.Size(subjects)}
	for _, c := range []struct {
		name   string
		change func(*config.TrustStoreLimits)
		want   string
	}{
		{"exact", func(*config.TrustStoreLimits) {}, ""},
		{"certificates", func(l *config.TrustStoreLimits) { l.CACertificates = 1 }, "more than ca_certificates 1"},
		{"size", func(l *config.TrustStoreLimits) { l.CACertificateSize-- }, "more than ca_certificate_size"},
		{"subjects", func(l *config.TrustStoreLimits) { l.SubjectsSize-- }, "more than subjects_size"},
		{"zero", func(l *config.TrustStoreLimits) { *l = config.TrustStoreLimits{} }, "more than"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := exact
			c.change(&l)
			_, _, err := ParseBundle(bundle, l)
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
	// Neither a doublet nor a second certificate of one subject counts twice.
	again := pki.Must(one.Impostor())
	l := exact
	l.CACertificates, l.SubjectsSize, l.CACertificateSize = 3, config.Size(subjects), 16<<10
	if _, _, err := ParseBundle(pki.Bundle(one, two, one, again, two), l); err != nil {
		t.Error(err)
	}
}

func TestWarnings(t *testing.T) {
	now := time.Now()
	sum := sha256.Sum256(nil)
	for _, c := range []struct {
		name string
		ca   *pki.CA
		want string
	}{
		{"none", root(), ""},
		{"expired", root(pki.NotAfter(now.Add(-time.Minute))), "expired at"},
		{"expiring", root(pki.NotAfter(now.Add(29 * 24 * time.Hour))), "expires at"},
		{"not expiring soon", root(pki.NotAfter(now.Add(31 * 24 * time.Hour))), ""},
		{"early", root(pki.NotBefore(now.Add(time.Minute))), "is not valid before"},
		{"weak key", root(pki.Key(pki.RSA(1024))), "1024 bits, want 2048 to 8192: its clients are refused"},
		{"ed25519", root(pki.Key(pki.Ed25519)), "allow_ed25519"},
		{"sha-1 root", root(pki.SHA1()), ""},
		{"sha-1 intermediate", below(root(), pki.SHA1()), "is signed with ECDSA-SHA1"},
		{"critical extension", root(pki.Extension([]int{2, 999, 1}, true, sum[:4])), "critical extension 2.999.1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cas, _, err := ParseBundle(pki.Bundle(c.ca), limits)
			if err != nil {
				t.Fatal(err)
			}
			got := Warnings(cas, now)
			if (c.want == "") != (len(got) == 0) || c.want != "" && !strings.Contains(got[0], c.want) {
				t.Errorf("warnings %q, want %q", got, c.want)
			}
		})
	}
}

// FuzzParseBundle: no bytes make it panic or let in what is no CA, and what is
// taken reads back the same from a file that is nothing but PEM.
func FuzzParseBundle(f *testing.F) {
	for _, file := range bundleFiles {
		data, err := os.ReadFile(filepath.Join("testdata/bundle", file.name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		cas, _, err := ParseBundle(data, limits)
		if err != nil {
			if cas != nil {
				t.Fatal("CAs beside an error")
			}
			for _, r := range err.Error() {
				if r < ' ' || r == 0x7f {
					t.Fatalf("error %q has control characters", err)
				}
			}
			return
		}
		if len(cas) == 0 || len(cas) > limits.CACertificates {
			t.Fatalf("%d CAs", len(cas))
		}
		var clean bytes.Buffer
		for _, ca := range cas {
			if err := checkCA(ca); err != nil {
				t.Fatal(err)
			}
			fmt.Fprint(&clean, pemOf(ca.Raw))
		}
		again, warnings, err := ParseBundle(clean.Bytes(), config.TrustStoreLimits{CACertificates: 25, CACertificateSize: 1 << 30, SubjectsSize: 10000})
		if err != nil || len(warnings) > 0 || len(again) != len(cas) {
			t.Fatalf("read back %d CAs of %d, %v, %v", len(again), len(cas), warnings, err)
		}
	})
}
