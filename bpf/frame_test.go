package bpf

import (
	"encoding/binary"
	"net/netip"
	"slices"
)

// frame says how a packet is to look; bytes builds it. The zero values are the
// usual: IPv4, TCP, no options.
type frame struct {
	tags      []uint16 // Ethernet types of VLAN tags, outermost first
	etherType uint16   // in place of IP's
	version   uint8    // in place of the one of the addresses
	from, to  string   // addresses; they say the family
	ihl       uint8
	fragment  uint16 // fragment offset, in eights of a byte
	more      bool   // fragments
	protocol  uint8
	extension []extension
	port      uint16
	flags     uint8
	payload   int
}

// extension is an IPv6 extension header.
type extension struct {
	kind   uint8
	length uint8 // as it is written, in units that depend on the kind
	offset uint16
	more   bool // fragments
}

const (
	syn = 1 << 1
	rst = 1 << 2
	ack = 1 << 4
)

func (f frame) bytes() []byte {
	from, to := netip.MustParseAddr(f.from), netip.MustParseAddr(f.to)
	b := slices.Repeat([]byte{2}, 12)
	for _, tag := range f.tags {
		b = binary.BigEndian.AppendUint16(b, tag)
		b = binary.BigEndian.AppendUint16(b, 7)
	}
	if f.etherType == 0 {
		f.etherType = 0x0800
		if from.Is6() {
			f.etherType = 0x86DD
		}
	}
	b = binary.BigEndian.AppendUint16(b, f.etherType)
	if f.protocol == 0 {
		f.protocol = 6
	}
	if f.version == 0 {
		f.version = 4
		if from.Is6() {
			f.version = 6
		}
	}
	if from.Is6() {
		b = f.ipv6(b, from, to)
	} else {
		b = f.ipv4(b, from, to)
	}
	if f.fragment == 0 {
		b = f.tcp(b)
	}
	return append(b, make([]byte, f.payload)...)
}

func (f frame) ipv4(b []byte, from, to netip.Addr) []byte {
	if f.ihl == 0 {
		f.ihl = 5
	}
	h := make([]byte, max(20, int(f.ihl)*4))
	h[0] = f.version<<4 | f.ihl
	binary.BigEndian.PutUint16(h[2:], uint16(len(h)+20+f.payload))
	binary.BigEndian.PutUint16(h[6:], f.fragment)
	if f.more {
		h[6] |= 1 << 5
	}
	h[8], h[9] = 64, f.protocol
	copy(h[12:], from.AsSlice())
	copy(h[16:], to.AsSlice())
	for i := 20; i < len(h); i++ {
		h[i] = 1 // no operation
	}
	return append(b, h...)
}

func (f frame) ipv6(b []byte, from, to netip.Addr) []byte {
	h := make([]byte, 40)
	h[0] = f.version << 4
	h[7] = 64
	copy(h[8:], from.AsSlice())
	copy(h[24:], to.AsSlice())
	var chain []byte
	next := &h[6]
	for _, e := range f.extension {
		*next = e.kind
		size := (int(e.length) + 1) * 8
		switch e.kind {
		case 44:
			size = 8
		case 51:
			size = (int(e.length) + 2) * 4
		}
		x := make([]byte, size)
		x[1] = e.length
		if e.kind == 44 {
			binary.BigEndian.PutUint16(x[2:], e.offset<<3)
			if e.more {
				x[3] |= 1
			}
		}
		chain = append(chain, x...)
		next = &chain[len(chain)-size]
	}
	*next = f.protocol
	binary.BigEndian.PutUint16(h[4:], uint16(len(chain)+20+f.payload))
	return append(append(b, h...), chain...)
}

func (f frame) tcp(b []byte) []byte {
	h := make([]byte, 20)
	binary.BigEndian.PutUint16(h[0:], 40000)
	binary.BigEndian.PutUint16(h[2:], f.port)
	h[12], h[13] = 5<<4, f.flags
	return append(b, h...)
}
