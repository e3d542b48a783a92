package pki

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"fmt"
	"math/big"
	"slices"
	"sync"
	"time"
)

var (
	oidSubjectKeyID   = asn1.ObjectIdentifier{2, 5, 29, 14}
	oidAuthorityKeyID = asn1.ObjectIdentifier{2, 5, 29, 35}
)

// tbsCertificate is RFC 5280 section 4.1.
type tbsCertificate struct {
	Version    int `asn1:"optional,explicit,default:0,tag:0"`
	Serial     *big.Int
	Algorithm  pkix.AlgorithmIdentifier
	Issuer     asn1.RawValue
	Validity   struct{ NotBefore, NotAfter time.Time }
	Subject    asn1.RawValue
	PublicKey  asn1.RawValue
	Extensions []pkix.Extension `asn1:"omitempty,optional,explicit,tag:3"`
}

// newSpec is a certificate with the defaults that leaves and CAs share.
func newSpec(opts []Option, defaults func(*x509.Certificate)) *certSpec {
	now := time.Now()
	s := &certSpec{template: x509.Certificate{NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(1, 0, 0)}}
	defaults(&s.template)
	for _, opt := range opts {
		opt.certificate(s)
	}
	return s
}

// named reports whether any option said who the subject is.
func (s *certSpec) named() bool {
	return len(s.template.RawSubject) > 0 || len(s.template.Subject.ToRDNSequence()) > 0
}

// certified is a certificate as made, with what its holder needs to know to
// issue in turn.
type certified struct {
	der, subject, keyID []byte
	serial              *big.Int
}

// certify encodes and signs the certificate of s.key. A nil issuer means that
// the key certifies itself.
func (s *certSpec) certify(issuer *CA) (certified, error) {
	c, err := s.encode(issuer)
	if err != nil {
		return c, fmt.Errorf("make certificate of %q: %w", s.template.Subject.CommonName, err)
	}
	return c, nil
}

func (s *certSpec) encode(issuer *CA) (c certified, err error) {
	if c.subject, err = s.subject(); err != nil {
		return c, err
	}
	if c.serial = s.template.SerialNumber; c.serial == nil {
		c.serial = randomSerial()
	}
	issuerName, signer := c.subject, s.key
	if issuer != nil {
		issuerName, signer = issuer.subject, issuer.Key
		if s.authorityKeyID == nil {
			s.authorityKeyID = issuer.keyID
		}
	}
	if s.by != nil {
		signer = s.by.Key
	}
	scheme, err := schemeFor(signer, s.algorithm, s.hash)
	if err != nil {
		return c, err
	}
	tbs := tbsCertificate{Version: 2, Serial: c.serial}
	if s.version != 0 {
		tbs.Version = s.version - 1
	}
	if tbs.Algorithm, err = scheme.identifier(); err != nil {
		return c, err
	}
	public, err := s.publicKey()
	if err != nil {
		return c, err
	}
	tbs.Issuer.FullBytes, tbs.Subject.FullBytes, tbs.PublicKey.FullBytes = issuerName, c.subject, public
	tbs.Validity.NotBefore, tbs.Validity.NotAfter = s.template.NotBefore.UTC(), s.template.NotAfter.UTC()
	if !s.bare {
		if tbs.Extensions, err = s.encodeExtensions(c.subject); err != nil {
			return c, err
		}
	}
	if slices.ContainsFunc(tbs.Extensions, func(e pkix.Extension) bool { return e.Id.Equal(oidSubjectKeyID) }) {
		c.keyID = s.template.SubjectKeyId
	}
	encoded, err := asn1.Marshal(tbs)
	if err != nil {
		return c, err
	}
	c.der, err = scheme.seal(encoded, signer)
	return c, err
}

func (s *certSpec) subject() ([]byte, error) {
	if len(s.template.RawSubject) > 0 {
		return s.template.RawSubject, nil
	}
	return asn1.Marshal(s.template.Subject.ToRDNSequence())
}

func (s *certSpec) publicKey() ([]byte, error) {
	if s.publicKeyInfo != nil {
		return s.publicKeyInfo, nil
	}
	return x509.MarshalPKIXPublicKey(s.key.Public())
}

// keyID is the identifier that RFC 7093 section 2 method 1 gives s.key.
func (s *certSpec) keyID() ([]byte, error) {
	encoded, err := s.publicKey()
	if err != nil {
		return nil, err
	}
	var info struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1.BitString
	}
	if _, err := asn1.Unmarshal(encoded, &info); err != nil {
		return nil, fmt.Errorf("parse public key: %w", err)
	}
	sum := sha256.Sum256(info.Key.Bytes)
	return sum[:20], nil
}

// scaffoldKey signs the certificates from which encodeExtensions takes only
// the extensions.
var scaffoldKey = sync.OnceValues(func() (*ecdsa.PrivateKey, error) {
	return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
})

// encodeExtensions leaves the encoding of the known extensions to crypto/x509,
// by having it make a certificate whose other parts are of no interest: those
// it would refuse as soon as they are as wrong as a test wants them.
func (s *certSpec) encodeExtensions(subject []byte) ([]pkix.Extension, error) {
	key, err := scaffoldKey()
	if err != nil {
		return nil, err
	}
	t := s.template
	t.SerialNumber, t.SignatureAlgorithm = big.NewInt(1), x509.UnknownSignatureAlgorithm
	t.NotBefore, t.NotAfter = time.Unix(0, 0), time.Unix(0, 0)
	t.RawSubject, t.Subject = nil, pkix.Name{CommonName: "scaffold"}
	if bytes.Equal(subject, []byte{0x30, 0}) {
		t.Subject = pkix.Name{} // makes the alternative names critical
	}
	t.AuthorityKeyId = s.authorityKeyID
	parent := &x509.Certificate{Subject: pkix.Name{CommonName: "parent"}, SubjectKeyId: s.authorityKeyID}
	der, err := x509.CreateCertificate(rand.Reader, &t, parent, key.Public(), key)
	if err != nil {
		return nil, err
	}
	var scaffold struct {
		TBS       tbsCertificate
		Algorithm pkix.AlgorithmIdentifier
		Signature asn1.BitString
	}
	if _, err := asn1.Unmarshal(der, &scaffold); err != nil {
		return nil, err
	}
	return s.finish(scaffold.TBS.Extensions), nil
}

// finish puts the extensions asked for behind those written by themselves, less
// those left out or replaced.
func (s *signedSpec) finish(written []pkix.Extension) []pkix.Extension {
	kept := slices.DeleteFunc(written, func(e pkix.Extension) bool {
		return slices.ContainsFunc(s.without, e.Id.Equal) ||
			slices.ContainsFunc(s.extensions, func(asked pkix.Extension) bool { return asked.Id.Equal(e.Id) })
	})
	return append(kept, s.extensions...)
}

// randomSerial has 127 bits, the first set: positive, and always 16 bytes.
func randomSerial() *big.Int {
	var b [16]byte
	rand.Read(b[:]) // never fails
	b[0] = b[0]&0x7f | 0x40
	return new(big.Int).SetBytes(b[:])
}

// shortID is the start of a key identifier, to tell default names apart.
func shortID(keyID []byte) string { return hex.EncodeToString(keyID[:min(4, len(keyID))]) }
