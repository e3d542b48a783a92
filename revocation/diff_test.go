package revocation

import (
	"fmt"
	"maps"
	"math/big"
	"slices"
	"testing"
	"time"

	"github.com/sallyport/sallyport/revocation/internal/segment"
)

// changes prints what Diff yields, sorted.
func changes(t *testing.T, before, after *List) []string {
	t.Helper()
	text := func(e *Entry) string {
		if e == nil {
			return "-"
		}
		return fmt.Sprintf("%s %s", e.Reason, e.RevokedAt.Format(time.DateTime))
	}
	got := []string{}
	if err := Diff(before, after, func(c Change) bool {
		got = append(got, fmt.Sprintf("%d: %s > %s", new(big.Int).SetBytes(c.Serial), text(c.Before), text(c.After)))
		return true
	}); err != nil {
		t.Fatal(err)
	}
	slices.Sort(got)
	return got
}

func TestDiff(t *testing.T) {
	ca := newCA(t, "CA")
	at := func(serial int64, when time.Time) []byte { return revokeAt(integer(serial), when) }
	before := ca.list(t, t0, all(revoke(1), revoke(2), revoke(3, reasonExt(CertificateHold)), at(4, t0), revoke(1<<40)), nil)
	after := ca.list(t, t1, all(revoke(2), revoke(3, reasonExt(KeyCompromise)), at(4, t0.Add(time.Second)), revoke(5), revoke(1<<40)), nil)
	want := []string{
		"1: unspecified 2026-03-01 11:00:00 > -",
		"3: certificateHold 2026-03-01 11:00:00 > keyCompromise 2026-03-01 11:00:00",
		"4: unspecified 2026-03-01 12:00:00 > unspecified 2026-03-01 12:00:01",
		"5: - > unspecified 2026-03-01 11:00:00",
	}
	if got := changes(t, before, after); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if got := changes(t, before, before); len(got) != 0 {
		t.Errorf("a list differs from itself by %q", got)
	}
	if got := changes(t, before, ca.list(t, t1, nil, nil)); len(got) != 5 {
		t.Errorf("from an empty list: %q", got)
	}
	n := 0
	if err := Diff(before, after, func(Change) bool { n++; return false }); err != nil || n != 1 {
		t.Errorf("%d changes after it was stopped at the first: %v", n, err)
	}
}

// TestDiffOfLargeLists has one list that keeps its times to the day only.
func TestDiffOfLargeLists(t *testing.T) {
	ca := newCA(t, "CA")
	entries := make([][]byte, 0, segment.ExactTimes+1)
	for i := range int64(segment.ExactTimes + 1) {
		entries = append(entries, revoke(i+1))
	}
	small := ca.list(t, t0, all(revoke(7), revokeAt(integer(8), t0.Add(-48*time.Hour))), nil)
	large := ca.list(t, t1, entries, nil)
	seen := map[string]int{}
	if err := Diff(small, large, func(c Change) bool {
		switch {
		case c.Before != nil:
			seen[fmt.Sprintf("changed %x", c.Serial)]++
		default:
			seen["new"]++
		}
		return true
	}); err != nil {
		t.Fatal(err)
	}
	if want := map[string]int{"changed 08": 1, "new": segment.ExactTimes - 1}; !maps.Equal(seen, want) {
		t.Errorf("got %v, want %v", seen, want)
	}
}
