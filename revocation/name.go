package revocation

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// NameKey stands for a distinguished name: names that RFC 5280 section 7.1
// takes for equal have equal keys. Comparable, so a map key.
type NameKey [sha256.Size]byte

// String returns the key in hexadecimal.
func (k NameKey) String() string { return hex.EncodeToString(k[:]) }

// NameKeyOf returns the key of a DER-encoded Name. Attribute values of any
// string type are compared as text, without regard to case, to leading and
// trailing white space, and to the length of white space within; other values,
// and bytes that are no Name at all, are compared byte by byte. Characters are
// not composed or decomposed: such names stay different.
func NameKeyOf(rawDN []byte) NameKey {
	canonical, err := canonicalName(rawDN)
	if err != nil {
		return sha256.Sum256(append([]byte{0}, rawDN...))
	}
	return keyOfCanonical(canonical)
}

func keyOfCanonical(canonical []byte) NameKey {
	return sha256.Sum256(append([]byte{1}, canonical...))
}

// canonicalName is a Name with equal bytes for equal names: the forms of its
// RDNs one after another, so that a name relative to another is the other's
// form and one RDN's appended.
func canonicalName(rawDN []byte) ([]byte, error) {
	content, err := der(rawDN).only(tagSequence)
	if err != nil {
		return nil, err
	}
	var canonical []byte
	for in, n := der(content), 1; len(in) > 0; n++ {
		rdn, err := in.read(tagSet)
		if err == nil {
			canonical, err = appendRDN(canonical, rdn)
		}
		if err != nil {
			return nil, fmt.Errorf("RDN %d: %w", n, err)
		}
	}
	return canonical, nil
}

// appendRDN appends the form of the RDN whose SET content is given. Its
// attributes are sorted by their form: DER sorted them by their encoding.
func appendRDN(canonical []byte, rdn der) ([]byte, error) {
	if len(rdn) == 0 {
		return nil, errors.New("empty: want an attribute")
	}
	var attributes [][]byte
	for len(rdn) > 0 {
		content, err := rdn.read(tagSequence)
		if err != nil {
			return nil, err
		}
		in := der(content)
		id, err := in.read(tagOID)
		if err != nil {
			return nil, fmt.Errorf("attribute type: %w", err)
		}
		tag, value, _, err := in.next()
		if err == nil {
			err = in.end()
		}
		if err != nil {
			return nil, fmt.Errorf("attribute value: %w", err)
		}
		attribute := appendCounted(nil, id)
		if text, ok := foldText(tag, value); ok {
			attribute = append(attribute, 0)
			attribute = appendCounted(attribute, text)
		} else {
			attribute = append(attribute, tag) // never 0
			attribute = appendCounted(attribute, value)
		}
		attributes = append(attributes, attribute)
	}
	slices.SortFunc(attributes, bytes.Compare)
	canonical = binary.AppendUvarint(canonical, uint64(len(attributes)))
	for _, attribute := range attributes {
		canonical = appendCounted(canonical, attribute)
	}
	return canonical, nil
}

func appendCounted(to, octets []byte) []byte {
	return append(binary.AppendUvarint(to, uint64(len(octets))), octets...)
}

// foldText is a string value as UTF-8 with case and white space folded; false
// for what is no string or not valid as what it says it is.
func foldText(tag byte, value []byte) ([]byte, bool) {
	runes, ok := decodeText(tag, value)
	if !ok {
		return nil, false
	}
	folded := make([]byte, 0, len(value))
	space := false
	for _, r := range runes {
		if unicode.IsSpace(r) {
			space = len(folded) > 0
			continue
		}
		if space {
			folded = append(folded, ' ')
			space = false
		}
		// Upper first: letters such as the two small sigmas meet only there.
		folded = utf8.AppendRune(folded, unicode.ToLower(unicode.ToUpper(r)))
	}
	return folded, true
}

func decodeText(tag byte, value []byte) ([]rune, bool) {
	switch tag {
	case tagUTF8String:
		if !utf8.Valid(value) {
			return nil, false
		}
		return bytes.Runes(value), true
	case tagPrintableString, tagNumericString, tagIA5String, tagVisibleString, tagT61String:
		runes := make([]rune, len(value)) // T61String as everyone writes it: Latin-1
		for i, octet := range value {
			runes[i] = rune(octet)
		}
		return runes, true
	case tagBMPString:
		if len(value)%2 != 0 {
			return nil, false
		}
		units := make([]uint16, len(value)/2)
		for i := range units {
			units[i] = binary.BigEndian.Uint16(value[2*i:])
		}
		return utf16.Decode(units), true
	case tagUniversalString:
		if len(value)%4 != 0 {
			return nil, false
		}
		runes := make([]rune, len(value)/4)
		for i := range runes {
			point := binary.BigEndian.Uint32(value[4*i:])
			if point > unicode.MaxRune {
				return nil, false
			}
			runes[i] = rune(point)
		}
		return runes, true
	}
	return nil, false
}
