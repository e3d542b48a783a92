package revocation

import (
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"math/bits"
	"time"
)

// Identifier octets of the DER elements met in lists and names.
const (
	tagBoolean         = 0x01
	tagInteger         = 0x02
	tagBitString       = 0x03
	tagOctetString     = 0x04
	tagOID             = 0x06
	tagEnumerated      = 0x0a
	tagUTF8String      = 0x0c
	tagNumericString   = 0x12
	tagPrintableString = 0x13
	tagT61String       = 0x14
	tagIA5String       = 0x16
	tagUTCTime         = 0x17
	tagGeneralizedTime = 0x18
	tagVisibleString   = 0x1a
	tagUniversalString = 0x1c
	tagBMPString       = 0x1e
	tagSequence        = 0x30
	tagSet             = 0x31

	tagContext     = 0x80 // [0] primitive; | n for [n]
	tagConstructed = 0x20
)

var (
	errTruncated  = errors.New("truncated: the length runs past the end")
	errTrailing   = errors.New("trailing data")
	errHighTag    = errors.New("tag of more than one octet")
	errIndefinite = errors.New("indefinite length: want DER")
	errNonMinimal = errors.New("length not in its shortest form: want DER")
	errLong       = errors.New("length of more than four octets")
	errInteger    = errors.New("integer not in its shortest form: want DER")
	errTime       = errors.New("want UTCTime YYMMDDHHMMSSZ or GeneralizedTime YYYYMMDDHHMMSSZ")
)

// der is the unread rest of a run of DER elements. Its methods move forward
// and never keep or change the bytes; what they return aliases them.
type der []byte

// maxHeader is the most octets that the header of an element takes here.
const maxHeader = 6

// header is the identifier and length octets of an element.
type header struct {
	tag    byte
	size   int // of the header itself
	length int64
}

// whole is the size of the element, header included.
func (h header) whole() int64 { return int64(h.size) + h.length }

// parseHeader reads the header that b begins with, of which maxHeader octets do.
func parseHeader(b []byte) (h header, err error) {
	if len(b) < 2 {
		return header{}, errTruncated
	}
	h = header{tag: b[0], size: 2, length: int64(b[1])}
	if h.tag&0x1f == 0x1f {
		return header{}, errHighTag
	}
	if h.length < 0x80 {
		return h, nil
	}
	n := int(h.length & 0x7f)
	switch {
	case n == 0:
		return header{}, errIndefinite
	case n > 4:
		return header{}, errLong
	case len(b) < 2+n:
		return header{}, errTruncated
	}
	h.size, h.length = 2+n, 0
	for _, octet := range b[2:h.size] {
		h.length = h.length<<8 | int64(octet)
	}
	if b[2] == 0 || h.length < 0x80 {
		return header{}, errNonMinimal
	}
	return h, nil
}

// next takes the first element, whatever it is. whole includes the header.
func (d *der) next() (tag byte, content, whole []byte, err error) {
	b := *d
	h, err := parseHeader(b)
	if err != nil {
		return 0, nil, nil, err
	}
	if h.whole() > int64(len(b)) {
		return 0, nil, nil, errTruncated
	}
	end := int(h.whole())
	*d = b[end:]
	return h.tag, b[h.size:end:end], b[:end:end], nil
}

// element takes the first element, which must have the given tag.
func (d *der) element(want byte) (content, whole []byte, err error) {
	tag, content, whole, err := d.next()
	if err != nil {
		return nil, nil, err
	}
	if tag != want {
		return nil, nil, tagError(tag, want)
	}
	return content, whole, nil
}

func tagError(tag, want byte) error {
	return fmt.Errorf("tag 0x%02x: want 0x%02x", tag, want)
}

// read is element for those who want the content only.
func (d *der) read(want byte) ([]byte, error) {
	content, _, err := d.element(want)
	return content, err
}

// peek says whether another element with this tag follows.
func (d der) peek(tag byte) bool { return len(d) > 0 && d[0] == tag }

// end is an error unless all has been read.
func (d der) end() error {
	if len(d) != 0 {
		return errTrailing
	}
	return nil
}

// only takes one element with the given tag that is all there is.
func (d der) only(tag byte) ([]byte, error) {
	content, err := d.read(tag)
	if err != nil {
		return nil, err
	}
	return content, d.end()
}

// integer takes an INTEGER and returns its content octets: two's complement,
// shortest form, so that equal octets mean equal numbers.
func (d *der) integer() ([]byte, error) {
	content, err := d.read(tagInteger)
	if err != nil {
		return nil, err
	}
	return content, checkInteger(content)
}

func checkInteger(content []byte) error {
	switch {
	case len(content) == 0:
		return errInteger
	case len(content) == 1:
		return nil
	case content[0] == 0 && content[1] < 0x80, content[0] == 0xff && content[1] >= 0x80:
		return errInteger
	}
	return nil
}

// number takes an INTEGER that RFC 5280 section 5.2.3 allows as a CRL number:
// not negative, at most 20 octets.
func (d *der) number() (*big.Int, error) {
	content, err := d.integer()
	switch {
	case err != nil:
		return nil, err
	case content[0] >= 0x80:
		return nil, errors.New("negative: want a number from 0 on")
	case len(content) > 20:
		return nil, fmt.Errorf("%d octets: want at most 20", len(content))
	}
	return new(big.Int).SetBytes(content), nil
}

// appendElement appends the element of a tag and its content.
func appendElement(b []byte, tag byte, content []byte) []byte {
	b = append(b, tag)
	if n := len(content); n < 0x80 {
		b = append(b, byte(n))
	} else {
		octets := (bits.Len(uint(n)) + 7) / 8
		b = append(b, 0x80|byte(octets))
		for octets--; octets >= 0; octets-- {
			b = append(b, byte(n>>(8*octets)))
		}
	}
	return append(b, content...)
}

// integerOctets is the INTEGER content of n, as integer returns it.
func integerOctets(n *big.Int) []byte {
	if n.Sign() >= 0 {
		octets := n.Bytes()
		if len(octets) == 0 || octets[0] >= 0x80 {
			octets = append([]byte{0}, octets...)
		}
		return octets
	}
	// The complement of -n-1 has the wanted bits; its top bit must be set.
	octets := new(big.Int).Not(n).Bytes()
	for i := range octets {
		octets[i] = ^octets[i]
	}
	if len(octets) == 0 || octets[0] < 0x80 {
		octets = append([]byte{0xff}, octets...)
	}
	return octets
}

// boolean judges the content of a BOOLEAN. An explicit FALSE where the default
// is FALSE is not DER, but widely written and unambiguous.
func boolean(content []byte) (bool, error) {
	if len(content) == 1 && (content[0] == 0 || content[0] == 0xff) {
		return content[0] == 0xff, nil
	}
	return false, fmt.Errorf("boolean %x: want 00 or ff", content)
}

// time takes a UTCTime or GeneralizedTime in the form of RFC 5280 section
// 5.1.2.4: with seconds, in UTC, no fraction. UTCTime years 50 to 99 are 19xx.
func (d *der) time() (time.Time, error) {
	tag, content, _, err := d.next()
	if err != nil {
		return time.Time{}, err
	}
	return parseTime(tag, content)
}

func parseTime(tag byte, content []byte) (time.Time, error) {
	var year int
	switch {
	case tag == tagUTCTime && len(content) == 13:
		if year = decimal(content[:2]); year < 50 {
			year += 100
		}
		year, content = year+1900, content[2:]
	case tag == tagGeneralizedTime && len(content) == 15:
		year, content = decimal(content[:2])*100+decimal(content[2:4]), content[4:]
	default:
		return time.Time{}, errTime
	}
	for _, octet := range content[:10] {
		if octet < '0' || octet > '9' {
			return time.Time{}, errTime
		}
	}
	month, day := decimal(content), decimal(content[2:])
	hour, minute, second := decimal(content[4:]), decimal(content[6:]), decimal(content[8:])
	if year < 0 || month < 1 || month > 12 || day < 1 || hour > 23 || minute > 59 || second > 59 || content[10] != 'Z' {
		return time.Time{}, errTime
	}
	t := time.Date(year, time.Month(month), day, hour, minute, second, 0, time.UTC)
	if t.Day() != day { // February 30
		return time.Time{}, errTime
	}
	return t, nil
}

// decimal reads two digits; anything else is so far below zero that a year
// made of it stays below zero.
func decimal(b []byte) int {
	if b[0] < '0' || b[0] > '9' || b[1] < '0' || b[1] > '9' {
		return -1 << 20
	}
	return int(b[0]-'0')*10 + int(b[1]-'0')
}

// oidText is an OBJECT IDENTIFIER's content in dotted form, for messages.
func oidText(content []byte) string {
	var oid x509.OID
	if err := oid.UnmarshalBinary(content); err != nil {
		return fmt.Sprintf("%x", content)
	}
	return oid.String()
}
