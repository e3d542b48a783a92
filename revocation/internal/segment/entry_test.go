package segment

import (
	"encoding/binary"
	"testing"
	"time"
)

func TestPacking(t *testing.T) {
	const days = secondsDay
	latest := time.Date(2026, 3, 1, 12, 34, 56, 0, time.UTC).Unix()
	noon := day(latest) * days
	for name, tt := range map[string]struct {
		entries  int
		at, want int64
	}{
		"small":                {ExactTimes, latest, latest},
		"small, before 1970":   {ExactTimes, -1, -1},
		"small, earliest":      {1, -maxAt, -maxAt},
		"small, latest":        {1, maxAt - 1, maxAt - 1},
		"large":                {ExactTimes + 1, latest, noon},
		"large, midnight":      {ExactTimes + 1, noon, noon},
		"large, second before": {ExactTimes + 1, noon - 1, noon - days},
		"large, oldest":        {ExactTimes + 1, noon - maxAge*days, noon - maxAge*days},
		"large, older":         {ExactTimes + 1, noon - maxAge*days - 1, noon - maxAge*days},
		"large, before 1970":   {ExactTimes + 1, -1, noon - maxAge*days},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPacking(tt.entries, latest)
			for reason := range uint8(maxReason + 1) {
				raw := p.append(nil, Entry{tt.at, reason})
				if len(raw) != p.width() {
					t.Fatalf("%d octets, want %d", len(raw), p.width())
				}
				if got, want := p.entry(raw), (Entry{tt.want, reason}); got != want {
					t.Errorf("got %v, want %v", got, want)
				}
			}
		})
	}
}

func TestDay(t *testing.T) {
	for at, want := range map[int64]int64{0: 0, 1: 0, 86399: 0, 86400: 1, -1: -1, -86400: -1, -86401: -2} {
		if got := day(at); got != want {
			t.Errorf("day of %d is %d, want %d", at, got, want)
		}
	}
}

// TestLargeList builds one entry more than keeps its seconds. Worse still sees
// them.
func TestLargeList(t *testing.T) {
	b := NewBuilder(Options{Dir: privateDir(t), Worse: worse})
	latest := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC).Unix()
	serial := func(n int) []byte { return binary.BigEndian.AppendUint64([]byte{1, 2, 3, 4}, uint64(n)) }
	for n := range ExactTimes - 1 {
		if err := b.Add(serial(n), Entry{latest - int64(n)*3600, uint8(n % 16)}); err != nil {
			t.Fatal(err)
		}
	}
	for second := range int64(2) {
		if err := b.Add(serial(ExactTimes), Entry{latest + second, 3}); err != nil {
			t.Fatal(err)
		}
	}
	s, err := b.Build(nil, "large")
	if err != nil {
		t.Fatal(err)
	}
	if st := s.Stats(); st.Entries != ExactTimes+1 || st.Distinct != ExactTimes {
		t.Errorf("%+v, want %d entries, one of them double", st, ExactTimes+1)
	}
	for n := range ExactTimes - 1 {
		want := Entry{max(day(latest-int64(n)*3600), day(latest)-maxAge) * secondsDay, uint8(n % 16)}
		if got, found, err := s.Find(serial(n)); got != want || !found || err != nil {
			t.Fatalf("entry %d: %v, %v, %v; want %v", n, got, found, err, want)
		}
	}
	if got, found, err := s.Find(serial(ExactTimes)); got != (Entry{latest, 3}) || !found || err != nil {
		t.Errorf("the double one: %v, %v, %v", got, found, err)
	}
}
