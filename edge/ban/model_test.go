package ban

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/reason"
)

// model is the policy in its plainest form: it remembers everything that ever
// happened, and looks at all of it each time.
type model struct {
	cfg    config.Ban
	events map[netip.Addr][]event
	bans   map[netip.Addr][]span
}

type event struct {
	at          time.Time
	weight      int  // thousandths, of a failure
	certificate byte // of a success, +1
}

type span struct{ from, to time.Time }

// observe returns whether the address is banned afterwards, and until when.
func (m *model) observe(at time.Time, addr netip.Addr, weight int, certificate byte) (bool, time.Time) {
	bans := m.bans[addr]
	if n := len(bans); n > 0 && at.Before(bans[n-1].to) {
		return true, bans[n-1].to
	}
	m.events[addr] = append(m.events[addr], event{at, weight, certificate})
	if weight == 0 {
		return false, time.Time{}
	}
	since := time.Time{}
	if n := len(bans); n > 0 {
		since = bans[n-1].from
	}
	slot := func(t time.Time) int64 { return t.UnixNano() / (int64(m.cfg.Within) / 8) }
	hour := func(t time.Time) int64 { return t.UnixNano() / int64(time.Hour) }
	sum, seen := 0, map[byte]bool{}
	for _, e := range m.events[addr] {
		if e.at.After(since) && slot(at)-slot(e.at) <= 8 {
			sum += e.weight
		}
		if e.certificate != 0 && hour(at)-hour(e.at) <= 1 {
			seen[e.certificate] = true
		}
	}
	if sum < m.cfg.Failures*1000+int(m.cfg.SuccessCredit)*len(seen) {
		return false, time.Time{}
	}
	// Each ban counts the one before if that is remembered.
	repeat := 0
	for i := len(bans) - 1; i >= 0; i-- {
		begins := at
		if i+1 < len(bans) {
			begins = bans[i+1].from
		}
		if begins.Sub(bans[i].to) >= m.cfg.Remember.Std() {
			break
		}
		repeat++
	}
	d := m.cfg.For.Std() << min(repeat, 20)
	until := at.Add(min(d, m.cfg.AtMost.Std()))
	m.bans[addr] = append(bans, span{at, until})
	return true, until
}

// TestModel holds the Keeper to the model, over long stretches of random life.
func TestModel(t *testing.T) {
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 1))
		f := newFixture(t, func(b *config.Ban) {
			b.Failures = 1 + random.IntN(12)
			b.Within = config.Duration(8 * time.Duration(1+random.IntN(10)) * time.Second)
			b.For = config.Duration(time.Duration(1+random.IntN(100)) * time.Second)
			b.AtMost = b.For * config.Duration(1+random.IntN(10))
			b.Remember = config.Duration(time.Duration(random.IntN(600)) * time.Second)
			b.SuccessCredit = config.Weight(random.IntN(3) * 700)
		})
		m := &model{cfg: f.cfg, events: map[netip.Addr][]event{}, bans: map[netip.Addr][]span{}}
		for step := range 3000 {
			if random.IntN(100) == 0 {
				f.pass(time.Duration(random.Int64N(int64(3 * time.Hour))))
			} else {
				f.pass(time.Duration(random.Int64N(int64(2 * time.Second))))
			}
			addr := netip.AddrFrom4([4]byte{192, 0, 2, byte(random.IntN(3))})
			o := Observation{Addr: addr, Direct: true}
			weight, certificate := 0, byte(0)
			switch random.IntN(4) {
			case 0:
				o.Code, weight = reason.ClientCertMissing, 1000
			case 1:
				o.Code, o.Verified, weight = reason.ClientCertExpired, true, 100
			case 2:
				o.Code, o.Verified, weight = reason.ClientCertExpired, false, 1000
			default:
				certificate = byte(1 + random.IntN(5))
				o.Code, o.Certificate = reason.Success, [32]byte{certificate, 9}
			}
			f.Observe(o)
			banned, until := m.observe(f.now, addr, weight, certificate)
			b, got := f.Banned(addr)
			if got != banned || !b.Until.Equal(until) {
				t.Fatalf("seed %d, step %d, %s: banned %t until %v, want %t until %v", seed, step, addr, got, b.Until, banned, until)
			}
		}
	}
}

// TestFailuresWithin is what the documentation promises, whatever the slots: so
// many failures within the time ban, and fewer in any time an eighth longer do
// not.
func TestFailuresWithin(t *testing.T) {
	const failures, within = 5, 30 * time.Second
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 2))
		f := newFixture(t, func(b *config.Ban) { b.Failures = failures })
		var times []time.Time
		for !f.isBanned("192.0.2.1") && len(times) < 200 {
			f.pass(time.Duration(random.Int64N(int64(within) / 3)))
			times = append(times, f.now)
			f.fail("192.0.2.1", reason.ProtocolError, 1)
		}
		for i := failures - 1; i < len(times); i++ {
			took, last := times[i].Sub(times[i-failures+1]), i == len(times)-1
			banned := last && f.isBanned("192.0.2.1")
			if took <= within && !banned {
				t.Fatalf("seed %d: %d failures within %v did not ban", seed, failures, took)
			}
			if banned && took > within*9/8 {
				t.Fatalf("seed %d: %d failures within %v did", seed, failures, took)
			}
		}
	}
}
