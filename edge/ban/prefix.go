package ban

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// key is a network: its address as 128 bits, IPv4 as IPv4 in IPv6, and its
// length in that form. It is smaller than a netip.Prefix and quicker to compare.
type key struct {
	hi, lo uint64
	bits   uint8
}

const (
	mapped     = 0xffff // above the 32 bits of an IPv4 address
	mappedBits = 96
)

// keyOf is the key of one that normal returned.
func keyOf(p netip.Prefix) key {
	hi, lo := words(p.Addr())
	bits := p.Bits()
	if p.Addr().Is4() {
		bits += mappedBits
	}
	return key{hi, lo, uint8(bits)}
}

func words(a netip.Addr) (hi, lo uint64) {
	b := a.As16()
	return binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])
}

// network is the network of a given length around an address.
func network(hi, lo uint64, bits uint8) key {
	if bits <= 64 {
		return key{hi &^ (^uint64(0) >> bits), 0, bits}
	}
	return key{hi, lo &^ (^uint64(0) >> (bits - 64)), bits}
}

// is4 tells IPv4. An IPv6 network never looks like it: normal makes IPv4 of
// those.
func (k key) is4() bool { return k.hi == 0 && k.lo>>32 == mapped && k.bits >= mappedBits }

func (k key) prefix() netip.Prefix {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], k.hi)
	binary.BigEndian.PutUint64(b[8:], k.lo)
	if k.is4() {
		return netip.PrefixFrom(netip.AddrFrom4([4]byte(b[12:])), int(k.bits)-mappedBits)
	}
	return netip.PrefixFrom(netip.AddrFrom16(b), int(k.bits))
}

// within tells that k is n or inside it.
func (k key) within(n key) bool {
	return k.bits >= n.bits && k.is4() == n.is4() && network(k.hi, k.lo, n.bits) == n
}

// normal brings a network into its one form: IPv4 in IPv6 is IPv4, no zone, and
// no bits beyond its length.
func normal(p netip.Prefix) (netip.Prefix, error) {
	if !p.IsValid() {
		return p, fmt.Errorf("%q: want a network such as 192.0.2.0/24 or 2001:db8::/64", p)
	}
	if a := p.Addr(); a.Is4In6() && p.Bits() >= mappedBits {
		p = netip.PrefixFrom(a.Unmap(), p.Bits()-mappedBits)
	}
	return p.Masked(), nil
}

// Unit is what is banned when a client at addr is: the address itself for IPv4,
// its network for IPv6. It is the zero Prefix for the zero Addr.
func (k *Keeper) Unit(addr netip.Addr) netip.Prefix {
	if !addr.IsValid() {
		return netip.Prefix{}
	}
	return k.unitOf(addr).prefix()
}

func (k *Keeper) unitOf(addr netip.Addr) key {
	hi, lo := words(addr)
	if hi == 0 && lo>>32 == mapped {
		return key{hi, lo, 128}
	}
	return network(hi, lo, k.unit)
}

// isUnit tells whether a network is what an address is banned as.
func (k *Keeper) isUnit(n key) bool {
	if n.is4() {
		return n.bits == 128
	}
	return n.bits == k.unit
}
