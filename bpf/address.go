package bpf

import (
	"fmt"
	"net/netip"
)

// The kernel's keys. An address is sixteen bytes in both families, IPv4 as
// ::ffff:a.b.c.d; in a trie the family stands before it, so that an IPv6 prefix
// such as ::/0 contains no IPv4 address.
const (
	familyBits = 32
	familyIPv4 = 4
	familyIPv6 = 6
	mappedBits = 96 // of ::ffff:0:0/96
)

func addressKey(a netip.Addr) xdpAddress {
	return xdpAddress{Bytes: a.As16()}
}

func (a xdpAddress) addr() netip.Addr {
	return netip.AddrFrom16(a.Bytes).Unmap()
}

func networkKey(p netip.Prefix) xdpNetwork {
	bits, family := familyBits+p.Bits(), uint64(familyIPv6)
	if p.Addr().Is4() {
		bits, family = bits+mappedBits, familyIPv4
	}
	return xdpNetwork{Head: family<<32 | uint64(bits), Address: addressKey(p.Addr())}
}

// bits returns how many bits of family and address count.
func (k xdpNetwork) bits() uint8 { return uint8(k.Head) }

func (k xdpNetwork) prefix() netip.Prefix {
	bits := int(k.bits()) - familyBits
	if k.Head>>32 == familyIPv4 {
		return netip.PrefixFrom(k.Address.addr(), bits-mappedBits)
	}
	return netip.PrefixFrom(netip.AddrFrom16(k.Address.Bytes), bits)
}

// hosts says how addresses are banned one by one: IPv4 whole, IPv6 by a prefix
// of this length.
type hosts int

// of returns the host of an address that is not IPv4-in-IPv6.
func (h hosts) of(a netip.Addr) netip.Prefix {
	bits := a.BitLen()
	if a.Is6() {
		bits = int(h)
	}
	p, err := a.WithZone("").Prefix(bits)
	if err != nil {
		panic(fmt.Sprintf("host of %v: %v", a, err)) // neither an address nor a length could be wrong here
	}
	return p
}

// include says whether p is one host, rather than a network.
func (h hosts) include(p netip.Prefix) bool {
	return p.Bits() == h.of(p.Addr()).Bits()
}

// plain returns p masked, and unmapped from IPv4-in-IPv6.
func plain(p netip.Prefix) (netip.Prefix, error) {
	bits := p.Bits()
	if p.Addr().Is4In6() {
		bits -= mappedBits
	}
	if !p.IsValid() || bits < 0 {
		return netip.Prefix{}, fmt.Errorf("prefix %v: want an IPv4 or an IPv6 prefix", p)
	}
	return netip.PrefixFrom(p.Addr().Unmap(), bits).Masked(), nil
}

// endpoints returns the keys of one listening address.
func endpoints(ap netip.AddrPort) ([]xdpEndpoint, error) {
	if ap.Port() == 0 {
		return nil, fmt.Errorf("address %v: want a port from 1 to 65535", ap)
	}
	key := func(a netip.Addr) xdpEndpoint {
		return xdpEndpoint{Address: addressKey(a), Port: uint32(ap.Port())}
	}
	switch a := ap.Addr().Unmap().WithZone(""); a {
	case netip.Addr{}, netip.IPv6Unspecified():
		return []xdpEndpoint{key(netip.IPv6Unspecified()), key(netip.IPv4Unspecified())}, nil
	default:
		return []xdpEndpoint{key(a)}, nil
	}
}
