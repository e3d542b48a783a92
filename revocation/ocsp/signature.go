package ocsp

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
	"time"
)

// The AlgorithmIdentifiers taken, as DER: parameters are part of the algorithm.
// RSA's NULL may be missing (RFC 4055 section 2.1); RSA-PSS has to use one hash
// throughout and salt of its length.
var algorithms = func() map[string]x509.SignatureAlgorithm {
	wrap := func(tag byte, parts ...string) string {
		content := ""
		for _, part := range parts {
			content += part
		}
		return string([]byte{tag, byte(len(content))}) + content
	}
	const (
		null  = "\x05\x00"
		pkcs1 = "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01"
		ecDSA = "\x06\x08\x2a\x86\x48\xce\x3d\x04\x03"
		sha2  = "\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02"
	)
	known := map[string]x509.SignatureAlgorithm{wrap(0x30, "\x06\x03\x2b\x65\x70"): x509.PureEd25519}
	for _, a := range []struct {
		rsa, ec, sha    string
		size            byte
		v15, pss, ecdsa x509.SignatureAlgorithm
	}{
		{"\x0b", "\x02", "\x01", 32, x509.SHA256WithRSA, x509.SHA256WithRSAPSS, x509.ECDSAWithSHA256},
		{"\x0c", "\x03", "\x02", 48, x509.SHA384WithRSA, x509.SHA384WithRSAPSS, x509.ECDSAWithSHA384},
		{"\x0d", "\x04", "\x03", 64, x509.SHA512WithRSA, x509.SHA512WithRSAPSS, x509.ECDSAWithSHA512},
	} {
		known[wrap(0x30, pkcs1, a.rsa, null)] = a.v15
		known[wrap(0x30, pkcs1, a.rsa)] = a.v15
		known[wrap(0x30, ecDSA, a.ec)] = a.ecdsa
		for _, hash := range []string{wrap(0x30, sha2, a.sha), wrap(0x30, sha2, a.sha, null)} {
			known[wrap(0x30, pkcs1, "\x0a", wrap(0x30, wrap(0xa0, hash),
				wrap(0xa1, wrap(0x30, pkcs1, "\x08", hash)), wrap(0xa2, "\x02\x01", string([]byte{a.size}))))] = a.pss
		}
	}
	return known
}()

const wantAlgorithm = "want SHA-256, SHA-384 or SHA-512 with RSA, RSA-PSS or ECDSA, or Ed25519"

// signatureAlgorithm is the algorithm that the response says it is signed with.
func (r *response) signatureAlgorithm() (x509.SignatureAlgorithm, error) {
	if known, ok := algorithms[string(r.algorithm)]; ok {
		return known, nil
	}
	var id struct {
		Algorithm  asn1.ObjectIdentifier
		Parameters asn1.RawValue `asn1:"optional"`
	}
	if _, err := asn1.Unmarshal(r.algorithm, &id); err != nil {
		return 0, malformed("signatureAlgorithm")
	}
	return 0, fmt.Errorf("signature algorithm %s: %s", id.Algorithm, wantAlgorithm)
}

// checkKey is an error for a key too weak, or of a kind too rare, to answer for
// anybody.
func checkKey(key crypto.PublicKey) error {
	switch key := key.(type) {
	case *rsa.PublicKey:
		if size := key.N.BitLen(); size < 2048 || size > 8192 {
			return fmt.Errorf("RSA key has %d bits: want 2048 to 8192", size)
		}
	case *ecdsa.PublicKey:
		if c := key.Curve; c != elliptic.P256() && c != elliptic.P384() && c != elliptic.P521() {
			return fmt.Errorf("key is on curve %s: want P-256, P-384 or P-521", c.Params().Name)
		}
	case ed25519.PublicKey:
	default:
		return fmt.Errorf("key is of type %T: want RSA, ECDSA or Ed25519", key)
	}
	return nil
}

var errNobody = errors.New("responder ID names neither the issuer nor a certificate of the response")

// authenticate finds who signed the response and is an error unless that is the
// question's issuer (delegate is nil then) or one to whom it delegated this (RFC
// 6960 section 4.2.2.2).
func (r *response) authenticate(q *Question, c *Check) (delegate *x509.Certificate, err error) {
	algorithm, err := r.signatureAlgorithm()
	if err != nil {
		return nil, err
	}
	// Weak issuers are worth nothing, also behind a strong delegate.
	if err := checkKey(q.issuer.PublicKey); err != nil {
		return nil, fmt.Errorf("issuer's %w", err)
	}
	failure := errNobody
	if r.isFrom(q.issuerKey, q.issuer.RawSubject, q.issuerName) {
		err := q.issuer.CheckSignature(algorithm, r.signed, r.signature)
		if err == nil {
			return nil, nil
		}
		failure = fmt.Errorf("signature does not verify with the issuer's key: %w", err)
	}
	for _, der := range r.certificates {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			failure = fmt.Errorf("certificate of the response: %w", err)
			continue
		}
		key, err := subjectPublicKey(cert.RawSubjectPublicKeyInfo)
		if err != nil || !r.isFrom(key, cert.RawSubject) {
			continue
		}
		// The issuer's own certificate, which some send along: its key was tried
		// above, and it needs no usage for it.
		if bytes.Equal(cert.RawSubjectPublicKeyInfo, q.issuer.RawSubjectPublicKeyInfo) {
			continue
		}
		err = checkDelegate(cert, q, c)
		if err == nil {
			if err = cert.CheckSignature(algorithm, r.signed, r.signature); err == nil {
				return cert, nil
			}
			err = fmt.Errorf("signature does not verify with the delegate's key: %w", err)
		}
		failure = err
	}
	return nil, failure
}

// isFrom says whether the responder ID is that of key or of one of names.
func (r *response) isFrom(key []byte, names ...[]byte) bool {
	if r.keyHash != nil {
		return bytes.Equal(r.keyHash, digest(crypto.SHA1, key))
	}
	return slices.ContainsFunc(names, func(name []byte) bool { return bytes.Equal(r.name, name) })
}

// checkDelegate is an error unless cert may answer in the place of the issuer.
func checkDelegate(cert *x509.Certificate, q *Question, c *Check) error {
	fail := func(format string, arguments ...any) error {
		return fmt.Errorf("delegate %q "+format, append([]any{cert.Subject}, arguments...)...)
	}
	if !bytes.Equal(cert.RawIssuer, q.issuer.RawSubject) && !bytes.Equal(cert.RawIssuer, q.issuerName) {
		return fail("is issued by %q: want the certificate's issuer %q", cert.Issuer, q.issuer.Subject)
	}
	// anyExtendedKeyUsage is not enough: RFC 6960 section 4.2.2.2 wants it named.
	if !slices.Contains(cert.ExtKeyUsage, x509.ExtKeyUsageOCSPSigning) {
		return fail("has no extended key usage OCSPSigning")
	}
	if cert.KeyUsage != 0 && cert.KeyUsage&(x509.KeyUsageDigitalSignature|x509.KeyUsageContentCommitment) == 0 {
		return fail("has a key usage without digitalSignature")
	}
	if len(cert.UnhandledCriticalExtensions) > 0 {
		return fail("has the critical extension %s, which is not understood", cert.UnhandledCriticalExtensions[0])
	}
	if c.Now.Before(cert.NotBefore) || c.Now.After(cert.NotAfter) {
		return fail("is valid from %s to %s only", cert.NotBefore.Format(time.RFC3339), cert.NotAfter.Format(time.RFC3339))
	}
	if err := checkKey(cert.PublicKey); err != nil {
		return fail("is too weak: %w", err)
	}
	// Of the algorithms that crypto/x509 can verify, this refuses those with MD5
	// and SHA-1, and an issuer that is no CA.
	if err := cert.CheckSignatureFrom(q.issuer); err != nil {
		return fail("is not signed by the issuer: %w", err)
	}
	if !hasNoCheck(cert) {
		if c.Delegate == nil {
			return fail("has no id-pkix-ocsp-nocheck, and nobody can say whether it is revoked")
		}
		if err := c.Delegate(cert); err != nil {
			return fail("is not to be trusted: %w", err)
		}
	}
	return nil
}

func hasNoCheck(cert *x509.Certificate) bool {
	for _, e := range cert.Extensions {
		if e.Id.Equal(oidNoCheck) {
			return true
		}
	}
	return false
}
