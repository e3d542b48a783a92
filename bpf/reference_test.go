package bpf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net/netip"
	"slices"
)

// The same question answered a second time, from the standards and in another
// way: a reader that fails at its end in place of comparisons with it, and
// lists in place of maps. The kernel's answer has to be this one.

// parsed is what a frame says that is of interest.
type parsed struct {
	from, to netip.Addr
	port     uint16
	syn      bool
}

var (
	errTags       = errors.New("too many VLAN tags")
	errNotIP      = errors.New("not IP")
	errNotTCP     = errors.New("not TCP")
	errMalformed  = errors.New("malformed")
	errFragment   = errors.New("later fragment")
	errExtensions = errors.New("too many extension headers")
)

func parse(b []byte) (parsed, error) {
	r := bytes.NewReader(b)
	take := func(n int) ([]byte, error) {
		out := make([]byte, n)
		_, err := io.ReadFull(r, out)
		return out, err
	}
	ethernet, err := take(14)
	if err != nil {
		return parsed{}, err
	}
	kind := binary.BigEndian.Uint16(ethernet[12:])
	tags := 0
	for kind == 0x8100 || kind == 0x88a8 {
		if tags++; tags > 4 {
			return parsed{}, errTags
		}
		tag, err := take(4)
		if err != nil {
			return parsed{}, err
		}
		kind = binary.BigEndian.Uint16(tag[2:])
	}
	switch kind {
	case 0x0800:
		return parseIPv4(take)
	case 0x86DD:
		return parseIPv6(take)
	}
	return parsed{}, errNotIP
}

// parseIPv4 follows RFC 791 section 3.1.
func parseIPv4(take func(int) ([]byte, error)) (parsed, error) {
	h, err := take(20)
	if err != nil {
		return parsed{}, err
	}
	if h[0]>>4 != 4 || h[0]&15 < 5 {
		return parsed{}, errMalformed
	}
	if h[9] != 6 {
		return parsed{}, errNotTCP
	}
	if binary.BigEndian.Uint16(h[6:])&0x1fff != 0 {
		return parsed{}, errFragment
	}
	if _, err := take(int(h[0]&15)*4 - 20); err != nil {
		return parsed{}, err
	}
	p := parsed{from: netip.AddrFrom4([4]byte(h[12:16])), to: netip.AddrFrom4([4]byte(h[16:20]))}
	return parseTCP(p, take)
}

// parseIPv6 follows RFC 8200 sections 3 and 4, and RFC 4302 section 2 for the
// authentication header.
func parseIPv6(take func(int) ([]byte, error)) (parsed, error) {
	h, err := take(40)
	if err != nil {
		return parsed{}, err
	}
	if h[0]>>4 != 6 {
		return parsed{}, errMalformed
	}
	p := parsed{from: netip.AddrFrom16([16]byte(h[8:24])), to: netip.AddrFrom16([16]byte(h[24:40]))}
	next := h[6]
	for headers := 0; slices.Contains([]byte{0, 43, 44, 51, 60}, next); headers++ {
		if headers == 8 {
			return parsed{}, errExtensions
		}
		x, err := take(8)
		if err != nil {
			return parsed{}, err
		}
		rest := int(x[1]) * 8
		switch next {
		case 44:
			rest = 0
			if binary.BigEndian.Uint16(x[2:])>>3 != 0 {
				return parsed{}, errFragment
			}
		case 51:
			rest = int(x[1])*4 + 8 - 8
		}
		next = x[0]
		if _, err := take(rest); err != nil {
			// What is missing is missing of the next header as well, unless
			// there are too many or it is not looked at.
			if !slices.Contains([]byte{0, 6, 43, 44, 51, 60}, next) {
				return parsed{}, errNotTCP
			}
			if headers == 7 && next != 6 {
				return parsed{}, errExtensions
			}
			return parsed{}, err
		}
	}
	if next != 6 {
		return parsed{}, errNotTCP
	}
	return parseTCP(p, take)
}

// parseTCP follows RFC 9293 section 3.1. The ports have to be there.
func parseTCP(p parsed, take func(int) ([]byte, error)) (parsed, error) {
	ports, err := take(4)
	if err != nil {
		return parsed{}, err
	}
	p.port = binary.BigEndian.Uint16(ports[2:])
	if rest, err := take(10); err == nil {
		p.syn = rest[9]&0x17 == 0x02
	}
	return p, nil
}

// world is what a filter was told.
type world struct {
	scope          []netip.AddrPort
	exempt         []netip.Prefix
	banned         []netip.Prefix // hosts and networks in force
	expired        []netip.Prefix
	hostLengthIPv6 int
}

func (w world) judge(frame []byte) Verdict {
	p, err := parse(frame)
	switch err {
	case nil:
	case errTags:
		return PassTooManyTags
	case errNotIP:
		return PassNotIP
	case errNotTCP:
		return PassNotTCP
	case errMalformed:
		return PassMalformed
	case errFragment:
		return PassLaterFragment
	case errExtensions:
		return PassTooManyExtensions
	default:
		return PassTruncated
	}
	inScope := slices.ContainsFunc(w.scope, func(l netip.AddrPort) bool {
		any := !l.Addr().IsValid() || l.Addr() == netip.IPv6Unspecified() || l.Addr().IsUnspecified() && p.to.Is4()
		return l.Port() == p.port && (any || l.Addr() == p.to)
	})
	contains := func(list []netip.Prefix) (found netip.Prefix) {
		for _, x := range list {
			if x.Contains(p.from) && x.Addr().BitLen() == p.from.BitLen() && (!found.IsValid() || x.Bits() > found.Bits()) {
				found = x
			}
		}
		return found
	}
	if !inScope {
		return PassOutOfScope
	}
	if contains(w.exempt).IsValid() {
		return PassExempt
	}
	hosts := slices.DeleteFunc(slices.Clone(w.banned), func(x netip.Prefix) bool {
		return x.Addr().Is4() && x.Bits() != 32 || x.Addr().Is6() && x.Bits() != w.hostLengthIPv6
	})
	switch {
	case contains(hosts).IsValid():
		return DropHost
	case contains(w.banned).IsValid():
		return DropNetwork
	case contains(w.expired).IsValid():
		return PassExpired
	}
	return Pass
}
