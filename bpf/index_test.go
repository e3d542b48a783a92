package bpf

import (
	"net/netip"
	"testing"
)

// TestManyListeners on one port and on neighbouring ones are told apart, and go
// one by one.
func TestManyListeners(t *testing.T) {
	f := loaded(t, Options{})
	must(t, f.Ban(Ban{Prefix: netip.MustParsePrefix(banned4 + "/32")}))
	must(t, f.Ban(Ban{Prefix: netip.MustParsePrefix(banned6 + "/64")}))
	all := []string{"192.0.2.1:443", "192.0.2.2:443", "192.0.2.1:444", "192.0.2.2:445", "192.0.2.1:65535", "[2001:db8::1]:443", "[2001:db8::2]:446", "0.0.0.0:500", "192.0.2.1:500"}
	asked := append([]string{"192.0.2.2:444", "192.0.2.1:445", "192.0.2.3:443", "192.0.2.1:446", "[2001:db8::1]:446", "[2001:db8::1]:500", "192.0.2.9:500", "192.0.2.1:1"}, all...)
	for n := len(all); n >= 0; n-- {
		var scope []netip.AddrPort
		for _, l := range all[:n] {
			scope = append(scope, netip.MustParseAddrPort(l))
		}
		must(t, f.SetScope(scope))
		w := world{scope: scope, banned: []netip.Prefix{netip.MustParsePrefix(banned4 + "/32"), netip.MustParsePrefix("2001:db8:0:1::/64")}, hostLengthIPv6: 64}
		for _, a := range asked {
			to := netip.MustParseAddrPort(a)
			frame := frame{from: banned4, to: to.Addr().String(), port: to.Port()}
			if to.Addr().Is6() {
				frame.from = banned6
			}
			if got, want := run(t, f, frame.bytes()), w.judge(frame.bytes()); got != want {
				t.Errorf("listeners %v: to %s: %v, want %v", scope, a, got, want)
			}
		}
	}
}

// TestExemptNetworksOfEveryLength share first bytes with others, or have many.
func TestExemptNetworksOfEveryLength(t *testing.T) {
	f := loaded(t, Options{})
	must(t, f.SetScope([]netip.AddrPort{netip.MustParseAddrPort(listener4 + ":443"), netip.MustParseAddrPort("[" + listener6 + "]:443")}))
	for _, network := range []string{"0.0.0.0/0", "128.0.0.0/1", "252.0.0.0/6", "10.0.0.0/8", "10.1.0.0/16", "255.255.255.255/32", "::/0", "2000::/3", "fe80::/10", "ff00::/8", "2001:db8::/32"} {
		exempt := netip.MustParsePrefix(network)
		must(t, f.SetExempt([]netip.Prefix{exempt, netip.MustParsePrefix("192.0.2.128/32")}))
		for _, from := range []string{"10.1.2.3", "10.2.0.1", "11.0.0.1", "127.255.255.255", "128.0.0.1", "251.255.255.255", "252.0.0.1", "255.255.255.255", "192.0.2.128", "192.0.2.129"} {
			want := Pass
			if exempt.Contains(netip.MustParseAddr(from)) || from == "192.0.2.128" {
				want = PassExempt
			}
			if got := run(t, f, to4(from).bytes()); got != want {
				t.Errorf("%s exempt: %s: %v, want %v", network, from, got, want)
			}
		}
		for _, from := range []string{"::1", "1fff::1", "2001:db8::1", "2002::1", "3fff::1", "4000::1", "fe80::1", "febf::1", "fec0::1", "ff02::1"} {
			want := Pass
			if exempt.Contains(netip.MustParseAddr(from)) {
				want = PassExempt
			}
			if got := run(t, f, to6(from).bytes()); got != want {
				t.Errorf("%s exempt: %s: %v, want %v", network, from, got, want)
			}
		}
	}
}

// TestIndexIsRebuilt: whoever was killed between the set and its array has left
// them apart.
func TestIndexIsRebuilt(t *testing.T) {
	n := alone(t)
	dir := pinDir(t)
	o := Options{Interfaces: []string{"lo"}, Pin: dir}
	first := n.open(t, o)
	must(t, first.Ban(Ban{Prefix: netip.MustParsePrefix(banned4 + "/32")}))
	must(t, first.SetScope([]netip.AddrPort{netip.MustParseAddrPort(listener4 + ":443")}))
	must(t, first.SetExempt([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}))
	must(t, first.scope().write(nil))
	must(t, first.exempt().write(nil))
	must(t, first.Release())
	second := n.open(t, o)
	if got := run(t, second, to4(banned4).bytes()); got != DropHost {
		t.Errorf("to the listener of before: %v, want %v", got, DropHost)
	}
	if got := run(t, second, to4("10.0.0.1").bytes()); got != PassExempt {
		t.Errorf("from an exempt network of before: %v, want %v", got, PassExempt)
	}
}
