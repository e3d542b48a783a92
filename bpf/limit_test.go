package bpf

import (
	"net/netip"
	"testing"
	"time"
)

// slow is a rate at which no test lasts until the next SYN is due.
const slow = 0.001

func TestSYNLimit(t *testing.T) {
	const burst = 5
	f := loaded(t, Options{SYNLimit: SYNLimit{Rate: slow, Burst: burst}})
	must(t, f.SetScope([]netip.AddrPort{netip.AddrPortFrom(netip.Addr{}, 443)}))
	must(t, f.SetExempt([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}))
	want := func(what string, frame frame, want Verdict) {
		t.Helper()
		if got := run(t, f, frame.bytes()); got != want {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	flagged := func(flags uint8) frame { return to4(stranger4).with(func(f *frame) { f.flags = flags }) }
	for range burst {
		want("SYN within the burst", to4(stranger4), Pass)
	}
	want("SYN over it", to4(stranger4), DropSYNLimit)
	want("SYN with ECN bits over it", flagged(syn|1<<6|1<<7), DropSYNLimit)
	want("first fragment of a SYN over it", to4(stranger4).with(func(f *frame) { f.more = true }), DropSYNLimit)
	want("ACK", flagged(ack), Pass)
	want("SYN and ACK", flagged(syn|ack), Pass)
	want("SYN and RST", flagged(syn|rst), Pass)
	want("SYN to another port", to4(stranger4).with(func(f *frame) { f.port = 80 }), PassOutOfScope)
	for range burst {
		want("SYN of an IPv6 host", to6("2001:db8:5:5::1"), Pass)
	}
	want("SYN of its neighbour in the prefix", to6("2001:db8:5:5:6::"), DropSYNLimit)
	want("SYN of another prefix", to6("2001:db8:5:6::1"), Pass)
	for range 2 * burst {
		want("exempt SYN", to4("10.1.1.1"), PassExempt)
	}
	must(t, f.SetMode(DryRun))
	want("SYN over the limit in dry run", to4(stranger4), WouldDropSYNLimit)
	if all := listed(t, f); len(all) > 0 {
		t.Errorf("%v were banned", all)
	}
}

func TestSYNsPassAgainInTime(t *testing.T) {
	f := loaded(t, Options{SYNLimit: SYNLimit{Rate: 20, Burst: 2}})
	must(t, f.SetScope([]netip.AddrPort{netip.AddrPortFrom(netip.Addr{}, 443)}))
	frame := to4(stranger4).bytes()
	dropped := 0
	for start := time.Now(); run(t, f, frame) != DropSYNLimit; {
		if time.Since(start) > time.Minute {
			t.Fatal("no SYN was dropped")
		}
	}
	for start := time.Now(); run(t, f, frame) != Pass; dropped++ {
		if time.Since(start) > time.Minute {
			t.Fatal("no SYN passes again")
		}
	}
	t.Logf("one passed again after %d were dropped", dropped)
}

func TestWithoutSYNLimit(t *testing.T) {
	f := loaded(t, Options{})
	must(t, f.SetScope([]netip.AddrPort{netip.AddrPortFrom(netip.Addr{}, 443)}))
	for range 1000 {
		if got := run(t, f, to4(stranger4).bytes()); got != Pass {
			t.Fatalf("%v, want %v", got, Pass)
		}
	}
}
