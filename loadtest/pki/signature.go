package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"slices"

	_ "crypto/md5" // for the MD5 signatures that must be refused
)

// signatureScheme is how one x509.SignatureAlgorithm is named and made.
type signatureScheme struct {
	algorithm x509.SignatureAlgorithm
	key       x509.PublicKeyAlgorithm
	hash      crypto.Hash
	oid       asn1.ObjectIdentifier
}

func (s signatureScheme) pss() bool { return s.oid.Equal(oidPSS) }

var (
	oidPSS  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 10}
	oidMGF1 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 8}

	hashOIDs = map[crypto.Hash]asn1.ObjectIdentifier{
		crypto.SHA256: {2, 16, 840, 1, 101, 3, 4, 2, 1},
		crypto.SHA384: {2, 16, 840, 1, 101, 3, 4, 2, 2},
		crypto.SHA512: {2, 16, 840, 1, 101, 3, 4, 2, 3},
	}
)

// schemes has crypto/x509's algorithms, and MD5, which it does not sign with.
var schemes = []signatureScheme{
	{x509.MD5WithRSA, x509.RSA, crypto.MD5, asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 4}},
	{x509.SHA1WithRSA, x509.RSA, crypto.SHA1, asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 5}},
	{x509.SHA256WithRSA, x509.RSA, crypto.SHA256, asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11}},
	{x509.SHA384WithRSA, x509.RSA, crypto.SHA384, asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 12}},
	{x509.SHA512WithRSA, x509.RSA, crypto.SHA512, asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 13}},
	{x509.SHA256WithRSAPSS, x509.RSA, crypto.SHA256, oidPSS},
	{x509.SHA384WithRSAPSS, x509.RSA, crypto.SHA384, oidPSS},
	{x509.SHA512WithRSAPSS, x509.RSA, crypto.SHA512, oidPSS},
	{x509.ECDSAWithSHA1, x509.ECDSA, crypto.SHA1, asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 1}},
	{x509.ECDSAWithSHA256, x509.ECDSA, crypto.SHA256, asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}},
	{x509.ECDSAWithSHA384, x509.ECDSA, crypto.SHA384, asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 3}},
	{x509.ECDSAWithSHA512, x509.ECDSA, crypto.SHA512, asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 4}},
	{x509.PureEd25519, x509.Ed25519, 0, asn1.ObjectIdentifier{1, 3, 101, 112}},
}

// schemeFor settles how key signs: by the algorithm asked for, else with the
// hash asked for, else with the one that suits the key.
func schemeFor(key crypto.Signer, algorithm x509.SignatureAlgorithm, hash crypto.Hash) (signatureScheme, error) {
	kind, suits := x509.UnknownPublicKeyAlgorithm, crypto.SHA256
	switch public := key.Public().(type) {
	case *rsa.PublicKey:
		kind = x509.RSA
	case *ecdsa.PublicKey:
		kind = x509.ECDSA
		switch public.Curve {
		case elliptic.P384():
			suits = crypto.SHA384
		case elliptic.P521():
			suits = crypto.SHA512
		}
	case ed25519.PublicKey:
		kind, suits = x509.Ed25519, 0
	}
	if hash == 0 {
		hash = suits
	}
	i := slices.IndexFunc(schemes, func(s signatureScheme) bool {
		if algorithm != x509.UnknownSignatureAlgorithm {
			return s.algorithm == algorithm && s.key == kind
		}
		return s.hash == hash && s.key == kind && !s.pss()
	})
	if i < 0 {
		return signatureScheme{}, fmt.Errorf("sign with a %T: it cannot sign as %v with %v", key, algorithm, hash)
	}
	return schemes[i], nil
}

// identifier is the scheme's AlgorithmIdentifier, with the parameters that RFC
// 4055 (RSA: NULL or those of PSS), 5758 and 8410 (none) want.
func (s signatureScheme) identifier() (pkix.AlgorithmIdentifier, error) {
	id := pkix.AlgorithmIdentifier{Algorithm: s.oid}
	if s.key != x509.RSA {
		return id, nil
	}
	id.Parameters = asn1.NullRawValue
	if !s.pss() {
		return id, nil
	}
	hash := pkix.AlgorithmIdentifier{Algorithm: hashOIDs[s.hash], Parameters: asn1.NullRawValue}
	hashDER, err := asn1.Marshal(hash)
	if err != nil {
		return id, err
	}
	params, err := asn1.Marshal(struct {
		Hash       pkix.AlgorithmIdentifier `asn1:"explicit,tag:0"`
		MGF        pkix.AlgorithmIdentifier `asn1:"explicit,tag:1"`
		SaltLength int                      `asn1:"explicit,tag:2"`
	}{hash, pkix.AlgorithmIdentifier{Algorithm: oidMGF1, Parameters: asn1.RawValue{FullBytes: hashDER}}, s.hash.Size()})
	id.Parameters = asn1.RawValue{FullBytes: params}
	return id, err
}

// seal signs the encoded to-be-signed part and wraps the two into the SEQUENCE
// of three that certificates and CRLs are.
func (s signatureScheme) seal(tbs []byte, key crypto.Signer) ([]byte, error) {
	id, err := s.identifier()
	if err != nil {
		return nil, err
	}
	var opts crypto.SignerOpts = s.hash
	if s.pss() {
		opts = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: s.hash}
	}
	signature, err := crypto.SignMessage(key, rand.Reader, tbs, opts)
	if err != nil {
		return nil, fmt.Errorf("sign as %v: %w", s.algorithm, err)
	}
	return asn1.Marshal(struct {
		TBS       asn1.RawValue
		Algorithm pkix.AlgorithmIdentifier
		Signature asn1.BitString
	}{asn1.RawValue{FullBytes: tbs}, id, asn1.BitString{Bytes: signature, BitLength: len(signature) * 8}})
}

// FlipSignature returns a copy of a certificate or CRL in DER whose signature
// has its last bit turned over: it parses, and verifies under no key.
func FlipSignature(der []byte) []byte {
	flipped := slices.Clone(der)
	if len(flipped) > 0 {
		flipped[len(flipped)-1] ^= 1
	}
	return flipped
}
