package ban

import (
	"hash/maphash"
	"math/bits"
	"sync"
	"sync/atomic"
	"time"
)

// A failure counts for as long as its slot does: the slot of now and the eight
// before it, so for at least eight slots' time and at most nine.
const (
	slotsWithin = 8
	slotsKept   = slotsWithin + 1
)

// creditFor is how long a certificate that was authenticated counts for its
// address: at least as long, and at most twice as long.
const creditFor = time.Hour

// score is what is known of one address.
type score struct {
	key     key
	touched int64             // the Keeper's clock; 0 is a free place
	failed  [slotsKept]uint32 // sums of weights, by number of the slot modulo their number
	slot    int64             // the last one added to

	// Which certificates have been seen, by one bit of their hash each: in this
	// period of creditFor, and in the one before.
	seen, before uint64
	period       int64
}

// scores are those of the addresses that were last heard of. Their number is
// fixed, so that no number of addresses takes more memory: a new one takes the
// place, among the eight that it may take, of the one not heard of for longest.
// Which eight is keyed: to push an address out before it is banned, an attacker
// must fail from so many others that most addresses are pushed out.
type scores struct {
	seed    maphash.Seed
	shards  [scoreShards]scoreShard
	evicted atomic.Uint64
}

const (
	scoreShards = 256
	scoreSets   = 128 // of a shard
	scoreWays   = 8   // of a set
)

// scoreShard makes its places when the first is needed.
type scoreShard struct {
	mu     sync.Mutex
	places []score
	used   int
	_      [64]byte // shards are locked by different cores
}

// fail adds a failure at now to the score of an address, and returns the sum and
// whether that bans it: then its failures are forgotten, so that one caller only
// is told so. The sum must reach threshold, and credit more for each certificate
// that has been seen.
func (s *scores) fail(k key, now, slot int64, weight uint32, threshold, credit uint64) (sum uint64, over bool) {
	shard, at := s.lock(k, now)
	defer shard.mu.Unlock()
	at.turn(slot)
	at.turnPeriod(now / int64(creditFor))
	n := &at.failed[at.slot%slotsKept]
	*n += min(weight, ^uint32(0)-*n)
	for _, failed := range at.failed {
		sum += uint64(failed)
	}
	if sum < threshold+credit*uint64(bits.OnesCount64(at.seen|at.before)) {
		return sum, false
	}
	at.failed = [slotsKept]uint32{}
	return sum, true
}

// succeed remembers for an address that a certificate was authenticated.
func (s *scores) succeed(k key, now int64, certificate [32]byte) {
	shard, at := s.lock(k, now)
	defer shard.mu.Unlock()
	at.turnPeriod(now / int64(creditFor))
	at.seen |= 1 << (certificate[0] % 64)
}

// set is the places that an address may take.
func (s *scoreShard) set(hash uint64) []score {
	return s.places[hash/scoreShards%scoreSets*scoreWays:][:scoreWays]
}

// turn forgets what is too old to count in a slot. Time that goes back a little
// stands still, as callers do not come in order; one that is far back counts slots
// of another length, of before or after a change of the configuration.
func (at *score) turn(slot int64) {
	if apart := slot - at.slot; max(apart, -apart) >= slotsKept {
		at.failed = [slotsKept]uint32{}
		at.slot = slot
	}
	for at.slot < slot {
		at.slot++
		at.failed[at.slot%slotsKept] = 0
	}
}

func (at *score) turnPeriod(period int64) {
	switch {
	case period <= at.period:
		return
	case period == at.period+1:
		at.before, at.seen = at.seen, 0
	default:
		at.before, at.seen = 0, 0
	}
	at.period = period
}

// lock returns the place of an address, and its shard, to be unlocked.
func (s *scores) lock(k key, now int64) (*scoreShard, *score) {
	h := hashOf(s.seed, k)
	shard := &s.shards[h%scoreShards]
	shard.mu.Lock()
	if shard.places == nil {
		shard.places = make([]score, scoreSets*scoreWays)
	}
	ways := shard.set(h)
	oldest := &ways[0]
	for i := range ways {
		at := &ways[i]
		if at.touched != 0 && at.key == k {
			at.touched = max(now, 1)
			return shard, at
		}
		if at.touched < oldest.touched {
			oldest = at
		}
	}
	if oldest.touched == 0 {
		shard.used++
	} else {
		s.evicted.Add(1)
	}
	*oldest = score{key: k, touched: max(now, 1)}
	return shard, oldest
}

// forgetOne forgets the failures of an address, and forget those of the addresses
// in a network. What speaks for them stays.
func (s *scores) forgetOne(k key) {
	h := hashOf(s.seed, k)
	shard := &s.shards[h%scoreShards]
	shard.mu.Lock()
	defer shard.mu.Unlock()
	if shard.places == nil {
		return
	}
	ways := shard.set(h)
	for i := range ways {
		if ways[i].key == k {
			ways[i].failed = [slotsKept]uint32{}
		}
	}
}

func (s *scores) forget(n key) {
	for i := range s.shards {
		shard := &s.shards[i]
		shard.mu.Lock()
		for j := range shard.places {
			if at := &shard.places[j]; at.touched != 0 && at.key.within(n) {
				at.failed = [slotsKept]uint32{}
			}
		}
		shard.mu.Unlock()
	}
}

// number is how many addresses have a score.
func (s *scores) number() int {
	n := 0
	for i := range s.shards {
		shard := &s.shards[i]
		shard.mu.Lock()
		n += shard.used
		shard.mu.Unlock()
	}
	return n
}
