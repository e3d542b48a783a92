package fetch

import (
	"errors"
	"fmt"
	"net/netip"
)

// AddressError is the refusal to connect to an address.
type AddressError struct {
	Address netip.Addr
	Kind    string // why: private, loopback, ...
}

func (e *AddressError) Error() string {
	return fmt.Sprintf("address %s is refused: it is %s, and no prefix in allow has it", e.Address, e.Kind)
}

var errNoAddress = errors.New("address is refused: it is none")

// special are the parts of IPv4 that are not the public internet's: IANA's
// registry of special-purpose addresses (RFC 6890), and a few addresses of
// public ranges at which clouds answer the host itself.
var special = []struct {
	prefix netip.Prefix
	kind   string
}{
	{netip.MustParsePrefix("0.0.0.0/8"), "unspecified"},
	{netip.MustParsePrefix("10.0.0.0/8"), "private"},
	{netip.MustParsePrefix("100.64.0.0/10"), "of a carrier's NAT"},
	{netip.MustParsePrefix("127.0.0.0/8"), "loopback"},
	{netip.MustParsePrefix("168.63.129.16/32"), "of a metadata service"},
	{netip.MustParsePrefix("169.254.169.254/32"), "of a metadata service"},
	{netip.MustParsePrefix("169.254.0.0/16"), "link-local"},
	{netip.MustParsePrefix("172.16.0.0/12"), "private"},
	{netip.MustParsePrefix("192.0.0.0/24"), "reserved"},
	{netip.MustParsePrefix("192.0.2.0/24"), "for documentation"},
	{netip.MustParsePrefix("192.88.99.0/24"), "of 6to4 relays"},
	{netip.MustParsePrefix("192.168.0.0/16"), "private"},
	{netip.MustParsePrefix("198.18.0.0/15"), "for benchmarks"},
	{netip.MustParsePrefix("198.51.100.0/24"), "for documentation"},
	{netip.MustParsePrefix("203.0.113.0/24"), "for documentation"},
	{netip.MustParsePrefix("224.0.0.0/4"), "multicast"},
	{netip.MustParsePrefix("240.0.0.0/4"), "reserved"},
	// Of IPv6 only 2000::/3 is public; these are parts of that which are not.
	{netip.MustParsePrefix("2001::/23"), "reserved"}, // Teredo, ORCHID, benchmarks
	{netip.MustParsePrefix("2001:db8::/32"), "for documentation"},
	{netip.MustParsePrefix("3fff::/20"), "for documentation"},
}

var (
	globalUnicast = netip.MustParsePrefix("2000::/3")
	nat64         = netip.MustParsePrefix("64:ff9b::/96") // RFC 6052
	sixToFour     = netip.MustParsePrefix("2002::/16")    // RFC 3056
)

// checkAddress is an error unless a is an address of the public internet, or in
// one of allow. An IPv6 address that stands for an IPv4 address is that one.
func checkAddress(a netip.Addr, allow []netip.Prefix) error {
	a = a.Unmap().WithZone("")
	if !a.IsValid() {
		return errNoAddress
	}
	for _, prefix := range allow {
		if prefix.Contains(a) {
			return nil
		}
	}
	for _, s := range special {
		if s.prefix.Contains(a) {
			return &AddressError{a, s.kind}
		}
	}
	if a.Is4() {
		return nil
	}
	switch b := a.As16(); {
	case nat64.Contains(a):
		return checkAddress(netip.AddrFrom4([4]byte(b[12:16])), allow)
	case sixToFour.Contains(a):
		return checkAddress(netip.AddrFrom4([4]byte(b[2:6])), allow)
	case globalUnicast.Contains(a):
		return nil
	}
	return &AddressError{a, kindOf(a)}
}

// kindOf says what an IPv6 address outside 2000::/3 is.
func kindOf(a netip.Addr) string {
	switch {
	case a.IsLoopback():
		return "loopback"
	case a.IsUnspecified():
		return "unspecified"
	case a.IsMulticast():
		return "multicast"
	case a.IsLinkLocalUnicast():
		return "link-local"
	case a.IsPrivate():
		return "private"
	}
	return "reserved"
}
