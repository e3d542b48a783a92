package ban

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/edge/reason"
)

// filled is a Keeper with so many bans of addresses.
func filled(b testing.TB, bans int) *fixture {
	f := newFixture(b, nil)
	f.clock.now, f.clock.base = time.Now, time.Now()
	f.mu.Lock()
	for n := range bans {
		now := f.clock.instant()
		f.put(&entry{key: f.unitOf(number(n)), since: now.ns, until: now.ns + int64(time.Hour), by: ByPolicy, code: reason.ProtocolError, score: 10000, flags: direct})
	}
	f.unlock()
	return f
}

func BenchmarkBanned(b *testing.B) {
	for _, bans := range []int{0, 1_000_000} {
		f := filled(b, bans)
		for _, asked := range []struct {
			name string
			base int
		}{{"miss", 1 << 28}, {"hit", 0}} {
			if bans == 0 && asked.name == "hit" {
				continue
			}
			b.Run(fmt.Sprintf("bans=%d/%s", bans, asked.name), func(b *testing.B) {
				b.ReportAllocs()
				var seed atomic.Uint64
				b.RunParallel(func(pb *testing.PB) {
					random := rand.New(rand.NewPCG(seed.Add(1), 1))
					for pb.Next() {
						f.Keeper.Banned(number(asked.base + random.IntN(1_000_000)))
					}
				})
			})
		}
	}
}

// TestBannedDoesNotAllocate is for every request.
func TestBannedDoesNotAllocate(t *testing.T) {
	f := filled(t, 1000)
	f.byHand("2001:db8::/32", 0)
	hit, miss, network := number(1), netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	got := testing.AllocsPerRun(1000, func() {
		_, a := f.Keeper.Banned(hit)
		_, b := f.Keeper.Banned(miss)
		_, c := f.Keeper.Banned(network)
		if !a || b || !c {
			t.Error("wrong answer")
		}
	})
	if got != 0 {
		t.Errorf("%v allocations", got)
	}
}

func BenchmarkObserve(b *testing.B) {
	for _, what := range []struct {
		name string
		o    Observation
	}{
		{"failure", Observation{Direct: true, Code: reason.ClientCertExpired, Verified: true}},
		{"success", Observation{Direct: true, Code: reason.Success, Certificate: [32]byte{1}}},
	} {
		b.Run(what.name, func(b *testing.B) {
			f := filled(b, 0)
			b.ReportAllocs()
			var seed atomic.Uint64
			b.RunParallel(func(pb *testing.PB) {
				random, o := rand.New(rand.NewPCG(seed.Add(1), 1)), what.o
				for pb.Next() {
					o.Addr = number(random.IntN(1_000_000))
					f.Observe(o)
				}
			})
		})
	}
}

// BenchmarkMake is the whole way to a new ban.
func BenchmarkMake(b *testing.B) {
	f := filled(b, 0)
	f.most = 1 << 30
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		f.fail(number(n).String(), reason.ProtocolError, 10)
		n++
	}
}

func BenchmarkSave(b *testing.B) {
	f := filled(b, 1_000_000)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := f.save(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLoad(b *testing.B) {
	f := filled(b, 1_000_000)
	if _, err := f.save(); err != nil {
		b.Fatal(err)
	}
	f.now = time.Now()
	b.ReportAllocs()
	for b.Loop() {
		f.open()
	}
	if f.tally.policy != 1_000_000 {
		b.Fatalf("%d loaded", f.tally.policy)
	}
}

func BenchmarkAll(b *testing.B) {
	f := filled(b, 1_000_000)
	for b.Loop() {
		n := 0
		for range f.All() {
			n++
		}
		if n != 1_000_000 {
			b.Fatal(n)
		}
	}
}
