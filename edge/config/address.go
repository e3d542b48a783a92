package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// Addresses is one address or a list of them.
type Addresses []string

// Address is where a listener takes connections: one address and one port, any
// address and one port, or every address of a prefix and every port of a range.
type Address struct {
	Addr        netip.Addr // the zero Addr is any address of both families
	Bits        int        // of the prefix that begins at Addr
	First, Last uint16     // ports; 0 for one that the kernel picks
}

// ParseAddress reads HOST:PORTS or :PORTS. HOST is an IP address or a prefix, an
// IPv6 one in brackets; PORTS is a port or FIRST-LAST. An unspecified address is
// any, as it is for sockets; the prefixes 0.0.0.0/0 and ::/0 are of one family.
func ParseAddress(s string) (Address, error) {
	host, ports, err := net.SplitHostPort(s)
	if err != nil {
		return Address{}, errAddress
	}
	var a Address
	if a.First, a.Last, err = parsePorts(ports); err != nil {
		return Address{}, err
	}
	switch {
	case host == "":
	case strings.Contains(host, "/"):
		prefix, err := netip.ParsePrefix(host)
		switch {
		case err != nil || prefix.Addr().Is4In6():
			return Address{}, errAddress
		case prefix != prefix.Masked():
			return Address{}, fmt.Errorf("has bits beyond its length: want %s", prefix.Masked())
		case a.First == 0:
			return Address{}, errors.New("want a port from 1 to 65535 with a prefix")
		}
		a.Addr, a.Bits = prefix.Addr(), prefix.Bits()
	default:
		ip, err := netip.ParseAddr(host)
		if err != nil {
			return Address{}, errAddress
		}
		if ip = ip.Unmap(); !ip.IsUnspecified() {
			a.Addr, a.Bits = ip, ip.BitLen()
		}
		if ip.Zone() != "" && a.First != a.Last {
			return Address{}, errors.New("want no zone with a range of ports")
		}
	}
	return a, nil
}

var errAddress = errors.New("want HOST:PORT or :PORT, with an IP address or a prefix for HOST and a port of at most 65535 or a range such as 8000-8999")

func parsePorts(s string) (first, last uint16, err error) {
	from, to, isRange := strings.Cut(s, "-")
	first, ok := parsePort(from)
	if !isRange {
		if !ok {
			return 0, 0, errAddress
		}
		return first, first, nil
	}
	last, okLast := parsePort(to)
	switch {
	case !ok || !okLast || first == 0:
		return 0, 0, errAddress
	case first > last:
		return 0, 0, fmt.Errorf("want the lower port first: %d-%d", last, first)
	}
	return first, last, nil
}

func parsePort(s string) (uint16, bool) {
	n, err := strconv.ParseUint(s, 10, 16)
	return uint16(n), err == nil && strconv.FormatUint(n, 10) == s
}

// IsSocket says whether one listening socket takes all that comes to a: one
// address or any, and one port. All else is steered to a socket.
func (a Address) IsSocket() bool {
	return a.First == a.Last && (!a.Addr.IsValid() || a.Bits == a.Addr.BitLen())
}

// Socket is the address to listen on, for one that IsSocket; the zero Addr is any.
func (a Address) Socket() netip.AddrPort { return netip.AddrPortFrom(a.Addr, a.First) }

// Prefixes are those of a: one, or one of each family.
func (a Address) Prefixes() []netip.Prefix {
	if !a.Addr.IsValid() {
		return []netip.Prefix{netip.PrefixFrom(netip.IPv4Unspecified(), 0), netip.PrefixFrom(netip.IPv6Unspecified(), 0)}
	}
	return []netip.Prefix{netip.PrefixFrom(a.Addr, a.Bits)}
}

func (a Address) ports() int { return int(a.Last) - int(a.First) + 1 }

// meets says whether some connection could go to either.
func (a Address) meets(b Address) bool {
	if a.First > b.Last || b.First > a.Last || a.Last == 0 || b.Last == 0 {
		return false
	}
	for _, p := range a.Prefixes() {
		for _, q := range b.Prefixes() {
			if p.Overlaps(q) {
				return true
			}
		}
	}
	return false
}

// conflicts says whether some connection could go to either, and neither is more
// specific: by a longer prefix, or by fewer ports of the same prefix.
func (a Address) conflicts(b Address) bool {
	if !a.meets(b) {
		return false
	}
	if a.IsSocket() && b.IsSocket() {
		return overlap(a.Socket(), b.Socket())
	}
	return a.ports() == b.ports() && (a.Bits == b.Bits || !a.Addr.IsValid() && b.Bits == 0 || !b.Addr.IsValid() && a.Bits == 0)
}
