package bpf

import (
	"net/netip"
	"strconv"
	"testing"
)

// TestForwarded: what a router passes on to a machine behind it is not for a
// listener on any address of the router's. What is for the router itself is.
func TestForwarded(t *testing.T) {
	for name, attach := range map[string]AttachMode{"native": Native, "generic": Generic} {
		t.Run(name, func(t *testing.T) {
			router, client := wired(t)
			behind := newNamespace(t)
			router.ip(t, "link", "add", "eth1", "type", "veth", "peer", "name", "eth0", "netns", strconv.Itoa(behind.thread))
			for n, own := range map[*namespace][]string{
				router: {"eth1", "203.0.113.1/24", "2001:db8:b::1/64"},
				behind: {"eth0", "203.0.113.2/24", "2001:db8:b::2/64"},
			} {
				n.address(t, own[0], own[1])
				n.address(t, own[0], own[2])
				n.ip(t, "link", "set", own[0], "up")
			}
			behind.ip(t, "route", "add", "default", "via", "203.0.113.1")
			behind.ip(t, "-6", "route", "add", "default", "via", "2001:db8:b::1")
			client.ip(t, "route", "add", "203.0.113.0/24", "via", "198.51.100.1")
			client.ip(t, "-6", "route", "add", "2001:db8:b::/64", "via", "2001:db8::1")
			router.do(t, func() error { return forwarding("ipv4", true) })
			router.do(t, func() error { return forwarding("ipv6", true) })
			for _, n := range []*namespace{router, behind} {
				n.listen(t, "[::]:443")
			}
			f := router.open(t, Options{Interfaces: []string{"eth0"}, Attach: attach, SYNLimit: SYNLimit{Rate: slow, Burst: 100}})
			must(t, f.SetScope(web))
			must(t, f.Ban(Ban{Prefix: netip.MustParsePrefix("198.51.100.2/32")}))
			must(t, f.Ban(Ban{Prefix: netip.MustParsePrefix("2001:db8::/56")}))
			for _, way := range []struct{ from, past, to string }{
				{"198.51.100.2", "203.0.113.2:443", "198.51.100.1:443"},
				{"2001:db8::2", "[2001:db8:b::2]:443", "[2001:db8::1]:443"},
				{"198.51.100.2", "203.0.113.2:443", "203.0.113.1:443"}, // the router's, of another interface
			} {
				t.Run(way.to, func(t *testing.T) { // at whose end its attempts do
					before := counters(t, f)
					client.connect(t, way.from, way.past).connects(t, way.from+" to a machine behind the router")
					awaitVerdict(t, f, PassForwarded, before)
					if n := dropped(counters(t, f)); n != dropped(before) {
						t.Errorf("%s to %s: %d packets dropped", way.from, way.past, n-dropped(before))
					}
					to := client.connect(t, way.from, way.to)
					await(t, way.from+" to "+way.to+" is dropped", func() bool { return dropped(counters(t, f)) > dropped(before) })
					if to.connected() {
						t.Errorf("%s connected to %s", way.from, way.to)
					}
				})
			}
			// Where the listener's address is given, there is no need to ask.
			must(t, f.SetScope([]netip.AddrPort{netip.MustParseAddrPort("203.0.113.2:443")}))
			before := counters(t, f)
			client.connect(t, "198.51.100.2", "203.0.113.2:443")
			awaitVerdict(t, f, DropHost, before)
		})
	}
}

// dropped is how many packets were, for whatever ban or limit.
func dropped(c Counters) (n uint64) {
	for v, count := range c.Verdicts {
		if v.Dropped() {
			n += count.Packets
		}
	}
	return n
}
