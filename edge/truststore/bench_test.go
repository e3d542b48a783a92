package truststore

import (
	"crypto/x509"
	"math/big"
	"testing"
	"time"

	"github.com/sallyport/sallyport/loadtest/pki"
)

func benchmarked(b testing.TB) (s *Store, good, stranger, forged *pki.Leaf) {
	top := root()
	mid := below(top)
	revoked := func(yield func(pki.Entry) bool) {
		for n := range int64(1000) {
			if !yield(pki.Entry{Serial: big.NewInt(1000 + n)}) {
				return
			}
		}
	}
	f := newFixture(b, top)
	f.crl("lists.pem", crl(top), crl(mid, pki.RevokeSeq(revoked)))
	return f.open(), issue(mid), issue(below(root())), issue(mid).FlipSignature()
}

func BenchmarkBuild(b *testing.B) {
	s, good, stranger, forged := benchmarked(b)
	for _, c := range []struct {
		name string
		leaf *pki.Leaf
		ok   bool
	}{{"good", good, true}, {"stranger", stranger, false}, {"forged", forged, false}} {
		b.Run(c.name, func(b *testing.B) {
			chain, now := chainOf(b, c.leaf), time.Now()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Build(chain, alb, now); (err == nil) != c.ok {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkVerify is what a handshake costs in this package: for a client that
// returns, for 64 that return in turn, for one that is not remembered, and of
// the first the part that is the digest of its chain.
func BenchmarkVerify(b *testing.B) {
	s, good, _, _ := benchmarked(b)
	now := time.Now()
	chain := chainOf(b, good)
	verify := func(b *testing.B, chain []*x509.Certificate) {
		if _, err := s.Verify(chain, alb, now); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("hit", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			verify(b, chain)
		}
	})
	b.Run("64 identities", func(b *testing.B) {
		top := root()
		mid := below(top)
		f := newFixture(b, top)
		f.crl("lists.pem", crl(top), crl(mid))
		s = f.open()
		chains := make([][]*x509.Certificate, 64)
		for i := range chains {
			chains[i] = chainOf(b, issue(mid))
			verify(b, chains[i])
		}
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			verify(b, chains[i%len(chains)])
		}
	})
	b.Run("miss", func(b *testing.B) {
		s, good, _, _ := benchmarked(b)
		chain := chainOf(b, good)
		cache := s.gen.Load().anchors.cache
		k, _ := cache.keyOf(chain, alb)
		b.ReportAllocs()
		for b.Loop() {
			for i := range cache.set(k) {
				cache.set(k)[i].Store(nil)
			}
			if _, err := s.Verify(chain, alb, now); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("key", func(b *testing.B) {
		cache := s.gen.Load().anchors.cache
		size := 0
		for _, c := range chain {
			size += len(c.Raw)
		}
		b.SetBytes(int64(size))
		b.ReportAllocs()
		for b.Loop() {
			if _, ok := cache.keyOf(chain, alb); !ok {
				b.Fatal("not cacheable")
			}
		}
	})
}

func BenchmarkCheckRevocation(b *testing.B) {
	s, good, _, _ := benchmarked(b)
	now := time.Now()
	c, err := s.Build(chainOf(b, good), alb, now)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := s.CheckRevocation(c, now); err != nil {
			b.Fatal(err)
		}
	}
}

func TestCheckRevocationAllocatesNothing(t *testing.T) {
	top := root()
	mid := below(top)
	f := newFixture(t, top, mid) // so that the anchor's own issuer is looked up too
	f.crl("lists.pem", crl(top), crl(mid))
	s, now := f.open(), time.Now()
	c, err := s.Build(chainOf(t, issue(mid)), alb, now)
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() {
		if err := s.CheckRevocation(c, now); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}
