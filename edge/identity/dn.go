// Package identity is what others are told of a client: its certificate's
// fields as text that is safe in headers and logs, the identity headers that
// targets get, and the stripping of such headers from what clients send.
//
// Every function and method here may be called by any number of goroutines.
package identity

import (
	"crypto/x509"
	"errors"
	"fmt"
	"unicode/utf8"
)

const upperHex = "0123456789ABCDEF"

// DN prints a distinguished name, given as the DER of a Name (RFC 5280, section
// 4.1.2.4; Certificate.RawSubject is one), by RFC 2253 and as "openssl x509
// -nameopt RFC2253" does: last RDN first, "," between RDNs, "+" within one, and
// every byte of a value's UTF-8 that is a control or not ASCII as \XX. An
// attribute type without a short name is a dotted OID with its value as # and
// the hex of its DER, and so is a value that is no string of characters.
//
// Whatever raw holds, the result is printable ASCII and does not begin or end
// with a space. An empty Name is "". What is not the DER of a Name is an error.
func DN(raw []byte) (string, error) {
	var room [12]Attribute
	attributes, err := parseName(raw, room[:0])
	if err != nil {
		return "", fmt.Errorf("parse name: %w", err)
	}
	b := make([]byte, 0, len(raw)+16)
	for i := len(attributes) - 1; i >= 0; i-- {
		a := &attributes[i]
		if i < len(attributes)-1 {
			if attributes[i+1].rdn == a.rdn {
				b = append(b, '+')
			} else {
				b = append(b, ',')
			}
		}
		if b, err = a.append(b); err != nil {
			return "", fmt.Errorf("parse name: %w", err)
		}
	}
	// HTTP receivers trim a value's trailing space, which would leave half an
	// escape behind. RFC 2253 allows either spelling.
	if n := len(b); n > 0 && b[n-1] == ' ' {
		b = append(b[:n-1], "20"...)
	}
	return string(b), nil
}

// append prints a as TYPE=VALUE.
func (a *Attribute) append(b []byte) ([]byte, error) {
	name, known := shortNames[string(a.oid)]
	if !known {
		var oid x509.OID
		if err := oid.UnmarshalBinary(a.oid); err != nil {
			return nil, errors.New("malformed attribute type")
		}
		b = append(b, oid.String()...)
		return appendDump(append(b, '='), a.value.der), nil
	}
	b = append(append(b, name...), '=')
	if printed, ok := appendValue(b, a.value); ok {
		return printed, nil
	}
	return appendDump(b, a.value.der), nil
}

func appendDump(b, der []byte) []byte {
	return appendHex(append(b, '#'), der)
}

func appendHex(b, data []byte) []byte {
	for _, c := range data {
		b = append(b, upperHex[c>>4], upperHex[c&0xF])
	}
	return b
}

// Universal tags of the string types that occur in names. T61String is read as
// Latin-1, as OpenSSL and crypto/x509 do: nobody writes real T.61.
const (
	tagUTF8String      = 12
	tagNumericString   = 18
	tagPrintableString = 19
	tagT61String       = 20
	tagIA5String       = 22
	tagVisibleString   = 26
	tagUniversalString = 28
	tagBMPString       = 30
)

// appendValue prints a value's characters, or returns false if it is of no
// string type or holds what is no character, and b may then be overwritten.
func appendValue(b []byte, v element) ([]byte, bool) {
	width := 1
	switch v.tag {
	case tagUTF8String, tagNumericString, tagPrintableString, tagT61String, tagIA5String, tagVisibleString:
	case tagBMPString:
		width = 2
	case tagUniversalString:
		width = 4
	default:
		return b, false
	}
	if len(v.body)%width != 0 {
		return b, false
	}
	for at := 0; at < len(v.body); at += width {
		var c rune
		for _, octet := range v.body[at : at+width] {
			c = c<<8 | rune(octet)
		}
		first, last := at == 0, at+width == len(v.body)
		switch {
		case c >= 0 && c < utf8.RuneSelf:
			b = appendASCII(b, byte(c), first, last)
		case v.tag == tagUTF8String:
			b = appendEscaped(b, byte(c)) // a byte of UTF-8 already
		case !utf8.ValidRune(c):
			return b, false
		default:
			var encoded [utf8.UTFMax]byte
			for _, octet := range encoded[:utf8.EncodeRune(encoded[:], c)] {
				b = appendEscaped(b, octet)
			}
		}
	}
	return b, true
}

// appendASCII escapes by RFC 2253, section 2.4, and controls besides: a raw
// line end in a header or in a log forges another one.
func appendASCII(b []byte, c byte, first, last bool) []byte {
	switch {
	case c < ' ' || c == 0x7F:
		return appendEscaped(b, c)
	case c == '"', c == '+', c == ',', c == ';', c == '<', c == '>', c == '\\',
		c == '#' && first,
		c == ' ' && (first || last):
		return append(b, '\\', c)
	}
	return append(b, c)
}

func appendEscaped(b []byte, c byte) []byte {
	return append(b, '\\', upperHex[c>>4], upperHex[c&0xF])
}
