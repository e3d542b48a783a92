package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParseMeasurement(t *testing.T) {
	const load = `"library":"L 1","load_wall_ns":3,"load_cpu_ns":2,"peak_bytes":4096`
	for _, tt := range []struct {
		name, line, err string
		want            *measurement
	}{
		{name: "load alone", line: `{` + load + `}`, want: &measurement{Library: "L 1", LoadWall: 3, LoadCPU: 2, Peak: 4096}},
		{
			name: "with look-ups",
			line: `{` + load + `,"miss":{"asked":10,"found":0,"cpu_ns":70,"wall_ns":80},"hit":{"asked":5,"found":5,"cpu_ns":60,"wall_ns":90}}`,
			want: &measurement{
				Library: "L 1", LoadWall: 3, LoadCPU: 2, Peak: 4096,
				Miss: &lookUps{Asked: 10, CPU: 70, Wall: 80}, Hit: &lookUps{Asked: 5, Found: 5, CPU: 60, Wall: 90},
			},
		},
		{name: "nothing", line: ``, err: "EOF"},
		{name: "cut", line: `{"library":"L`, err: "unexpected EOF"},
		{name: "other field", line: `{` + load + `,"speed":1}`, err: `unknown field "speed"`},
		{name: "no library", line: `{"load_wall_ns":3,"load_cpu_ns":2,"peak_bytes":4096}`, err: "want library"},
		{name: "no peak", line: `{"library":"L 1","load_wall_ns":3,"load_cpu_ns":2,"peak_bytes":0}`, err: "want library, load times and peak"},
		{name: "one kind", line: `{` + load + `,"hit":{"asked":5,"found":5,"cpu_ns":60,"wall_ns":90}}`, err: "both kinds or none"},
		{
			name: "no time", err: "that they took time",
			line: `{` + load + `,"miss":{"asked":10,"found":0,"cpu_ns":0,"wall_ns":80},"hit":{"asked":5,"found":5,"cpu_ns":60,"wall_ns":90}}`,
		},
		{
			name: "miss found", err: "found 1 of 10 serials that are not listed",
			line: `{` + load + `,"miss":{"asked":10,"found":1,"cpu_ns":70,"wall_ns":80},"hit":{"asked":5,"found":5,"cpu_ns":60,"wall_ns":90}}`,
		},
		{
			name: "hit not found", err: "4 of 5 that are",
			line: `{` + load + `,"miss":{"asked":10,"found":0,"cpu_ns":70,"wall_ns":80},"hit":{"asked":5,"found":4,"cpu_ns":60,"wall_ns":90}}`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseMeasurement([]byte(tt.line))
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Fatalf("%v, want %q in it", err, tt.err)
				}
				return
			}
			if diff := cmp.Diff(tt.want, got); diff != "" || err != nil {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
}

// FuzzParseMeasurement checks that what is accepted can be divided by, and is the
// same when written and read again.
func FuzzParseMeasurement(f *testing.F) {
	f.Add([]byte(`{"library":"L 1","load_wall_ns":3,"load_cpu_ns":2,"peak_bytes":4096}`))
	f.Add([]byte(`{"library":"L","load_wall_ns":3,"load_cpu_ns":2,"peak_bytes":1,"miss":{"asked":1,"found":0,"cpu_ns":7,"wall_ns":8},"hit":{"asked":5,"found":5,"cpu_ns":6,"wall_ns":9}}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		m, err := parseMeasurement(line)
		if err != nil {
			return
		}
		if m.Miss != nil && (m.Miss.each() <= 0 || m.Hit.each() <= 0) {
			t.Fatalf("look-ups that took no time are accepted: %+v", m)
		}
		text, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		again, err := parseMeasurement(text)
		if diff := cmp.Diff(m, again); diff != "" || err != nil {
			t.Fatalf("%v (-first +second):\n%s", err, diff)
		}
	})
}

func TestParsePeak(t *testing.T) {
	if got, err := parsePeak("Name:\tx\nVmPeak:\t  9 kB\nVmHWM:\t    5128 kB\nVmRSS:\t 1 kB\n"); got != 5128<<10 || err != nil {
		t.Errorf("%d, %v, want %d", got, err, 5128<<10)
	}
	for _, status := range []string{"", "VmPeak:\t9 kB\n", "VmHWM:\tmany kB\n"} {
		if _, err := parsePeak(status); err == nil {
			t.Errorf("%q: no error", status)
		}
	}
}

func TestPeakMemoryGrows(t *testing.T) {
	before, err := peakMemory()
	if err != nil {
		t.Fatal(err)
	}
	const size = 64 << 20
	block := bytes.Repeat([]byte{1}, size)
	after, err := peakMemory()
	if err != nil {
		t.Fatal(err)
	}
	// Less than the block only if that much was free, and resident, before.
	if after < size || after < before {
		t.Errorf("peak is %d with %d bytes in use, and was %d", after, len(block), before)
	}
}

// What warms the caches up is not counted, and no query is left out.
func TestLookUp(t *testing.T) {
	n := block + 7
	asked := make([]int, n)
	l := lookUp(n, time.Millisecond, func(from, to int) int {
		for i := from; i < to; i++ {
			asked[i]++
		}
		return to - from
	})
	if l.Asked < int64(n) || l.Found != l.Asked || l.CPU < int64(time.Millisecond) {
		t.Errorf("%+v: want all %d queries found, in a millisecond or more", l, n)
	}
	sum := 0
	for i, times := range asked {
		if times == 0 {
			t.Fatalf("query %d was left out", i)
		}
		sum += times
	}
	if int64(sum) != l.Asked+block {
		t.Errorf("%d look-ups made, %d counted: want %d not counted", sum, l.Asked, block)
	}
}
