package bpf

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/cilium/ebpf"
)

// collect runs Events until stop is called, which returns its error.
func collect(t *testing.T, f *Filter) (events chan Event, stop func() error) {
	ctx, cancel := context.WithCancel(t.Context())
	events = make(chan Event, 10_000)
	ended := make(chan error, 1)
	go func() { ended <- f.Events(ctx, func(e Event) { events <- e }) }()
	return events, func() error {
		cancel()
		return <-ended
	}
}

// receive returns the next event.
func receive(t *testing.T, events chan Event) Event {
	t.Helper()
	select {
	case e := <-events:
		return e
	case <-time.After(time.Minute):
		t.Fatal("no event within a minute")
		return Event{}
	}
}

func TestEvents(t *testing.T) {
	f, _ := town(t)
	must(t, f.Ban(Ban{Prefix: netip.MustParsePrefix(banned6 + "/64"), Reason: 42}))
	events, stop := collect(t, f)
	start := time.Now()
	host, network := to6(banned6).bytes(), to4("203.0.113.9").bytes()
	run(t, f, host)
	run(t, f, network)
	must(t, f.SetMode(DryRun))
	run(t, f, to4(banned4).bytes())
	for _, want := range []Event{
		{From: netip.MustParseAddr(banned6), To: netip.MustParseAddrPort("[2001:db8::1]:443"), Bytes: len(host), Verdict: DropHost, Reason: 42},
		{From: netip.MustParseAddr("203.0.113.9"), To: netip.MustParseAddrPort("192.0.2.1:443"), Bytes: len(network), Verdict: DropNetwork},
		{From: netip.MustParseAddr(banned4), To: netip.MustParseAddrPort("192.0.2.1:443"), Bytes: len(network), Verdict: WouldDropHost},
	} {
		got := receive(t, events)
		if early := got.Time.Before(start.Add(-time.Second)); early || got.Time.After(time.Now().Add(time.Second)) {
			t.Errorf("event at %v, want it between %v and now", got.Time, start)
		}
		want.Time, want.Interface = got.Time, got.Interface
		if got != want {
			t.Errorf("event\n%+v, want\n%+v", got, want)
		}
	}
	if err := f.Events(t.Context(), func(Event) {}); err == nil {
		t.Error("a second Events succeeded")
	}
	if err := stop(); !errors.Is(err, context.Canceled) {
		t.Errorf("Events after its context was cancelled: %v", err)
	}
	_, stop = collect(t, f)
	run(t, f, host)
	if err := stop(); !errors.Is(err, context.Canceled) {
		t.Errorf("Events once more: %v", err)
	}
}

// TestEventsOfAFlood checks that each ban is told of, or counted as lost.
func TestEventsOfAFlood(t *testing.T) {
	const many = 2000
	f := loaded(t, Options{})
	must(t, f.SetScope([]netip.AddrPort{netip.AddrPortFrom(netip.Addr{}, 443)}))
	bans := make([]Ban, many)
	for i := range bans {
		bans[i].Prefix = host(i)
	}
	_, err := f.BanAll(bans)
	must(t, err)
	for i := range bans {
		run(t, f, to4(host(i).Addr().String()).bytes())
	}
	c, err := f.Counters()
	must(t, err)
	events, stop := collect(t, f)
	seen := make(map[netip.Addr]bool)
	var first, last time.Time
	for len(seen) < many-int(c.EventsLost) {
		e := receive(t, events)
		if seen[e.From] {
			t.Errorf("%v was told of twice for one packet", e.From)
		}
		seen[e.From] = true
		if first.IsZero() || e.Time.Before(first) {
			first = e.Time
		}
		if e.Time.After(last) {
			last = e.Time
		}
	}
	stop()
	cpus, err := ebpf.PossibleCPU()
	must(t, err)
	if most := 256 * cpus * int(last.Sub(first)/time.Second+2); len(seen) > most {
		t.Errorf("%d events within %v on %d CPUs, want at most %d", len(seen), last.Sub(first), cpus, most)
	}
	if len(events) > 0 {
		t.Errorf("%d more events than %d packets less %d lost", len(events), many, c.EventsLost)
	}
	t.Logf("%d told of, %d lost", len(seen), c.EventsLost)
}

// TestEventsAreSampled sends one banned source's packets for as long as it
// takes to see a second of the kernel's clock pass.
func TestEventsAreSampled(t *testing.T) {
	f, _ := town(t)
	events, stop := collect(t, f)
	first := func() Event { run(t, f, to4(banned4).bytes()); return receive(t, events) }()
	second := first
	packets := 0
	for start := time.Now(); second == first; {
		if time.Since(start) > time.Minute {
			t.Fatal("no second event within a minute")
		}
		run(t, f, to4(banned4).bytes())
		packets++
		select {
		case second = <-events:
		default:
		}
	}
	stop()
	if more := len(events); more > 0 {
		t.Errorf("%d events within one second, want one", more+1)
	}
	if packets < 2 {
		t.Skip("too slow to send two packets in a second")
	}
	t.Logf("two events of %d packets", packets+1)
}

func TestEventsEndWithTheFilter(t *testing.T) {
	f, _ := town(t)
	ended := make(chan error, 1)
	began := make(chan struct{})
	go func() {
		ended <- f.Events(t.Context(), func(Event) { close(began) })
	}()
	run(t, f, to4(banned4).bytes())
	select {
	case <-began:
	case <-time.After(time.Minute):
		t.Fatal("no event within a minute")
	}
	must(t, f.Close())
	if err := <-ended; !errors.Is(err, ErrClosed) {
		t.Errorf("Events after Close: %v, want %v", err, ErrClosed)
	}
}
