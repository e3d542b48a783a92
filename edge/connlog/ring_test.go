package connlog

import (
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRing(t *testing.T) {
	for _, test := range []struct {
		size, add, last int
		want            string
	}{
		{3, 0, 5, ""},
		{3, 2, 5, "1 0"},
		{3, 3, 5, "2 1 0"},
		{3, 5, 5, "4 3 2"},
		{3, 5, 2, "4 3"},
		{3, 5, 0, ""},
		{3, 5, -1, ""},
		{1, 5, 2, "4"},
		{0, 5, 2, ""},
		{-1, 5, 2, ""},
	} {
		ring := NewRing(test.size)
		for i := range test.add {
			ring.Add(Record{Cause: strconv.Itoa(i)})
		}
		var got []string
		for _, r := range ring.Last(test.last) {
			got = append(got, r.Cause)
		}
		if diff := cmp.Diff(test.want, strings.Join(got, " ")); diff != "" {
			t.Errorf("ring of %d after %d, last %d: %s", test.size, test.add, test.last, diff)
		}
	}
}

func TestRingBoundsStrings(t *testing.T) {
	ring := NewRing(1)
	r := records()["long"]
	ring.Add(r)
	kept := ring.Last(1)[0]
	for _, text := range kept.texts() {
		if len(*text) > maxText {
			t.Errorf("kept a string of %d bytes", len(*text))
		}
	}
	if got, want := string(kept.AppendJSON(nil)), string(r.AppendJSON(nil)); got != want {
		t.Error("the ring's record prints otherwise than the log's")
	}
}

func TestRingConcurrently(t *testing.T) {
	ring := NewRing(8)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range 500 {
				ring.Add(Record{PresentedCertificates: i, TrustStoreGeneration: uint64(i)})
				for _, r := range ring.Last(8) {
					if uint64(r.PresentedCertificates) != r.TrustStoreGeneration {
						t.Errorf("torn record %v", r)
					}
				}
			}
		})
	}
	wg.Wait()
	if n := len(ring.Last(100)); n != 8 {
		t.Errorf("%d records, want 8", n)
	}
}

func TestNewTraceID(t *testing.T) {
	form := regexp.MustCompile(`^TID_[0-9a-f]{32}$`)
	const each = 1000 // several refills
	ids := make(chan string, 4*each)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range each {
				ids <- NewTraceID()
			}
		})
	}
	wg.Wait()
	close(ids)
	seen := map[string]bool{}
	for id := range ids {
		if !form.MatchString(id) {
			t.Fatalf("identifier %q", id)
		}
		if seen[id] {
			t.Fatalf("identifier %q twice", id)
		}
		seen[id] = true
	}
}

func BenchmarkNewTraceID(b *testing.B) {
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			NewTraceID()
		}
	})
}
