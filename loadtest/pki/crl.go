package pki

import (
	"bytes"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"io"
	"iter"
	"math/big"
	"time"
)

var (
	oidCRLNumber         = asn1.ObjectIdentifier{2, 5, 29, 20}
	oidReasonCode        = asn1.ObjectIdentifier{2, 5, 29, 21}
	oidDeltaCRLIndicator = asn1.ObjectIdentifier{2, 5, 29, 27}
)

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
	var out bytes.Buffer
	if err := ca.WriteCRL(&out, opts...); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// WriteCRL writes to w what CRL returns, in memory that does not grow with the
// number of entries (but for an Ed25519 key, which signs no digest). It runs the
// sequences given to RevokeSeq three times. Where it fails, w may have a part.
func (ca *CA) WriteCRL(w io.Writer, opts ...CRLOption) error {
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
	if err := s.write(w, ca); err != nil {
		return fmt.Errorf("make CRL: %w", err)
	}
	return nil
}

// CRLPEM puts CRLs in DER into one PEM text.
func CRLPEM(ders ...[]byte) []byte {
	var out bytes.Buffer
	for _, der := range ders {
		out.Write(pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}))
	}
	return out.Bytes()
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
