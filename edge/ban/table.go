package ban

import (
	"encoding/binary"
	"hash/maphash"
	"iter"
	"slices"
	"sync/atomic"

	"github.com/sallyport/sallyport/edge/reason"
)

// entry is a ban as it is kept. It is never changed while it is in the table,
// but for inKernel; a change is a new entry in its place. Times are those of the
// Keeper's clock.
type entry struct {
	key          key
	since, until int64 // until 0 is for ever
	why, by      string
	score        uint32 // thousandths
	code         reason.Code
	repeat       uint8
	flags        flags

	// inKernel says that the kernel has a ban of this network, this one or the one
	// before. Guarded by Keeper.mu.
	inKernel bool
}

type flags uint8

const (
	direct flags = 1 << iota
	dryRun
	// lapsed is a ban that is over and only remembered, for the doubling.
	lapsed
)

func (e *entry) is(f flags) bool        { return e.flags&f != 0 }
func (e *entry) byHand() bool           { return e.by != ByPolicy }
func (e *entry) inForce(now int64) bool { return e.until == 0 || now < e.until }
func (e *entry) changed(f flags) *entry { c := *e; c.flags |= f; return &c }

// table holds entries by their network. Reading takes no lock and writes nothing,
// so that the cores that check every connection do not wait for one another, nor
// for a writer; a read beside a write sees the table before or after it. Writers
// hold Keeper.mu.
//
// It is a hash table with linear probing, in shards, so that growing one is over
// quickly. Attackers pick the addresses, so the hash is keyed.
type table struct {
	seed    maphash.Seed
	shards  [tableShards]atomic.Pointer[shard]
	lengths atomic.Pointer[lengths]
	counts  [2][129]int // of entries, by family and length of the network
}

const (
	tableShards = 64
	leastPlaces = 16
)

// shard has its places in two arrays: most searches end in the first, which is
// small enough to stay in a cache.
type shard struct {
	tags       []atomic.Uint32 // of the hash; 0 has never been used, and ends a search
	entries    []atomic.Pointer[entry]
	live, used int // used counts what was taken away, too
}

// lengths are those that networks in the table have, the longest first.
type lengths struct{ v4, v6 []uint8 }

func hashOf(seed maphash.Seed, k key) uint64 {
	var b [17]byte
	binary.LittleEndian.PutUint64(b[:], k.hi)
	binary.LittleEndian.PutUint64(b[8:], k.lo)
	b[16] = k.bits
	return maphash.Bytes(seed, b[:])
}

// at returns where to look for a network: in which shard, from which place on,
// and by which tag.
func (t *table) at(k key) (in *atomic.Pointer[shard], from uint64, tag uint32) {
	h := hashOf(t.seed, k)
	return &t.shards[h%tableShards], h / tableShards, uint32(h>>32) | 1
}

func (t *table) find(k key) *entry {
	in, from, tag := t.at(k)
	s := in.Load()
	if s == nil {
		return nil
	}
	mask := uint64(len(s.tags) - 1)
	for i := from & mask; ; i = (i + 1) & mask {
		switch s.tags[i].Load() {
		case 0:
			return nil
		case tag:
			if e := s.entries[i].Load(); e != nil && e.key == k {
				return e
			}
		}
	}
}

// put puts e in the place of the entry of its network, or anew.
func (t *table) put(e *entry) {
	in, from, tag := t.at(e.key)
	s := in.Load()
	if s == nil || 4*(s.used+1) > 3*len(s.tags) {
		s = t.resize(s)
		in.Store(s)
	}
	if s.place(e, from, tag) {
		t.count(e.key, 1)
	}
}

// reserve makes room for so many entries in an empty table.
func (t *table) reserve(entries int) {
	for i := range t.shards {
		if each := entries / tableShards; each > leastPlaces && t.shards[i].Load() == nil {
			t.shards[i].Store(newShard(each))
		}
	}
}

// newShard has room for so many entries, and for as many again before it is
// full.
func newShard(entries int) *shard {
	size := leastPlaces
	for size < 2*(entries+1) {
		size *= 2
	}
	return &shard{tags: make([]atomic.Uint32, size), entries: make([]atomic.Pointer[entry], size)}
}

// resize makes a shard of old's entries that may double.
func (t *table) resize(old *shard) *shard {
	live := 0
	if old != nil {
		live = old.live
	}
	fresh := newShard(live)
	if old == nil {
		return fresh
	}
	for i := range old.entries {
		if e := old.entries[i].Load(); e != nil {
			_, from, tag := t.at(e.key)
			fresh.place(e, from, tag)
		}
	}
	return fresh
}

// place puts e into a shard with room, and tells whether its network is new.
func (s *shard) place(e *entry, from uint64, tag uint32) bool {
	mask := uint64(len(s.tags) - 1)
	free, found := uint64(0), false
	for i := from & mask; ; i = (i + 1) & mask {
		old := s.entries[i].Load()
		if old != nil && old.key == e.key {
			s.entries[i].Store(e)
			return false
		}
		if old == nil && !found {
			free, found = i, true
		}
		if s.tags[i].Load() == 0 {
			break
		}
	}
	if s.tags[free].Load() == 0 {
		s.used++
	}
	s.live++
	s.entries[free].Store(e) // before the tag that leads to it
	s.tags[free].Store(tag)
	return true
}

// remove takes the entry of a network away, if there is one. The tag stays, as
// the searches for others go on behind it.
func (t *table) remove(k key) {
	in, from, tag := t.at(k)
	s := in.Load()
	if s == nil {
		return
	}
	mask := uint64(len(s.tags) - 1)
	for i := from & mask; s.tags[i].Load() != 0; i = (i + 1) & mask {
		if s.tags[i].Load() != tag {
			continue
		}
		if e := s.entries[i].Load(); e != nil && e.key == k {
			s.entries[i].Store(nil)
			if s.live--; s.live == 0 {
				in.Store(nil)
			}
			t.count(k, -1)
			return
		}
	}
}

// count keeps lengths.
func (t *table) count(k key, n int) {
	family := 0
	if !k.is4() {
		family = 1
	}
	count := &t.counts[family][k.bits]
	*count += n
	if *count > 1 || *count == 1 && n < 0 {
		return
	}
	var l lengths
	for bits := range 129 {
		if t.counts[0][bits] > 0 {
			l.v4 = append(l.v4, uint8(bits))
		}
		if t.counts[1][bits] > 0 {
			l.v6 = append(l.v6, uint8(bits))
		}
	}
	slices.Reverse(l.v4)
	slices.Reverse(l.v6)
	t.lengths.Store(&l)
}

// holdsLonger tells whether there may be entries within n besides its own.
func (t *table) holdsLonger(n key) bool {
	family := 0
	if !n.is4() {
		family = 1
	}
	for _, count := range t.counts[family][n.bits+1:] {
		if count > 0 {
			return true
		}
	}
	return false
}

// all yields every entry, in no order. What is put or removed meanwhile may be
// missing or still there.
func (t *table) all() iter.Seq[*entry] {
	return func(yield func(*entry) bool) {
		for i := range t.shards {
			s := t.shards[i].Load()
			if s == nil {
				continue
			}
			for j := range s.entries {
				if e := s.entries[j].Load(); e != nil && !yield(e) {
					return
				}
			}
		}
	}
}
