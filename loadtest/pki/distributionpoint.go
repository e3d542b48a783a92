package pki

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
)

var (
	oidIssuingDistributionPoint = asn1.ObjectIdentifier{2, 5, 29, 28}
	oidCertificateIssuer        = asn1.ObjectIdentifier{2, 5, 29, 29}
)

// GeneralName's choices, RFC 5280 section 4.2.1.6.
const (
	tagDirectoryName = 4
	tagURI           = 6
)

// IssuingDistributionPoint is the extension of RFC 5280 section 5.2.5, by which
// a CRL covers a part of what its CA issued. Nothing stops one from setting what
// the RFC forbids together.
type IssuingDistributionPoint struct {
	URIs               []string // fullName
	DirectoryNames     [][]byte // fullName too, after the URIs: DNs in DER
	OnlyUserCerts      bool
	OnlyCACerts        bool
	OnlyAttributeCerts bool
	OnlySomeReasons    []Reason
	Indirect           bool
	NotCritical        bool // the RFC wants it critical
}

// issuingDistributionPoint is its ASN.1. DistributionPointName is a CHOICE, so
// its tag 0 stands around that of its fullName.
type issuingDistributionPoint struct {
	Name struct {
		FullName []asn1.RawValue `asn1:"optional,tag:0"`
	} `asn1:"optional,tag:0"`
	OnlyUserCerts      bool           `asn1:"optional,tag:1"`
	OnlyCACerts        bool           `asn1:"optional,tag:2"`
	OnlySomeReasons    asn1.BitString `asn1:"optional,tag:3"`
	Indirect           bool           `asn1:"optional,tag:4"`
	OnlyAttributeCerts bool           `asn1:"optional,tag:5"`
}

func (p *IssuingDistributionPoint) extension() (pkix.Extension, error) {
	out := issuingDistributionPoint{
		OnlyUserCerts:      p.OnlyUserCerts,
		OnlyCACerts:        p.OnlyCACerts,
		Indirect:           p.Indirect,
		OnlyAttributeCerts: p.OnlyAttributeCerts,
	}
	for _, uri := range p.URIs {
		out.Name.FullName = append(out.Name.FullName, generalName(tagURI, []byte(uri)))
	}
	for _, dn := range p.DirectoryNames {
		out.Name.FullName = append(out.Name.FullName, generalName(tagDirectoryName, dn))
	}
	for _, reason := range p.OnlySomeReasons {
		bit, ok := reason.flag()
		if !ok {
			return pkix.Extension{}, fmt.Errorf("encode onlySomeReasons: %d: want a reason that has a flag", reason)
		}
		out.OnlySomeReasons = setBit(out.OnlySomeReasons, bit)
	}
	der, err := asn1.Marshal(out)
	return pkix.Extension{Id: oidIssuingDistributionPoint, Critical: !p.NotCritical, Value: der}, err
}

// CertificateIssuer is the critical entry extension of RFC 5280 section 5.3.3:
// this entry of an indirect CRL, and those after it, are of that CA.
func CertificateIssuer(ca *CA) (pkix.Extension, error) {
	der, err := asn1.Marshal([]asn1.RawValue{generalName(tagDirectoryName, ca.subject)})
	return pkix.Extension{Id: oidCertificateIssuer, Critical: true, Value: der}, err
}

// generalName is one GeneralName. A directory name is itself a CHOICE, so the
// tag stands around the whole DN.
func generalName(tag int, content []byte) asn1.RawValue {
	return asn1.RawValue{
		Class:      asn1.ClassContextSpecific,
		Tag:        tag,
		IsCompound: tag == tagDirectoryName,
		Bytes:      content,
	}
}

// flag is the reason's bit in ReasonFlags, RFC 5280 section 4.2.1.13, which
// numbers the last two otherwise and has none for removeFromCRL.
func (r Reason) flag() (bit int, ok bool) {
	switch {
	case r >= 0 && r <= CertificateHold:
		return int(r), true
	case r == PrivilegeWithdrawn || r == AACompromise:
		return int(r) - 2, true
	}
	return 0, false
}

// setBit sets a named bit; DER wants no trailing zeros, so the string ends with
// the last bit set.
func setBit(s asn1.BitString, bit int) asn1.BitString {
	for len(s.Bytes) <= bit/8 {
		s.Bytes = append(s.Bytes, 0)
	}
	s.Bytes[bit/8] |= 0x80 >> (bit % 8)
	s.BitLength = max(s.BitLength, bit+1)
	return s
}
