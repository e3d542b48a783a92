package truststore

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"hash/maphash"
	"math/rand/v2"
	"sync/atomic"
	"time"
)

const (
	// The cache is a table of sets, 16384 chains in all: a leaf's hash says in
	// which set its chains are.
	cacheSets = 2048
	cacheWays = 8

	// maxCachedPerLeaf bounds those of one leaf. Whoever has seen one good chain
	// can present it with ever other certificates appended, without having its
	// key, and each is a chain of its own.
	maxCachedPerLeaf = cacheWays / 2
	// maxCachedSize is how many bytes of DER may be presented in a chain that is
	// remembered, since one certificate keeps the message alive that it came in.
	maxCachedSize = 16 << 10
)

// chainCache remembers the chains that Build found under one set of anchors, so
// that a returning client's signatures are not verified again. It belongs to the
// anchors: with them it goes. Only successes are in it, and nothing of
// revocation, which is asked at every handshake.
//
// What is in it says that a chain verifies, not that its holder was there: it is
// filled before a client has proved that it holds its key. So all that strangers
// can do with chains they have seen is to push others out; a leaf's chains share
// one set, chosen by a secret hash, of which one leaf gets at most half.
type chainCache struct {
	seed maphash.Seed
	sets [cacheSets]cacheSet
}

type cacheSet [cacheWays]atomic.Pointer[cachedChain]

// cachedChain is immutable but for used.
type cachedChain struct {
	key    [sha256.Size]byte // of all that was presented
	leaf   uint64            // keyed hash of the leaf
	policy Policy
	chain  *Chain
	used   atomic.Bool // found again since it was last spared
}

func newChainCache() *chainCache { return &chainCache{seed: maphash.MakeSeed()} }

// cacheKey stands for a presented chain.
type cacheKey struct {
	all  [sha256.Size]byte
	leaf uint64
}

// keyOf digests every certificate in order, each with its length: more
// certificates can mean other paths. It is false for what is not to be cached.
func (cc *chainCache) keyOf(presented []*x509.Certificate, p Policy) (k cacheKey, ok bool) {
	if len(presented) == 0 || len(presented) > p.MaxChainDepth {
		return cacheKey{}, false
	}
	size := 0
	for _, c := range presented {
		if c == nil || len(c.Raw) == 0 {
			return cacheKey{}, false
		}
		size += len(c.Raw)
	}
	if size > maxCachedSize {
		return cacheKey{}, false
	}
	h := sha256.New()
	for _, c := range presented {
		var length [8]byte
		binary.BigEndian.PutUint64(length[:], uint64(len(c.Raw)))
		h.Write(length[:])
		h.Write(c.Raw)
	}
	h.Sum(k.all[:0])
	k.leaf = maphash.Bytes(cc.seed, presented[0].Raw)
	return k, true
}

func (cc *chainCache) set(k cacheKey) *cacheSet { return &cc.sets[k.leaf%cacheSets] }

// find returns the chain of k under p if Build would return the same at now, or
// nil.
func (cc *chainCache) find(k cacheKey, p Policy, now time.Time) *Chain {
	set := cc.set(k)
	for i := range set {
		e := set[i].Load()
		if e == nil || !e.is(k, p) || !e.chain.holdsAt(now) {
			continue
		}
		if !e.used.Load() { // a shared cache line is written only when it must be
			e.used.Store(true)
		}
		return e.chain
	}
	return nil
}

func (e *cachedChain) is(k cacheKey, p Policy) bool {
	return e.key == k.all && e.leaf == k.leaf && e.policy == p
}

// holdsAt reports whether Build would give the same chain at now.
func (c *Chain) holdsAt(now time.Time) bool {
	return !now.Before(c.NotBefore) && !now.After(c.NotAfter)
}

// add remembers a chain. Where another goroutine changes the same place at the
// same time, one of the two is forgotten.
func (cc *chainCache) add(k cacheKey, p Policy, c *Chain, now time.Time) {
	set := cc.set(k)
	i, old := set.victim(k, p, now)
	set[i].CompareAndSwap(old, &cachedChain{key: k.all, leaf: k.leaf, policy: p, chain: c})
}

// victim chooses whose place a new chain takes: its own old one; one of its
// leaf's, where that has its share already; an empty one or one out of date; any.
func (set *cacheSet) victim(k cacheKey, p Policy, now time.Time) (int, *cachedChain) {
	var seen [cacheWays]*cachedChain
	share := 0
	for i := range set {
		seen[i] = set[i].Load()
		if seen[i] == nil {
			continue
		}
		if seen[i].is(k, p) {
			return i, seen[i]
		}
		if seen[i].leaf == k.leaf {
			share++
		}
	}
	start := rand.IntN(cacheWays)
	choose := func(suits func(e *cachedChain) bool) (int, bool) {
		for n := range cacheWays {
			if i := (start + n) % cacheWays; suits(seen[i]) {
				return i, true
			}
		}
		return 0, false
	}
	// What was used gets a second chance, but must use it: what was used once and
	// is no more would keep newcomers pushing out each other.
	evict := func(suits func(e *cachedChain) bool) (int, *cachedChain) {
		i, ok := choose(func(e *cachedChain) bool { return suits(e) && !e.used.Swap(false) })
		if !ok {
			i, _ = choose(suits)
		}
		return i, seen[i]
	}
	if share >= maxCachedPerLeaf {
		return evict(func(e *cachedChain) bool { return e != nil && e.leaf == k.leaf })
	}
	if i, ok := choose(func(e *cachedChain) bool { return e == nil || !e.chain.holdsAt(now) }); ok {
		return i, seen[i]
	}
	return evict(func(*cachedChain) bool { return true })
}

// entries counts what is remembered.
func (cc *chainCache) entries() int {
	n := 0
	for s := range cc.sets {
		for i := range cc.sets[s] {
			if cc.sets[s][i].Load() != nil {
				n++
			}
		}
	}
	return n
}

// chain is build, and remembers what it found. It says whether it knew already.
func (s *Store) chain(g *generation, presented []*x509.Certificate, p Policy, now time.Time) (c *Chain, cached bool, err error) {
	cc := g.anchors.cache
	k, cacheable := cc.keyOf(presented, p)
	if cacheable {
		if c := cc.find(k, p, now); c != nil {
			s.cacheHits.Add(1)
			return c, true, nil
		}
	}
	s.cacheMisses.Add(1)
	if c, err = g.build(presented, p, now); err != nil {
		return nil, false, err
	}
	if cacheable {
		cc.add(k, p, c, now)
	}
	return c, false, nil
}

// CacheStats is how the cache of verified chains does.
type CacheStats struct {
	Hits    uint64 `json:"hits"`    // chains that Verify did not build again, since the start
	Misses  uint64 `json:"misses"`  // chains that it built, or refused to, since the start
	Entries int    `json:"entries"` // chains remembered now, for the CAs in force
}

// CacheStats returns the figures of now.
func (s *Store) CacheStats() CacheStats {
	st := CacheStats{Hits: s.cacheHits.Load(), Misses: s.cacheMisses.Load()}
	if g := s.gen.Load(); g != nil {
		st.Entries = g.anchors.cache.entries()
	}
	return st
}
