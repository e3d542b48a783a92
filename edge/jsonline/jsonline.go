// Package jsonline prints one JSON object as one line of a log, without
// reflection and without allocating where the buffer has room.
//
// What it prints is valid JSON whatever the values hold, and safe to show: what
// a terminal would act on, or show as something else than it is, is escaped.
package jsonline

import (
	"math"
	"net/netip"
	"strconv"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/sallyport/sallyport/edge/albline"
)

// Object is a JSON object being appended to a buffer. Each method returns the
// extended one. Names are constants that need no escaping.
type Object []byte

// Begin opens an object at the end of dst.
func Begin(dst []byte) Object { return append(dst, '{') }

// End closes the object, and the line.
func (o Object) End() []byte { return append(o, '}', '\n') }

// Name appends a member's name; its value is for the caller to append.
func (o Object) Name(name string) Object {
	if o[len(o)-1] != '{' {
		o = append(o, ',')
	}
	o = append(o, '"')
	o = append(o, name...)
	return append(o, '"', ':')
}

// Null appends a member that is null.
func (o Object) Null(name string) Object { return append(o.Name(name), "null"...) }

// Text appends value, or null where it is empty.
func (o Object) Text(name, value string) Object {
	if value == "" {
		return o.Null(name)
	}
	return o.Name(name).Quoted(value)
}

// Mention appends value, or nothing where it is empty.
func (o Object) Mention(name, value string) Object {
	if value == "" {
		return o
	}
	return o.Name(name).Quoted(value)
}

// Flag appends true, or nothing where value is false.
func (o Object) Flag(name string, value bool) Object {
	if !value {
		return o
	}
	return append(o.Name(name), "true"...)
}

// Number appends n.
func (o Object) Number(name string, n int64) Object { return strconv.AppendInt(o.Name(name), n, 10) }

// Milliseconds, Microseconds and Nanoseconds append d in seconds, rounded to
// three, six and nine decimals.
func (o Object) Milliseconds(name string, d time.Duration) Object {
	return o.Name(name).seconds(d, time.Millisecond)
}

func (o Object) Microseconds(name string, d time.Duration) Object {
	return o.Name(name).seconds(d, time.Microsecond)
}

func (o Object) Nanoseconds(name string, d time.Duration) Object {
	return o.Name(name).seconds(d, time.Nanosecond)
}

// seconds appends d in seconds with the decimals of unit.
func (o Object) seconds(d, unit time.Duration) Object {
	if d = d.Round(unit); d < 0 {
		o, d = append(o, '-'), -max(d, -math.MaxInt64)
	}
	o = append(strconv.AppendInt(o, int64(d/time.Second), 10), '.')
	part := int64(d % time.Second / unit)
	for digit := int64(time.Second / unit / 10); digit > 0; digit /= 10 {
		o = append(o, byte('0'+part/digit%10))
	}
	return o
}

// Time appends t as ALB prints it: UTC, with microseconds.
func (o Object) Time(name string, t time.Time) Object {
	return append(albline.AppendTime(append(o.Name(name), '"'), t), '"')
}

// Addr appends an IP address, or null where there is none. IPv4-mapped IPv6
// prints as IPv4.
func (o Object) Addr(name string, ap netip.AddrPort) Object {
	switch ip := ap.Addr().Unmap(); {
	case !ip.IsValid():
		return o.Null(name)
	case ip.Zone() != "":
		return o.Name(name).Quoted(ip.String()) // a zone is free text
	default:
		return append(ip.AppendTo(append(o.Name(name), '"')), '"')
	}
}

// Port appends a port, or null where there is no address.
func (o Object) Port(name string, ap netip.AddrPort) Object {
	if !ap.IsValid() {
		return o.Null(name)
	}
	return o.Number(name, int64(ap.Port()))
}

// Quoted appends value as a JSON string.
func (o Object) Quoted(value string) Object { return append(append(o, '"').Escaped(value), '"') }

const hexDigits = "0123456789abcdef"

// Escaped appends value as the inside of a JSON string (RFC 8259, section 7).
// DEL, the controls above it and everything that does not print are escaped
// too. Bytes that are not UTF-8 become U+FFFD.
func (o Object) Escaped(value string) Object {
	done := 0 // what is before it has been appended
	for i := 0; i < len(value); {
		c := value[i]
		if c < utf8.RuneSelf && c >= ' ' && c != '"' && c != '\\' && c != 0x7F {
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(value[i:])
		if size > 1 && strconv.IsPrint(r) {
			i += size
			continue
		}
		o = append(o, value[done:i]...)
		switch {
		case r == '"', r == '\\':
			o = append(o, '\\', c)
		case r < 1<<16:
			o = o.unicode(uint16(r))
		default:
			high, low := utf16.EncodeRune(r)
			o = o.unicode(uint16(high)).unicode(uint16(low))
		}
		i += size
		done = i
	}
	return append(o, value[done:]...)
}

func (o Object) unicode(unit uint16) Object {
	return append(o, '\\', 'u', hexDigits[unit>>12], hexDigits[unit>>8&0xF], hexDigits[unit>>4&0xF], hexDigits[unit&0xF])
}
