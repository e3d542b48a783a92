package bpf

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/cilium/ebpf"
)

// run gives a frame to the program in the kernel and returns what it counted.
func run(t testing.TB, f *Filter, frame []byte) Verdict {
	t.Helper()
	before, err := f.Counters()
	must(t, err)
	var action uint32
	must(t, secluded(t).try(func() (err error) {
		action, err = f.maps.SallyportBan.Run(&ebpf.RunOptions{Data: frame})
		return err
	}))
	after, err := f.Counters()
	must(t, err)
	var met []Verdict
	for v := range Verdicts() {
		switch b, a := before.Verdicts[v], after.Verdicts[v]; {
		case a.Packets == b.Packets+1 && a.Bytes == b.Bytes+uint64(len(frame)):
			met = append(met, v)
		case a != b:
			t.Fatalf("%v went from %v to %v by one frame of %d bytes", v, b, a, len(frame))
		}
	}
	if len(met) != 1 {
		t.Fatalf("one frame was counted as %v, want one verdict", met)
	}
	if want := map[bool]uint32{true: 1, false: 2}[met[0].Dropped()]; action != want {
		t.Fatalf("%v returned action %d, want %d", met[0], action, want)
	}
	return met[0]
}

// town is a world with something of everything.
func town(t testing.TB) (*Filter, world) {
	t.Helper()
	w := world{
		scope: []netip.AddrPort{
			netip.AddrPortFrom(netip.Addr{}, 443),
			netip.MustParseAddrPort("0.0.0.0:8444"),
			netip.MustParseAddrPort("[::]:8446"),
			netip.MustParseAddrPort("192.0.2.1:8443"),
			netip.MustParseAddrPort("[2001:db8::1]:8443"),
		},
		hostLengthIPv6: 64,
	}
	for _, s := range []string{"10.9.0.0/16", "2001:db8:9::/48"} {
		w.exempt = append(w.exempt, netip.MustParsePrefix(s))
	}
	for _, s := range []string{
		"198.51.100.1/32", "10.9.9.9/32", "2001:db8:0:1::/64", "2001:db8:9:9::/64", "::/64",
		"203.0.113.0/24", "10.0.0.0/8", "2001:db8:ff00::/40", "2001:db8:0:2::5/128", "::/3",
	} {
		w.banned = append(w.banned, netip.MustParsePrefix(s))
	}
	for _, s := range []string{
		"198.51.100.2/32", "203.0.113.7/32", "10.1.0.0/16", "10.1.1.0/24", "198.18.0.0/15",
		"2001:db8:0:3::/64", "2001:db8:ff11::/48",
	} {
		w.expired = append(w.expired, netip.MustParsePrefix(s))
	}
	f := loaded(t, Options{MaxBans: 100, MaxPrefixes: 100})
	must(t, f.SetScope(w.scope))
	must(t, f.SetExempt(w.exempt))
	for _, p := range w.banned {
		must(t, f.Ban(Ban{Prefix: p}))
	}
	for _, p := range w.expired {
		must(t, f.Ban(Ban{Prefix: p, Until: time.Now().Add(-time.Second)}))
	}
	return f, w
}

const (
	banned4   = "198.51.100.1"
	banned6   = "2001:db8:0:1:2:3:4:5"
	stranger4 = "192.0.2.77"
	stranger6 = "2001:db8:77::77"
	listener4 = "192.0.2.1"
	listener6 = "2001:db8::1"
)

func to4(from string) frame { return frame{from: from, to: listener4, port: 443, flags: syn} }
func to6(from string) frame { return frame{from: from, to: listener6, port: 443, flags: syn} }

// with returns f changed.
func (f frame) with(change func(*frame)) frame {
	change(&f)
	return f
}

func TestVerdicts(t *testing.T) {
	type row struct {
		name  string
		frame frame
		want  Verdict
	}
	rows := []row{
		{"stranger", to4(stranger4), Pass},
		{"stranger, IPv6", to6(stranger6), Pass},
		{"host", to4(banned4), DropHost},
		{"host, IPv6", to6(banned6), DropHost},
		{"host, IPv6, first of its prefix", to6("2001:db8:0:1::"), DropHost},
		{"host, IPv6, last of its prefix", to6("2001:db8:0:1:ffff:ffff:ffff:ffff"), DropHost},
		{"next prefix, IPv6", to6("2001:db8:0:4::1"), Pass},
		{"neighbour", to4("198.51.100.0"), Pass},
		{"network", to4("203.0.113.255"), DropNetwork},
		{"network, IPv6", to6("2001:db8:ff22::1"), DropNetwork},
		{"prefix longer than a host", to6("2001:db8:0:2::5"), DropNetwork},
		{"beside a prefix longer than a host", to6("2001:db8:0:2::6"), Pass},
		{"short IPv6 prefix holds no IPv4", to4("1.2.3.4"), Pass},
		{"short IPv6 prefix", to6("1234::1"), DropNetwork},
		{"zeros", to6("::7"), DropHost},
		{"exempt", to4("10.9.1.1"), PassExempt},
		{"exempt, IPv6", to6("2001:db8:9::1"), PassExempt},
		{"exempt and banned", to4("10.9.9.9"), PassExempt},
		{"exempt and banned, IPv6", to6("2001:db8:9:9::1"), PassExempt},
		{"expired", to4("198.51.100.2"), PassExpired},
		{"expired, IPv6", to6("2001:db8:0:3::1"), PassExpired},
		{"expired network", to4("198.19.0.1"), PassExpired},
		{"expired host in a banned network", to4("203.0.113.7"), DropNetwork},
		{"expired networks in a banned one", to4("10.1.1.1"), DropNetwork},
		{"expired network in a banned one, IPv6", to6("2001:db8:ff11::1"), DropNetwork},
		{"another port", to4(banned4).with(func(f *frame) { f.port = 22 }), PassOutOfScope},
		{"another port, IPv6", to6(banned6).with(func(f *frame) { f.port = 22 }), PassOutOfScope},
		{"listener on one address", to4(banned4).with(func(f *frame) { f.port = 8443 }), DropHost},
		{"its port on another", to4(banned4).with(func(f *frame) { f.port, f.to = 8443, "192.0.2.2" }), PassOutOfScope},
		{"listener on one address, IPv6", to6(banned6).with(func(f *frame) { f.port = 8443 }), DropHost},
		{"its port on another, IPv6", to6(banned6).with(func(f *frame) { f.port, f.to = 8443, "2001:db8::2" }), PassOutOfScope},
		{"listener on 0.0.0.0", to4(banned4).with(func(f *frame) { f.port = 8444 }), DropHost},
		{"listener on 0.0.0.0, IPv6", to6(banned6).with(func(f *frame) { f.port = 8444 }), PassOutOfScope},
		{"listener on ::", to4(banned4).with(func(f *frame) { f.port = 8446 }), DropHost},
		{"listener on ::, IPv6", to6(banned6).with(func(f *frame) { f.port = 8446 }), DropHost},
		{"UDP", to4(banned4).with(func(f *frame) { f.protocol = 17 }), PassNotTCP},
		{"UDP, IPv6", to6(banned6).with(func(f *frame) { f.protocol = 17 }), PassNotTCP},
		{"ARP", to4(banned4).with(func(f *frame) { f.etherType = 0x0806 }), PassNotIP},
		{"802.3 length", to4(banned4).with(func(f *frame) { f.etherType = 46 }), PassNotIP},
		{"first fragment", to4(banned4).with(func(f *frame) { f.more = true }), DropHost},
		{"later fragment", to4(banned4).with(func(f *frame) { f.fragment, f.payload = 3, 32 }), PassLaterFragment},
		{"version 5", to4(banned4).with(func(f *frame) { f.version = 5 }), PassMalformed},
		{"version 5, IPv6", to6(banned6).with(func(f *frame) { f.version = 5 }), PassMalformed},
		{"first fragment, IPv6", to6(banned6).with(func(f *frame) { f.extension = []extension{{kind: 44}} }), DropHost},
		{"first of several fragments, IPv6", to6(banned6).with(func(f *frame) { f.extension = []extension{{kind: 44, more: true}} }), DropHost},
		{"later fragment, IPv6", to6(banned6).with(func(f *frame) { f.extension = []extension{{kind: 44, offset: 1}} }), PassLaterFragment},
		{"encrypted, IPv6", to6(banned6).with(func(f *frame) { f.protocol = 50 }), PassNotTCP},
		{"no next header, IPv6", to6(banned6).with(func(f *frame) { f.protocol = 59 }), PassNotTCP},
		{"one of each, IPv6", to6(banned6).with(func(f *frame) {
			f.extension = []extension{{kind: 0, length: 2}, {kind: 60}, {kind: 43, length: 1}, {kind: 44}, {kind: 51, length: 4}, {kind: 60, length: 3}}
		}), DropHost},
		{"longest extension, IPv6", to6(banned6).with(func(f *frame) { f.extension = []extension{{kind: 60, length: 140}} }), DropHost},
	}
	for n := range 6 {
		want := DropHost
		if n == 5 {
			want = PassTooManyTags
		}
		rows = append(rows,
			row{fmt.Sprintf("%d VLAN tags", n), to4(banned4).with(func(f *frame) { f.tags = slices.Repeat([]uint16{0x8100}, n) }), want},
			row{fmt.Sprintf("%d service tags, IPv6", n), to6(banned6).with(func(f *frame) { f.tags = slices.Repeat([]uint16{0x88a8}, n) }), want})
	}
	for ihl := uint8(1); ihl < 16; ihl++ {
		want := DropHost
		if ihl < 5 {
			want = PassMalformed
		}
		rows = append(rows, row{fmt.Sprintf("header of %d words", ihl), to4(banned4).with(func(f *frame) { f.ihl = ihl }), want})
	}
	for n := range 11 {
		want := DropHost
		if n > 8 {
			want = PassTooManyExtensions
		}
		rows = append(rows, row{fmt.Sprintf("%d extensions, IPv6", n), to6(banned6).with(func(f *frame) { f.extension = slices.Repeat([]extension{{kind: 60}}, n) }), want})
	}
	f, w := town(t)
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			frame := r.frame.bytes()
			if got := w.judge(frame); got != r.want {
				t.Errorf("the reference says %v, want %v", got, r.want)
			}
			if got := run(t, f, frame); got != r.want {
				t.Errorf("the kernel says %v, want %v", got, r.want)
			}
		})
	}
}

// TestTruncated ends frames at every byte.
func TestTruncated(t *testing.T) {
	f, w := town(t)
	for name, frame := range map[string]frame{
		"IPv4":            to4(banned4),
		"IPv4, tags":      to4(banned4).with(func(f *frame) { f.tags = []uint16{0x88a8, 0x8100, 0x8100, 0x8100} }),
		"IPv4, options":   to4(banned4).with(func(f *frame) { f.ihl = 15 }),
		"IPv6":            to6(banned6),
		"IPv6, tags":      to6(banned6).with(func(f *frame) { f.tags = []uint16{0x88a8, 0x8100} }),
		"IPv6, extension": to6(banned6).with(func(f *frame) { f.extension = []extension{{kind: 0, length: 2}, {kind: 44}, {kind: 51, length: 1}} }),
	} {
		t.Run(name, func(t *testing.T) {
			whole := frame.bytes()
			for n := 14; n <= len(whole); n++ { // the kernel runs nothing on less than an Ethernet header
				if got, want := run(t, f, whole[:n]), w.judge(whole[:n]); got != want {
					t.Errorf("the first %d bytes: the kernel says %v, the reference %v", n, got, want)
				}
				if got := w.judge(whole[:n]); n < len(whole)-16 && got != PassTruncated {
					t.Errorf("the first %d bytes of %d: %v, want %v", n, len(whole), got, PassTruncated)
				}
			}
		})
	}
}

// FuzzVerdict gives one frame to the kernel and to the reference.
func FuzzVerdict(f *testing.F) {
	filter, w := town(f)
	for _, seed := range []frame{
		to4(stranger4), to6(stranger6), to4(banned4), to6(banned6), to4("10.1.1.1"), to6("2001:db8:ff11::1"), to4("10.9.9.9"),
		to4(banned4).with(func(f *frame) { f.tags, f.ihl = []uint16{0x88a8, 0x8100}, 9 }),
		to4(banned4).with(func(f *frame) { f.tags = slices.Repeat([]uint16{0x8100}, 5) }),
		to6(banned6).with(func(f *frame) {
			f.extension = []extension{{kind: 0, length: 1}, {kind: 44}, {kind: 51, length: 1}, {kind: 43}}
		}),
		to6(banned6).with(func(f *frame) { f.extension = slices.Repeat([]extension{{kind: 60}}, 9) }),
	} {
		f.Add(seed.bytes())
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		if len(frame) < 14 || len(frame) > 2048 { // what the kernel runs, in one buffer
			t.Skip()
		}
		if got, want := run(t, filter, frame), w.judge(frame); got != want {
			t.Errorf("the kernel says %v, the reference %v, of\n%x", got, want, frame)
		}
	})
}

func TestModes(t *testing.T) {
	f, _ := town(t)
	host, network := to4(banned4).bytes(), to4("203.0.113.1").bytes()
	for _, tt := range []struct {
		mode          Mode
		host, network Verdict
	}{
		{DryRun, WouldDropHost, WouldDropNetwork},
		{Off, PassOff, PassOff},
		{Enforce, DropHost, DropNetwork},
	} {
		must(t, f.SetMode(tt.mode))
		if got, err := f.Mode(); err != nil || got != tt.mode {
			t.Errorf("Mode after SetMode(%v) = %v, %v", tt.mode, got, err)
		}
		if got := run(t, f, host); got != tt.host {
			t.Errorf("%v: banned host: %v, want %v", tt.mode, got, tt.host)
		}
		if got := run(t, f, network); got != tt.network {
			t.Errorf("%v: banned network: %v, want %v", tt.mode, got, tt.network)
		}
	}
	if err := f.SetMode(3); err == nil {
		t.Error("SetMode(3) succeeded")
	}
	b, found, err := f.Lookup(netip.MustParseAddr(banned4))
	if want := uint64(2); err != nil || !found || b.Packets != want || b.Bytes != want*uint64(len(host)) {
		t.Errorf("the ban met %d packets, %d bytes (%v, %v), want %d packets: dropped and would have been", b.Packets, b.Bytes, found, err, want)
	}
}
