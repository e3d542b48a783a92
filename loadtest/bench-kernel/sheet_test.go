package main

import (
	"bytes"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/loadtest"
	"github.com/sallyport/sallyport/loadtest/benchmark"
)

// example is a sheet of two sizes, some passes, and sides that lack something.
func example() *sheet {
	s := &sheet{sizes: []int{100_000, 1_000_000}, listed: 1_000_000}
	for _, v := range []float64{900, 300, 400} { // out of order: the median is 400
		s.add(dropping(100_000), xdp, v)
	}
	s.add(dropping(100_000), nftables+", ingress", 1000)
	s.add(dropping(100_000), nftables+", prerouting", 900)
	s.add(dropping(100_000), nftFixed+", ingress", 800)
	s.add(dropping(100_000), noFilter, 5000)
	s.add(dropping(1_000_000), xdp, 600)
	s.add(dropping(1_000_000), xdp, 700) // of two, the mean: 650
	s.add(dropping(1_000_000), noFilter, 6000)
	s.add(load(1_000_000), xdp, 1.5)
	s.add(load(1_000_000), nftables, 6)
	s.add(running(alone[0].name, 1_000_000), xdp, 180)
	s.add(running(alone[0].name, 1_000_000), emptyProgram, 24)
	for side, v := range map[string][4]float64{
		undisturbed: {100, 1.9, 20, 15}, bansXDP: {99.97, 4, 1000, 18}, bansUserSpace: {99, 4, 900, 30}, bansOff: {75, 700, 1300, 1200}, bansListed: {100, 89, 260, 200},
	} {
		s.add(goodShare, side, v[0])
		s.add(goodP50, side, v[1])
		s.add(goodP99, side, v[2])
		s.add(goodSettled, side, v[3])
	}
	s.add(serverBusy, undisturbed, 50)
	s.add(serverBusy, bansXDP, 52)
	s.add(serverBusy, bansUserSpace, 75)
	s.add(attackTried, bansXDP, 5130)
	s.add(listTook, bansXDP, 20.1)
	s.add(edgeStart, bansXDP, 14)
	return s
}

func TestRows(t *testing.T) {
	want := []benchmark.Comparison{
		{Name: "drop per packet 100k bans", Unit: "ns CPU", Ours: 400, Peer: "nftables", Theirs: 900, Ratio: 0.444},
		{Name: "drop per packet 100k bans", Unit: "ns CPU", Ours: 400, Peer: "no filter", Theirs: 5000, Ratio: 0.08},
		{Name: "drop per packet 1M bans", Unit: "ns CPU", Ours: 650, Peer: "no filter", Theirs: 6000, Ratio: 0.108},
		{Name: "good client under flood, XDP", Unit: "% in time", Ours: 99.97, Peer: "undisturbed", Theirs: 100, Ratio: 1},
		{Name: "good client under flood, user space", Unit: "% in time", Ours: 99, Peer: "undisturbed", Theirs: 100, Ratio: 0.99},
		{Name: "good client under flood, off", Unit: "% in time", Ours: 75, Peer: "undisturbed", Theirs: 100, Ratio: 0.75},
		{Name: "good client's p50 under flood, XDP", Unit: "ms", Ours: 4, Peer: "undisturbed", Theirs: 1.9, Ratio: 2.11},
		{Name: "good client's p50 under flood, user space", Unit: "ms", Ours: 4, Peer: "undisturbed", Theirs: 1.9, Ratio: 2.11},
		{Name: "good client's p50 under flood, off", Unit: "ms", Ours: 700, Peer: "undisturbed", Theirs: 1.9, Ratio: 368},
		{Name: "good client's p99 under flood, settled, XDP", Unit: "ms", Ours: 18, Peer: "undisturbed", Theirs: 15, Ratio: 1.2},
		{Name: "good client's p99 under flood, settled, user space", Unit: "ms", Ours: 30, Peer: "undisturbed", Theirs: 15, Ratio: 2},
		{Name: "good client's p99 under flood, settled, off", Unit: "ms", Ours: 1200, Peer: "undisturbed", Theirs: 15, Ratio: 80},
		{Name: "server core under flood, settled, XDP", Unit: "% busy", Ours: 52, Peer: "undisturbed", Theirs: 50, Ratio: 1.04},
		{Name: "server core under flood, settled, user space", Unit: "% busy", Ours: 75, Peer: "undisturbed", Theirs: 50, Ratio: 1.5},
	}
	if diff := cmp.Diff(want, example().rows()); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	if rows := new(sheet).rows(); len(rows) != 0 {
		t.Errorf("rows of an empty sheet: %v, want none", rows)
	}
}

func TestPrint(t *testing.T) {
	r := report{
		machine:  benchmark.Machine{Text: "2 cores", Before: "0.10", After: "1.20"},
		cores:    cores{server: 0, client: 1},
		versions: []string{"nftables v1.0"}, notes: []string{"something is left out: it is not installed"},
		rate: 700, sheet: example(), options: options{passes: 3, flood: 20 * time.Second, failures: 10, atOnce: 16},
	}
	var got bytes.Buffer
	if err := r.print(&got); err != nil {
		t.Fatal(err)
	}
	const golden = "testdata/report.txt"
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("%s (-want +got):\n%s", golden, diff)
	}
}

func TestNumbers(t *testing.T) {
	for _, tt := range []struct{ got, want string }{
		{benchmark.Count(1_000_000), "1M"},
		{benchmark.Count(100_000), "100k"},
		{benchmark.Count(1500), "1500"},
		{benchmark.Digits(0), "0"},
		{benchmark.Digits(0.000123456), "0.000123"},
		{benchmark.Digits(99.97), "100"},
		{benchmark.Digits(1234.5), "1230"},
	} {
		if tt.got != tt.want {
			t.Errorf("%s, want %s", tt.got, tt.want)
		}
	}
	if got := (&good{Due: 200, Done: 150}).share(); got != 75 {
		t.Errorf("150 of 200 are %g %%, want 75", got)
	}
}

func TestSettledP99(t *testing.T) {
	ms := func(n int) time.Duration { return time.Duration(n) * time.Millisecond }
	seconds := []loadtest.Second{{At: 0, Done: 1, P99: ms(900)}, {At: 1, Done: 1, P99: ms(800)}, {At: 2, Done: 1, P99: ms(30)}, {At: 3},
		{At: 4, Done: 1, P99: ms(10)}, {At: 5, Done: 1, P99: ms(20)}, {At: 10, Done: 1, P99: ms(700)}}
	if got := settledP99(seconds, 10*time.Second); got != ms(20) {
		t.Errorf("%v, want that of the seconds 2, 4 and 5, 20ms", got)
	}
	if got := settledP99(seconds[:2], 10*time.Second); got != 0 {
		t.Errorf("%v of no settled second, want 0", got)
	}
}
