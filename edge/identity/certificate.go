package identity

import (
	"crypto/x509"
	"encoding/base64"
	"strings"
)

// Subject prints c's subject as DN does. A subject that DN refuses, which
// crypto/x509 may still let pass, is # and the upper hex of its bytes: that is
// no DN, so that it equals none.
func Subject(c *x509.Certificate) string { return printName(c.RawSubject) }

// Issuer prints c's issuer, as Subject does its subject.
func Issuer(c *x509.Certificate) string { return printName(c.RawIssuer) }

func printName(raw []byte) string {
	name, err := DN(raw)
	if err != nil {
		return string(appendDump(nil, raw))
	}
	return name
}

// Serial prints c's serial number in upper hex, two digits to a byte: 03A5B1,
// and 00 for zero. A negative one, which crypto/x509 refuses, has a "-" before
// it. No serial number at all is "".
func Serial(c *x509.Certificate) string {
	n := c.SerialNumber
	switch {
	case n == nil:
		return ""
	case n.Sign() == 0:
		return "00"
	}
	magnitude := n.Bytes()
	b := make([]byte, 0, 1+2*len(magnitude))
	if n.Sign() < 0 {
		b = append(b, '-')
	}
	return string(appendHex(b, magnitude))
}

// Validity prints when c is valid, in UTC and to the second:
// NotBefore=2023-09-21T01:50:17Z;NotAfter=2024-09-20T01:50:17Z.
func Validity(c *x509.Certificate) string {
	const second = "2006-01-02T15:04:05Z"
	b := make([]byte, 0, len("NotBefore=;NotAfter=")+2*len(second))
	b = append(b, "NotBefore="...)
	b = c.NotBefore.UTC().AppendFormat(b, second)
	b = append(b, ";NotAfter="...)
	return string(c.NotAfter.UTC().AppendFormat(b, second))
}

// The percent-encoded frame of a PEM block. Of what PEM holds, only the space
// and the line end lie outside of the characters that ALB keeps.
const (
	escapedBegin   = "-----BEGIN%20CERTIFICATE-----%0A"
	escapedEnd     = "-----END%20CERTIFICATE-----%0A"
	escapedNewline = "%0A"

	pemLineBytes = 48
	pemLineChars = 64
)

// EscapePEM prints certificates as PEM blocks in the order given, percent-encoded
// as ALB does: all but A-Z a-z 0-9 - _ . ~ + = / is %XX, so that each block
// ends in %0A. Receivers undo it with a path's unescaping; a query's would turn
// + into a space.
func EscapePEM(chain ...*x509.Certificate) string {
	var b strings.Builder
	b.Grow(escapedLen(chain))
	var line [pemLineChars]byte
	for _, c := range chain {
		b.WriteString(escapedBegin)
		for der := c.Raw; len(der) > 0; {
			n := min(len(der), pemLineBytes)
			base64.StdEncoding.Encode(line[:], der[:n])
			b.Write(line[:base64.StdEncoding.EncodedLen(n)])
			b.WriteString(escapedNewline)
			der = der[n:]
		}
		b.WriteString(escapedEnd)
	}
	return b.String()
}

// escapedLen is the length of what EscapePEM prints.
func escapedLen(chain []*x509.Certificate) int {
	n := 0
	for _, c := range chain {
		lines := (len(c.Raw) + pemLineBytes - 1) / pemLineBytes
		n += len(escapedBegin) + base64.StdEncoding.EncodedLen(len(c.Raw)) + lines*len(escapedNewline) + len(escapedEnd)
	}
	return n
}
