package identity

import (
	"fmt"
	"unicode/utf8"
)

// Attributes appends the attributes of a distinguished name, given as the DER of
// a Name, to room, in the order of the DER. What is not the DER of a Name is an
// error.
func Attributes(raw []byte, room []Attribute) ([]Attribute, error) {
	attributes, err := parseName(raw, room)
	if err != nil {
		return nil, fmt.Errorf("parse name: %w", err)
	}
	return attributes, nil
}

// Type is the attribute type's short name, as DN prints it: CN, O, OU. It is ""
// for a type that has none.
func (a *Attribute) Type() string { return shortNames[string(a.oid)] }

// AppendText appends the value's characters to b as UTF-8, unescaped. It returns
// false, and b may then be overwritten, where the value is of no string type or
// holds what its type cannot: a byte that is not ASCII in an IA5String, say, or
// half a surrogate pair in a BMPString.
func (a *Attribute) AppendText(b []byte) ([]byte, bool) {
	width, most := 1, rune(utf8.MaxRune)
	switch a.value.tag {
	case tagUTF8String:
		return append(b, a.value.body...), utf8.Valid(a.value.body)
	case tagNumericString, tagPrintableString, tagIA5String, tagVisibleString:
		most = utf8.RuneSelf - 1
	case tagT61String:
	case tagBMPString:
		width = 2
	case tagUniversalString:
		width = 4
	default:
		return b, false
	}
	body := a.value.body
	if len(body)%width != 0 {
		return b, false
	}
	for at := 0; at < len(body); at += width {
		var c rune
		for _, octet := range body[at : at+width] {
			c = c<<8 | rune(octet)
		}
		if c > most || !utf8.ValidRune(c) {
			return b, false
		}
		b = utf8.AppendRune(b, c)
	}
	return b, true
}
