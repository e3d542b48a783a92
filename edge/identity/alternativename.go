package identity

import (
	"crypto/x509"
	"encoding/asn1"
	"errors"
)

// NameType is the type of a subject alternative name: the number of its choice
// in GeneralName (RFC 5280, section 4.2.1.6).
type NameType uint8

// The types that are strings or addresses. A name of any other type has its
// number too, and its Value is the body of its DER.
const (
	NameEmail NameType = 1 // rfc822Name
	NameDNS   NameType = 2 // dNSName
	NameURI   NameType = 6 // uniformResourceIdentifier
	NameIP    NameType = 7 // iPAddress: 4 or 16 bytes
)

// AlternativeName is a subject alternative name. Value is as it is encoded, and
// points into the certificate: any byte may be in it.
type AlternativeName struct {
	Type  NameType
	Value []byte
}

var oidSubjectAltName = asn1.ObjectIdentifier{2, 5, 29, 17}

// AlternativeNames appends c's subject alternative names to room, in the order
// of the DER. A certificate without any has none; an extension that is malformed
// or there twice is an error. Unlike the fields of x509.Certificate they are in
// one list with their types, and no URI has been decoded and encoded again.
func AlternativeNames(c *x509.Certificate, room []AlternativeName) ([]AlternativeName, error) {
	var found []byte
	for i := range c.Extensions {
		if !c.Extensions[i].Id.Equal(oidSubjectAltName) {
			continue
		}
		if found != nil {
			return nil, errors.New("parse subject alternative names: want one extension, got two")
		}
		if found = c.Extensions[i].Value; len(found) == 0 {
			return nil, errors.New("parse subject alternative names: want a SEQUENCE of names")
		}
	}
	if found == nil {
		return room, nil
	}
	names, rest, ok := readElement(found)
	if !ok || names.tag != tagSequence || len(rest) > 0 {
		return nil, errors.New("parse subject alternative names: want a SEQUENCE of names")
	}
	for rest := names.body; len(rest) > 0; {
		var name element
		if name, rest, ok = readElement(rest); !ok || name.tag&classMask != classContext {
			return nil, errors.New("parse subject alternative names: malformed name")
		}
		alternative := AlternativeName{Type: NameType(name.tag & numberMask), Value: name.body}
		switch alternative.Type {
		case NameEmail, NameDNS, NameURI, NameIP:
			if name.tag&constructed != 0 {
				return nil, errors.New("parse subject alternative names: malformed name")
			}
		}
		room = append(room, alternative)
	}
	return room, nil
}

// The parts of a tag of one byte.
const (
	classMask    = 0xC0
	classContext = 0x80
	constructed  = 0x20
	numberMask   = 0x1F
)
