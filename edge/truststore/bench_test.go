package truststore

import (
	"math/big"
	"testing"
	"time"

	"github.com/sallyport/sallyport/loadtest/pki"
)

func benchmarked(b *testing.B) (s *Store, good, stranger, forged *pki.Leaf) {
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
