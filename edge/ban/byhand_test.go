package ban

import (
	"encoding/json"
	"errors"
	"io/fs"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/reason"
)

func TestBanByHand(t *testing.T) {
	f := newFixture(t, nil)
	b, err := f.Ban(netip.MustParsePrefix("::ffff:192.0.2.77/120"), time.Hour, "scans Müller's ports", "ops@example.com")
	if err != nil {
		t.Fatal(err)
	}
	want := Ban{
		Prefix: netip.MustParsePrefix("192.0.2.0/24"), Since: f.now, Until: f.now.Add(time.Hour),
		Why: "scans Müller's ports", By: "ops@example.com", Direct: true,
	}
	if b != want || f.wantBan("192.0.2.200") != want || len(f.banned) != 1 || f.banned[0] != want {
		t.Errorf("got %+v\ntold %+v\nwant %+v", b, f.banned, want)
	}
	f.byHand("192.0.2.0/24", 0) // takes its place
	f.pass(1000 * 24 * time.Hour)
	if b := f.wantBan("192.0.2.200"); !b.Until.IsZero() || b.Why != "" {
		t.Errorf("%+v", b)
	}
	f.byHand("2001:db8::7/128", time.Minute) // one address of a /64
	f.want("2001:db8::7", true)
	f.want("2001:db8::8", false)
	f.pass(time.Minute)
	f.want("2001:db8::7", false)
	if s := f.Stats(); s.InForce.Hand != 1 || s.Remembered != 0 || s.Made.Hand != 3 || s.Expired.Hand != 1 {
		t.Errorf("%+v", s)
	}
}

func TestBanAsJSON(t *testing.T) {
	f := newFixture(t, nil)
	f.fail("2001:db8::1", reason.ProtocolError, 10)
	for want, b := range map[string]Ban{
		`{"prefix":"2001:db8::/64","since":"2025-11-21T04:27:13.123456789Z","until":"2025-11-21T04:37:13.123456789Z","reason":"ProtocolError","by":"policy","score":10,"direct":true}`: f.wantBan("2001:db8::1"),
		`{"prefix":"192.0.2.0/24","since":"2025-11-21T04:27:13.123456789Z","by":"admin","direct":true}`:                                                                                f.byHand("192.0.2.0/24", 0),
	} {
		text, err := json.Marshal(b)
		if err != nil || string(text) != want {
			t.Errorf("got  %s %v\nwant %s", text, err, want)
		}
		var back Ban
		if err := json.Unmarshal(text, &back); err != nil || back != b {
			t.Errorf("back it is %+v, %v", back, err)
		}
	}
}

func TestBanByHandRefused(t *testing.T) {
	f := newFixture(t, func(b *config.Ban) { b.Exempt = []config.Network{config.Network(netip.MustParsePrefix("10.0.0.0/8"))} })
	good := netip.MustParsePrefix("192.0.2.1/32")
	for _, test := range []struct {
		p       netip.Prefix
		d       time.Duration
		why, by string
		want    string
	}{
		{netip.Prefix{}, 0, "", ByAdmin, "want a network such as"},
		{good, -1, "", ByAdmin, "-1ns: want a time of at most 36500 days"},
		{good, longest + 1, "", ByAdmin, "want a time of at most"},
		{good, 0, "two\nlines", ByAdmin, `why "two\nlines": want at most 256 bytes of text in one line`},
		{good, 0, strings.Repeat("x", 257), ByAdmin, "want at most 256 bytes"},
		{good, 0, "\xff", ByAdmin, `why "\xff"`},
		{good, 0, "", "", `by "": want who says so`},
		{good, 0, "", ByPolicy, `by "policy": want who says so`},
		{netip.MustParsePrefix("10.1.0.0/16"), 0, "", ByAdmin, "ban 10.1.0.0/16: it is exempt, as 10.0.0.0/8 is"},
		{netip.MustParsePrefix("::1/128"), 0, "", ByAdmin, "as ::1/128 is"},
	} {
		if _, err := f.Ban(test.p, test.d, test.why, test.by); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v for %v: got %v, want %s", test.p, test.d, err, test.want)
		}
	}
	if _, err := f.Ban(netip.MustParsePrefix("10.0.0.1/32"), 0, "", ByAdmin); !errors.Is(err, ErrExempt) {
		t.Errorf("got %v", err)
	}
	f.cfg.Mode = config.BanOff
	f.Reconfigure(f.cfg, nil)
	if _, err := f.Ban(good, 0, "", ByAdmin); !errors.Is(err, ErrOff) {
		t.Errorf("got %v", err)
	}
	if len(collect(f.Keeper)) != 0 {
		t.Error("something is banned")
	}
}

func TestHandRoomIsBounded(t *testing.T) {
	f := newFixture(t, func(b *config.Ban) { b.MaxBans = 1 })
	f.path = "" // saving ten thousand times takes a while
	for n := range 1 + handRoom {
		f.byHand(netip.PrefixFrom(number(n), 32).String(), 0)
	}
	if _, err := f.Ban(netip.MustParsePrefix("192.0.2.1/32"), 0, "", ByAdmin); !errors.Is(err, ErrFull) {
		t.Errorf("got %v", err)
	}
	f.byHand(netip.PrefixFrom(number(0), 32).String(), time.Hour) // no new one
}

func TestUnban(t *testing.T) {
	f := newFixture(t, nil)
	unban := func(p string, want int) {
		t.Helper()
		if n, err := f.Unban(netip.MustParsePrefix(p)); err != nil || n != want {
			t.Errorf("lifted %d of %s, want %d: %v", n, p, want, err)
		}
	}
	f.fail("192.0.2.1", reason.ProtocolError, 10)
	unban("192.0.2.1/32", 1)
	f.want("192.0.2.1", false)
	unban("192.0.2.1/32", 0)
	f.fail("192.0.2.1", reason.ProtocolError, 9)
	unban("192.0.2.1/32", 0) // and the score with it
	f.fail("192.0.2.1", reason.ProtocolError, 9)
	f.want("192.0.2.1", false)
	f.fail("192.0.2.1", reason.ProtocolError, 1)
	if b := f.wantBan("192.0.2.1"); b.Repeat != 0 {
		t.Errorf("%+v", b)
	}

	f.byHand("192.0.2.0/24", 0)
	f.byHand("192.0.2.128/25", 0)
	f.byHand("192.0.3.0/24", 0)
	unban("192.0.2.7/32", 0)
	f.want("192.0.2.7", true) // by the /24
	unban("192.0.2.0/24", 3)
	f.want("192.0.2.1", false)
	f.want("192.0.3.1", true)

	f.fail("2001:db8::1", reason.ProtocolError, 10)
	unban("2001:db8::2/128", 1) // the same /64
	f.byHand("2001:db8::2/128", 0)
	unban("2001:db8::2/128", 1)
	f.byHand("2001:db8::/32", 0)
	unban("0.0.0.0/0", 1) // the 192.0.3.0/24
	f.want("2001:db8::1", true)
	unban("::/0", 1)
	f.want("2001:db8::1", false)
	if _, err := f.Unban(netip.Prefix{}); err == nil {
		t.Error("lifted no network")
	}
	if list := collect(f.Keeper); len(list) != 0 {
		t.Errorf("left: %v", list)
	}
}

// TestByHandIsSavedBeforeTheAnswer has no Run: a crash comes right behind it.
func TestByHandIsSavedBeforeTheAnswer(t *testing.T) {
	f := newFixture(t, nil)
	f.byHand("192.0.2.1/32", 0)
	f.byHand("192.0.2.2/32", 0)
	f.open()
	f.want("192.0.2.1", true)
	f.want("192.0.2.2", true)
	if n, err := f.Unban(netip.MustParsePrefix("192.0.2.1/32")); n != 1 || err != nil {
		t.Errorf("lifted %d: %v", n, err)
	}
	f.open()
	f.want("192.0.2.1", false)
	f.want("192.0.2.2", true)
}

func TestByHandUnsaved(t *testing.T) {
	f := newFixture(t, nil)
	good := f.path
	f.path = filepath.Join(f.dir, "gone", FileName)
	p := netip.MustParsePrefix("192.0.2.1/32")
	if b, err := f.Ban(p, 0, "", ByAdmin); !errors.Is(err, ErrUnsaved) || !errors.Is(err, fs.ErrNotExist) || b.Prefix != p || len(f.banned) != 1 {
		t.Errorf("got %+v, %v", b, err)
	}
	f.want("192.0.2.1", true)
	for range 2 { // the second is to save it after all
		if n, err := f.Unban(p); n != 1 || !errors.Is(err, ErrUnsaved) {
			t.Errorf("lifted %d: %v", n, err)
		}
	}
	f.want("192.0.2.1", false)
	if n, err := f.Unban(netip.MustParsePrefix("192.0.2.2/32")); n != 0 || !errors.Is(err, ErrUnsaved) {
		t.Errorf("lifted %d that were never made: %v", n, err)
	}
	f.path = good
	for _, want := range []int{1, 0} { // it is answered for once
		if n, err := f.Unban(p); n != want || err != nil || f.unsaved() {
			t.Errorf("lifted %d, want %d, unsaved %t: %v", n, want, f.unsaved(), err)
		}
	}
	if n, err := f.Unban(netip.MustParsePrefix("192.0.2.2/32")); n != 0 || err != nil {
		t.Errorf("lifted %d that were never made: %v", n, err)
	}
	f.open()
	f.want("192.0.2.1", false)
}

// TestUnbanSavedByRun: what the next save has put right is answered for, too.
func TestUnbanSavedByRun(t *testing.T) {
	f := newFixture(t, nil)
	f.byHand("192.0.2.0/24", 0)
	p := netip.MustParsePrefix("192.0.2.0/24")
	good := f.path
	f.path = filepath.Join(f.dir, "gone", FileName)
	f.recent.follow("")
	if n, err := f.Unban(p); n != 1 || !errors.Is(err, ErrUnsaved) {
		t.Errorf("lifted %d: %v", n, err)
	}
	f.path = good
	saveNow(t, f)
	if n, err := f.Unban(p); n != 1 || err != nil {
		t.Errorf("lifted %d: %v", n, err)
	}
}
