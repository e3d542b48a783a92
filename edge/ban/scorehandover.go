package ban

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// mostScores are handed over: who has more failures than their number has lost
// nothing by a few that begin anew.
const mostScores = 10_000

// Scores is what one Keeper tells another of addresses that are not banned.
type Scores struct {
	// Slot is how long one of their slots is. Under another Within they mean nothing.
	Slot time.Duration `json:"slot"`
	List []Score       `json:"list"`
}

// Score is what speaks against an address, and for it.
type Score struct {
	Prefix netip.Prefix `json:"prefix"`           // as Keeper.Unit
	Failed []uint32     `json:"failed,omitempty"` // sums of weights by slot, that of now first
	// Which certificates were seen lately, and before that: a bit of each one's hash.
	Seen   uint64 `json:"seen,omitempty"`
	Before uint64 `json:"before,omitempty"`
}

// TakeScores returns the highest scores, mostScores of them at the most, and forgets
// the failures in them, so that no failure is told twice. Credit is told with them:
// without it, failures that were borne would ban.
func (k *Keeper) TakeScores() Scores {
	s, now := k.settings.Load(), k.clock.instant()
	taken := Scores{Slot: time.Duration(s.slot)}
	if !s.watches() {
		return taken
	}
	for _, p := range k.scores.highest(now.ns, now.ns/s.slot, mostScores) {
		if one, ok := k.scores.take(p, now.ns, now.ns/s.slot); ok {
			taken.List = append(taken.List, one)
		}
	}
	return taken
}

// AddScores adds what another Keeper has told; it may be called more than once. It
// bans nobody: the next failure may.
// Addresses that are banned or exempt here are left out, and all scores if they were
// counted under another configuration. A malformed one is an error, and those behind
// it are left out.
func (k *Keeper) AddScores(told Scores) error {
	s, now := k.settings.Load(), k.clock.instant()
	if !s.watches() || int64(told.Slot) != s.slot {
		return nil
	}
	for _, one := range told.List {
		p, err := normal(one.Prefix)
		if err == nil && len(one.Failed) > slotsKept {
			err = fmt.Errorf("%d slots: want at most %d", len(one.Failed), slotsKept)
		}
		if err != nil {
			return fmt.Errorf("take over score of %v: %w", one.Prefix, err)
		}
		if !k.isUnit(keyOf(p)) || s.spares(p.Addr()) {
			continue
		}
		if e, _, _ := k.covering(p.Addr(), always); e != nil {
			continue
		}
		k.scores.add(keyOf(p), now.ns, now.ns/s.slot, one)
	}
	return nil
}

// scorePlace is where a score was found.
type scorePlace struct {
	shard, at int
	key       key
	sum       uint64
}

// highest finds the scores with the largest sums, and those with credit alone behind
// them.
func (s *scores) highest(now, slot int64, most int) []scorePlace {
	var found []scorePlace
	for i := range s.shards {
		shard := &s.shards[i]
		shard.mu.Lock()
		for j := range shard.places {
			at := shard.places[j] // a copy, to be brought up to now
			if at.touched == 0 {
				continue
			}
			at.turn(slot)
			at.turnPeriod(now / int64(creditFor))
			if sum := at.sum(); sum > 0 || at.seen|at.before != 0 {
				found = append(found, scorePlace{i, j, at.key, sum})
			}
		}
		shard.mu.Unlock()
	}
	slices.SortFunc(found, func(a, b scorePlace) int { return cmp.Compare(b.sum, a.sum) })
	return found[:min(len(found), most)]
}

// take returns the score at a place, unless another address has it by now.
func (s *scores) take(p scorePlace, now, slot int64) (Score, bool) {
	shard := &s.shards[p.shard]
	shard.mu.Lock()
	defer shard.mu.Unlock()
	at := &shard.places[p.at]
	if at.touched == 0 || at.key != p.key {
		return Score{}, false
	}
	at.turn(slot)
	at.turnPeriod(now / int64(creditFor))
	one := Score{Prefix: p.key.prefix(), Seen: at.seen, Before: at.before}
	for ago := range int64(slotsKept) {
		one.Failed = append(one.Failed, *at.ago(ago))
	}
	for n := len(one.Failed); n > 0 && one.Failed[n-1] == 0; n-- {
		one.Failed = one.Failed[:n-1]
	}
	at.failed = [slotsKept]uint32{}
	return one, true
}

// add adds a score that was told.
func (s *scores) add(k key, now, slot int64, told Score) {
	shard, at := s.lock(k, now)
	defer shard.mu.Unlock()
	at.turn(slot)
	at.turnPeriod(now / int64(creditFor))
	for ago, failed := range told.Failed {
		n := at.ago(int64(ago))
		*n += min(failed, ^uint32(0)-*n)
	}
	at.seen |= told.Seen
	at.before |= told.Before
}

// ago is the sum of the slot so many before the last.
func (at *score) ago(slots int64) *uint32 {
	return &at.failed[(at.slot-slots%slotsKept+slotsKept)%slotsKept]
}

func (at *score) sum() (sum uint64) {
	for _, failed := range at.failed {
		sum += uint64(failed)
	}
	return sum
}
