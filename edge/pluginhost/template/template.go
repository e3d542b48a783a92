// Package template makes the values of headers out of the fields that plugins may
// need, without a plugin. A template is text with placeholders:
//
//	{{cert.common_name}}                                a field, by the name that plugins declare
//	{{cert.organizational_units[0]}}                    an entry of a list, the first one being 0
//	{{cert.uris | join " "}}                            all of them
//	{{header:x-tenant[0] | default "none"}}             what stands there if there is no such value
//	{{cert.subject | url}} {{cert.der | base64}}        encoded
//	{{cert.organizational_units | sf}}                  as a Structured Field (RFC 9651)
//	{{"{{"}}                                            text
//
// A template with a placeholder that has no value and no default gives none at
// all, rather than half of one. Numbers are decimal, truths true or false, times
// as in RFC 3339, and hashes hexadecimal in lower case. With sf each value is of
// its own type there: a String, or a Display String if it is not ASCII, an
// Integer, a Boolean, a Date or a Byte Sequence; a list is a List.
package template

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/sallyport/sallyport/sdk/frame"
)

// Template is a parsed one. It is immutable.
type Template struct {
	parts []part
	needs []frame.Need
}

// part is text, or a placeholder.
type part struct {
	text   string
	field  frame.Need // of a placeholder; the zero Need of text
	index  int        // of the entry, or all
	join   string
	encode encoding
	// fallback is what stands for no value, if there is a default.
	fallback    string
	hasFallback bool
}

const all = -1

// encoding is how each value is written.
type encoding uint8

const (
	plain encoding = iota
	percent
	base64Text
	structured
)

// Needs are the names of the fields that the template has placeholders of.
func (t *Template) Needs() []string {
	names := make([]string, len(t.needs))
	for i, n := range t.needs {
		names[i] = n.String()
	}
	return names
}

// OfConnection says whether the value is the same for all requests of a
// connection.
func (t *Template) OfConnection() bool {
	for _, n := range t.needs {
		if n.Tag >= frame.TagMethod {
			return false
		}
	}
	return true
}

// ErrUnprintable is the error for a value that cannot stand in a header.
var ErrUnprintable = errors.New("holds CR, LF or NUL")

// Append appends the value for the fields of a body, those that Needs names. It is
// not ok if there is none. A value that must not be in a header (RFC 9110, section
// 5.5) is an error: it is never cut or mended.
func (t *Template) Append(dst, body []byte) (value []byte, ok bool, err error) {
	start := len(dst)
	for i := range t.parts {
		p := &t.parts[i]
		if p.field == (frame.Need{}) {
			dst = append(dst, p.text...)
			continue
		}
		var found bool
		if dst, found, err = p.append(dst, body); err != nil {
			return dst[:start], false, fmt.Errorf("%s: %w", p.field, err)
		}
		if !found {
			if !p.hasFallback {
				return dst[:start], false, nil
			}
			dst = append(dst, p.fallback...)
		}
	}
	for _, c := range dst[start:] {
		if c == '\r' || c == '\n' || c == 0 {
			return dst[:start], false, ErrUnprintable
		}
	}
	return dst, true, nil
}

// append appends what a placeholder stands for.
func (p *part) append(dst, body []byte) (_ []byte, found bool, err error) {
	it := frame.FieldsOf(body)
	n := 0
	for tag, value, ok := it.Next(); ok; tag, value, ok = it.Next() {
		if tag != p.field.Tag {
			continue
		}
		if tag.Kind() == frame.Header {
			name, rest, _ := frame.Pair(value)
			if string(name) != p.field.Header {
				continue
			}
			value = rest
		}
		n++
		if p.index != all && n-1 != p.index {
			continue
		}
		if isEmpty(tag, value) {
			continue
		}
		if found {
			dst = append(dst, p.join...)
		}
		found = true
		if dst, err = p.encode.append(dst, tag, value); err != nil {
			return dst, false, err
		}
	}
	return dst, found, it.Err()
}

// isEmpty says whether the edge does not know: a text of no bytes says nothing.
// The client may well have sent an empty header, which is not another thing.
func isEmpty(tag frame.Tag, value []byte) bool { return len(value) == 0 && isText(tag) }

func isText(tag frame.Tag) bool {
	switch tag.Kind() {
	case frame.Text, frame.List, frame.Header:
		return true
	}
	return false
}

// isBinary says whether a field has bytes that mean nothing as text.
func isBinary(tag frame.Tag) bool { return tag == frame.TagCertDER || tag == frame.TagCertChain }

func (e encoding) append(dst []byte, tag frame.Tag, value []byte) ([]byte, error) {
	if e == structured {
		return appendStructured(dst, tag, value)
	}
	if e == base64Text && (isText(tag) || tag.Kind() == frame.Hash) {
		return base64.StdEncoding.AppendEncode(dst, value), nil
	}
	start := len(dst)
	switch tag.Kind() {
	case frame.Number:
		dst = strconv.AppendUint(dst, number(value), 10)
	case frame.Truth:
		dst = strconv.AppendBool(dst, number(value) == 1)
	case frame.Time:
		dst = time.Unix(int64(number(value)), 0).UTC().AppendFormat(dst, time.RFC3339)
	case frame.Hash:
		dst = hex.AppendEncode(dst, value)
	default:
		if e == percent {
			return appendPercent(dst, value), nil
		}
		return append(dst, value...), nil
	}
	if e == plain {
		return dst, nil
	}
	text := string(dst[start:])
	if e == base64Text {
		return base64.StdEncoding.AppendEncode(dst[:start], []byte(text)), nil
	}
	return appendPercent(dst[:start], []byte(text)), nil
}

// number is 0 for what is none, which the edge does not write.
func number(value []byte) uint64 {
	if len(value) != 8 {
		return 0
	}
	return binary.LittleEndian.Uint64(value)
}

// appendPercent encodes all but the unreserved characters of RFC 3986, section 2.3.
func appendPercent(dst, value []byte) []byte {
	for _, c := range value {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '.' || c == '_' || c == '~' {
			dst = append(dst, c)
			continue
		}
		const digits = "0123456789ABCDEF"
		dst = append(dst, '%', digits[c>>4], digits[c&15])
	}
	return dst
}

// appendStructured appends a bare item of RFC 9651, section 3.3.
func appendStructured(dst []byte, tag frame.Tag, value []byte) ([]byte, error) {
	switch kind := tag.Kind(); {
	case kind == frame.Number:
		return strconv.AppendUint(dst, number(value), 10), nil
	case kind == frame.Truth:
		return append(dst, '?', '0'+byte(number(value)&1)), nil
	case kind == frame.Time:
		return strconv.AppendInt(append(dst, '@'), int64(number(value)), 10), nil
	case kind == frame.Hash || isBinary(tag):
		return append(base64.StdEncoding.AppendEncode(append(dst, ':'), value), ':'), nil
	}
	ascii := true
	for _, c := range value {
		ascii = ascii && c >= ' ' && c <= '~'
	}
	if !ascii {
		return appendDisplay(dst, value)
	}
	dst = append(dst, '"')
	for _, c := range value {
		if c == '"' || c == '\\' {
			dst = append(dst, '\\')
		}
		dst = append(dst, c)
	}
	return append(dst, '"'), nil
}

// appendDisplay appends a Display String (RFC 9651, section 3.3.8), which must be
// UTF-8.
func appendDisplay(dst, value []byte) ([]byte, error) {
	if !utf8.Valid(value) {
		return dst, errors.New("is no UTF-8, which a Structured Field must be")
	}
	dst = append(dst, '%', '"')
	for _, c := range value {
		if c >= ' ' && c <= '~' && c != '%' && c != '"' {
			dst = append(dst, c)
			continue
		}
		const digits = "0123456789abcdef"
		dst = append(dst, '%', digits[c>>4], digits[c&15])
	}
	return append(dst, '"'), nil
}
