package pluginhost

import (
	"bytes"
	"crypto/sha256"
	"hash/maphash"
	"math/bits"
	"sync"
	"sync/atomic"
	"time"
)

// cache keeps the verdicts of one process. The key of a verdict is the bytes that
// the plugin was sent, or those of the fields that it says the verdict depends on,
// and it is compared in full: two questions with one hash are two questions.
//
// Its entries are bounded, and so are the bytes of their keys and verdicts. A
// verdict that is new takes the place of ones that have not been used since the
// hand of its shard came by last (CLOCK).
type cache struct {
	seed   maphash.Seed
	shards []shard
	leaf   uint64 // mask of the fields of which each names a certificate

	// masks are those that verdicts in here depend on, by hook, each of which is
	// looked up. Beyond mostMasks a verdict is kept under everything.
	mu    sync.Mutex
	masks [hooks]atomic.Pointer[[]uint64]

	// version counts what was forgotten on request: a verdict that was asked for
	// before is not kept afterwards.
	version atomic.Uint64
}

const (
	mostShards = 64
	mostMasks  = 4
	// longestKey bounds what clients can make the cache hold by long requests.
	longestKey = 8 << 10
	// cacheBytes is how much memory the keys and verdicts of one plugin may take:
	// what is in them is up to clients as well, and so many entries of the longest
	// would be hundreds of megabytes.
	cacheBytes = 16 << 20
)

type shard struct {
	mu      sync.Mutex
	index   map[uint64]int32 // by hash
	entries []entry
	free    []int32 // places in entries without one
	most    int     // entries
	hand    int
	size    int // bytes of all entries
	limit   int // of size
	flights map[uint64]*flight
	_       [24]byte // shards are locked by different cores
}

type entry struct {
	hash    uint64
	key     []byte
	verdict *verdict
	mask    uint64
	epoch   Epoch
	expires time.Duration // of the host's clock
	leaf    [sha256.Size]byte
	size    int // bytes of key and verdict
	hook    Hook
	used    bool
}

// newCache returns one for so many verdicts, and for so many bytes of them and
// their keys; nil, which keeps none, for 0 entries. Leaf is the mask of the fields
// that tell one certificate from all others.
func newCache(entries, size int, leaf uint64) *cache {
	if entries <= 0 {
		return nil
	}
	n := 1
	for n < mostShards && entries/n >= 64 {
		n *= 2
	}
	c := &cache{seed: maphash.MakeSeed(), shards: make([]shard, n), leaf: leaf}
	each := (entries + n - 1) / n
	for i := range c.shards {
		c.shards[i].index = make(map[uint64]int32)
		c.shards[i].entries = make([]entry, 0, min(each, 16))
		c.shards[i].most, c.shards[i].limit = each, size/n
		c.shards[i].flights = make(map[uint64]*flight)
	}
	for h := range c.masks {
		c.masks[h].Store(&[]uint64{everything})
	}
	return c
}

// question is what is looked up: the fields of a call, and where each ends.
type question struct {
	hook  Hook
	body  []byte
	ends  []int
	epoch Epoch
	now   time.Duration
	mask  uint64 // scratch: of key
	key   []byte
	room  []byte
}

// under makes q.key the fields of a mask.
func (q *question) under(mask uint64) {
	q.mask = mask
	if mask == everything {
		q.key = q.body
		return
	}
	q.room = q.room[:0]
	start := 0
	for i, end := range q.ends {
		if mask&(1<<i) != 0 {
			q.room = append(q.room, q.body[start:end]...)
		}
		start = end
	}
	q.key = q.room
}

func (c *cache) hash(q *question) uint64 {
	h := maphash.Bytes(c.seed, q.key)
	// The hook and the mask are part of the key. What they do to the hash need not
	// be good: they are few, and compared.
	return bits.RotateLeft64(h, int(q.hook)) ^ q.mask*0x9e3779b97f4a7c15
}

func (c *cache) shard(hash uint64) *shard { return &c.shards[hash>>32%uint64(len(c.shards))] }

// get returns the verdict kept for a question, nil for none. Where verdicts that
// depend on different fields fit, one that denies wins.
func (c *cache) get(q *question) *verdict {
	var found *verdict
	for _, mask := range *c.masks[q.hook].Load() {
		q.under(mask)
		hash := c.hash(q)
		if v := c.shard(hash).get(hash, q); v != nil {
			if !v.allow {
				return v
			}
			if found == nil {
				found = v
			}
		}
	}
	return found
}

func (s *shard) get(hash uint64, q *question) *verdict {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, ok := s.index[hash]
	if !ok {
		return nil
	}
	e := &s.entries[i]
	if e.hook != q.hook || e.mask != q.mask || e.epoch != q.epoch || q.now >= e.expires || !bytes.Equal(e.key, q.key) {
		return nil
	}
	e.used = true
	return e.verdict
}

// put keeps the answer to a question that was asked at version, for so long.
func (c *cache) put(q *question, v *verdict, leaf *[sha256.Size]byte, life time.Duration, version uint64) {
	if life <= 0 {
		return
	}
	q.under(c.maskFor(q, v.mask))
	if len(q.key) > longestKey {
		return
	}
	hash := c.hash(q)
	e := entry{
		hash: hash, key: bytes.Clone(q.key), verdict: v, mask: q.mask, hook: q.hook,
		epoch: q.epoch, expires: q.now + life, size: len(q.key) + v.size,
	}
	if leaf != nil {
		e.leaf = *leaf
	}
	s := c.shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	// Under the lock: whoever forgets counts first, and then looks into each shard.
	if c.version.Load() != version {
		return
	}
	s.put(e)
}

// maskFor is the mask that a verdict is kept under: its own, unless that is of all
// fields or one too many.
func (c *cache) maskFor(q *question, mask uint64) uint64 {
	if all := uint64(1)<<len(q.ends) - 1; len(q.ends) < 64 && mask&all == all || mask == everything {
		return everything
	}
	known := *c.masks[q.hook].Load()
	for _, m := range known {
		if m == mask {
			return mask
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	known = *c.masks[q.hook].Load()
	for _, m := range known {
		if m == mask {
			return mask
		}
	}
	if len(known) >= mostMasks {
		return everything
	}
	more := append(known[:len(known):len(known)], mask)
	c.masks[q.hook].Store(&more)
	return mask
}

// put makes room for an entry, and indexes it. The caller holds mu.
func (s *shard) put(e entry) {
	if e.size > s.limit {
		return
	}
	if i, ok := s.index[e.hash]; ok {
		s.drop(i)
	}
	for s.size+e.size > s.limit || len(s.free) == 0 && len(s.entries) == s.most {
		s.drop(s.unused())
	}
	i := int32(len(s.entries))
	if last := len(s.free) - 1; last >= 0 {
		i, s.free = s.free[last], s.free[:last]
		s.entries[i] = e
	} else {
		s.entries = append(s.entries, e)
	}
	s.index[e.hash] = i
	s.size += e.size
}

// unused moves the hand behind the next entry that was not used since it came by
// last. There must be an entry.
func (s *shard) unused() int32 {
	for {
		i := s.hand
		s.hand = (s.hand + 1) % len(s.entries)
		switch e := &s.entries[i]; {
		case e.verdict == nil:
		case e.used:
			e.used = false
		default:
			return int32(i)
		}
	}
}

// drop frees the place of an entry.
func (s *shard) drop(i int32) {
	e := &s.entries[i]
	s.size -= e.size
	delete(s.index, e.hash)
	*e = entry{}
	s.free = append(s.free, i)
}

// forget drops the verdicts on one leaf, or all if that is nil. One that is kept
// under a key which names no certificate answers for every client's, whoever was
// the first: it goes too.
func (c *cache) forget(leaf *[sha256.Size]byte) {
	c.version.Add(1)
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		for j := range s.entries {
			e := &s.entries[j]
			if e.verdict != nil && (leaf == nil || e.leaf == *leaf || e.mask&c.leaf == 0) {
				s.drop(int32(j))
			}
		}
		s.mu.Unlock()
	}
}

// len is how many verdicts are kept, those among them that are too old.
func (c *cache) len() (n int) {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		for j := range s.entries {
			if s.entries[j].verdict != nil {
				n++
			}
		}
		s.mu.Unlock()
	}
	return n
}
