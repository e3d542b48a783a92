package pki

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// openssl runs the command with data as its standard input.
func openssl(t *testing.T, data []byte, args ...string) (string, error) {
	t.Helper()
	cmd := exec.Command("openssl", args...)
	cmd.Stdin = bytes.NewReader(data)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func needOpenSSL(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("openssl is missing, and CI must not skip")
		}
		t.Skip("openssl is not installed")
	}
}

// TestOpenSSLReadsCertificates includes what crypto/x509 refuses.
func TestOpenSSLReadsCertificates(t *testing.T) {
	needOpenSSL(t)
	root := Must(NewRoot())
	rsa := Must(NewRoot(Key(RSA(2048))))
	tests := map[string]struct {
		leaf *Leaf
		want string // in openssl's text
	}{
		"default":           {Must(root.Issue(CommonName("alice"))), "TLS Web Client Authentication"},
		"version 1":         {Must(root.Issue(V1())), "Version: 1 (0x0)"},
		"negative serial":   {Must(root.Issue(Serial(big.NewInt(-5)))), "Serial Number: -5 (-0x5)"},
		"zero serial":       {Must(root.Issue(Serial(new(big.Int)))), "Serial Number: 0 (0x0)"},
		"21-byte serial":    {Must(root.Issue(Serial(new(big.Int).Lsh(big.NewInt(1), 160)))), "01:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00"},
		"SHA-1":             {Must(root.Issue(SHA1())), "Signature Algorithm: ecdsa-with-SHA1"},
		"MD5":               {Must(rsa.Issue(SignedWith(x509.MD5WithRSA))), "Signature Algorithm: md5WithRSAEncryption"},
		"PSS":               {Must(rsa.Issue(SignedWith(x509.SHA384WithRSAPSS))), "Salt Length: 0x30"},
		"P-224":             {Must(root.Issue(Key(P224))), "NIST CURVE: P-224"},
		"Ed25519":           {Must(root.Issue(Key(Ed25519))), "ED25519 Public-Key"},
		"RSA 8200":          {Must(root.Issue(Key(RSA(8200)))), "Public-Key: (8200 bit)"},
		"year 2060":         {Must(root.Issue(NotAfter(time.Date(2060, 1, 1, 0, 0, 0, 0, time.UTC)))), "Jan  1 00:00:00 2060 GMT"},
		"critical":          {Must(root.Issue(Extension(unknownOID, true, []byte{5, 0}))), "2.999.1: critical"},
		"name constraint":   {Must(root.Issue(IsCA(true), PermittedDNS("a.test"))), "DNS:a.test"},
		"flipped signature": {Must(root.Issue()).FlipSignature(), "Signature Value"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			out, err := openssl(t, tt.leaf.DER, "x509", "-inform", "DER", "-noout", "-text")
			if err != nil || !strings.Contains(out, tt.want) {
				t.Errorf("%v, want %q in\n%s", err, tt.want, out)
			}
		})
	}
}

func TestOpenSSLVerifies(t *testing.T) {
	needOpenSSL(t)
	dir := t.TempDir()
	for _, key := range []KeyType{P256, P384, P521, Ed25519, RSA(2048)} {
		root := Must(NewRoot(Key(key)))
		mid := Must(root.NewIntermediate(Key(key)))
		writeFile(t, dir, "root.pem", root.CertPEM())
		writeFile(t, dir, "mid.pem", mid.CertPEM())
		verify := func(leaf *Leaf) (string, error) {
			return openssl(t, leaf.CertPEM(), "verify", "-purpose", "sslclient",
				"-CAfile", filepath.Join(dir, "root.pem"), "-untrusted", filepath.Join(dir, "mid.pem"))
		}
		leaf := Must(mid.Issue(Key(key)))
		if out, err := verify(leaf); err != nil {
			t.Errorf("%v: %v\n%s", key, err, out)
		}
		if out, err := verify(leaf.FlipSignature()); err == nil || !strings.Contains(out, "signature failure") {
			t.Errorf("%v, flipped: %v\n%s", key, err, out)
		}
		if out, err := openssl(t, Must(leaf.KeyPEM()), "pkey", "-noout", "-check"); err != nil {
			t.Errorf("%v: private key: %v\n%s", key, err, out)
		}
	}
	// Up to what an edge accepts, OpenSSL loads private keys too, though those
	// over 4096 bits have more than two primes.
	large := Must(SelfSigned(Key(RSA(5000))))
	if out, err := openssl(t, Must(large.KeyPEM()), "pkey", "-noout", "-check"); err != nil {
		t.Errorf("RSA 5000: %v\n%s", err, out)
	}
}

func TestOpenSSLVerifiesMD5(t *testing.T) {
	needOpenSSL(t)
	dir := t.TempDir()
	root := Must(NewRoot(Key(RSA(2048))))
	writeFile(t, dir, "root.pem", root.CertPEM())
	leaf := Must(root.Issue(SignedWith(x509.MD5WithRSA)))
	out, err := openssl(t, leaf.CertPEM(), "verify", "-auth_level", "0", "-CAfile", filepath.Join(dir, "root.pem"))
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestOpenSSLReadsCRLs(t *testing.T) {
	needOpenSSL(t)
	dir := t.TempDir()
	root, other := Must(NewRoot()), Must(NewRoot(CommonName("other issuer")))
	writeFile(t, dir, "root.pem", root.CertPEM())
	one := Entry{Serial: big.NewInt(0xabc), Reason: KeyCompromise}
	theirs := Entry{Serial: big.NewInt(0xdef), Extensions: []pkix.Extension{Must(CertificateIssuer(other))}}
	tests := map[string]struct {
		opts []CRLOption
		want string
	}{
		"empty":          {nil, "No Revoked Certificates"},
		"entry":          {[]CRLOption{RevokeEntries(one)}, "Key Compromise"},
		"version 1":      {[]CRLOption{V1(), RevokeEntries(one)}, "Version 1 (0x0)"},
		"no next update": {[]CRLOption{NoNextUpdate()}, "Next Update: NONE"},
		"delta":          {[]CRLOption{DeltaTo(big.NewInt(4)), Number(big.NewInt(5))}, "X509v3 Delta CRL Indicator: critical"},
		"scope":          {[]CRLOption{Scope(IssuingDistributionPoint{URIs: []string{"http://c.test/a"}, OnlyUserCerts: true})}, "Only User Certificates"},
		"reasons":        {[]CRLOption{Scope(IssuingDistributionPoint{OnlySomeReasons: []Reason{KeyCompromise, AACompromise}})}, "Key Compromise, AA Compromise"},
		"indirect":       {[]CRLOption{Scope(IssuingDistributionPoint{Indirect: true}), RevokeEntries(theirs)}, "other issuer"},
		"SHA-1":          {[]CRLOption{SHA1()}, "ecdsa-with-SHA1"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			der := Must(root.CRL(tt.opts...))
			out, err := openssl(t, der, "crl", "-inform", "DER", "-noout", "-text", "-CAfile", filepath.Join(dir, "root.pem"))
			if err != nil || !strings.Contains(out, tt.want) || !strings.Contains(out, "verify OK") {
				t.Errorf("%v, want %q and \"verify OK\" in\n%s", err, tt.want, out)
			}
		})
	}
	for name, der := range map[string][]byte{
		"another's key": Must(root.CRL(SignedBy(other))),
		"flipped":       FlipSignature(Must(root.CRL())),
	} {
		out, _ := openssl(t, der, "crl", "-inform", "DER", "-noout", "-CAfile", filepath.Join(dir, "root.pem"))
		if !strings.Contains(out, "verify failure") {
			t.Errorf("%s: want \"verify failure\" in\n%s", name, out)
		}
	}
}

func writeFile(t *testing.T, dir, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
		t.Fatal(err)
	}
}
