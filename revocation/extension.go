package revocation

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
)

// OBJECT IDENTIFIER contents of the extensions of RFC 5280 that lists and
// their entries may carry, and of those read from certificates.
const (
	oidKeyUsage             = "\x55\x1d\x0f" // 2.5.29.15
	oidCRLNumber            = "\x55\x1d\x14" // 2.5.29.20
	oidReasonCode           = "\x55\x1d\x15" // 2.5.29.21
	oidInvalidityDate       = "\x55\x1d\x18" // 2.5.29.24
	oidDeltaCRLIndicator    = "\x55\x1d\x1b" // 2.5.29.27
	oidIssuingDistribution  = "\x55\x1d\x1c" // 2.5.29.28
	oidCertificateIssuer    = "\x55\x1d\x1d" // 2.5.29.29
	oidCRLDistributionPoint = "\x55\x1d\x1f" // 2.5.29.31
	oidAuthorityKeyID       = "\x55\x1d\x23" // 2.5.29.35
	oidFreshestCRL          = "\x55\x1d\x2e" // 2.5.29.46
)

// maxExtensions bounds the extensions of one list or entry; the search for
// doubles is quadratic. RFC 5280 defines seven and four.
const maxExtensions = 32

// extension is one Extension of RFC 5280 section 4.1.
type extension struct {
	id       []byte // content of the OBJECT IDENTIFIER
	critical bool
	value    []byte // content of extnValue
}

// extensions reads the content of an Extensions and hands each one to use.
// Doubles are refused: of two values either could be meant.
func (d der) extensions(use func(extension) error) error {
	var seen [maxExtensions][]byte
	for n := 0; len(d) > 0; n++ {
		if n == maxExtensions {
			return fmt.Errorf("more than %d extensions", maxExtensions)
		}
		ext, err := d.extension()
		if err != nil {
			return fmt.Errorf("extension %d: %w", n+1, err)
		}
		for _, id := range seen[:n] {
			if bytes.Equal(id, ext.id) {
				return fmt.Errorf("extension %s given twice", oidText(id))
			}
		}
		seen[n] = ext.id
		if err := use(ext); err != nil {
			return err
		}
	}
	return nil
}

func (d *der) extension() (ext extension, err error) {
	content, err := d.read(tagSequence)
	if err != nil {
		return extension{}, err
	}
	in := der(content)
	if ext.id, err = in.read(tagOID); err != nil {
		return extension{}, fmt.Errorf("extnID: %w", err)
	}
	if in.peek(tagBoolean) {
		value, err := in.read(tagBoolean)
		if err == nil {
			ext.critical, err = boolean(value)
		}
		if err != nil {
			return extension{}, fmt.Errorf("critical: %w", err)
		}
	}
	if ext.value, err = in.read(tagOctetString); err != nil {
		return extension{}, fmt.Errorf("extnValue: %w", err)
	}
	if !knownExtension(ext.id) {
		var oid x509.OID
		if err := oid.UnmarshalBinary(ext.id); err != nil {
			return extension{}, fmt.Errorf("extnID %x: %w", ext.id, err)
		}
	}
	return ext, in.end()
}

// knownExtension spares the entries of a long list the general OID parser.
func knownExtension(id []byte) bool {
	switch string(id) {
	case oidCRLNumber, oidReasonCode, oidInvalidityDate, oidDeltaCRLIndicator,
		oidIssuingDistribution, oidCertificateIssuer, oidAuthorityKeyID:
		return true
	}
	return false
}

// parseAuthorityKeyID returns the keyIdentifier of an AuthorityKeyIdentifier
// (RFC 5280 section 4.2.1.1), nil when it has none.
func parseAuthorityKeyID(value []byte) ([]byte, error) {
	content, err := der(value).only(tagSequence)
	if err != nil {
		return nil, err
	}
	in := der(content)
	var keyID []byte
	if in.peek(tagContext) {
		if keyID, err = in.read(tagContext); err != nil {
			return nil, err
		}
	}
	issuer, serial := in.peek(tagContext|tagConstructed|1), false
	if issuer {
		if _, err := in.read(tagContext | tagConstructed | 1); err != nil {
			return nil, err
		}
	}
	if serial = in.peek(tagContext | 2); serial {
		content, err := in.read(tagContext | 2)
		if err == nil {
			err = checkInteger(content)
		}
		if err != nil {
			return nil, err
		}
	}
	if issuer != serial {
		return nil, errors.New("want authorityCertIssuer and authorityCertSerialNumber together or neither")
	}
	return keyID, in.end()
}
