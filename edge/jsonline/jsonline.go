// Package jsonline prints one JSON object as one line of a log, without
// reflection and without allocating where the buffer has room.
//
// What it prints is valid JSON whatever the values hold, and safe to show: what
// a terminal would act on, or show as something else than it is, is escaped.
package jsonline

import (
	"net/netip"
	"strconv"
	"time"
	"unicode/utf16"
	"unicode/utf8"
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

// Milliseconds and Microseconds append d in seconds, rounded to three and to six
// decimals.
func (o Object) Milliseconds(name string, d time.Duration) Object {
	return strconv.AppendFloat(o.Name(name), d.Round(time.Millisecond).Seconds(), 'f', 3, 64)
}

func (o Object) Microseconds(name string, d time.Duration) Object {
	return strconv.AppendFloat(o.Name(name), d.Round(time.Microsecond).Seconds(), 'f', 6, 64)
}

// Time appends t as ALB prints it: UTC, with microseconds.
func (o Object) Time(name string, t time.Time) Object {
	o = append(o.Name(name), '"')
	return append(t.UTC().AppendFormat(o, "2006-01-02T15:04:05.000000Z"), '"')
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
	for i := 0; i < len(value); {
		c := value[i]
		if c < utf8.RuneSelf {
			i++
			switch {
			case c == '"', c == '\\':
				o = append(o, '\\', c)
			case c < ' ', c == 0x7F:
				o = o.unicode(uint16(c))
			default:
				o = append(o, c)
			}
			continue
		}
		r, size := utf8.DecodeRuneInString(value[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			o = o.unicode(utf8.RuneError)
		case strconv.IsPrint(r):
			o = append(o, value[i:i+size]...)
		case r < 1<<16:
			o = o.unicode(uint16(r))
		default:
			high, low := utf16.EncodeRune(r)
			o = o.unicode(uint16(high)).unicode(uint16(low))
		}
		i += size
	}
	return o
}

func (o Object) unicode(unit uint16) Object {
	return append(o, '\\', 'u', hexDigits[unit>>12], hexDigits[unit>>8&0xF], hexDigits[unit>>4&0xF], hexDigits[unit&0xF])
}
