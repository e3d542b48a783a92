package segment

import (
	"math"
	"slices"
	"testing"
)

// TestFilterRate compares the rate that is computed from the bits with what
// random hashes meet, in filters of few blocks and of many: where there are
// many, the hashes of one block have many bits in common.
func TestFilterRate(t *testing.T) {
	r := seeded(t)
	for _, blocks := range []uint64{1, 17, 1 << 10, 1 << 18} {
		const perBlock = 100 // rather full, so that there is something to count
		// Of many blocks the first thousand tell as much.
		used := min(blocks, 1<<10)
		random := func() uint64 { return r.Uint64() / (blocks / used) }
		hashes := make([]uint64, used*perBlock)
		for i := range hashes {
			hashes[i] = random()
		}
		slices.Sort(hashes)
		bd := &body{align: blockSize}
		w := &filterWriter{out: bd.section(int64(blocks) * blockSize), blocks: blocks}
		m := make(memory, bd.size)
		bd.out = m
		for _, h := range hashes {
			w.add(h)
		}
		rate := w.finish() * float64(blocks/used)
		if _, err := w.out.finish(); err != nil {
			t.Fatal(err)
		}
		passes := func(h uint64) bool { return mayHold(m[place(h, blocks)*blockSize:], h) }
		for _, h := range hashes {
			if !passes(h) {
				t.Fatalf("%d blocks: %016x was added and is not there", blocks, h)
			}
		}
		const samples = 1 << 17
		passed := 0
		for range samples {
			h := random()
			if passes(h) {
				passed++
			}
		}
		// Six times the standard deviation of the count.
		if got := float64(passed) / samples; math.Abs(got-rate) > 6*math.Sqrt(rate/samples) {
			t.Errorf("%d blocks: %v pass, computed %v", blocks, got, rate)
		}
	}
}

func TestFilterSize(t *testing.T) {
	for _, tt := range []struct {
		entries int
		bits    float64
		want    uint64
	}{{0, 0, 1}, {1, 0, 1}, {42, 0, 1}, {43, 0, 2}, {10_000_000, 0, 234375}, {10_000, 0.1, 2}, {8, 64, 1}} {
		if got := blocksFor(tt.entries, tt.bits); got != tt.want {
			t.Errorf("%d entries of %v bits: %d blocks, want %d", tt.entries, tt.bits, got, tt.want)
		}
	}
}

// TestLacks holds what one look at the filter says against the whole search.
func TestLacks(t *testing.T) {
	for _, bits := range []float64{0.1, 12} {
		b := NewBuilder(Options{BitsPerEntry: bits})
		for i := range 1000 {
			if err := b.Add([]byte{byte(i >> 8), byte(i), 1}, Entry{}); err != nil {
				t.Fatal(err)
			}
		}
		s, err := b.Build(nil, "")
		if err != nil {
			t.Fatal(err)
		}
		lacking := 0
		for i := range 3000 {
			serial := []byte{byte(i >> 8), byte(i), 1}
			_, found, err := s.Find(serial)
			if err != nil {
				t.Fatal(err)
			}
			if s.Lacks(serial) {
				lacking++
				if found {
					t.Fatalf("%v bits: %x is in the segment", bits, serial)
				}
			}
		}
		if bits == 12 && lacking < 1900 {
			t.Errorf("only %d of 2000 serials are known to be lacking by the filter", lacking)
		}
		if s.Lacks(nil) || s.Lacks(make([]byte, MaxSerial+1)) {
			t.Error("no serial at all is said to be lacking")
		}
	}
}
