package revocation

import (
	"crypto/rand"
	"math/big"
	"testing"
)

// bigList is a list of n random serials of 16 octets, a third with a reason;
// listed is one of them.
func bigList(b testing.TB, ca *testCA, n int) (raw []byte, listed *big.Int) {
	b.Helper()
	entries := make([][]byte, n)
	octets := make([]byte, 16)
	for i := range entries {
		if _, err := rand.Read(octets); err != nil {
			b.Fatal(err)
		}
		octets[0] = octets[0]&0x7f | 0x40
		if i%3 == 0 {
			entries[i] = revokeAt(tlv(tagInteger, octets), t0, reasonExt(KeyCompromise))
		} else {
			entries[i] = revokeAt(tlv(tagInteger, octets), t0)
		}
		if i == n/2 {
			listed = new(big.Int).SetBytes(octets)
		}
	}
	p := ca.base()
	p.revoked = tlv(tagSequence, entries...)
	return p.der(b, ca), listed
}

func BenchmarkCheck(b *testing.B) {
	ca := newCA(b, "Bench CA")
	raw, serial := bigList(b, ca, 100_000)
	ix := NewIndex([]*List{parseOne(b, raw)})
	hit := Prepare(ca.issue(b, serial), ca.cert)
	miss := ca.link(b, 7)
	for name, tt := range map[string]struct {
		link *Link
		want Status
	}{"hit": {hit, Revoked}, "miss": {miss, Good}} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if v := ix.Check(tt.link, t0); v.Status != tt.want {
					b.Fatalf("%s (%s)", v.Status, v.Why)
				}
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	raw, _ := bigList(b, newCA(b, "Bench CA"), 100_000)
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(raw); err != nil {
			b.Fatal(err)
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
