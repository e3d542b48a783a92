package ban

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/reason"
)

func newKernelFixture(t *testing.T, room int, change func(*config.Ban)) *fixture {
	t.Helper()
	f := &fixture{t: t, now: start, cfg: configured(t, change), dir: t.TempDir(), kernel: newFakeKernel(room)}
	f.open()
	f.adopt(f.t.Context())
	f.syncKernel()
	return f
}

// wantKernel compares what the kernel has.
func (f *fixture) wantKernel(prefixes ...string) {
	f.t.Helper()
	f.syncKernel()
	var got []string
	for p := range f.kernel.bans {
		got = append(got, p.String())
	}
	slices.Sort(got)
	slices.Sort(prefixes)
	if !slices.Equal(got, prefixes) {
		f.t.Errorf("kernel has %v, want %v", got, prefixes)
	}
	if s := f.Stats(); s.InKernel != len(prefixes) {
		f.t.Errorf("%d are said to be in the kernel, want %d", s.InKernel, len(prefixes))
	}
}

func TestKernelIsTold(t *testing.T) {
	f := newKernelFixture(t, 100, func(b *config.Ban) { b.Exempt = []config.Network{config.Network(netip.MustParsePrefix("10.0.0.0/8"))} })
	if !slices.Contains(f.kernel.exempt, netip.MustParsePrefix("10.0.0.0/8")) || !slices.Contains(f.kernel.exempt, netip.MustParsePrefix("::1/128")) {
		t.Errorf("exempt %v", f.kernel.exempt)
	}
	f.fail("192.0.2.1", reason.ProtocolError, 10)
	f.fail("2001:db8::1", reason.ProtocolError, 10)
	f.byHand("198.51.100.0/24", 0)
	for range 10 { // from behind a proxy
		f.Observe(Observation{Addr: netip.MustParseAddr("203.0.113.1"), Code: reason.ProtocolError})
	}
	f.wantKernel("192.0.2.1/32", "2001:db8::/64", "198.51.100.0/24")
	want := KernelBan{netip.MustParsePrefix("192.0.2.1/32"), f.now, f.now.Add(10 * time.Minute), reason.ProtocolError, false}
	if got := f.kernel.bans[want.Prefix]; got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := f.kernel.bans[netip.MustParsePrefix("198.51.100.0/24")]; !got.Until.IsZero() || got.Reason != 0 {
		t.Errorf("%+v", got)
	}

	f.fail("203.0.113.1", reason.Banned, 1) // now it comes itself
	f.wantKernel("192.0.2.1/32", "2001:db8::/64", "198.51.100.0/24", "203.0.113.1/32")
	if _, err := f.Unban(netip.MustParsePrefix("192.0.2.1/32")); err != nil {
		t.Fatal(err)
	}
	f.wantKernel("2001:db8::/64", "198.51.100.0/24", "203.0.113.1/32")

	f.Reconfigure(f.cfg, []netip.Prefix{netip.MustParsePrefix("198.51.100.0/23")})
	f.wantKernel("2001:db8::/64", "203.0.113.1/32")
	if !slices.Contains(f.kernel.exempt, netip.MustParsePrefix("198.51.100.0/23")) {
		t.Errorf("exempt %v", f.kernel.exempt)
	}
	f.cfg.Mode = config.BanDryRun
	f.Reconfigure(f.cfg, nil)
	if f.kernel.mode != config.BanDryRun {
		t.Errorf("the kernel is in mode %s when the answer is given", f.kernel.mode)
	}
	f.byHand("198.51.100.1/32", 0)
	f.fail("192.0.2.9", reason.ProtocolError, 10)
	f.wantKernel("198.51.100.1/32", "192.0.2.9/32", "2001:db8::/64", "203.0.113.1/32") // to be counted
	f.cfg.Mode = config.BanEnforce
	f.Reconfigure(f.cfg, nil)
	f.wantKernel("198.51.100.1/32", "2001:db8::/64", "203.0.113.1/32")
	if f.kernel.mode != config.BanEnforce || len(f.kernel.wrong) > 0 {
		t.Errorf("the kernel is in mode %s; dropped in a dry run: %v", f.kernel.mode, f.kernel.wrong)
	}
	f.cfg.Mode = config.BanOff
	f.Reconfigure(f.cfg, nil)
	f.wantKernel()
	if f.kernel.mode != config.BanOff {
		t.Errorf("the kernel is in mode %s", f.kernel.mode)
	}
}

// TestShorterBanInPlaceOfALongOne is about a change that is over before the
// kernel has been told of it.
func TestShorterBanInPlaceOfALongOne(t *testing.T) {
	f := newKernelFixture(t, 100, nil)
	f.byHand("192.0.2.1/32", 0)
	f.wantKernel("192.0.2.1/32")
	f.kernel.failing = errors.New("no memory")
	f.byHand("192.0.2.1/32", time.Second)
	f.pass(time.Second)
	f.Stats() // sweeps
	f.kernel.failing = nil
	f.retryKernel()
	f.wantKernel()
}

func TestFullKernelLetsNobodyIn(t *testing.T) {
	f := newKernelFixture(t, 3, nil)
	for n := range 3000 {
		f.fail(number(n).String(), reason.ProtocolError, 10)
	}
	f.syncKernel()
	for n := range 3000 {
		f.want(number(n).String(), true)
	}
	s := f.Stats()
	if s.InKernel != 3 || s.Pending != 2997 || s.KernelFull == 0 || s.KernelFull > 3 || s.InForce.Policy != 3000 {
		t.Errorf("%+v", s)
	}
	if got := strings.Count(f.log.String(), "kernel does not have all bans"); got != 1 {
		t.Errorf("said %d times", got)
	}
	// What goes makes room, once it is tried again.
	for p := range f.kernel.bans {
		if _, err := f.Unban(p); err != nil {
			t.Fatal(err)
		}
	}
	f.syncKernel()
	f.retryKernel()
	f.syncKernel()
	if s := f.Stats(); s.InKernel != 3 || s.Pending != 2994 {
		t.Errorf("%+v", s)
	}
	f.kernel.room = 5000
	f.retryKernel()
	f.syncKernel()
	if s := f.Stats(); s.InKernel != 2997 || s.Pending != 0 || !strings.Contains(f.log.String(), "kernel has all bans again") {
		t.Errorf("%+v", s)
	}
}

func TestFailingKernel(t *testing.T) {
	f := newKernelFixture(t, 1<<20, nil)
	f.kernel.failing = errors.New("operation not permitted")
	for n := range 5000 {
		f.fail(number(n).String(), reason.ProtocolError, 10)
	}
	f.syncKernel()
	f.want(number(4999).String(), true)
	if s := f.Stats(); s.InKernel != 0 || s.Pending != 5000 || s.KernelErrors == 0 || s.KernelErrors > mostErrors {
		t.Errorf("%+v", s)
	}
	f.kernel.failing = nil
	f.retryKernel()
	f.syncKernel()
	if s := f.Stats(); s.InKernel != 5000 || s.Pending != 0 {
		t.Errorf("%+v", s)
	}
	f.kernel.failing = errors.New("operation not permitted")
	if _, err := f.Unban(netip.MustParsePrefix("0.0.0.0/0")); !errors.Is(err, ErrStillDropped) {
		t.Errorf("got %v, want %v", err, ErrStillDropped)
	}
	f.syncKernel()
	f.kernel.failing = nil
	f.retryKernel()
	f.wantKernel()
}

// TestNoBansWithoutExemptions is about an operator who must not be locked out.
func TestNoBansWithoutExemptions(t *testing.T) {
	f := newKernelFixture(t, 100, nil)
	f.kernel.failing = errors.New("no memory")
	f.Reconfigure(f.cfg, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")})
	f.byHand("0.0.0.0/0", 0)
	f.syncKernel()
	if len(f.kernel.bans) != 0 {
		t.Error("banned before the exemptions are in force")
	}
	f.kernel.failing = nil
	f.retryKernel()
	f.wantKernel("0.0.0.0/0")
	if !slices.Contains(f.kernel.exempt, netip.MustParsePrefix("10.0.0.0/8")) {
		t.Errorf("exempt %v", f.kernel.exempt)
	}
}

// TestFailingExemptionsHoldUpNoOther: whom they do not concern is banned, and
// unbanned, all the same.
func TestFailingExemptionsHoldUpNoOther(t *testing.T) {
	f := newKernelFixture(t, 100, nil)
	f.byHand("192.0.2.1/32", 0)
	f.wantKernel("192.0.2.1/32")
	f.kernel.exemptFailing = errors.New("no room for more")
	f.kernel.exemptTold = 0
	f.Reconfigure(f.cfg, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")})
	f.byHand("192.0.2.2/32", 0)
	f.byHand("10.0.0.0/7", 0)
	if _, err := f.Unban(netip.MustParsePrefix("192.0.2.1/32")); err != nil {
		t.Fatal(err)
	}
	f.wantKernel("192.0.2.2/32")
	f.byHand("192.0.2.3/32", 0)
	f.wantKernel("192.0.2.2/32", "192.0.2.3/32")
	if f.kernel.exemptTold != 1 {
		t.Errorf("told %d times of exemptions that fail, want 1 until they are tried again", f.kernel.exemptTold)
	}
	if s := f.Stats(); s.Pending != 1 || strings.Contains(f.log.String(), "all bans again") {
		t.Errorf("%+v", s)
	}

	f.exempt = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	f.open() // a restart finds the same
	f.adopt(f.t.Context())
	f.wantKernel("192.0.2.2/32", "192.0.2.3/32")
	f.kernel.exemptFailing = nil
	f.retryKernel()
	f.wantKernel("192.0.2.2/32", "192.0.2.3/32", "10.0.0.0/7")
}

func TestOneRefusedBanHoldsUpNoOther(t *testing.T) {
	f := newKernelFixture(t, 100, nil)
	f.kernel.refused[netip.MustParsePrefix("2001:db8::1/128")] = errors.New("too long")
	f.byHand("2001:db8::1/128", 0)
	want := []string{}
	for n := range 50 {
		p := netip.PrefixFrom(number(n), 32).String()
		f.byHand(p, 0)
		want = append(want, p)
	}
	f.wantKernel(want...)
	if s := f.Stats(); s.Pending != 1 || s.KernelErrors != 1 {
		t.Errorf("%+v", s)
	}
	f.want("2001:db8::1", true)
}

// TestAdopt is a start after a process that was killed before it had saved.
func TestAdopt(t *testing.T) {
	f := newKernelFixture(t, 100, nil)
	f.fail("192.0.2.1", reason.ProtocolError, 10)
	f.fail("192.0.2.2", reason.ProtocolError, 10)
	f.fail("192.0.2.3", reason.ProtocolError, 10)
	f.fail("192.0.2.4", reason.ProtocolError, 10)
	saveNow(t, f)
	f.syncKernel()
	f.fail("192.0.2.5", reason.ClientCertUntrusted, 10)
	f.unsavedBy(func() {
		f.byHand("198.51.100.0/24", 0)
		f.byHand("203.0.113.7/32", time.Hour)
	})
	f.syncKernel()

	k := f.kernel
	delete(k.bans, netip.MustParsePrefix("192.0.2.2/32")) // lost
	later := k.bans[netip.MustParsePrefix("192.0.2.3/32")]
	later.Until = later.Until.Add(time.Hour) // not what the file says
	k.bans[later.Prefix] = later
	close := k.bans[netip.MustParsePrefix("192.0.2.4/32")]
	close.Until = close.Until.Add(time.Second) // the clocks differ
	k.bans[close.Prefix] = close
	over := KernelBan{netip.MustParsePrefix("192.0.2.99/32"), start.Add(-time.Hour), start.Add(-time.Minute), reason.ProtocolError, false}
	k.bans[over.Prefix] = over
	exempt := KernelBan{netip.MustParsePrefix("10.0.0.1/32"), start, time.Time{}, reason.ProtocolError, false}
	k.bans[exempt.Prefix] = exempt
	k.written = 0

	f.pass(time.Second)
	f.exempt = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	f.open()
	lifted := netip.MustParsePrefix("203.0.113.7/32")
	f.unsavedBy(func() {
		f.byHand(lifted.String(), time.Minute) // and lifted, before Run
		if _, err := f.Unban(lifted); err != nil {
			t.Fatal(err)
		}
	})
	f.adopt(f.t.Context())
	f.syncKernel()

	for n := range 5 {
		f.want(fmt.Sprintf("192.0.2.%d", n+1), true)
	}
	if b := f.wantBan("192.0.2.5"); b.Reason != reason.ClientCertUntrusted || b.By != ByPolicy || !b.Since.Equal(start) || !b.Until.Equal(start.Add(10*time.Minute)) || !b.Direct {
		t.Errorf("%+v", b)
	}
	if b := f.wantBan("198.51.100.7"); b.By != ByAdmin || b.Why != "found in the kernel" || !b.Until.IsZero() {
		t.Errorf("%+v", b)
	}
	f.want("192.0.2.99", false)
	f.want("10.0.0.1", false)
	f.want("203.0.113.7", false)
	if k.written != 2 {
		t.Errorf("%d written, want those that were lost or differ, 2", k.written)
	}
	if n, _ := k.Reap(f.now); n != 1 {
		t.Errorf("%d reaped", n)
	}
	f.wantKernel("192.0.2.1/32", "192.0.2.2/32", "192.0.2.3/32", "192.0.2.4/32", "192.0.2.5/32", "198.51.100.0/24")
	if !f.unsaved() {
		t.Error("what was taken over is not saved")
	}
}

func TestAdoptWhenOff(t *testing.T) {
	f := newKernelFixture(t, 100, nil)
	f.byHand("192.0.2.1/32", 0)
	f.wantKernel("192.0.2.1/32")
	f.cfg.Mode = config.BanOff
	f.open()
	f.adopt(f.t.Context())
	f.wantKernel()
}
