package frame

import (
	"bytes"
	"encoding/binary"
)

// fieldHead is the tag and the length in front of a field's value.
const fieldHead = 6

// AppendField appends a field with the given value.
func AppendField(dst []byte, tag Tag, value []byte) []byte {
	return append(appendHead(dst, tag, len(value)), value...)
}

// AppendString appends a field with the bytes of value.
func AppendString(dst []byte, tag Tag, value string) []byte {
	return append(appendHead(dst, tag, len(value)), value...)
}

// AppendUint appends a number: eight bytes, little-endian.
func AppendUint(dst []byte, tag Tag, value uint64) []byte {
	return binary.LittleEndian.AppendUint64(appendHead(dst, tag, 8), value)
}

// AppendTime appends a time as seconds since 1970, in two's complement.
func AppendTime(dst []byte, tag Tag, unix int64) []byte { return AppendUint(dst, tag, uint64(unix)) }

// AppendBool appends 1 or 0.
func AppendBool(dst []byte, tag Tag, value bool) []byte {
	if value {
		return AppendUint(dst, tag, 1)
	}
	return AppendUint(dst, tag, 0)
}

// AppendPair appends a name and a value with a zero byte between them. The name
// must not hold a zero byte.
func AppendPair[N, V string | []byte](dst []byte, tag Tag, name N, value V) []byte {
	dst = appendHead(dst, tag, len(name)+1+len(value))
	dst = append(dst, name...)
	dst = append(dst, 0)
	return append(dst, value...)
}

// AppendHeader is AppendPair with the name in lower case, as TagHeader and
// TagResponseHeader want it.
func AppendHeader[N, V string | []byte](dst []byte, tag Tag, name N, value V) []byte {
	start := len(dst) + fieldHead
	dst = AppendPair(dst, tag, name, value)
	for i := start; i < start+len(name); i++ {
		dst[i] = lower(dst[i])
	}
	return dst
}

func appendHead(dst []byte, tag Tag, length int) []byte {
	return append(dst, byte(tag), byte(tag>>8), byte(length), byte(length>>8), byte(length>>16), byte(length>>24))
}

// Fields iterates over the fields of a body.
type Fields struct {
	rest []byte
	err  error
}

// FieldsOf iterates over a body.
func FieldsOf(body []byte) Fields { return Fields{rest: body} }

// Next gives the next field; ok is false after the last one, and when what
// follows is malformed, which Err then tells.
func (it *Fields) Next() (tag Tag, value []byte, ok bool) {
	if len(it.rest) < fieldHead {
		if len(it.rest) > 0 {
			it.fail("%d bytes after the last field", len(it.rest))
		}
		return 0, nil, false
	}
	tag = Tag(binary.LittleEndian.Uint16(it.rest))
	length := binary.LittleEndian.Uint32(it.rest[2:])
	if uint64(length) > uint64(len(it.rest)-fieldHead) {
		it.fail("%v of %d bytes where %d are left", tag, length, len(it.rest)-fieldHead)
		return 0, nil, false
	}
	end := fieldHead + int(length)
	value = it.rest[fieldHead:end:end]
	it.rest = it.rest[end:]
	return tag, value, true
}

// Err is nil when Next came to the end of a well-formed body.
func (it *Fields) Err() error { return it.err }

// fail is apart from Next to keep that one small, and forgets the rest.
func (it *Fields) fail(format string, args ...any) {
	it.err = malformed(format, args...)
	it.rest = nil
}

// Uint reads a number.
func Uint(value []byte) (n uint64, ok bool) {
	if len(value) != 8 {
		return 0, false
	}
	return binary.LittleEndian.Uint64(value), true
}

// Bool reads a number that is 0 or 1.
func Bool(value []byte) (b, ok bool) {
	n, ok := Uint(value)
	return n == 1, ok && n <= 1
}

// Pair splits what AppendPair joined.
func Pair(value []byte) (name, rest []byte, ok bool) { return bytes.Cut(value, []byte{0}) }

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + ('a' - 'A')
	}
	return c
}
