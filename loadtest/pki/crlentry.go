package pki

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"math/bits"
	"time"
)

// Entry is one revoked certificate of a CRL.
type Entry struct {
	Serial     *big.Int
	At         time.Time        // when it was revoked; zero: at the CRL's thisUpdate
	Reason     Reason           // 0: no reason code extension
	Extensions []pkix.Extension // after the reason code; see also CertificateIssuer
}

// entryEncoder encodes entries as RFC 5280 section 5.1 wants them. It does by
// hand what asn1.Marshal does thirty times slower: lists of ten million entries
// are made for measurements.
type entryEncoder struct {
	bare       bool      // no extensions
	thisUpdate time.Time // for entries without a date
	content    []byte    // of the entry last encoded
}

// append appends an entry to b, which it returns.
func (c *entryEncoder) append(b []byte, e *Entry) ([]byte, error) {
	if e.Serial == nil {
		return nil, errors.New("it has no serial number")
	}
	at := e.At
	if at.IsZero() {
		at = c.thisUpdate
	}
	content, err := appendTime(appendInteger(c.content[:0], e.Serial), at.UTC())
	if err != nil {
		return nil, err
	}
	if !c.bare {
		if content, err = appendEntryExtensions(content, e); err != nil {
			return nil, err
		}
	}
	c.content = content
	return append(appendHeader(b, sequenceTag, len(content)), content...), nil
}

// plainReason is crlEntryExtensions of nothing but a reasonCode, which comes last
// and fits an octet.
const plainReason = "\x30\x0c\x30\x0a\x06\x03\x55\x1d\x15\x04\x03\x0a\x01"

func appendEntryExtensions(b []byte, e *Entry) ([]byte, error) {
	switch {
	case e.Reason == 0 && len(e.Extensions) == 0:
		return b, nil
	case e.Reason > 0 && e.Reason < 0x80 && len(e.Extensions) == 0:
		return append(append(b, plainReason...), byte(e.Reason)), nil
	}
	var extensions []pkix.Extension
	if e.Reason != 0 {
		reason, err := asn1.Marshal(asn1.Enumerated(e.Reason))
		if err != nil {
			return nil, err
		}
		extensions = append(extensions, pkix.Extension{Id: oidReasonCode, Value: reason})
	}
	der, err := asn1.Marshal(append(extensions, e.Extensions...))
	return append(b, der...), err
}

// The identifier octets of what is encoded by hand.
const (
	integerTag         = asn1.TagInteger
	utcTimeTag         = asn1.TagUTCTime
	generalizedTimeTag = asn1.TagGeneralizedTime
	sequenceTag        = asn1.TagSequence | 0x20
)

// appendHeader appends the identifier and the length of an element.
func appendHeader(b []byte, tag byte, length int) []byte {
	if length < 0x80 {
		return append(b, tag, byte(length))
	}
	octets := (bits.Len(uint(length)) + 7) / 8
	b = append(b, tag, 0x80|byte(octets))
	for octets--; octets >= 0; octets-- {
		b = append(b, byte(length>>(8*octets)))
	}
	return b
}

// appendInteger appends an INTEGER, in two's complement.
func appendInteger(b []byte, n *big.Int) []byte {
	magnitude := n
	if n.Sign() < 0 {
		magnitude = new(big.Int).Not(n) // -n-1: the same bits, inverted
	}
	length := magnitude.BitLen()/8 + 1 // with room for the sign
	b = appendHeader(b, integerTag, length)
	start := len(b)
	for range length {
		b = append(b, 0)
	}
	magnitude.FillBytes(b[start:])
	if n.Sign() < 0 {
		for i := start; i < len(b); i++ {
			b[i] = ^b[i]
		}
	}
	return b
}

// appendTime appends a time as RFC 5280 section 5.1.2.4 wants it: UTCTime where
// that can say the year, else GeneralizedTime.
func appendTime(b []byte, at time.Time) ([]byte, error) {
	switch year := at.Year(); {
	case year >= 1950 && year < 2050:
		return at.AppendFormat(appendHeader(b, utcTimeTag, 13), "060102150405Z"), nil
	case year >= 0 && year <= 9999:
		return at.AppendFormat(appendHeader(b, generalizedTimeTag, 15), "20060102150405Z"), nil
	default:
		return nil, fmt.Errorf("date %s: want a year from 0 to 9999", at)
	}
}
