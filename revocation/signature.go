package revocation

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	_ "crypto/sha512" // so that the hashes of the algorithms below are there
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
)

var (
	asn1CRLDistributionPoints = asn1.ObjectIdentifier{2, 5, 29, 31}
	asn1KeyUsage              = asn1.ObjectIdentifier{2, 5, 29, 15}
)

// algorithm is a signature algorithm that lists may be signed with.
type algorithm struct {
	x509 x509.SignatureAlgorithm
	hash crypto.Hash // 0: signs the message itself
}

// The contents of the AlgorithmIdentifiers taken, each a whole: parameters are
// part of the algorithm. RSA's NULL may be missing, as in RFC 4055 section 2.1.
var algorithms = func() map[string]algorithm {
	const (
		null   = "\x05\x00"
		pkcs1  = "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01" // + one octet
		ecdsa  = "\x06\x08\x2a\x86\x48\xce\x3d\x04\x03"     // + one octet
		sha2   = "\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02" // + one octet
		mgf1   = pkcs1 + "\x08"
		idPSS  = pkcs1 + "\x0a"
		edOID  = "\x06\x03\x2b\x65\x70"
		sha256 = "\x01"
		sha384 = "\x02"
		sha512 = "\x03"
	)
	wrap := func(tag byte, content string) string {
		return string([]byte{tag, byte(len(content))}) + content
	}
	known := map[string]algorithm{edOID: {x509.PureEd25519, 0}}
	for _, h := range []struct {
		sha, rsa, ec         string
		hash                 crypto.Hash
		pkcs1, pss, ecdsaAlg x509.SignatureAlgorithm
	}{
		{sha256, "\x0b", "\x02", crypto.SHA256, x509.SHA256WithRSA, x509.SHA256WithRSAPSS, x509.ECDSAWithSHA256},
		{sha384, "\x0c", "\x03", crypto.SHA384, x509.SHA384WithRSA, x509.SHA384WithRSAPSS, x509.ECDSAWithSHA384},
		{sha512, "\x0d", "\x04", crypto.SHA512, x509.SHA512WithRSA, x509.SHA512WithRSAPSS, x509.ECDSAWithSHA512},
	} {
		known[pkcs1+h.rsa] = algorithm{h.pkcs1, h.hash}
		known[pkcs1+h.rsa+null] = algorithm{h.pkcs1, h.hash}
		known[ecdsa+h.ec] = algorithm{h.ecdsaAlg, h.hash}
		salt := string([]byte{tagInteger, 1, byte(h.hash.Size())})
		for _, hash := range []string{wrap(tagSequence, sha2+h.sha), wrap(tagSequence, sha2+h.sha+null)} {
			known[idPSS+wrap(tagSequence, wrap(0xa0, hash)+
				wrap(0xa1, wrap(tagSequence, mgf1+hash))+wrap(0xa2, salt))] = algorithm{h.pss, h.hash}
		}
	}
	return known
}()

// Algorithms that old lists carry, so that a refusal can name them.
var refusedAlgorithms = map[string]string{
	"1.2.840.113549.1.1.4":   "MD5 with RSA",
	"1.2.840.113549.1.1.5":   "SHA-1 with RSA",
	"1.2.840.10040.4.3":      "SHA-1 with DSA",
	"2.16.840.1.101.3.4.3.2": "SHA-256 with DSA",
	"1.2.840.10045.4.1":      "SHA-1 with ECDSA",
}

// parseAlgorithm reads the content of an AlgorithmIdentifier.
func parseAlgorithm(content der) (algorithm, error) {
	if known, ok := algorithms[string(content)]; ok {
		return known, nil
	}
	id, err := content.read(tagOID)
	if err != nil {
		return algorithm{}, err
	}
	name := oidText(id)
	if refused, ok := refusedAlgorithms[name]; ok {
		name = refused
	} else if len(content) > 0 {
		name = fmt.Sprintf("%s with parameters %x", name, []byte(content))
	}
	return algorithm{}, fmt.Errorf("%s: want SHA-256, SHA-384 or SHA-512 with RSA, RSA-PSS or ECDSA, or Ed25519", name)
}

// signer is what of a CA matters to its lists.
type signer struct {
	id   [sha256.Size]byte // of the key and of err: equal means that all else is
	spki [sha256.Size]byte
	key  crypto.PublicKey
	err  error // why it may not sign lists
}

func signerOf(ca *x509.Certificate) signer {
	s := signer{spki: sha256.Sum256(ca.RawSubjectPublicKeyInfo), key: ca.PublicKey, err: mayRevoke(ca)}
	s.id = s.spki
	if s.err != nil {
		s.id = sha256.Sum256(append(s.spki[:], s.err.Error()...))
	}
	return s
}

// mayRevoke is an error unless ca may sign lists: RFC 5280 section 6.3.3 (f),
// and a key that is worth something.
func mayRevoke(ca *x509.Certificate) error {
	if ca.BasicConstraintsValid && !ca.IsCA {
		return errors.New("issuer is no CA: basicConstraints without cA")
	}
	for _, ext := range ca.Extensions {
		if ext.Id.Equal(asn1KeyUsage) && ca.KeyUsage&x509.KeyUsageCRLSign == 0 {
			return errors.New("issuer may not sign CRLs: keyUsage without cRLSign")
		}
	}
	switch key := ca.PublicKey.(type) {
	case *rsa.PublicKey:
		if size := key.N.BitLen(); size < 2048 || size > 8192 {
			return fmt.Errorf("issuer's RSA key has %d bits: want 2048 to 8192", size)
		}
	case *ecdsa.PublicKey:
		if c := key.Curve; c != elliptic.P256() && c != elliptic.P384() && c != elliptic.P521() {
			return fmt.Errorf("issuer's key is on curve %s: want P-256, P-384 or P-521", c.Params().Name)
		}
	case ed25519.PublicKey:
	default:
		return fmt.Errorf("issuer's key is of type %s: want RSA, ECDSA or Ed25519", ca.PublicKeyAlgorithm)
	}
	return nil
}

var errSignature = errors.New("signature does not verify with the issuer's key")

// verify is nil if the signer may sign lists and signed this one.
func (l *List) verify(s *signer) error {
	if s.err != nil {
		return s.err
	}
	ok := false
	switch key := s.key.(type) {
	case *rsa.PublicKey:
		switch l.algorithm.x509 {
		case x509.SHA256WithRSA, x509.SHA384WithRSA, x509.SHA512WithRSA:
			ok = rsa.VerifyPKCS1v15(key, l.algorithm.hash, l.signed, l.signature) == nil
		case x509.SHA256WithRSAPSS, x509.SHA384WithRSAPSS, x509.SHA512WithRSAPSS:
			ok = rsa.VerifyPSS(key, l.algorithm.hash, l.signed, l.signature,
				&rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}) == nil
		}
	case *ecdsa.PublicKey:
		switch l.algorithm.x509 {
		case x509.ECDSAWithSHA256, x509.ECDSAWithSHA384, x509.ECDSAWithSHA512:
			ok = ecdsa.VerifyASN1(key, l.signed, l.signature)
		}
	case ed25519.PublicKey:
		if l.algorithm.x509 == x509.PureEd25519 {
			ok = len(key) == ed25519.PublicKeySize && ed25519.Verify(key, l.signed, l.signature)
		}
	}
	if !ok {
		return errSignature
	}
	return nil
}

// CheckIssuer looks for the list's issuer among cas. known says whether one of
// them is the CA the list names: the name, and the key identifier where both
// have one; or, whatever the identifiers say, the name and a key that signed
// the list. A known issuer that did not sign the list, or that may not sign
// lists (keyUsage without cRLSign, weak key), is an error. The caller vouches
// for cas; dates and chains are not looked at.
func (l *List) CheckIssuer(cas []*x509.Certificate) (known bool, err error) {
	for _, ca := range cas {
		if ca == nil || NameKeyOf(ca.RawSubject) != l.issuerKey {
			continue
		}
		s := signerOf(ca)
		failure := l.verify(&s)
		if failure == nil {
			return true, nil
		}
		if len(l.authorityKeyID) == 0 || len(ca.SubjectKeyId) == 0 || bytes.Equal(l.authorityKeyID, ca.SubjectKeyId) {
			known = true
			err = fmt.Errorf("CRL of %q: %w", ca.Subject, failure)
		}
	}
	return known, err
}
