package ban

import (
	"hash/maphash"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
)

func newTable() *table { return &table{seed: maphash.MakeSeed()} }

func mustKey(t testing.TB, s string) key {
	t.Helper()
	p, err := normal(netip.MustParsePrefix(s))
	if err != nil {
		t.Fatal(err)
	}
	return keyOf(p)
}

func TestKeys(t *testing.T) {
	for _, test := range []struct{ prefix, normal string }{
		{"192.0.2.1/32", "192.0.2.1/32"},
		{"192.0.2.1/24", "192.0.2.0/24"},
		{"192.0.2.1/0", "0.0.0.0/0"},
		{"::ffff:192.0.2.1/128", "192.0.2.1/32"},
		{"::ffff:192.0.2.1/96", "0.0.0.0/0"},
		{"::ffff:192.0.2.1/95", "::fffe:0.0.0.0/95"},
		{"::ffff:192.0.2.1/0", "::/0"},
		{"2001:db8::1/64", "2001:db8::/64"},
		{"2001:db8::1/65", "2001:db8::/65"},
		{"2001:db8::1/128", "2001:db8::1/128"},
		{"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/127", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/127"},
	} {
		k := mustKey(t, test.prefix)
		if got := k.prefix(); got != netip.MustParsePrefix(test.normal) {
			t.Errorf("%s: %v, want %s", test.prefix, got, test.normal)
		}
		if !k.within(k) {
			t.Errorf("%s is not within itself", test.prefix)
		}
	}
	random := rand.New(rand.NewPCG(1, 1))
	for range 10000 {
		a, b := randomPrefix(random), randomPrefix(random)
		want := a.Bits() >= b.Bits() && b.Contains(a.Addr())
		if got := keyOf(a).within(keyOf(b)); got != want {
			t.Fatalf("%v within %v: %t", a, b, got)
		}
		hi, lo := words(a.Addr())
		bits := uint8(a.Bits())
		if a.Addr().Is4() {
			bits += mappedBits
		}
		if network(hi, lo, bits) != keyOf(a) {
			t.Fatalf("the network of %v is another", a)
		}
	}
}

// randomPrefix returns one of few, so that they meet.
func randomPrefix(random *rand.Rand) netip.Prefix {
	var p netip.Prefix
	if random.IntN(2) == 0 {
		p = netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(random.IntN(4)), byte(random.IntN(4))}), random.IntN(33))
	} else {
		p = netip.PrefixFrom(netip.AddrFrom16([16]byte{0x20, 1, 7: byte(random.IntN(4)), 15: byte(random.IntN(4))}), random.IntN(129))
	}
	p, _ = normal(p)
	return p
}

func TestTableIsAMap(t *testing.T) {
	random := rand.New(rand.NewPCG(2, 2))
	table, model := newTable(), map[key]*entry{}
	for step := range 200_000 {
		n := keyOf(randomPrefix(random))
		if random.IntN(3) == 0 {
			n = keyOf(netip.PrefixFrom(number(random.IntN(3000)), 32))
		}
		if removing := step/20_000%2 == 1; removing == (random.IntN(4) == 0) {
			e := &entry{key: n}
			table.put(e)
			model[n] = e
		} else {
			table.remove(n)
			delete(model, n)
		}
		if got := table.find(n); got != model[n] {
			t.Fatalf("step %d: found %v, want %v", step, got, model[n])
		}
		if step%5000 == 0 {
			check(t, table, model)
		}
	}
	for n := range model {
		table.remove(n)
	}
	check(t, table, nil)
	for i := range table.shards {
		if table.shards[i].Load() != nil {
			t.Error("an empty table keeps memory")
		}
	}
}

func check(t *testing.T, table *table, model map[key]*entry) {
	t.Helper()
	seen := map[key]*entry{}
	for e := range table.all() {
		if seen[e.key] != nil || model[e.key] != e {
			t.Fatalf("%v is in it twice, or should not be", e.key.prefix())
		}
		seen[e.key] = e
	}
	if len(seen) != len(model) {
		t.Fatalf("%d entries, want %d", len(seen), len(model))
	}
	var want lengths
	for n := range model {
		if n.is4() {
			want.v4 = append(want.v4, n.bits)
		} else {
			want.v6 = append(want.v6, n.bits)
		}
		if table.find(n) != model[n] {
			t.Fatalf("%v is not found", n.prefix())
		}
	}
	for _, list := range []*[]uint8{&want.v4, &want.v6} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
		slices.Reverse(*list)
	}
	if got := table.lengths.Load(); got != nil && (!slices.Equal(got.v4, want.v4) || !slices.Equal(got.v6, want.v6)) {
		t.Fatalf("lengths %v, want %v", got, want)
	}
}

// TestReadersBesideAWriter holds the table to never missing what stays in it,
// while everything else comes and goes and shards grow.
func TestReadersBesideAWriter(t *testing.T) {
	table := newTable()
	const staying = 500
	for n := range staying {
		table.put(&entry{key: keyOf(netip.PrefixFrom(number(n), 32))})
	}
	var done atomic.Bool
	var readers sync.WaitGroup
	for reader := range 2 {
		readers.Go(func() {
			random := rand.New(rand.NewPCG(3, uint64(reader)))
			for !done.Load() {
				n := keyOf(netip.PrefixFrom(number(random.IntN(staying)), 32))
				if e := table.find(n); e == nil || e.key != n {
					t.Errorf("%v is missing", n.prefix())
					return
				}
				seen := 0
				for e := range table.all() {
					if seen++; e == nil {
						t.Error("an entry is nil")
						return
					}
				}
				if seen < staying {
					t.Errorf("only %d entries seen", seen)
					return
				}
			}
		})
	}
	random := rand.New(rand.NewPCG(4, 4))
	for step := range 100_000 {
		n := keyOf(netip.PrefixFrom(number(staying+random.IntN(4000)), 32))
		if step/10_000%2 == 0 {
			table.put(&entry{key: n})
		} else {
			table.remove(n)
		}
		if step%10 == 0 { // and a new entry for one that stays
			table.put(&entry{key: keyOf(netip.PrefixFrom(number(random.IntN(staying)), 32))})
		}
	}
	done.Store(true)
	readers.Wait()
}
