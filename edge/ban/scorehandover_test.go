package ban

import (
	"encoding/json"
	"net/netip"
	"testing"
	"time"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/reason"
)

// tellScores is what one process tells the other, as it travels.
func tellScores(t testing.TB, from, to *Keeper) int {
	t.Helper()
	text, err := json.Marshal(from.TakeScores())
	if err != nil {
		t.Fatal(err)
	}
	var got Scores
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if err := to.AddScores(got); err != nil {
		t.Fatal(err)
	}
	return len(got.List)
}

// successorOf opens a keeper as another process would, with its clock.
func successorOf(f *fixture, change func(*config.Ban)) *fixture {
	f.t.Helper()
	next := &fixture{t: f.t, now: f.now, cfg: f.cfg, dir: f.t.TempDir()}
	if change != nil {
		change(&next.cfg)
	}
	next.open()
	return next
}

// Failures count on in the successor, for as long as they would have.
func TestScoresAreHandedOver(t *testing.T) {
	f := newFixture(t, nil)
	f.fail("203.0.113.1", reason.ClientCertMissing, 9)
	f.fail("2001:db8::1", reason.ClientCertMissing, 9)
	next := successorOf(f, nil)
	next.fail("203.0.113.2", reason.ClientCertMissing, 5)
	f.fail("203.0.113.2", reason.ClientCertMissing, 4)
	if n := tellScores(t, f.Keeper, next.Keeper); n != 3 {
		t.Errorf("%d scores told, want 3", n)
	}
	if n := tellScores(t, f.Keeper, next.Keeper); n != 0 {
		t.Errorf("%d scores told twice", n)
	}
	for _, addr := range []string{"203.0.113.1", "203.0.113.2", "2001:db8::1"} {
		next.want(addr, false)
		next.fail(addr, reason.ClientCertMissing, 1)
		next.want(addr, true)
	}
	f.fail("203.0.113.1", reason.ClientCertMissing, 1)
	f.want("203.0.113.1", false) // told, and forgotten here
}

// A failure is as old in the successor as it was.
func TestScoresKeepTheirAge(t *testing.T) {
	f := newFixture(t, nil)
	f.fail("203.0.113.1", reason.ClientCertMissing, 9)
	f.pass(f.cfg.Within.Std() / 2)
	next := successorOf(f, nil)
	tellScores(t, f.Keeper, next.Keeper)
	next.pass(f.cfg.Within.Std()/2 + f.cfg.Within.Std()/4) // as a whole more than a score lasts
	next.fail("203.0.113.1", reason.ClientCertMissing, 1)
	next.want("203.0.113.1", false)
}

// Who has credit must not be banned for lack of it.
func TestCreditIsHandedOver(t *testing.T) {
	f := newFixture(t, func(c *config.Ban) { c.SuccessCredit = 5000 })
	f.succeed("203.0.113.1", 1)
	f.succeed("203.0.113.1", 2)
	f.fail("203.0.113.1", reason.ClientCertMissing, 18)
	f.want("203.0.113.1", false)
	next := successorOf(f, nil)
	tellScores(t, f.Keeper, next.Keeper)
	next.fail("203.0.113.1", reason.ClientCertMissing, 1)
	next.want("203.0.113.1", false)
	next.fail("203.0.113.1", reason.ClientCertMissing, 1)
	next.want("203.0.113.1", true)
}

// What counts otherwise in the successor, or not at all, is left out.
func TestScoresOfAnotherConfiguration(t *testing.T) {
	for name, change := range map[string]func(*config.Ban){
		"within": func(c *config.Ban) { c.Within *= 2 },
		"exempt": func(c *config.Ban) {
			c.Exempt = append(c.Exempt, config.Network(netip.MustParsePrefix("203.0.113.0/24")))
		},
	} {
		f := newFixture(t, nil)
		f.fail("203.0.113.1", reason.ClientCertMissing, 9)
		next := successorOf(f, change)
		tellScores(t, f.Keeper, next.Keeper)
		next.fail("203.0.113.1", reason.ClientCertMissing, 1)
		if next.isBanned("203.0.113.1") || next.Stats().Addresses > 1 {
			t.Errorf("%s: taken over", name)
		}
	}
	f := newFixture(t, nil)
	f.fail("203.0.113.1", reason.ClientCertMissing, 9)
	next := successorOf(f, nil)
	next.byHand("203.0.113.1/32", time.Hour)
	tellScores(t, f.Keeper, next.Keeper)
	if n := next.Stats().Addresses; n != 0 {
		t.Errorf("%d scores of the banned taken over", n)
	}
}

// The highest come first, and no more than there is room for on the way.
func TestScoresHandedOverAreBounded(t *testing.T) {
	f := newFixture(t, nil)
	for n := range mostScores + 500 {
		f.fail(number(n).String(), reason.ClientCertMissing, 1+n%2)
	}
	told := f.TakeScores()
	if len(told.List) != mostScores {
		t.Fatalf("%d told, want %d", len(told.List), mostScores)
	}
	for i, one := range told.List[:5000] {
		if one.Failed[0] != 2000 {
			t.Fatalf("score %d is %v", i, one.Failed)
		}
	}
}

func TestMalformedScores(t *testing.T) {
	f := newFixture(t, nil)
	slot := time.Duration(f.settings.Load().slot)
	for _, bad := range []Score{{}, {Prefix: netip.MustParsePrefix("203.0.113.1/32"), Failed: make([]uint32, slotsKept+1)}} {
		if err := f.AddScores(Scores{Slot: slot, List: []Score{bad}}); err == nil {
			t.Errorf("%v: taken", bad)
		}
	}
	whole := Score{Prefix: netip.MustParsePrefix("203.0.113.1/32"), Failed: []uint32{1<<32 - 1, 1<<32 - 1}}
	for range 2 {
		if err := f.AddScores(Scores{Slot: slot, List: []Score{whole, {Prefix: netip.MustParsePrefix("203.0.113.0/24")}}}); err != nil {
			t.Error(err)
		}
	}
	f.want("203.0.113.1", false)
	f.fail("203.0.113.1", reason.ClientCertMissing, 1)
	f.want("203.0.113.1", true)
}
