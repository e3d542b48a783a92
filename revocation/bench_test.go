package revocation

import (
	"bytes"
	"encoding/pem"
	"fmt"
	"math/big"
	"math/rand/v2"
	"testing"
	"time"
)

// bigList is a list of n serials of 16 octets in no order, a third with a
// reason, revoked in the two years before t0; listed is one of them.
func bigList(b testing.TB, ca *testCA, n int) (raw []byte, listed *big.Int) {
	b.Helper()
	random := rand.New(rand.NewPCG(1, uint64(n)))
	octets := make([]byte, 16)
	entries := make([]byte, 0, n*45)
	for i := range n {
		for j := range octets {
			octets[j] = byte(random.Uint32())
		}
		octets[0] = octets[0]&0x7f | 0x40
		at := t0.Add(-time.Duration(random.IntN(2*365*24*3600)) * time.Second)
		if i%3 == 0 {
			entries = append(entries, revokeAt(tlv(tagInteger, octets), at, reasonExt(KeyCompromise))...)
		} else {
			entries = append(entries, revokeAt(tlv(tagInteger, octets), at)...)
		}
		if i == n/2 {
			listed = new(big.Int).SetBytes(octets)
		}
	}
	p := ca.base()
	p.revoked = appendElement(nil, tagSequence, entries)
	return p.der(b, ca), listed
}

func BenchmarkCheck(b *testing.B) {
	for _, entries := range []int{100_000, 1_000_000} {
		if testing.Short() && entries > 100_000 {
			continue
		}
		ca := newCA(b, "Bench CA")
		raw, serial := bigList(b, ca, entries)
		ix := NewIndex([]*List{parseOne(b, raw)})
		hit := Prepare(ca.issue(b, serial), ca.cert)
		b.Run(fmt.Sprintf("%d/hit", entries), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if v := ix.Check(hit, t0); v.Status != Revoked {
					b.Fatalf("%s (%s)", v.Status, v.Why)
				}
			}
		})
		// Many certificates, so that the processor cannot remember the way.
		misses := make([]Link, 1<<16)
		for i := range misses {
			misses[i] = *hit
			misses[i].serial = integerOctets(new(big.Int).SetUint64(rand.Uint64()))
		}
		b.Run(fmt.Sprintf("%d/miss", entries), func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if v := ix.Check(&misses[i%len(misses)], t0); v.Status != Good {
					b.Fatalf("%s (%s)", v.Status, v.Why)
				}
			}
		})
	}
}

func BenchmarkRead(b *testing.B) {
	entries := 1_000_000
	if testing.Short() {
		entries = 100_000
	}
	raw, _ := bigList(b, newCA(b, "Bench CA"), entries)
	for name, data := range map[string][]byte{
		"DER": raw,
		"PEM": pem.EncodeToMemory(&pem.Block{Type: pemLabel, Bytes: raw}),
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Read(b.Context(), bytes.NewReader(data), Options{}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*entries), "ns/entry")
		})
	}
}

// BenchmarkBase64 is the decoding of PEM without what is in it.
func BenchmarkBase64(b *testing.B) {
	text := pem.EncodeToMemory(&pem.Block{Type: pemLabel, Bytes: make([]byte, 1<<20)})
	to := make([]byte, windowSize)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		var d base64Text
		for rest := text[len("-----BEGIN X509 CRL-----"):]; rest[0] != '-'; {
			_, took, err := d.decode(to, rest)
			if err != nil {
				b.Fatal(err)
			}
			rest = rest[took:]
		}
	}
}

func BenchmarkPrepare(b *testing.B) {
	ca := newCA(b, "Bench CA")
	cert := ca.issue(b, big.NewInt(7))
	b.ReportAllocs()
	for b.Loop() {
		Prepare(cert, ca.cert)
	}
}

// TestCheckDoesNotAllocate covers hit, miss, delta and unknown.
func TestCheckDoesNotAllocate(t *testing.T) {
	ca, other := newCA(t, "Lean CA"), newCA(t, "Lean CA")
	ix := NewIndex([]*List{
		ca.list(t, t0, all(revoke(7, reasonExt(KeyCompromise))), all(numberExt(1))),
		ca.list(t, t0, all(revoke(8)), all(numberExt(2), deltaExt(1))),
	})
	for name, link := range map[string]*Link{
		"hit": ca.link(t, 7), "delta": ca.link(t, 8), "miss": ca.link(t, 9), "other key": other.link(t, 7), "zero": new(Link),
	} {
		ix.Check(link, t0)
		if n := testing.AllocsPerRun(100, func() { ix.Check(link, t0) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
