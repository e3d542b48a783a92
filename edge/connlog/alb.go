package connlog

import (
	"net/netip"
	"strconv"
	"time"
)

// AppendALB appends the record as a line of ALB's connection log: its 15
// fields, in the order of AWS's page, one space apart, and a newline. Absent
// values are "-", the subject's within its quotes. A value's quotes,
// backslashes and bytes below 0x20 or above 0x7E are printed as \xXX, and so
// are spaces outside quotes, so that no value can end its field or line: AWS's
// own expression for these lines ends the subject at any quote, escaped or not.
func (r *Record) AppendALB(dst []byte) []byte {
	dst = appendTime(dst, r.Time)
	dst = appendBareAddr(append(dst, ' '), r.Client)
	dst = appendBarePort(append(dst, ' '), r.Client)
	dst = appendBarePort(append(dst, ' '), r.Server)
	dst = appendBare(append(dst, ' '), r.TLSVersion)
	dst = appendBare(append(dst, ' '), r.CipherSuite)
	dst = append(dst, ' ')
	if latency, ok := r.latency(); ok {
		dst = appendSeconds(dst, latency, time.Millisecond)
	} else {
		dst = append(dst, '-')
	}
	dst = append(dst, ' ', '"')
	if r.LeafSubject != "" {
		dst = appendEscaped(dst, r.LeafSubject, ' ')
	} else {
		dst = append(dst, '-')
	}
	dst = append(dst, '"')
	dst = appendBare(append(dst, ' '), r.LeafValidity)
	dst = appendBare(append(dst, ' '), r.LeafSerial)
	dst = append(dst, ' ')
	prefix, status := r.verifyStatus()
	dst = appendBare(append(dst, prefix...), status)
	dst = appendBare(append(dst, ' '), r.TraceID)
	dst = appendBare(append(dst, ' '), r.KeyExchange)
	dst = appendBare(append(dst, ' '), r.LoadBalancer)
	dst = appendBareAddr(append(dst, ' '), r.Server)
	return append(dst, '\n')
}

// appendTime appends t as ALB does: UTC, to the microsecond.
func appendTime(dst []byte, t time.Time) []byte {
	return t.UTC().AppendFormat(dst, "2006-01-02T15:04:05.000000Z")
}

// appendSeconds appends d, not negative, in seconds, rounded to unit, which is a millisecond
// or a microsecond, and with that unit's decimals.
func appendSeconds(dst []byte, d, unit time.Duration) []byte {
	d = d.Round(unit)
	dst = strconv.AppendInt(dst, int64(d/time.Second), 10)
	dst = append(dst, '.')
	part := int64(d % time.Second / unit)
	for digit := int64(time.Second / unit / 10); digit > 0; digit /= 10 {
		dst = append(dst, byte('0'+part/digit%10))
	}
	return dst
}

// appendBare appends one field without quotes.
func appendBare(dst []byte, value string) []byte {
	if value == "" {
		return append(dst, '-')
	}
	return appendEscaped(dst, value, ' '+1)
}

func appendBareAddr(dst []byte, addr netip.AddrPort) []byte {
	switch ip := addr.Addr().Unmap(); {
	case !ip.IsValid():
		return append(dst, '-')
	case ip.Zone() != "": // which may hold anything
		return appendBare(dst, ip.String())
	default:
		return ip.AppendTo(dst)
	}
}

func appendBarePort(dst []byte, addr netip.AddrPort) []byte {
	if !addr.IsValid() {
		return append(dst, '-')
	}
	return strconv.AppendUint(dst, uint64(addr.Port()), 10)
}

// appendEscaped appends value with every quote, backslash and byte below first
// or above 0x7E as \xXX.
func appendEscaped(dst []byte, value string, first byte) []byte {
	const hex = "0123456789ABCDEF"
	value, more := cut(value)
	for i := range len(value) {
		switch c := value[i]; {
		case c < first, c > 0x7E, c == '"', c == '\\':
			dst = append(dst, '\\', 'x', hex[c>>4], hex[c&0xF])
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, more...)
}
