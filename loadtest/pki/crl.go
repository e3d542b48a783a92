package pki

import (
	"bytes"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"iter"
	"math/big"
	"time"
)

var (
	oidCRLNumber         = asn1.ObjectIdentifier{2, 5, 29, 20}
	oidReasonCode        = asn1.ObjectIdentifier{2, 5, 29, 21}
	oidDeltaCRLIndicator = asn1.ObjectIdentifier{2, 5, 29, 27}
)

// tbsCertList is RFC 5280 section 5.1. Its revoked certificates are encoded
// beforehand, entry by entry.
type tbsCertList struct {
	Version    int `asn1:"optional,default:0"`
	Algorithm  pkix.AlgorithmIdentifier
	Issuer     asn1.RawValue
	ThisUpdate time.Time
	NextUpdate time.Time        `asn1:"optional"`
	Revoked    asn1.RawValue    `asn1:"optional"`
	Extensions []pkix.Extension `asn1:"omitempty,optional,explicit,tag:0"`
}

// crlSpec is a CRL to be made.
type crlSpec struct {
	signedSpec
	entries                []iter.Seq[Entry]
	number, deltaBase      *big.Int
	thisUpdate, nextUpdate time.Time // a zero nextUpdate is left out
	scope                  *IssuingDistributionPoint
}

// CRL makes a signed CRL in DER: by default version 2, empty, number 1, from an
// hour ago for a week, with this CA's key identifier. RFC 5280 section 5 says
// what it should look like; the options can break most of that.
func (ca *CA) CRL(opts ...CRLOption) ([]byte, error) {
	now := time.Now()
	s := &crlSpec{
		number:     big.NewInt(1),
		thisUpdate: now.Add(-time.Hour),
		nextUpdate: now.AddDate(0, 0, 7),
	}
	s.authorityKeyID = ca.keyID
	for _, opt := range opts {
		opt.crl(s)
	}
	der, err := s.encode(ca)
	if err != nil {
		return nil, fmt.Errorf("make CRL: %w", err)
	}
	return der, nil
}

// CRLPEM puts CRLs in DER into one PEM text.
func CRLPEM(ders ...[]byte) []byte {
	var out bytes.Buffer
	for _, der := range ders {
		out.Write(pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}))
	}
	return out.Bytes()
}

func (s *crlSpec) encode(ca *CA) ([]byte, error) {
	signer := ca.Key
	if s.by != nil {
		signer = s.by.Key
	}
	scheme, err := schemeFor(signer, s.algorithm, s.hash)
	if err != nil {
		return nil, err
	}
	list := tbsCertList{
		Version:    1,
		Issuer:     asn1.RawValue{FullBytes: ca.subject},
		ThisUpdate: s.thisUpdate.UTC(),
	}
	if s.version != 0 {
		list.Version = s.version - 1
	}
	if !s.nextUpdate.IsZero() {
		list.NextUpdate = s.nextUpdate.UTC()
	}
	if list.Algorithm, err = scheme.identifier(); err != nil {
		return nil, err
	}
	if list.Revoked, err = s.encodeEntries(); err != nil {
		return nil, err
	}
	if !s.bare {
		if list.Extensions, err = s.encodeExtensions(); err != nil {
			return nil, err
		}
	}
	tbs, err := asn1.Marshal(list)
	if err != nil {
		return nil, err
	}
	return scheme.seal(tbs, signer)
}

func (s *crlSpec) encodeExtensions() ([]pkix.Extension, error) {
	var extensions []pkix.Extension
	add := func(oid asn1.ObjectIdentifier, critical bool, value any) error {
		der, err := asn1.Marshal(value)
		extensions = append(extensions, pkix.Extension{Id: oid, Critical: critical, Value: der})
		return err
	}
	if s.authorityKeyID != nil {
		id := struct {
			KeyID []byte `asn1:"tag:0"`
		}{s.authorityKeyID}
		if err := add(oidAuthorityKeyID, false, id); err != nil {
			return nil, err
		}
	}
	if s.number != nil {
		if err := add(oidCRLNumber, false, s.number); err != nil {
			return nil, err
		}
	}
	if s.deltaBase != nil {
		if err := add(oidDeltaCRLIndicator, true, s.deltaBase); err != nil {
			return nil, err
		}
	}
	if s.scope != nil {
		scope, err := s.scope.extension()
		if err != nil {
			return nil, err
		}
		extensions = append(extensions, scope)
	}
	return s.finish(extensions), nil
}

// Entry is one revoked certificate of a CRL.
type Entry struct {
	Serial     *big.Int
	At         time.Time        // when it was revoked; zero: at the CRL's thisUpdate
	Reason     Reason           // 0: no reason code extension
	Extensions []pkix.Extension // after the reason code; see also CertificateIssuer
}

// revokedCertificate is Entry as RFC 5280 section 5.1 encodes it.
type revokedCertificate struct {
	Serial     *big.Int
	At         time.Time
	Extensions []pkix.Extension `asn1:"omitempty,optional"`
}

// encodeEntries is revokedCertificates, or nothing where none is revoked: RFC
// 5280 section 5.1.2.6 has no empty list.
func (s *crlSpec) encodeEntries() (list asn1.RawValue, err error) {
	var body []byte
	for _, entries := range s.entries {
		for e := range entries {
			der, err := s.encodeEntry(e)
			if err != nil {
				return list, fmt.Errorf("encode entry of serial %v: %w", e.Serial, err)
			}
			body = append(body, der...)
		}
	}
	if len(body) == 0 {
		return list, nil
	}
	return asn1.RawValue{Tag: asn1.TagSequence, IsCompound: true, Bytes: body}, nil
}

func (s *crlSpec) encodeEntry(e Entry) ([]byte, error) {
	if e.Serial == nil {
		return nil, fmt.Errorf("it has no serial number")
	}
	if e.At.IsZero() {
		e.At = s.thisUpdate
	}
	revoked := revokedCertificate{Serial: e.Serial, At: e.At.UTC()}
	if s.bare {
		return asn1.Marshal(revoked)
	}
	if e.Reason != 0 {
		reason, err := asn1.Marshal(asn1.Enumerated(e.Reason))
		if err != nil {
			return nil, err
		}
		revoked.Extensions = append(revoked.Extensions, pkix.Extension{Id: oidReasonCode, Value: reason})
	}
	revoked.Extensions = append(revoked.Extensions, e.Extensions...)
	return asn1.Marshal(revoked)
}
