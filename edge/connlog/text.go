package connlog

import (
	"net/netip"
	"strconv"
	"time"
	"unicode/utf16"
	"unicode/utf8"
)

// maxText bounds a string in the log, in bytes before escaping. A client that
// nobody trusts can present a subject as large as the certificate message may
// be, as often as it likes; the disk is not to pay for that.
const maxText = 4096

// cut returns what is printed of value, and a mark if that is not all of it. It
// does not cut through a character.
func cut(value string) (kept, mark string) {
	if len(value) <= maxText {
		return value, ""
	}
	const dots = "..."
	end := maxText - len(dots) // so that cutting again changes nothing
	for back := 1; back < utf8.UTFMax && !utf8.RuneStart(value[end]); back++ {
		end--
	}
	return value[:end], dots
}

// object appends the members of a JSON object. Names are constants that need no
// escaping.
type object []byte

func (o object) name(name string) object {
	if o[len(o)-1] != '{' {
		o = append(o, ',')
	}
	o = append(o, '"')
	o = append(o, name...)
	return append(o, '"', ':')
}

func (o object) null(name string) object { return append(o.name(name), "null"...) }

// text appends value, or null where it is empty.
func (o object) text(name, value string) object {
	if value == "" {
		return o.null(name)
	}
	return appendQuoted(o.name(name), value)
}

// mention appends value, or nothing where it is empty.
func (o object) mention(name, value string) object {
	if value == "" {
		return o
	}
	return appendQuoted(o.name(name), value)
}

// flag appends value, or nothing where it is false.
func (o object) flag(name string, value bool) object {
	if !value {
		return o
	}
	return append(o.name(name), "true"...)
}

func (o object) number(name string, value int64) object {
	return strconv.AppendInt(o.name(name), value, 10)
}

func (o object) seconds(name string, d time.Duration) object {
	return appendSeconds(o.name(name), d, time.Microsecond)
}

func (o object) time(name string, t time.Time) object {
	return append(appendTime(append(o.name(name), '"'), t), '"')
}

// addr appends an IP address, or null where there is none.
func (o object) addr(name string, addr netip.AddrPort) object {
	switch ip := addr.Addr().Unmap(); {
	case !ip.IsValid():
		return o.null(name)
	case ip.Zone() != "":
		return appendQuoted(o.name(name), ip.String())
	default:
		return append(ip.AppendTo(append(o.name(name), '"')), '"')
	}
}

// port appends a port, or null where there is no address.
func (o object) port(name string, addr netip.AddrPort) object {
	if !addr.IsValid() {
		return o.null(name)
	}
	return o.number(name, int64(addr.Port()))
}

// appendQuoted appends value as a JSON string (RFC 8259, section 7). What a
// terminal would act on, or show as something else than it is, is escaped too:
// DEL, the controls above it, everything that does not print. Bytes that are
// not UTF-8 become U+FFFD.
func appendQuoted(dst []byte, value string) []byte {
	value, more := cut(value)
	dst = append(dst, '"')
	for i := 0; i < len(value); {
		c := value[i]
		if c < utf8.RuneSelf {
			i++
			switch {
			case c == '"', c == '\\':
				dst = append(dst, '\\', c)
			case c < ' ', c == 0x7F:
				dst = appendUnicode(dst, uint16(c))
			default:
				dst = append(dst, c)
			}
			continue
		}
		r, size := utf8.DecodeRuneInString(value[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			dst = append(dst, `\ufffd`...)
		case strconv.IsPrint(r):
			dst = append(dst, value[i:i+size]...)
		case r < 1<<16:
			dst = appendUnicode(dst, uint16(r))
		default:
			high, low := utf16.EncodeRune(r)
			dst = appendUnicode(appendUnicode(dst, uint16(high)), uint16(low))
		}
		i += size
	}
	dst = append(dst, more...)
	return append(dst, '"')
}

func appendUnicode(dst []byte, unit uint16) []byte {
	const hex = "0123456789abcdef"
	return append(dst, '\\', 'u', hex[unit>>12], hex[unit>>8&0xF], hex[unit>>4&0xF], hex[unit&0xF])
}
