package revocation

import (
	"bytes"
	"errors"
	"math/big"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/revocation/internal/segment"
)

// flip turns a bit of the only segment in the Dir.
func (k *kept) flip(at int) {
	k.t.Helper()
	names := k.names(segmentSuffix)
	if len(names) != 1 {
		k.t.Fatalf("segments %q", names)
	}
	f, err := os.OpenFile(k.Dir.file(names[0]), os.O_RDWR, 0)
	if err != nil {
		k.t.Fatal(err)
	}
	octet := make([]byte, 1)
	_, err = f.ReadAt(octet, int64(at))
	octet[0] ^= 1
	if err == nil {
		_, err = f.WriteAt(octet, int64(at))
	}
	if err = errors.Join(err, f.Close()); err != nil {
		k.t.Fatal(err)
	}
}

// TestDamageNeverMisleads turns bits all over the file that is kept of a list.
// Whatever comes of it, no certificate gets another answer than before, and after
// one more reading all is as it was.
func TestDamageNeverMisleads(t *testing.T) {
	ca := newCA(t, "Damaged CA")
	data, serial := bigList(t, ca, 3000)
	listed, clear := Prepare(ca.issue(t, serial), ca.cert), ca.link(t, 9)
	misses := make([]Link, 50)
	for i := range misses {
		misses[i] = *clear
		misses[i].serial = integerOctets(big.NewInt(int64(i) * 7919))
	}
	k := newKept(t)
	k.put(data)
	lists, _ := k.read()
	size := int(lists[0].DiskBytes())
	refused, found := 0, 0
	for at := 0; at < size; at += 997 {
		k.flip(at)
		k.restart()
		lists, anew := k.read()
		if anew {
			refused++ // and put right
			continue
		}
		ix := NewIndex(lists)
		for i := range misses {
			if v := ix.Check(&misses[i], t0); v.Status == Revoked {
				t.Fatalf("bit at %d: not listed, but %s", at, v.Status)
			}
		}
		if v := ix.Check(listed, t0); v.Status == Good {
			t.Fatalf("bit at %d: listed, but %s", at, v.Status)
		}
		if err := lists[0].Verify(); err == nil || lists[0].Damaged() == nil {
			t.Fatalf("bit at %d: not found", at)
		}
		found++
		v := wantStatus(t, Unknown, listed, lists...)
		if !strings.Contains(v.Why, "damaged") {
			t.Errorf("why %q", v.Why)
		}
		if lists, anew = k.read(); !anew {
			t.Fatalf("bit at %d: damaged, but not read anew", at)
		}
		wantStatus(t, Revoked, listed, lists...)
		wantStatus(t, Good, clear, lists...)
	}
	if refused == 0 || found == 0 {
		t.Errorf("%d refused, %d found later: want some of both", refused, found)
	}
}

// damagedList is a list whose entries cannot be looked at.
func damagedList(t *testing.T, l *List) *List {
	t.Helper()
	if l.Damaged() != nil {
		t.Fatal("damaged before")
	}
	l.damage(&segment.DamagedError{})
	var damage *segment.DamagedError
	if err := l.Damaged(); !errors.As(err, &damage) || l.Verify() == nil {
		t.Fatalf("error %v", err)
	}
	return l
}

func TestDamagedListsAnswerNothing(t *testing.T) {
	ca := newCA(t, "Blocked CA")
	list := func(number int64, at time.Duration, entries [][]byte, more ...[]byte) *List {
		return ca.list(t, t0.Add(at), entries, append(all(numberExt(number)), more...))
	}
	lists7, nothing := all(revoke(7)), [][]byte(nil)
	hold, lift := all(revoke(7, reasonExt(CertificateHold))), all(revoke(7, reasonExt(RemoveFromCRL)))
	for name, tt := range map[string]struct {
		damaged *List
		others  []*List
		want    Status // of 7
	}{
		"alone":                   {list(2, 0, lists7), nil, Unknown},
		"an older one is good":    {list(2, 0, nothing), []*List{list(1, -time.Hour, nothing)}, Unknown},
		"an older one revokes":    {list(2, 0, nothing), []*List{list(1, -time.Hour, lists7)}, Revoked},
		"a newer one is good":     {list(2, 0, lists7), []*List{list(3, time.Minute, nothing)}, Good},
		"to come, beside another": {list(2, time.Hour, lists7), []*List{list(1, 0, nothing)}, Unknown},
		"another scope is good":   {list(2, 0, nothing, idpExt(only(1))), []*List{list(1, 0, nothing)}, Good},
		"another scope only":      {list(2, 0, nothing, idpExt(only(2))), []*List{list(1, 0, nothing)}, Good},
		"a delta":                 {list(6, 0, lists7, deltaExt(5)), []*List{list(5, -time.Hour, nothing)}, Unknown},
		"a delta that lifts":      {list(6, 0, lift, deltaExt(5)), []*List{list(5, -time.Hour, hold)}, Revoked},
		"a delta caught up with":  {list(6, -time.Hour, lists7, deltaExt(5)), []*List{list(6, 0, nothing)}, Good},
		"a delta of a damaged":    {list(5, -time.Hour, nothing), []*List{list(6, 0, lists7, deltaExt(5))}, Revoked},
	} {
		t.Run(name, func(t *testing.T) {
			wantStatus(t, tt.want, ca.link(t, 7), append(tt.others, damagedList(t, tt.damaged))...)
		})
	}
}

// TestDamageWhileChecking has lists be found damaged while they are asked.
func TestDamageWhileChecking(t *testing.T) {
	ca := newCA(t, "Racing CA")
	link := ca.link(t, 7)
	for range 20 {
		l := ca.list(t, t0, all(revoke(7)), nil)
		ix := NewIndex([]*List{l})
		var group sync.WaitGroup
		for range 4 {
			group.Go(func() {
				for range 50 {
					if v := ix.Check(link, t0); v.Status == Good {
						t.Error(v.Status)
					}
				}
			})
		}
		group.Go(func() { l.damage(errors.New("found")) })
		group.Go(func() { _ = l.Verify() })
		group.Wait()
		if v := ix.Check(link, t0); v.Status != Unknown || v.Why != whyDamaged {
			t.Errorf("%s (%s)", v.Status, v.Why)
		}
	}
}

// TestMeasures has what a list costs.
func TestMeasures(t *testing.T) {
	ca := newCA(t, "Measured CA")
	data, _ := bigList(t, ca, 3000)
	k := newKept(t)
	onDisk, inMemory := k.store(data)[0], parseOne(t, data)
	if onDisk.DiskBytes() < 3000*16 || inMemory.DiskBytes() != 0 {
		t.Errorf("%d and %d bytes on disk", onDisk.DiskBytes(), inMemory.DiskBytes())
	}
	if onDisk.MemoryBytes() > 3000*8 || inMemory.MemoryBytes() < 3000*16 {
		t.Errorf("%d and %d bytes in memory", onDisk.MemoryBytes(), inMemory.MemoryBytes())
	}
	link := *ca.link(t, 7)
	for _, l := range []*List{onDisk, inMemory} {
		rate := l.FalsePositiveRate()
		if rate <= 0 || rate > 0.05 || l.FalsePositives() != 0 {
			t.Errorf("rate %v, met %d", rate, l.FalsePositives())
		}
		ix := NewIndex([]*List{l})
		for i := range int64(20_000) {
			link.serial = integerOctets(big.NewInt(i << 20))
			if v := ix.Check(&link, t0); v.Status != Good {
				t.Fatalf("%s (%s)", v.Status, v.Why)
			}
		}
		if met := float64(l.FalsePositives()); met == 0 || met > 20_000*5*rate+100 {
			t.Errorf("met %v: want about %v", met, 20_000*rate)
		}
	}
	if !bytes.Equal(onDisk.signed, inMemory.signed) {
		t.Error("digests differ")
	}
}
