package ban

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/reason"
)

func TestTheTenthFailureBans(t *testing.T) {
	f := newFixture(t, nil)
	f.fail("192.0.2.1", reason.ClientCertUntrusted, 9)
	f.pass(30 * time.Second) // the last moment at which they count
	f.want("192.0.2.1", false)
	f.fail("192.0.2.1", reason.ProtocolError, 1)
	got := f.wantBan("192.0.2.1")
	want := Ban{
		Prefix: netip.MustParsePrefix("192.0.2.1/32"), Since: f.now, Until: f.now.Add(10 * time.Minute),
		Reason: reason.ProtocolError, By: ByPolicy, Score: 10, Direct: true,
	}
	if got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if len(f.banned) != 1 || f.banned[0] != want {
		t.Errorf("told %+v", f.banned)
	}
	f.want("192.0.2.2", false)

	f.pass(10*time.Minute - 1)
	f.want("192.0.2.1", true)
	f.pass(1)
	f.want("192.0.2.1", false)
}

func TestOldFailuresDoNotCount(t *testing.T) {
	f := newFixture(t, nil)
	for range 100 { // nine within any time that may count
		f.fail("192.0.2.1", reason.ClientCertUntrusted, 9)
		f.pass(30*time.Second*9/8 + time.Second)
	}
	f.want("192.0.2.1", false)
}

func TestWhatIsOneAddress(t *testing.T) {
	for _, test := range []struct{ fails, asks, unit string }{
		{"192.0.2.1", "::ffff:192.0.2.1", "192.0.2.1/32"},
		{"::ffff:192.0.2.1", "192.0.2.1", "192.0.2.1/32"},
		{"2001:db8:0:1::1", "2001:db8:0:1:ffff::", "2001:db8:0:1::/64"},
		{"2001:db8:0:1::1%eth0", "2001:db8:0:1::2%eth1", "2001:db8:0:1::/64"},
	} {
		f := newFixture(t, nil)
		f.fail(test.fails, reason.ProtocolError, 10)
		if got := f.wantBan(test.asks).Prefix.String(); got != test.unit {
			t.Errorf("%s: banned %s, want %s", test.fails, got, test.unit)
		}
		if got := f.Unit(netip.MustParseAddr(test.asks)).String(); got != test.unit {
			t.Errorf("%s: unit %s, want %s", test.asks, got, test.unit)
		}
		f.want("2001:db8:0:2::1", false)
		f.want("192.0.2.2", false)
	}
	f := newFixture(t, nil)
	f.Observe(Observation{Code: reason.ProtocolError})
	if _, ok := f.Banned(netip.Addr{}); ok || f.Unit(netip.Addr{}).IsValid() {
		t.Error("no address is banned")
	}
}

// TestFailuresOfPlugins count as many as the plugin says, and bind no exempt
// address.
func TestFailuresOfPlugins(t *testing.T) {
	f := newFixture(t, func(b *config.Ban) {
		b.Exempt = []config.Network{config.Network(netip.MustParsePrefix("198.51.100.0/24"))}
	})
	hint := func(addr string, failures int) {
		f.Observe(Observation{Addr: netip.MustParseAddr(addr), Direct: true, Code: reason.ClientCertRejected, Verified: true, Failures: failures})
	}
	hint("192.0.2.1", 9)
	f.want("192.0.2.1", false)
	hint("192.0.2.1", 1)
	f.want("192.0.2.1", true)
	hint("198.51.100.1", 100)
	f.want("198.51.100.1", false)
}

func TestBansDoubleAndAreForgotten(t *testing.T) {
	f := newFixture(t, func(b *config.Ban) {
		b.AtMost = config.Duration(35 * time.Minute)
		b.Remember = config.Duration(time.Hour)
	})
	for i, want := range []time.Duration{10, 20, 35, 35} {
		f.fail("192.0.2.1", reason.ProtocolError, 10)
		b := f.wantBan("192.0.2.1")
		if got := b.Until.Sub(b.Since); got != want*time.Minute || b.Repeat != i {
			t.Errorf("ban %d lasts %v with repeat %d, want %v minutes", i, got, b.Repeat, want)
		}
		f.pass(want*time.Minute + time.Hour - 1)
	}
	f.pass(1)
	f.fail("192.0.2.1", reason.ProtocolError, 10)
	if b := f.wantBan("192.0.2.1"); b.Repeat != 0 {
		t.Errorf("repeat %d of what is forgotten", b.Repeat)
	}
}

func TestLongestTimesDoNotOverflow(t *testing.T) {
	f := newFixture(t, func(b *config.Ban) {
		b.For, b.AtMost, b.Remember = config.Duration(24*time.Hour), 1<<63-1, 1<<63-1
	})
	var last int64
	for repeat := range 256 {
		d := f.settings.Load().lasts(uint8(repeat))
		if d < last || d > int64(longest) {
			t.Fatalf("the ban after %d lasts %v", repeat, time.Duration(d))
		}
		last = d
	}
	if last != int64(longest) {
		t.Errorf("the longest ban lasts %v", time.Duration(last))
	}
	f.cfg.For = f.cfg.AtMost
	f.Reconfigure(f.cfg, nil)
	f.fail("192.0.2.1", reason.ProtocolError, 10)
	f.pass(longest - 1)
	f.want("192.0.2.1", true)
	f.pass(1)
	f.want("192.0.2.1", false)
	if s := f.Stats(); s.Remembered != 1 {
		t.Errorf("%+v", s)
	}
}

func TestExemptIsNeverBanned(t *testing.T) {
	f := newFixture(t, func(b *config.Ban) {
		b.Exempt = []config.Network{config.Network(netip.MustParsePrefix("10.0.0.0/8")), config.Network(netip.MustParsePrefix("::ffff:198.51.100.0/120"))}
	})
	for _, addr := range []string{
		"127.0.0.1", "127.9.9.9", "::1", "169.254.1.1", "fe80::1", "fe80::1%eth0", "10.1.2.3", "::ffff:10.1.2.3", "198.51.100.7",
	} {
		f.fail(addr, reason.ProtocolError, 1000)
		f.want(addr, false)
	}
	if s := f.Stats(); s.InForce != (BySource{}) || s.Exempt != 9000 {
		t.Errorf("%+v", s)
	}
}

func TestReloadLiftsWhatIsExempt(t *testing.T) {
	f := newFixture(t, nil)
	f.fail("10.0.0.1", reason.ProtocolError, 10)
	f.fail("192.0.2.1", reason.ProtocolError, 10)
	f.byHand("10.0.0.0/24", 0)
	f.byHand("10.0.0.0/7", 0) // holds more than what is exempt
	f.Reconfigure(f.cfg, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")})
	f.want("10.0.0.1", false)
	f.want("10.0.0.2", false)
	f.want("11.0.0.1", true)
	f.want("192.0.2.1", true)
	f.Reconfigure(f.cfg, nil)
	f.want("10.0.0.1", true) // by the /7
	if got := f.wantBan("10.0.0.1").Prefix.String(); got != "10.0.0.0/7" {
		t.Errorf("banned by %s", got)
	}
}

// TestWithinIsChanged is about failures counted in slots of another length.
func TestWithinIsChanged(t *testing.T) {
	f := newFixture(t, nil)
	for _, within := range []time.Duration{time.Hour, time.Second, 30 * time.Second} {
		f.fail("192.0.2.1", reason.ProtocolError, 9)
		f.cfg.Within = config.Duration(within)
		f.Reconfigure(f.cfg, nil)
		for range 3 {
			f.fail("192.0.2.1", reason.ProtocolError, 9)
			f.want("192.0.2.1", false)
			f.pass(within * 9 / 8)
		}
	}
	f.fail("192.0.2.1", reason.ProtocolError, 10)
	f.want("192.0.2.1", true)
}

// TestOfficeIsSpared is one bad device among many good ones behind one address.
func TestOfficeIsSpared(t *testing.T) {
	f := newFixture(t, nil)
	for device := range byte(20) {
		f.succeed("192.0.2.1", device)
		f.succeed("192.0.2.1", device)
	}
	for range 1000 {
		f.fail("192.0.2.1", reason.ClientCertUntrusted, 1)
		f.pass(time.Second)
	}
	f.want("192.0.2.1", false)
	f.pass(2 * time.Hour) // the devices have not been heard of since
	f.fail("192.0.2.1", reason.ClientCertUntrusted, 10)
	f.want("192.0.2.1", true)
}

// TestOneCertificateIsLittleCredit is an attacker who has one.
func TestOneCertificateIsLittleCredit(t *testing.T) {
	f := newFixture(t, nil)
	failures := 0
	for !f.isBanned("192.0.2.1") && failures < 1000 {
		for range 10 {
			f.succeed("192.0.2.1", 7)
		}
		f.fail("192.0.2.1", reason.ClientCertUntrusted, 1)
		failures++
	}
	if failures != 15 {
		t.Errorf("banned after %d failures, want 15", failures)
	}
}

func TestAnonymousSuccessIsNoCredit(t *testing.T) {
	f := newFixture(t, nil)
	for range 100 {
		f.Observe(Observation{Addr: netip.MustParseAddr("192.0.2.1"), Direct: true, Code: reason.Success})
	}
	f.fail("192.0.2.1", reason.ProtocolError, 10)
	f.want("192.0.2.1", true)
}

func TestCreditIsBounded(t *testing.T) {
	f := newFixture(t, nil)
	for certificate := range 256 {
		f.succeed("192.0.2.1", byte(certificate))
	}
	f.fail("192.0.2.1", reason.ProtocolError, 10+64*5-1)
	f.want("192.0.2.1", false)
	f.fail("192.0.2.1", reason.ProtocolError, 1)
	f.want("192.0.2.1", true)
}

func TestDryRunBansNobody(t *testing.T) {
	f := newFixture(t, func(b *config.Ban) { b.Mode = config.BanDryRun })
	f.fail("192.0.2.1", reason.ProtocolError, 25)
	f.succeed("192.0.2.1", 1)
	f.want("192.0.2.1", false)
	list := collect(f.Keeper)
	if len(list) != 1 || !list[0].DryRun || list[0].Score != 10 {
		t.Errorf("list %+v", list)
	}
	s := f.Stats()
	if s.Made.DryRun != 1 || s.InForce.DryRun != 1 || s.Banned != 16 || s.Spared != 1 || len(f.banned) != 0 {
		t.Errorf("stats %+v, told %v", s, f.banned)
	}
	if !strings.Contains(f.log.String(), `msg="would be banned" prefix=192.0.2.1/32`) {
		t.Errorf("log: %s", &f.log)
	}

	f.byHand("198.51.100.1/32", 0) // by a person, who means it
	f.want("198.51.100.1", true)

	f.cfg.Mode = config.BanEnforce
	f.Reconfigure(f.cfg, nil)
	f.want("192.0.2.1", false) // what was not announced as a ban is none
	f.fail("192.0.2.1", reason.ProtocolError, 10)
	if b := f.wantBan("192.0.2.1"); b.Repeat != 0 || b.DryRun {
		t.Errorf("%+v", b)
	}

	f.cfg.Mode = config.BanDryRun
	f.Reconfigure(f.cfg, nil)
	f.want("192.0.2.1", false)
	f.cfg.Mode = config.BanOff
	f.Reconfigure(f.cfg, nil)
	f.want("198.51.100.1", false)
	f.fail("203.0.113.1", reason.ProtocolError, 10)
	f.cfg.Mode = config.BanEnforce
	f.Reconfigure(f.cfg, nil)
	f.want("192.0.2.1", true)
	f.want("198.51.100.1", true)
	f.want("203.0.113.1", false)
}

func TestZeroConfigurationIsOff(t *testing.T) {
	k, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	k.Observe(Observation{Addr: netip.MustParseAddr("192.0.2.1"), Code: reason.ProtocolError})
	if _, err := k.Ban(netip.MustParsePrefix("192.0.2.1/32"), 0, "", ByAdmin); err == nil {
		t.Error("bans in no mode")
	}
}

func TestEscalation(t *testing.T) {
	f := newFixture(t, func(b *config.Ban) { b.Escalate.Addresses = 3 })
	f.fail("192.0.2.1", reason.ProtocolError, 10)
	f.fail("192.0.3.2", reason.ProtocolError, 10)
	f.byHand("192.0.2.9/32", 0) // does not count
	f.fail("192.0.2.2", reason.ProtocolError, 10)
	f.want("192.0.2.200", false)
	f.fail("192.0.2.3", reason.ClientCertMissing, 10)
	b := f.wantBan("192.0.2.200")
	if b.Prefix.String() != "192.0.2.0/24" || b.Why != "3 addresses of it are banned" || b.Reason != reason.ClientCertMissing || !b.Direct {
		t.Errorf("%+v", b)
	}
	f.want("192.0.3.1", false)
	if got := f.wantBan("192.0.2.3").Prefix.Bits(); got != 32 {
		t.Errorf("the most specific ban has %d bits", got)
	}

	for i, addr := range []string{"2001:db8:0:1::1", "2001:db8:0:2::1", "2001:db8:0:3::1"} {
		f.want("2001:db8:0:ff::1", false)
		f.Observe(Observation{Addr: netip.MustParseAddr(addr), Direct: i != 1, Code: reason.ProtocolError})
		f.fail(addr, reason.ProtocolError, 8)
		f.Observe(Observation{Addr: netip.MustParseAddr(addr), Direct: i != 1, Code: reason.ProtocolError})
	}
	if b := f.wantBan("2001:db8:0:ff::1"); b.Prefix.String() != "2001:db8::/56" || b.Direct {
		t.Errorf("%+v", b)
	}

	// Addresses whose ban is over do not count any more.
	f.pass(10 * time.Minute)
	f.fail("192.0.2.1", reason.ProtocolError, 10)
	f.fail("192.0.2.2", reason.ProtocolError, 10)
	f.want("192.0.2.200", false)
	f.fail("192.0.2.4", reason.ProtocolError, 10)
	if b := f.wantBan("192.0.2.200"); b.Repeat != 1 {
		t.Errorf("%+v", b)
	}
}

func TestEscalationFollowsTheConfiguration(t *testing.T) {
	f := newFixture(t, nil)
	f.fail("192.0.2.1", reason.ProtocolError, 10)
	f.fail("192.0.2.2", reason.ProtocolError, 10)
	f.cfg.Escalate.Addresses = 3
	f.Reconfigure(f.cfg, nil)
	f.fail("192.0.2.3", reason.ProtocolError, 10)
	f.want("192.0.2.200", true)
}

func TestProxiedAddressStaysOutOfTheKernel(t *testing.T) {
	f := newFixture(t, nil)
	for range 10 {
		f.Observe(Observation{Addr: netip.MustParseAddr("192.0.2.1"), Code: reason.ProtocolError})
	}
	if b := f.wantBan("192.0.2.1"); b.Direct {
		t.Errorf("%+v", b)
	}
	// It comes itself.
	f.fail("192.0.2.1", reason.Banned, 1)
	if b := f.wantBan("192.0.2.1"); !b.Direct || b.Repeat != 0 {
		t.Errorf("%+v", b)
	}
}

func TestFull(t *testing.T) {
	f := newFixture(t, func(b *config.Ban) { b.MaxBans = 3 })
	for n := range 5 {
		f.fail(number(n).String(), reason.ProtocolError, 10)
	}
	if s := f.Stats(); s.InForce.Policy != 3 || s.Full != 2 {
		t.Errorf("%+v", s)
	}
	f.byHand("192.0.2.1/32", 0) // a person still can
	f.want("192.0.2.1", true)
	f.pass(10 * time.Minute)
	f.fail(number(9).String(), reason.ProtocolError, 10)
	f.want(number(9).String(), true)
	if !strings.Contains(f.log.String(), "ban not made") {
		t.Errorf("log: %s", &f.log)
	}
}

func TestLogIsBounded(t *testing.T) {
	f := newFixture(t, nil)
	for n := range linesPerSecond + 50 {
		f.fail(number(n).String(), reason.ProtocolError, 10)
	}
	if got := strings.Count(f.log.String(), "msg=banned"); got != linesPerSecond {
		t.Errorf("%d bans logged, want %d", got, linesPerSecond)
	}
	f.pass(time.Second)
	f.fail("192.0.2.1", reason.ProtocolError, 10)
	if !strings.Contains(f.log.String(), "number=50") || !strings.Contains(f.log.String(), "prefix=192.0.2.1/32") {
		t.Errorf("log: %s", f.log.String()[max(0, f.log.Len()-500):])
	}
}

func collect(k *Keeper) []Ban {
	var list []Ban
	for b := range k.All() {
		list = append(list, b)
	}
	return list
}
