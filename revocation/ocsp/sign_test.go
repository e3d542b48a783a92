package ocsp

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"io"
	"math/big"
	"testing"
)

// sign signs message and says with which AlgorithmIdentifier.
func sign(t testing.TB, key crypto.Signer, hash crypto.Hash, message []byte) (algorithm, signature []byte) {
	t.Helper()
	want, digested := x509.PureEd25519, message
	switch key.(type) {
	case *rsa.PrivateKey:
		want = map[crypto.Hash]x509.SignatureAlgorithm{crypto.SHA256: x509.SHA256WithRSA, crypto.SHA384: x509.SHA384WithRSA, crypto.SHA512: x509.SHA512WithRSA}[hash]
	case *ecdsa.PrivateKey:
		want = map[crypto.Hash]x509.SignatureAlgorithm{crypto.SHA256: x509.ECDSAWithSHA256, crypto.SHA384: x509.ECDSAWithSHA384, crypto.SHA512: x509.ECDSAWithSHA512}[hash]
	case ed25519.PrivateKey:
		hash = 0
	case pss:
		want = x509.SHA256WithRSAPSS
	}
	if hash != 0 {
		digested = digest(hash, message)
	}
	signature, err := key.Sign(rand.Reader, digested, hash)
	if err != nil {
		t.Fatal(err)
	}
	if hash == crypto.SHA1 || hash == crypto.MD5 {
		return weakAlgorithm(t, key, hash), signature
	}
	return algorithmOf(t, want), signature
}

// weakAlgorithm is the AlgorithmIdentifier of what nobody should sign with.
func weakAlgorithm(t testing.TB, key crypto.Signer, hash crypto.Hash) []byte {
	t.Helper()
	id := struct {
		Algorithm  asn1.ObjectIdentifier
		Parameters asn1.RawValue `asn1:"optional"`
	}{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 1}}
	if _, ok := key.(*rsa.PrivateKey); ok {
		id.Parameters = asn1.NullRawValue
		id.Algorithm = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 5}
		if hash == crypto.MD5 {
			id.Algorithm = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 4}
		}
	}
	der, err := asn1.Marshal(id)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// withSHA1 is cert, signed anew by an issuer with an RSA key, with SHA-1.
func withSHA1(t testing.TB, cert *x509.Certificate, issuer *party) *x509.Certificate {
	t.Helper()
	strong, weak := algorithmOf(t, x509.SHA256WithRSA), weakAlgorithm(t, issuer.key, crypto.SHA1)
	tbs := bytes.Replace(cert.RawTBSCertificate, strong, weak, 1) // of one length
	_, signature := sign(t, issuer.key, crypto.SHA1, tbs)
	der, err := asn1.Marshal(struct {
		TBS, Algorithm asn1.RawValue
		Signature      asn1.BitString
	}{asn1.RawValue{FullBytes: tbs}, asn1.RawValue{FullBytes: weak}, asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)}})
	if err != nil {
		t.Fatal(err)
	}
	if cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return cert
}

// algorithmOf has crypto/x509 write the AlgorithmIdentifier, so that the table is
// not compared with itself.
func algorithmOf(t testing.TB, want x509.SignatureAlgorithm) []byte {
	t.Helper()
	der, ok := writtenAlgorithms[want]
	if !ok {
		t.Fatalf("no AlgorithmIdentifier of %s", want)
	}
	return der
}

var writtenAlgorithms = func() map[x509.SignatureAlgorithm][]byte {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	ecKey := p256(&testing.T{})
	written := map[x509.SignatureAlgorithm][]byte{}
	for key, all := range map[crypto.Signer][]x509.SignatureAlgorithm{
		rsaKey: {x509.SHA256WithRSA, x509.SHA384WithRSA, x509.SHA512WithRSA,
			x509.SHA256WithRSAPSS, x509.SHA384WithRSAPSS, x509.SHA512WithRSAPSS},
		ecKey:      {x509.ECDSAWithSHA256, x509.ECDSAWithSHA384, x509.ECDSAWithSHA512},
		&ed{edKey}: {x509.PureEd25519},
	} {
		for _, a := range all {
			template := &x509.Certificate{SerialNumber: big.NewInt(1), SignatureAlgorithm: a}
			der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
			if err != nil {
				panic(err)
			}
			var cert struct{ TBS, Algorithm, Signature asn1.RawValue }
			if _, err := asn1.Unmarshal(der, &cert); err != nil {
				panic(err)
			}
			written[a] = cert.Algorithm.FullBytes
		}
	}
	return written
}()

// ed makes an Ed25519 key one that a map can hold.
type ed struct{ ed25519.PrivateKey }

// TestAlgorithms sees to it that what crypto/x509 writes is what is read.
func TestAlgorithms(t *testing.T) {
	for a, der := range writtenAlgorithms {
		got, err := (&response{algorithm: der}).signatureAlgorithm()
		if err != nil || got != a {
			t.Errorf("%s: got %v, %v", a, got, err)
		}
	}
}

var hashOf = map[x509.SignatureAlgorithm]crypto.Hash{
	x509.SHA256WithRSA: crypto.SHA256, x509.SHA384WithRSA: crypto.SHA384, x509.SHA512WithRSA: crypto.SHA512,
	x509.SHA256WithRSAPSS: crypto.SHA256, x509.SHA384WithRSAPSS: crypto.SHA384, x509.SHA512WithRSAPSS: crypto.SHA512,
	x509.ECDSAWithSHA256: crypto.SHA256, x509.ECDSAWithSHA384: crypto.SHA384, x509.ECDSAWithSHA512: crypto.SHA512,
}

// pss signs with RSA-PSS what asks for its hash only.
type pss struct{ *rsa.PrivateKey }

func (p pss) Sign(random io.Reader, digest []byte, o crypto.SignerOpts) ([]byte, error) {
	return p.PrivateKey.Sign(random, digest, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: o.HashFunc()})
}
