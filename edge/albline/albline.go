// Package albline prints one line of a log in the way of an Application Load
// Balancer: fields one space apart, "-" for what there is none of, a newline at
// the end. It does not allocate where the buffer has room.
//
// No value can end its field or its line. Bytes below 0x20 and above 0x7E,
// quotes and backslashes are printed as \xXX with upper-case digits, as ALB
// prints a quote, and a space outside quotes is too. AWS's own expressions for
// these lines end a quoted field at any quote, escaped or not, so that nothing
// but an encoding without the character itself would do.
package albline

import (
	"net/netip"
	"strconv"
	"time"
)

// Line is a line being appended to a buffer. Each method appends one field and
// returns the extended line. Only a buffer that is empty or ends in a newline
// may become a Line.
type Line []byte

// Begin begins a line at the end of dst.
func Begin(dst []byte) Line { return dst }

// End ends the line.
func (l Line) End() []byte { return append(l, '\n') }

// Next appends what stands before a field; its value is for the caller to
// append, by the methods that say so.
func (l Line) Next() Line {
	if len(l) == 0 || l[len(l)-1] == '\n' {
		return l
	}
	return append(l, ' ')
}

// None appends a field that is absent.
func (l Line) None() Line { return append(l.Next(), '-') }

// Bare appends value without quotes, "-" where it is empty.
func (l Line) Bare(value string) Line {
	if value == "" {
		return l.None()
	}
	return l.Next().Part(value)
}

// Quoted appends value in quotes, "-" in quotes where it is empty.
func (l Line) Quoted(value string) Line {
	l = append(l.Next(), '"')
	if value == "" {
		return append(l, '-', '"')
	}
	return append(l.Escaped(value), '"')
}

// Number appends n.
func (l Line) Number(n int64) Line { return strconv.AppendInt(l.Next(), n, 10) }

// Code appends a status code, "-" where it is 0.
func (l Line) Code(code int) Line {
	if code == 0 {
		return l.None()
	}
	return l.Number(int64(code))
}

// Time appends t as AppendTime does.
func (l Line) Time(t time.Time) Line { return AppendTime(l.Next(), t) }

// AppendTime appends t in UTC with microseconds: 2018-07-02T22:23:00.186641Z. A
// year outside 0 to 9999 is printed as the nearest of these.
func AppendTime(dst []byte, t time.Time) []byte {
	t = t.UTC()
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	l := append(Line(dst).digits(min(max(year, 0), 9999), 4), '-')
	l = append(l.digits(int(month), 2), '-')
	l = append(l.digits(day, 2), 'T')
	l = append(l.digits(hour, 2), ':')
	l = append(l.digits(minute, 2), ':')
	l = append(l.digits(second, 2), '.')
	return append(l.digits(t.Nanosecond()/1000, 6), 'Z')
}

// Milliseconds appends d in seconds with three decimals, rounded, and -1 where d
// is negative: what did not happen.
func (l Line) Milliseconds(d time.Duration) Line {
	if d < 0 {
		return append(l.Next(), '-', '1')
	}
	ms := int64(d.Round(time.Millisecond) / time.Millisecond)
	return Line(append(strconv.AppendInt(l.Next(), ms/1000, 10), '.')).digits(int(ms%1000), 3)
}

// Nanoseconds appends d in seconds with nine decimals, and -1 where d is
// negative.
func (l Line) Nanoseconds(d time.Duration) Line {
	if d < 0 {
		return append(l.Next(), '-', '1')
	}
	return Line(append(strconv.AppendInt(l.Next(), int64(d/time.Second), 10), '.')).digits(int(d%time.Second), 9)
}

// Addr appends an IP address, IPv4-mapped IPv6 as IPv4. A zone is free text and
// is printed as such.
func (l Line) Addr(addr netip.Addr) Line {
	switch addr = addr.Unmap(); {
	case !addr.IsValid():
		return l.None()
	case addr.Zone() != "":
		return l.Bare(addr.String())
	}
	return addr.AppendTo(l.Next())
}

// Port appends a port, "-" where there is no address.
func (l Line) Port(ap netip.AddrPort) Line {
	if !ap.IsValid() {
		return l.None()
	}
	return l.Number(int64(ap.Port()))
}

// AddrPort appends address and port in one field: 192.0.2.1:443, or
// [2001:db8::1]:443. There is no zone, which means something on this host only.
func (l Line) AddrPort(ap netip.AddrPort) Line {
	if !ap.IsValid() {
		return l.None()
	}
	return netip.AddrPortFrom(ap.Addr().Unmap().WithZone(""), ap.Port()).AppendTo(l.Next())
}

// Part appends value as a part of a field without quotes.
func (l Line) Part(value string) Line { return l.escaped(value, ' '+1) }

// Escaped appends value as a part of a field in quotes.
func (l Line) Escaped(value string) Line { return l.escaped(value, ' ') }

// escaped appends value with every quote, backslash and byte below first or
// above 0x7E as \xXX. What needs none goes in one piece.
func (l Line) escaped(value string, first byte) Line {
	const hex = "0123456789ABCDEF"
	done := 0
	for i := range len(value) {
		c := value[i]
		if c >= first && c <= 0x7E && c != '"' && c != '\\' {
			continue
		}
		l = append(l, value[done:i]...)
		l = append(l, '\\', 'x', hex[c>>4], hex[c&0xF])
		done = i + 1
	}
	return append(l, value[done:]...)
}

// digits appends n, which is not negative, with leading zeros.
func (l Line) digits(n, width int) Line {
	var b [9]byte
	for i := width - 1; i >= 0; i-- {
		b[i] = byte('0' + n%10)
		n /= 10
	}
	return append(l, b[:width]...)
}
