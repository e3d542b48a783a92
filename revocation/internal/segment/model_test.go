package segment

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
)

// model is what a segment has to answer.
type model struct {
	entries map[string]Entry
	added   int
	builder *Builder
}

// worse is the Worse of the tests: the higher reason, then the later time.
func worse(a, b Entry) bool {
	return a.Reason > b.Reason || a.Reason == b.Reason && a.At > b.At
}

func newModel(o Options) *model {
	o.Worse = worse
	return &model{entries: make(map[string]Entry), builder: NewBuilder(o)}
}

func (m *model) add(t testing.TB, serial []byte, e Entry) {
	t.Helper()
	if err := m.builder.Add(serial, e); err != nil {
		t.Fatal(err)
	}
	if old, ok := m.entries[string(serial)]; !ok || worse(e, old) {
		m.entries[string(serial)] = e
	}
	m.added++
}

func (m *model) build(t testing.TB) *Segment {
	t.Helper()
	s, err := m.builder.Build([]byte("head"), "list")
	if err != nil {
		t.Fatal(err)
	}
	st := s.Stats()
	if st.Entries != m.added || st.Distinct != len(m.entries) {
		t.Fatalf("%d entries and %d distinct, want %d and %d", st.Entries, st.Distinct, m.added, len(m.entries))
	}
	return s
}

// ask compares one answer with the truth.
func (m *model) ask(t testing.TB, s *Segment, serial []byte) {
	t.Helper()
	if err := m.wrong(s, serial); err != nil {
		t.Fatal(err)
	}
}

func (m *model) wrong(s *Segment, serial []byte) error {
	got, found, err := s.Find(serial)
	want, listed := m.entries[string(serial)]
	if err != nil || found != listed || got != want {
		return fmt.Errorf("%s of %d octets: %v, %v, %v; want %v, %v", hex.EncodeToString(serial[:min(len(serial), 40)]), len(serial), got, found, err, want, listed)
	}
	return nil
}

func (m *model) askAll(t testing.TB, s *Segment) {
	t.Helper()
	for serial := range m.entries {
		m.ask(t, s, []byte(serial))
	}
	seen := make(map[string]bool, len(m.entries))
	err := s.Each(func(serial []byte, e Entry) bool {
		want, listed := m.entries[string(serial)]
		if !listed || e != want || seen[string(serial)] {
			t.Errorf("serial %x: yielded %+v, want %+v once (listed: %v)", serial, e, want, listed)
		}
		seen[string(serial)] = true
		return !t.Failed()
	})
	if err != nil || !t.Failed() && len(seen) != len(m.entries) {
		t.Fatalf("yielded %d of %d serials: %v", len(seen), len(m.entries), err)
	}
}

// privateDir is a directory that no one else may write to, whatever the umask.
func privateDir(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

// seeded returns a source of random numbers, and logs how to have them again.
func seeded(t testing.TB) *rand.Rand {
	t.Helper()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// oddSerials differ in ways that a table might overlook: sign, leading octets,
// and length.
var oddSerials = func() [][]byte {
	all := [][]byte{
		{0x00}, {0x00, 0x00}, {0x01}, {0x00, 0x01}, {0x00, 0x00, 0x00, 0x01}, {0xff}, {0xff, 0xff}, {0x00, 0xff},
		{0x7f}, {0x80}, {0x00, 0x80}, {0xff, 0x7f}, {0xff, 0x80}, {0x81}, {0x01, 0x00}, {0xff, 0x00},
	}
	for _, size := range []int{7, 8, 9, 15, 16, 17, 19, 20, 21, 22, 31, 32, 33, 4096, MaxSerial - 1, MaxSerial} {
		for _, first := range []byte{0x00, 0x01, 0x7f, 0x80, 0xfe, 0xff} {
			for _, second := range []byte{0x00, 0x7f, 0x80, 0xff} {
				for _, last := range []byte{0x00, 0xff} {
					serial := make([]byte, size)
					serial[0], serial[1], serial[size-1] = first, second, last
					all = append(all, serial)
				}
			}
		}
	}
	return all
}()

// randomSerial is of a length and shape that serials have, or should not have.
func randomSerial(r *rand.Rand) []byte {
	if r.IntN(4) == 0 {
		return oddSerials[r.IntN(64)] // not the longest
	}
	size := []int{1, 2, 3, 8, 9, 15, 16, 16, 16, 16, 17, 18, 19, 20, 20, 21, 40, 200}[r.IntN(18)]
	serial := make([]byte, size)
	for i := range serial {
		serial[i] = byte(r.Uint32())
	}
	return serial
}

func randomEntry(r *rand.Rand) Entry {
	return Entry{At: 1_700_000_000 + r.Int64N(1e8), Reason: uint8(r.IntN(16))}
}

// near changes a serial a little.
func near(r *rand.Rand, serial []byte) []byte {
	changed := append([]byte(nil), serial...)
	switch r.IntN(6) {
	case 0:
		return append([]byte{0x00}, changed...)
	case 1:
		return append([]byte{0xff}, changed...)
	case 2:
		return append(changed, 0)
	case 3:
		return changed[1:]
	case 4:
		return changed[:len(changed)-1]
	}
	changed[r.IntN(len(changed))] ^= 1 << r.IntN(8)
	return changed
}

// TestModel compares a million random additions and answers with a map.
func TestModel(t *testing.T) {
	r := seeded(t)
	rounds := 60
	if testing.Short() {
		rounds = 10
	}
	for round := range rounds {
		o := Options{}
		if round%2 == 1 {
			o.Dir = privateDir(t)
		}
		if round%5 == 0 {
			o.BitsPerEntry = 0.1
		}
		m := newModel(o)
		var serials [][]byte
		for range []int{0, 1, 3, 100, 2_000, 18_000}[r.IntN(6)] {
			serial := randomSerial(r)
			if len(serials) > 0 && r.IntN(10) == 0 {
				serial = serials[r.IntN(len(serials))]
			}
			m.add(t, serial, randomEntry(r))
			serials = append(serials, serial)
		}
		s := m.build(t)
		m.askAll(t, s)
		for range 6_000 {
			serial := randomSerial(r)
			m.ask(t, s, serial)
			m.ask(t, s, near(r, serial))
			if len(serials) > 0 {
				m.ask(t, s, near(r, serials[r.IntN(len(serials))]))
			}
		}
		if err := s.Verify(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestOddSerials adds half of the odd serials and asks for all, so that each is
// asked for among its likes both listed and not.
func TestOddSerials(t *testing.T) {
	for name, o := range map[string]Options{"memory": {}, "file": {Dir: privateDir(t)}, "poor filter": {BitsPerEntry: 0.1}} {
		for part := range 3 {
			t.Run(fmt.Sprint(name, " ", part), func(t *testing.T) {
				m := newModel(o)
				for i, serial := range oddSerials {
					if part == 2 || i%2 == part {
						m.add(t, serial, Entry{At: int64(i), Reason: uint8(i % 16)})
					}
				}
				s := m.build(t)
				for _, serial := range oddSerials {
					m.ask(t, s, serial)
				}
				m.askAll(t, s)
				m.ask(t, s, nil)
				m.ask(t, s, make([]byte, MaxSerial+1))
			})
		}
	}
}

// TestPoorFilter has the filter pass nearly everything: the table decides.
func TestPoorFilter(t *testing.T) {
	r := seeded(t)
	m := newModel(Options{BitsPerEntry: 0.1})
	for range 20_000 {
		m.add(t, randomSerial(r), randomEntry(r))
	}
	s := m.build(t)
	missed := uint64(0)
	for range 10_000 {
		serial := randomSerial(r)
		if _, listed := m.entries[string(serial)]; !listed {
			missed++
		}
		m.ask(t, s, serial)
	}
	st := s.Stats()
	if st.FalsePositiveRate < 0.99 || st.FalsePositives != missed {
		t.Errorf("rate %v, %d false positives: want 1 and %d", st.FalsePositiveRate, st.FalsePositives, missed)
	}
}

func TestFindDoesNotAllocate(t *testing.T) {
	r := seeded(t)
	for name, o := range map[string]Options{"memory": {}, "file": {Dir: privateDir(t)}} {
		m := newModel(o)
		for _, serial := range oddSerials {
			m.add(t, serial, randomEntry(r))
		}
		s := m.build(t)
		serials := append([][]byte{{2}, make([]byte, 300)}, oddSerials...)
		if n := testing.AllocsPerRun(10, func() {
			for _, serial := range serials {
				if _, _, err := s.Find(serial); err != nil {
					t.Fatal(err)
				}
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
