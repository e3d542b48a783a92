package bpf

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var compareBans = cmp.Options{
	cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
	cmp.Comparer(func(a, b time.Time) bool { return a.Sub(b).Abs() < 2*time.Millisecond }), // as exact as a Ban says
}

func listed(t testing.TB, f *Filter) []Ban {
	t.Helper()
	var all []Ban
	for b, err := range f.Bans() {
		must(t, err)
		all = append(all, b)
	}
	slices.SortFunc(all, func(a, b Ban) int { return a.Prefix.Compare(b.Prefix) })
	return all
}

func TestBansAreListedAsTheyWereMade(t *testing.T) {
	f := loaded(t, Options{IPv6Prefix: 56})
	since := time.Unix(1_700_000_000, 0)
	hour := time.Now().Add(time.Hour)
	var want []Ban
	for _, tt := range []struct {
		ban  Ban
		want string // its prefix, if another
	}{
		{ban: Ban{Prefix: netip.MustParsePrefix("192.0.2.1/32"), Until: hour, Since: since, Reason: 255, Packets: 3, Bytes: 1 << 40}},
		{ban: Ban{Prefix: netip.MustParsePrefix("192.0.2.2/32"), Since: since}},
		{ban: Ban{Prefix: netip.MustParsePrefix("198.51.100.77/24"), Until: hour, Since: since, Reason: 1}, want: "198.51.100.0/24"},
		{ban: Ban{Prefix: netip.MustParsePrefix("0.0.0.0/0"), Until: time.Unix(1, 0), Since: since}},
		{ban: Ban{Prefix: netip.MustParsePrefix("2001:db8:0:101::9/56"), Until: hour, Since: since}, want: "2001:db8:0:100::/56"},
		{ban: Ban{Prefix: netip.MustParsePrefix("2001:db8:0:101::9/128"), Until: hour, Since: since}},
		{ban: Ban{Prefix: netip.MustParsePrefix("2001:db8::/32"), Until: hour, Since: since}},
		{ban: Ban{Prefix: netip.MustParsePrefix("::/0"), Since: since}},
		{ban: Ban{Prefix: netip.MustParsePrefix("::ffff:203.0.113.5/128"), Since: since}, want: "203.0.113.5/32"},
		{ban: Ban{Prefix: netip.MustParsePrefix("::ffff:203.0.112.0/120"), Since: since}, want: "203.0.112.0/24"},
	} {
		must(t, f.Ban(tt.ban))
		if tt.want != "" {
			tt.ban.Prefix = netip.MustParsePrefix(tt.want)
		}
		if tt.ban.Until.Equal(time.Unix(1, 0)) {
			n := now()
			tt.ban.Until = n.time(0) // before boot
		}
		want = append(want, tt.ban)
	}
	slices.SortFunc(want, func(a, b Ban) int { return a.Prefix.Compare(b.Prefix) })
	if diff := cmp.Diff(want, listed(t, f), compareBans); diff != "" {
		t.Errorf("bans, -made +listed:\n%s", diff)
	}
	for _, b := range want {
		for _, lifted := range []bool{true, false} {
			if got, err := f.Unban(b.Prefix); err != nil || got != lifted {
				t.Errorf("Unban(%v) = %v, %v, want %v", b.Prefix, got, err, lifted)
			}
		}
	}
	if left := listed(t, f); len(left) > 0 {
		t.Errorf("%v are left", left)
	}
}

func TestPrefixesThatAreNone(t *testing.T) {
	f := loaded(t, Options{})
	for _, p := range []netip.Prefix{{}, netip.PrefixFrom(netip.MustParseAddr("192.0.2.1"), 33), netip.PrefixFrom(netip.MustParseAddr("::ffff:192.0.2.1"), 95)} {
		if err := f.Ban(Ban{Prefix: p}); err == nil {
			t.Errorf("Ban(%v) succeeded", p)
		}
		if n, err := f.BanAll([]Ban{{Prefix: netip.MustParsePrefix("192.0.2.1/32")}, {Prefix: p}}); err == nil || n != 0 {
			t.Errorf("BanAll with %v = %d, %v, want it refused whole", p, n, err)
		}
		if _, err := f.Unban(p); err == nil {
			t.Errorf("Unban(%v) succeeded", p)
		}
		if err := f.SetExempt([]netip.Prefix{p}); err == nil {
			t.Errorf("SetExempt(%v) succeeded", p)
		}
	}
	if err := f.SetScope([]netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:0")}); err == nil {
		t.Error("SetScope of port 0 succeeded")
	}
	if _, _, err := f.Lookup(netip.Addr{}); err == nil {
		t.Error("Lookup of no address succeeded")
	}
	if all := listed(t, f); len(all) > 0 {
		t.Errorf("%v are banned", all)
	}
}

func TestBanAgainKeepsCounts(t *testing.T) {
	f, _ := town(t)
	p := netip.MustParsePrefix(banned4 + "/32")
	n := netip.MustParsePrefix("203.0.113.0/24")
	run(t, f, to4(banned4).bytes())
	run(t, f, to4("203.0.113.1").bytes())
	for _, p := range []netip.Prefix{p, n} {
		must(t, f.Ban(Ban{Prefix: p, Reason: 9, Packets: 10}))
		if b, found, err := f.Lookup(p.Addr()); err != nil || !found || b.Packets != 11 || b.Reason != 9 {
			t.Errorf("%v after a second ban: %+v, %v, %v, want 11 packets and the new reason", p, b, found, err)
		}
		_, err := f.BanAll([]Ban{{Prefix: p, Packets: 5}})
		must(t, err)
		if b, found, err := f.Lookup(p.Addr()); err != nil || !found || b.Packets != 5 {
			t.Errorf("%v after BanAll: %+v, %v, %v, want exactly what it was given", p, b, found, err)
		}
	}
}

// TestLookupAgrees compares Lookup with what the program does.
func TestLookupAgrees(t *testing.T) {
	f, w := town(t)
	w.exempt = nil // which Lookup does not ask about
	must(t, f.SetExempt(nil))
	for _, a := range []string{banned4, stranger4, "::ffff:" + banned4, "203.0.113.7", "10.1.1.1", "198.19.0.1", banned6, stranger6, "2001:db8:0:1::1%eth0", "2001:db8:ff11::1", "2001:db8:0:2::5", "2001:db8:0:2::6", "::"} {
		b, found, err := f.Lookup(netip.MustParseAddr(a))
		must(t, err)
		plain := netip.MustParseAddr(a).Unmap().WithZone("")
		frame := to4(plain.String())
		if plain.Is6() {
			frame = to6(plain.String())
		}
		if dropped := run(t, f, frame.bytes()).Dropped(); found != dropped {
			t.Errorf("Lookup(%s) = %v, the program drops it: %v", a, found, dropped)
		}
		if found && (!slices.Contains(w.banned, b.Prefix) || !b.Prefix.Contains(plain)) {
			t.Errorf("Lookup(%s) = %v", a, b.Prefix)
		}
	}
}

func host(n int) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{100, byte(n >> 16), byte(n >> 8), byte(n)}), 32)
}

func TestFull(t *testing.T) {
	const most = 1000
	f := loaded(t, Options{MaxBans: most, MaxPrefixes: 2})
	bans := make([]Ban, most+500)
	for i := range bans {
		bans[i].Prefix = host(i)
	}
	n, err := f.BanAll(bans)
	if !errors.Is(err, ErrFull) || n != most {
		t.Errorf("BanAll(%d) = %d, %v, want %d and %v", len(bans), n, err, most, ErrFull)
	}
	if err := f.Ban(Ban{Prefix: host(most)}); !errors.Is(err, ErrFull) {
		t.Errorf("Ban of one more: %v, want %v", err, ErrFull)
	}
	if err := f.Ban(Ban{Prefix: host(0), Reason: 3}); err != nil {
		t.Errorf("Ban of one that is there: %v", err)
	}
	if all := listed(t, f); len(all) != most {
		t.Errorf("%d bans are there, want %d: nobody is let go", len(all), most)
	}
	if _, err := f.Unban(host(0)); err != nil {
		t.Fatal(err)
	}
	if err := f.Ban(Ban{Prefix: host(most)}); err != nil {
		t.Errorf("Ban where one was lifted: %v", err)
	}
	for i := range 3 {
		err := f.Ban(Ban{Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(i + 1)}), 8)})
		if full := i == 2; errors.Is(err, ErrFull) != full || !full && err != nil {
			t.Errorf("Ban of network %d: %v", i+1, err)
		}
	}
}

// TestBanAllKeepsTheOrder mixes hosts and networks: what it returns is a prefix of
// what it was given, and exactly that is in the kernel.
func TestBanAllKeepsTheOrder(t *testing.T) {
	f := loaded(t, Options{MaxBans: 100, MaxPrefixes: 1})
	network := func(n byte) netip.Prefix { return netip.PrefixFrom(netip.AddrFrom4([4]byte{n}), 8) }
	bans := []Ban{{Prefix: host(0)}, {Prefix: network(1)}, {Prefix: host(1)}, {Prefix: host(2)}, {Prefix: network(2)}, {Prefix: host(3)}}
	n, err := f.BanAll(bans)
	if !errors.Is(err, ErrFull) || n != 4 {
		t.Errorf("BanAll = %d, %v, want 4 and %v", n, err, ErrFull)
	}
	in := map[netip.Prefix]bool{}
	for _, b := range listed(t, f) {
		in[b.Prefix] = true
	}
	for i, b := range bans {
		if in[b.Prefix] != (i < n) {
			t.Errorf("%v, number %d, is in the kernel: %t", b.Prefix, i, in[b.Prefix])
		}
	}
}

// TestMaxExempt holds the constant to the map, without loading it.
func TestMaxExempt(t *testing.T) {
	spec, err := loadXdp()
	must(t, err)
	if got := spec.Maps["exempt"].MaxEntries; got != MaxExempt {
		t.Errorf("the map holds %d, MaxExempt is %d", got, MaxExempt)
	}
}

func TestReap(t *testing.T) {
	f := loaded(t, Options{})
	now := time.Now()
	var bans []Ban
	want := 0
	for i := range 3 * batch {
		b := Ban{Prefix: host(i)}
		if i%10 == 0 {
			b.Prefix = netip.PrefixFrom(b.Prefix.Addr(), 31)
		}
		switch i % 3 {
		case 0:
			b.Until = now.Add(-time.Second)
			want++
		case 1:
			b.Until = now.Add(time.Hour)
		}
		bans = append(bans, b)
	}
	slices.SortFunc(bans, func(a, b Ban) int { return a.Prefix.Compare(b.Prefix) })
	_, err := f.BanAll(bans)
	must(t, err)
	if n, err := f.Reap(now); err != nil || n != want {
		t.Errorf("Reap = %d, %v, want %d", n, err, want)
	}
	if all := listed(t, f); len(all) != len(bans)-want {
		t.Errorf("%d bans are left, want %d", len(all), len(bans)-want)
	}
	if n, err := f.Reap(now.Add(2 * time.Hour)); err != nil || n != len(bans)/3 {
		t.Errorf("Reap in two hours = %d, %v, want %d", n, err, len(bans)/3)
	}
	for _, b := range listed(t, f) {
		if !b.Until.IsZero() {
			t.Fatalf("%v is left, want only those for ever", b)
		}
	}
}

// TestListWhileOthersChange checks what Bans promises: what stays is listed
// once.
func TestListWhileOthersChange(t *testing.T) {
	f := loaded(t, Options{})
	const stay = 20_000
	var bans []Ban
	for i := range stay {
		bans = append(bans, Ban{Prefix: host(i)})
		if i < 5000 {
			bans = append(bans, Ban{Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i)}), 24)})
		}
	}
	_, err := f.BanAll(bans)
	must(t, err)
	var others sync.WaitGroup
	done := make(chan struct{})
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	for worker := range 2 {
		others.Go(func() {
			random := rand.New(rand.NewPCG(seed, uint64(worker)))
			for {
				select {
				case <-done:
					return
				default:
				}
				n := random.IntN(stay)
				come := host(stay + n)
				if n%4 == 0 {
					come = netip.PrefixFrom(netip.AddrFrom4([4]byte{11, byte(n >> 8), byte(n)}), 24)
				}
				if err := f.Ban(Ban{Prefix: come}); err != nil {
					t.Errorf("Ban: %v", err)
				}
				if _, err := f.Unban(come); err != nil {
					t.Errorf("Unban: %v", err)
				}
				if err := f.Ban(Ban{Prefix: host(n), Reason: uint8(n)}); err != nil { // replaced in place
					t.Errorf("Ban: %v", err)
				}
				if _, err := f.Reap(time.Now()); err != nil {
					t.Errorf("Reap: %v", err)
				}
			}
		})
	}
	for range 5 {
		times := make(map[netip.Prefix]int)
		for b, err := range f.Bans() {
			must(t, err)
			times[b.Prefix]++
		}
		for _, b := range bans {
			if n := times[b.Prefix]; n != 1 {
				t.Errorf("%v was listed %d times", b.Prefix, n)
			}
		}
	}
	close(done)
	others.Wait()
}

func TestSetsAreReplaced(t *testing.T) {
	f, _ := town(t)
	frame := to4(banned4).bytes()
	must(t, f.SetScope([]netip.AddrPort{netip.MustParseAddrPort("[2001:db8::1]:443")}))
	if got := run(t, f, frame); got != PassOutOfScope {
		t.Errorf("out of the new scope: %v", got)
	}
	if got := run(t, f, to6(banned6).bytes()); got != DropHost {
		t.Errorf("in the new scope: %v", got)
	}
	must(t, f.SetScope(nil))
	if got := run(t, f, to6(banned6).bytes()); got != PassOutOfScope {
		t.Errorf("without a scope: %v", got)
	}
	must(t, f.SetScope([]netip.AddrPort{netip.MustParseAddrPort("[::ffff:" + listener4 + "]:443")}))
	if got := run(t, f, frame); got != DropHost {
		t.Errorf("scope written as IPv4-in-IPv6: %v", got)
	}
	must(t, f.SetExempt([]netip.Prefix{netip.MustParsePrefix("::ffff:198.51.100.0/120")}))
	if got := run(t, f, frame); got != PassExempt {
		t.Errorf("newly exempt: %v", got)
	}
	if got := run(t, f, to4("10.9.9.9").bytes()); got != DropHost {
		t.Errorf("no longer exempt: %v", got)
	}
	var many []netip.Prefix
	for i := range 5000 {
		many = append(many, host(i))
	}
	if err := f.SetExempt(many); !errors.Is(err, ErrFull) {
		t.Errorf("SetExempt of %d: %v, want %v", len(many), err, ErrFull)
	}
}

func TestClosed(t *testing.T) {
	f := loaded(t, Options{})
	must(t, f.Close())
	must(t, f.Close())
	_, countersErr := f.Counters()
	_, _, lookupErr := f.Lookup(netip.MustParseAddr(banned4))
	_, reapErr := f.Reap(time.Now())
	_, unbanErr := f.Unban(host(1))
	_, modeErr := f.Mode()
	var listErr error
	for _, err := range f.Bans() {
		listErr = err
	}
	for i, err := range []error{f.Ban(Ban{Prefix: host(1)}), f.SetScope(nil), f.SetMode(Off), f.Events(t.Context(), nil), countersErr, lookupErr, reapErr, unbanErr, modeErr, listErr} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("call %d after Close: %v, want %v", i, err, ErrClosed)
		}
	}
}

func TestOptions(t *testing.T) {
	for name, o := range map[string]Options{
		"no interfaces":      {},
		"an interface twice": {Interfaces: []string{"a", "b", "a"}},
		"attach mode":        {Interfaces: []string{"a"}, Attach: 3},
		"bans":               {Interfaces: []string{"a"}, MaxBans: -1},
		"prefixes":           {Interfaces: []string{"a"}, MaxPrefixes: 1 << 30},
		"IPv6 prefix":        {Interfaces: []string{"a"}, IPv6Prefix: 129},
		"rate":               {Interfaces: []string{"a"}, SYNLimit: SYNLimit{Rate: -1, Burst: 1}},
		"no burst":           {Interfaces: []string{"a"}, SYNLimit: SYNLimit{Rate: 1}},
		"no rate":            {Interfaces: []string{"a"}, SYNLimit: SYNLimit{Burst: 1}},
	} {
		if _, err := Open(o); err == nil {
			t.Errorf("%s: Open succeeded", name)
		}
	}
	for prefix, want := range map[int]string{1: "8000::", 8: "ff00::", 56: "ffff:ffff:ffff:ff00::", 64: "ffff:ffff:ffff:ffff::", 65: "ffff:ffff:ffff:ffff:8000::", 128: "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"} {
		var b [16]byte
		for i, half := range hostMask(prefix) {
			for j := range 8 {
				b[8*i+j] = byte(half >> (8 * j))
			}
		}
		if got := fmt.Sprint(netip.AddrFrom16(b)); got != want {
			t.Errorf("mask of /%d = %s, want %s", prefix, got, want)
		}
	}
}
