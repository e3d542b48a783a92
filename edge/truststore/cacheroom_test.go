package truststore

import (
	"crypto/x509"
	"runtime"
	"testing"
	"time"
	"weak"

	"github.com/sallyport/sallyport/edge/reason"
	"github.com/sallyport/sallyport/loadtest/pki"
)

// What hung on other CAs is unreachable once they are replaced, and freed.
func TestCacheGoesWithItsAnchors(t *testing.T) {
	a, b := root(), root()
	leaf := issue(a)
	f := newFixture(t, a)
	f.crl("a.crl", crl(a, number(1)))
	s := f.open()
	verify := func(want reason.Code) {
		t.Helper()
		_, err := s.Verify(chainOf(t, leaf), alb, time.Now())
		wantCode(t, err, want)
	}
	reload := func() {
		t.Helper()
		if err := s.Reload(); err != nil {
			t.Fatal(err)
		}
	}
	verify(reason.Success)
	old := weak.Make(s.gen.Load().anchors.cache)

	// CRLs are no part of it.
	f.crl("a.crl", crl(a, number(2), pki.Revoke(leaf)))
	reload()
	verify(reason.ClientCertCrlHit)
	wantCounts(t, s, CacheStats{}, 1, 1)
	f.crl("a.crl", crl(a, number(3)))
	reload()
	verify(reason.Success)
	if v, err := s.Verify(chainOf(t, leaf), alb, time.Now()); err != nil || v.Generation != 3 {
		t.Errorf("let in by %+v, %v", v, err)
	}
	wantCounts(t, s, CacheStats{}, 3, 1)

	f.write("ca.pem", pki.Bundle(b))
	f.crl("a.crl", crl(b))
	reload()
	if n := s.CacheStats().Entries; n != 0 {
		t.Errorf("%d entries under new CAs", n)
	}
	verify(reason.ClientCertUntrusted)
	for range 10 {
		if old.Value() == nil {
			break
		}
		runtime.GC()
	}
	if old.Value() != nil {
		t.Error("the cache of CAs that are gone is still in memory")
	}
	f.write("ca.pem", pki.Bundle(a))
	f.crl("a.crl", crl(a, number(4)))
	reload()
	before := s.CacheStats()
	verify(reason.Success)
	wantCounts(t, s, before, 0, 1)
}

// Who presents one leaf with ever other certificates gets half of one set.
func TestCacheSharesOutItsPlaces(t *testing.T) {
	now := time.Now()
	anchor := root()
	s := newStore(t, anchor)
	cc := s.gen.Load().anchors.cache
	victim, good := chainOf(t, issue(anchor)), &Chain{NotAfter: endOfTime}
	k, _ := cc.keyOf(victim, alb)
	cc.add(k, alb, good, now)
	for i := range 1000 {
		attacker := cacheKey{leaf: k.leaf + cacheSets} // another leaf of the same set
		attacker.all[0], attacker.all[1] = byte(i), byte(i>>8)
		cc.add(attacker, alb, good, now)
		if cc.find(attacker, alb, now) == nil {
			t.Fatal("added and not found")
		}
	}
	if n := cc.entries(); n != 1+maxCachedPerLeaf {
		t.Errorf("%d entries, want %d", n, 1+maxCachedPerLeaf)
	}
	if cc.find(k, alb, now) != good {
		t.Error("pushed out by another leaf's chains")
	}
}

func TestCacheIsBounded(t *testing.T) {
	now := time.Now()
	cc := newChainCache()
	good := &Chain{NotAfter: endOfTime}
	add := func(n uint64, c *Chain) cacheKey {
		k := cacheKey{leaf: n * cacheSets} // all in one set
		k.all[0], k.all[1] = byte(n), byte(n>>8)
		cc.add(k, alb, c, now)
		return k
	}
	busy := add(0, good)
	add(1, &Chain{NotAfter: now.Add(-1)})
	for n := uint64(2); n < 500; n++ {
		if cc.find(busy, alb, now) == nil {
			t.Fatalf("a chain in use was pushed out by the %d. that came once", n)
		}
		k := add(n, good)
		if cc.find(cacheKey{all: k.all, leaf: k.leaf + 1}, alb, now) != nil {
			t.Fatal("found under another leaf")
		}
	}
	if n := cc.entries(); n != cacheWays {
		t.Errorf("%d entries, want %d", n, cacheWays)
	}
	// All in use: one has to go all the same, and newcomers settle beside what
	// was in use once.
	for n := uint64(1000); n < 1000+4*cacheWays; n++ {
		cc.find(add(n, good), alb, now)
	}
	misses := 0
	for i := range 100 {
		n := uint64(2000 + i%4)
		k := cacheKey{leaf: n * cacheSets}
		k.all[0], k.all[1] = byte(n), byte(n>>8)
		if cc.find(k, alb, now) == nil {
			add(n, good)
			misses++
		}
	}
	if misses > 40 {
		t.Errorf("%d misses of 100 for four chains in turn", misses)
	}
	if n := cc.entries(); n != cacheWays {
		t.Errorf("%d entries, want %d", n, cacheWays)
	}

	large := &x509.Certificate{Raw: make([]byte, maxCachedSize)}
	if _, ok := cc.keyOf([]*x509.Certificate{large}, alb); !ok {
		t.Errorf("%d bytes are not cached", maxCachedSize)
	}
	if _, ok := cc.keyOf([]*x509.Certificate{large, {Raw: []byte{0}}}, alb); ok {
		t.Errorf("more than %d bytes are cached", maxCachedSize)
	}
}
