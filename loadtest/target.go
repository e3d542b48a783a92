package loadtest

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strconv"
)

// testNets are addresses that are nobody's (RFC 5737, RFC 2544, RFC 3849).
var testNets = []netip.Prefix{
	netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("2001:db8::/32"),
}

// guard decides what may be loaded. A load generator is a weapon: what is not on
// this machine takes a second word.
type guard struct {
	lookup func(ctx context.Context, network, host string) ([]netip.Addr, error)
	// isolated says that this process is in a network namespace of its own, and
	// links are the networks that it is on there.
	isolated bool
	links    []netip.Prefix
}

// newGuard looks at where this process is. What cannot be found out counts as
// the machine's own network.
func newGuard() guard {
	g := guard{lookup: net.DefaultResolver.LookupNetIP}
	own, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		return g
	}
	initial, err := os.Readlink("/proc/1/ns/net")
	if err != nil || own == initial {
		return g
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return g
	}
	g.isolated = true
	for _, a := range addrs {
		if prefix, err := netip.ParsePrefix(a.String()); err == nil {
			g.links = append(g.links, prefix)
		}
	}
	return g
}

// resolve returns the address to dial for a plan's target, the very one that was
// found to be allowed: dialling the name would look it up once more, and might
// get another. Where a name has several addresses all must be allowed, and the
// first of IPv4 is taken, if there is one.
func (g guard) resolve(ctx context.Context, p Plan) (netip.AddrPort, error) {
	u, err := url.Parse(p.Target)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("parse target: %w", err)
	}
	target := hostPort(u)
	host, portText, err := net.SplitHostPort(target)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("parse target: %w", err)
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("parse target: %w", err)
	}
	if p.ConfirmTarget != "" && p.ConfirmTarget != target {
		return netip.AddrPort{}, fmt.Errorf("confirm_target %q: want the target's %s", p.ConfirmTarget, target)
	}
	addrs, err := g.lookup(ctx, "ip", host)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("look up target: %w", err)
	}
	if len(addrs) == 0 {
		return netip.AddrPort{}, fmt.Errorf("look up target: %q has no address", host)
	}
	for i, a := range addrs {
		addrs[i] = a.Unmap()
		if p.ConfirmTarget == "" && !g.allows(addrs[i]) {
			return netip.AddrPort{}, fmt.Errorf("target %q is at %s, which is not on this machine: "+
				"want loopback, or confirm_target %s", host, addrs[i], target)
		}
	}
	at := max(0, slices.IndexFunc(addrs, netip.Addr.Is4))
	return netip.AddrPortFrom(addrs[at], uint16(port)), nil
}

// allows says whether an address may be loaded without a second word.
func (g guard) allows(a netip.Addr) bool {
	if a.IsLoopback() {
		return true
	}
	holds := func(p netip.Prefix) bool { return p.Contains(a.WithZone("")) }
	test := a.IsPrivate() || a.IsLinkLocalUnicast() || slices.ContainsFunc(testNets, holds)
	return g.isolated && test && slices.ContainsFunc(g.links, holds)
}
