package truststore

import (
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/reason"
	"github.com/sallyport/sallyport/loadtest/pki"
)

// TestAgesAreAnnounced tells once of each part of a list's time, and nothing of a
// list that a newer one stands in for.
func TestAgesAreAnnounced(t *testing.T) {
	a := root()
	f := newFixture(t, a)
	this := time.Now().Add(-time.Hour).Truncate(time.Second)
	dated := func(n int64, this time.Time) []byte {
		return crl(a, number(n), pki.ThisUpdate(this), pki.NextUpdate(this.Add(10*time.Hour)))
	}
	f.crl("a.crl", dated(1, this))
	f.crl("old.crl", dated(0, this.Add(-5*time.Hour)))
	s := f.open()
	at := func(d time.Duration) string {
		before := len(f.log.String())
		s.announce(this.Add(d))
		s.announce(this.Add(d))
		return f.log.String()[before:]
	}
	for _, tt := range []struct {
		after time.Duration
		want  string // "" for nothing
	}{
		{4 * time.Hour, ""}, {5 * time.Hour, "used up half"}, {7 * time.Hour, ""}, {8 * time.Hour, "used up four fifths"},
		{9 * time.Hour, ""}, {10 * time.Hour, "has expired"}, {100 * time.Hour, ""},
	} {
		said := at(tt.after)
		if tt.want == "" && said != "" || tt.want != "" && (strings.Count(said, "\n") != 1 || !strings.Contains(said, tt.want)) {
			t.Errorf("after %s: %q, want %q", tt.after, said, tt.want)
		}
	}
	f.crl("a.crl", dated(2, this.Add(30*time.Minute)))
	if err := s.Reload(); err != nil {
		t.Fatal(err)
	}
	if said := at(4 * time.Hour); said != "" {
		t.Errorf("of a fresh one: %q", said)
	}
	if said := at(9 * time.Hour); !strings.Contains(said, "four fifths") || strings.Contains(said, "half") {
		t.Errorf("of one that was not looked at in time: %q", said)
	}
}

func TestUsedUp(t *testing.T) {
	now := time.Now()
	for _, tt := range []struct {
		this, next time.Duration
		want       int
	}{{-time.Hour, time.Hour, 50}, {time.Hour, 2 * time.Hour, 0}, {-time.Hour, -time.Hour, 100}, {-2 * time.Hour, -time.Hour, 200}, {-time.Second, time.Hour * 1000, 0}} {
		if got := usedUp(now.Add(tt.this), now.Add(tt.next), now); got != tt.want {
			t.Errorf("from %s to %s: %d %%, want %d", tt.this, tt.next, got, tt.want)
		}
	}
	if got := usedUp(now.Add(-time.Hour), time.Time{}, now); got != 100 {
		t.Errorf("without nextUpdate: %d %%", got)
	}
}

func TestShrinkingIsTold(t *testing.T) {
	a := root()
	f := newFixture(t, a)
	sized := func(n int64, entries int) []byte {
		list := make([]pki.Entry, entries)
		for i := range list {
			list[i].Serial = big.NewInt(int64(i + 1))
		}
		return crl(a, number(n), pki.RevokeEntries(list...))
	}
	f.crl("a.crl", sized(1, 100))
	s := f.open()
	for n, tt := range []struct {
		entries int
		told    uint64
	}{{80, 0}, {63, 1}, {63, 1}, {10, 2}, {2, 2}, {90, 2}} {
		f.crl("a.crl", sized(int64(n+2), tt.entries))
		if err := s.Reload(); err != nil {
			t.Fatal(err)
		}
		if got := s.Status().Shrunk; got != tt.told {
			t.Errorf("to %d entries: told %d times, want %d", tt.entries, got, tt.told)
		}
	}
	if !strings.Contains(f.log.String(), "CRL has shrunk") || !strings.Contains(f.log.String(), "entries_before=63 entries=10") {
		t.Errorf("log: %s", f.log.String())
	}
}

// TestOpenIsTold lets clients in on an expired list: that is said, and not for
// each of them.
func TestOpenIsTold(t *testing.T) {
	a := root()
	f := newFixture(t, a)
	now := time.Now()
	f.now = now
	f.cfg.Revocation.OnExpiredCRL.Then = config.ThenAllow
	f.crl("a.crl", crl(a, pki.ThisUpdate(now.Add(-2*time.Hour)), pki.NextUpdate(now.Add(-time.Hour))))
	s := f.open()
	leaf := chainOf(t, issue(a))
	for range 5 {
		_, err := s.Verify(leaf, alb, now)
		wantCode(t, err, reason.Success)
	}
	f.now = now.Add(2 * openLogEvery)
	_, err := s.Verify(leaf, alb, now)
	wantCode(t, err, reason.Success)
	if n := strings.Count(f.log.String(), "without an answer on their revocation"); n != 2 {
		t.Errorf("told %d times, want 2", n)
	}
	if st := s.Status(); st.ExpiredCRLAllowed != 6 || st.Unknown != 0 {
		t.Errorf("status %+v", st)
	}
	_, err = s.Verify(chainOf(t, issue(a)), alb, now)
	wantCode(t, err, reason.Success)
}

// BenchmarkSweep is the look at a hundred thousand connections of a thousand
// clients after a list has changed.
func BenchmarkSweep(b *testing.B) {
	a := root()
	f := newFixture(b, a)
	entries := func(yield func(pki.Entry) bool) {
		for i := range int64(100_000) {
			if !yield(pki.Entry{Serial: new(big.Int).Lsh(big.NewInt(i+1), 64)}) {
				return
			}
		}
	}
	f.crl("a.crl", crl(a, pki.RevokeSeq(entries)))
	s := f.open()
	now := time.Now()
	var in []*Verified
	for range 1000 {
		v, err := s.Verify(chainOf(b, issue(a, pki.ExistingKey(a.Key))), alb, now)
		if err != nil {
			b.Fatal(err)
		}
		in = append(in, v)
	}
	b.ReportAllocs()
	for b.Loop() {
		for i := range 100_000 {
			if err := s.StillAdmits(in[i%len(in)], now); err != nil {
				b.Fatal(err)
			}
		}
	}
}
