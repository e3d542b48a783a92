package revocation

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// modelList is a list as the model sees it: a map from serial to reason.
type modelList struct {
	ca      int
	scope   int // 0 whole, 1 end entities, 2 CAs
	number  int64
	entries map[int64]Reason
	list    *List
}

// modelStatus says from the definition what the lists answer: revoked if the
// newest list of any scope that fits names the serial, good if one fits.
func modelStatus(lists []*modelList, ca int, isCA bool, serial int64) (Status, Reason) {
	newest := map[int]*modelList{}
	for _, l := range lists {
		if l.ca != ca || l.scope == 1 && isCA || l.scope == 2 && !isCA {
			continue
		}
		if newest[l.scope] == nil || newest[l.scope].number < l.number {
			newest[l.scope] = l
		}
	}
	status, reason := Unknown, Unspecified
	for _, l := range newest {
		if status == Unknown {
			status = Good
		}
		if r, listed := l.entries[serial]; listed {
			if status != Revoked || r != CertificateHold {
				status, reason = Revoked, r
			}
		}
	}
	return status, reason
}

// TestModel adds and removes random lists and compares all answers with the
// model's. REVOCATION_SEED repeats a run.
func TestModel(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("REVOCATION_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("REVOCATION_SEED=%d", seed)
	random := rand.New(rand.NewPCG(seed, 0))

	cas := []*testCA{newCA(t, "Model A"), newCA(t, "Model B"), newCA(t, "Model A"), newCA(t, "model  a")}
	const serials = 60
	links := make([][2][serials]*Link, len(cas))
	for n, ca := range cas {
		for serial := range int64(serials) {
			links[n][0][serial] = ca.link(t, serial+1)
			links[n][1][serial] = ca.link(t, serial+1, asCA)
		}
	}
	steps := 300
	if testing.Short() {
		steps = 50
	}
	var lists []*modelList
	for step := range steps {
		if len(lists) > 0 && random.IntN(3) == 0 {
			n := random.IntN(len(lists))
			lists = append(lists[:n:n], lists[n+1:]...)
		} else {
			lists = append(lists, randomList(t, random, cas, int64(step)))
		}
		var parsed []*List
		for _, n := range random.Perm(len(lists)) {
			parsed = append(parsed, lists[n].list)
		}
		ix := NewIndex(parsed)
		for n := range cas {
			for kind, all := range links[n] {
				for i, link := range all {
					status, reason := modelStatus(lists, n, kind == 1, int64(i+1))
					v := ix.Check(link, t0.AddDate(1, 0, 0))
					// Two lasting reasons from two scopes: either may be told.
					if v.Status != status || (v.Reason == CertificateHold) != (reason == CertificateHold) {
						t.Fatalf("step %d, CA %d, CA certificate %v, serial %d: %s %s (%s): want %s %s",
							step, n, kind == 1, i+1, v.Status, v.Reason, v.Why, status, reason)
					}
				}
			}
		}
	}
}

func randomList(t *testing.T, random *rand.Rand, cas []*testCA, number int64) *modelList {
	m := &modelList{ca: random.IntN(len(cas)), scope: random.IntN(3), number: number, entries: map[int64]Reason{}}
	var entries [][]byte
	for range random.IntN(40) {
		serial := int64(random.IntN(60) + 1)
		if _, listed := m.entries[serial]; listed {
			continue
		}
		reason := []Reason{Unspecified, KeyCompromise, CertificateHold, AACompromise}[random.IntN(4)]
		m.entries[serial] = reason
		if reason == Unspecified {
			entries = append(entries, revoke(serial))
		} else {
			entries = append(entries, revoke(serial, reasonExt(reason)))
		}
	}
	extensions := all(numberExt(number))
	if m.scope > 0 {
		extensions = append(extensions, idpExt(only(byte(m.scope))))
	}
	m.list = cas[m.ca].list(t, t0.Add(time.Duration(number)*time.Minute), entries, extensions)
	return m
}

// TestSwapWhileChecking swaps the Index under readers: each answer must be that
// of one of the two, and all of a serial that both revoke must be Revoked.
func TestSwapWhileChecking(t *testing.T) {
	ca := newCA(t, "Swap CA")
	always, sometimes, never := ca.link(t, 7), ca.link(t, 8), ca.link(t, 9)
	first := ca.list(t, t0, all(revoke(7)), all(numberExt(1)))
	second := ca.list(t, t0.Add(time.Minute), all(revoke(7), revoke(8)), all(numberExt(2)))

	var index atomic.Pointer[Index]
	index.Store(NewIndex([]*List{first}))
	stop := make(chan struct{})
	errs := make(chan error, 4)
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				ix := index.Load()
				if v := ix.Check(always, t0); v.Status != Revoked {
					errs <- fmt.Errorf("revoked in both: %s (%s)", v.Status, v.Why)
					return
				}
				if v := ix.Check(never, t0); v.Status != Good {
					errs <- fmt.Errorf("revoked in none: %s (%s)", v.Status, v.Why)
					return
				}
				v, again := ix.Check(sometimes, t0), ix.Check(sometimes, t0)
				if v.Status == Unknown || v != again {
					errs <- fmt.Errorf("revoked in one: %+v, then %+v", v, again)
					return
				}
			}
		})
	}
	for n := range 300 {
		if n%2 == 0 {
			index.Store(NewIndex([]*List{first, second}))
		} else {
			index.Store(NewIndex([]*List{first}))
		}
		// Let a reader see it: the first check of an Index verifies signatures.
		index.Load().Check(never, t0)
	}
	close(stop)
	readers.Wait()
	select {
	case err := <-errs:
		t.Error(err)
	default:
	}
}
