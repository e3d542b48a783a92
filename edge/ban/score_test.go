package ban

import (
	"hash/maphash"
	"net/netip"
	"testing"
	"time"
)

// TestScoresAreBounded holds the scores to their number, and to keeping whom they
// have heard of last.
func TestScoresAreBounded(t *testing.T) {
	const places = scoreShards * scoreSets * scoreWays
	s := &scores{seed: maphash.MakeSeed()}
	fail := func(n int, now int64) uint64 {
		sum, _ := s.fail(keyOf(netip.PrefixFrom(number(n), 32)), now, 0, 1, 1<<40, 0)
		return sum
	}
	for n := range 3 * places {
		fail(n, int64(n+1))
		if n%1000 == 0 { // keeps at it
			if sum := fail(0, int64(n+1)); n > 0 && sum != uint64(n/1000+2) {
				t.Fatalf("after %d addresses the score is %d", n, sum)
			}
		}
	}
	if n := s.number(); n > places || n < places*99/100 {
		t.Errorf("%d scores, want at most %d", n, places)
	}
	if s.evicted.Load() < places {
		t.Errorf("%d evicted", s.evicted.Load())
	}
}

func TestSumDoesNotOverflow(t *testing.T) {
	s := &scores{seed: maphash.MakeSeed()}
	n := keyOf(netip.MustParsePrefix("192.0.2.1/32"))
	for range 3 {
		if _, over := s.fail(n, 1, 0, 1<<32-1, 1<<62, 0); over {
			t.Error("over")
		}
	}
	if sum, _ := s.fail(n, 1, 0, 1, 1<<62, 0); sum != 1<<32-1 {
		t.Errorf("sum %d", sum)
	}
}

// TestTimeThatGoesBack must not make failures of today last until tomorrow.
func TestTimeThatGoesBack(t *testing.T) {
	s := &scores{seed: maphash.MakeSeed()}
	n := keyOf(netip.MustParsePrefix("192.0.2.1/32"))
	const day = int64(24 * time.Hour)
	s.succeed(n, 2*day, [32]byte{1})
	for _, slot := range []int64{1000, 10, 1000, 1008} {
		s.fail(n, slot, slot, 1, 1000, 0)
	}
	if sum, _ := s.fail(n, 1009, 1009, 1, 1000, 0); sum != 2 {
		t.Errorf("sum %d, want 2", sum)
	}
	if sum, _ := s.fail(n, 1005, 1005, 1, 1000, 0); sum != 3 {
		t.Errorf("sum %d, want 3", sum)
	}
	if sum, _ := s.fail(n, 5, 5, 1, 1000, 0); sum != 1 {
		t.Errorf("sum %d, want 1", sum)
	}
}
