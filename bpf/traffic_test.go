package bpf

import (
	"net/netip"
	"testing"
	"time"
)

var web = []netip.AddrPort{netip.AddrPortFrom(netip.Addr{}, 443)}

// TestTraffic sends real connections by each way of attaching.
func TestTraffic(t *testing.T) {
	for name, start := range map[string]func(t *testing.T) (server, client *namespace, o Options){
		"native": func(t *testing.T) (*namespace, *namespace, Options) {
			server, client := wired(t)
			return server, client, Options{Interfaces: []string{"eth0"}, Attach: Native}
		},
		"generic": func(t *testing.T) (*namespace, *namespace, Options) {
			server, client := wired(t)
			return server, client, Options{Interfaces: []string{"eth0"}, Attach: Generic}
		},
		"loopback": func(t *testing.T) (*namespace, *namespace, Options) {
			n := alone(t)
			return n, n, Options{Interfaces: []string{"lo"}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			server, client, o := start(t)
			server.listen(t, "198.51.100.1:22")
			server.listen(t, "[::]:443")
			f := server.open(t, o)
			must(t, f.SetScope(web))
			testTraffic(t, f, client)
		})
	}
}

func testTraffic(t *testing.T, f *Filter, client *namespace) {
	const v4, v6, to4, to6 = "198.51.100.2", "2001:db8::2", "198.51.100.1:443", "[2001:db8::1]:443"
	client.connect(t, v4, to4).connects(t, "a stranger")
	client.connect(t, v6, to6).connects(t, "a stranger, IPv6")

	// The listener sees an IPv4 peer as IPv4-in-IPv6, and so it may be banned.
	must(t, f.Ban(Ban{Prefix: netip.MustParsePrefix("::ffff:198.51.100.2/128")}))
	before := counters(t, f)
	banned := client.connect(t, v4, to4)
	awaitVerdict(t, f, DropHost, before)
	if banned.connected() {
		t.Error("a banned host connected")
	}
	client.connect(t, v4, "198.51.100.1:22").connects(t, "a banned host, to a port out of scope")
	client.connect(t, v6, to6).connects(t, "the same host's other family")

	must(t, f.SetMode(DryRun))
	before = counters(t, f)
	client.connect(t, v4, to4).connects(t, "a banned host in dry run")
	awaitVerdict(t, f, WouldDropHost, before)
	must(t, f.SetMode(Enforce))

	must(t, f.SetExempt([]netip.Prefix{netip.MustParsePrefix("198.51.100.0/30")}))
	client.connect(t, v4, to4).connects(t, "a banned host that is exempt")
	must(t, f.SetExempt(nil))

	// The ban ends by itself: nothing here does anything until the client,
	// which repeats its SYN, is through. Where the machine is too slow to send
	// the first one while the ban lasts, it has to last longer.
	for lasts := time.Second / 2; ; lasts *= 2 {
		must(t, f.Ban(Ban{Prefix: netip.MustParsePrefix("198.51.100.2/32"), Until: time.Now().Add(lasts)}))
		before = counters(t, f)
		client.connect(t, v4, to4).connects(t, "a host whose ban has ended")
		if counters(t, f).Verdicts[DropHost].Packets > before.Verdicts[DropHost].Packets {
			break
		}
	}
	awaitVerdict(t, f, PassExpired, before)

	must(t, f.Ban(Ban{Prefix: netip.MustParsePrefix("2001:db8::/64")}))
	before = counters(t, f)
	client.connect(t, v6, to6)
	awaitVerdict(t, f, DropHost, before)
	if _, err := f.Unban(netip.MustParsePrefix("2001:db8::/64")); err != nil {
		t.Fatal(err)
	}
	client.connect(t, v6, to6).connects(t, "an unbanned host, IPv6")

	must(t, f.Ban(Ban{Prefix: netip.MustParsePrefix("198.51.0.0/16"), Reason: 7}))
	before = counters(t, f)
	client.connect(t, v4, to4)
	awaitVerdict(t, f, DropNetwork, before)
	b, found, err := f.Lookup(netip.MustParseAddr(v4))
	if err != nil || !found || b.Packets == 0 || b.Bytes < 54*b.Packets || b.Reason != 7 {
		t.Errorf("Lookup(%s) = %+v, %v, %v, want the network with the packets that it met", v4, b, found, err)
	}
}
