package main

import (
	"flag"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/loadtest/benchmark"
)

var update = flag.Bool("update", false, "write golden files anew")

// example is a sheet of two sizes, some rounds, and sides that lack something.
func example() *sheet {
	s := new(sheet)
	for _, v := range []float64{9, 3, 4} { // out of order: the median is 4
		s.add("load", 10_000_000, ours, v)
	}
	s.add("load", 10_000_000, "OpenSSL", 44)
	s.add("load", 10_000, ours, 0.0051234)
	s.add("load", 10_000, "crypto/x509", 0.0161)
	s.add("peak memory", 10_000_000, ours, 230)
	s.add("peak memory", 10_000_000, "OpenSSL", 3157.3)
	s.add("miss", 10_000_000, ours, 100)
	s.add("miss", 10_000_000, ours, 110) // of two, the mean: 105
	s.add("miss", 10_000_000, "OpenSSL", 8700)
	s.add("miss", 10_000_000, "Go map", 350)
	s.add("hit", 10_000_000, ours, 640)
	s.add("hit", 10_000_000, "Go map", 320)
	s.add("hit", 10_000, "Go map", 24) // no figure of ours: no row
	s.add("restart", 10_000_000, ours, 0.0004)
	s.add("handshake", 1_000_000, ours, 500)
	s.add("handshake", 1_000_000, "nginx", 70000)
	return s
}

func TestRows(t *testing.T) {
	want := []benchmark.Comparison{
		{Name: "load 10M", Unit: "s wall", Ours: 4, Peer: "OpenSSL", Theirs: 44, Ratio: 0.0909},
		{Name: "peak memory 10M", Unit: "MiB", Ours: 230, Peer: "OpenSSL", Theirs: 3157, Ratio: 0.0728},
		{Name: "miss 10M", Unit: "ns CPU", Ours: 105, Peer: "OpenSSL", Theirs: 8700, Ratio: 0.0121},
		{Name: "miss 10M", Unit: "ns CPU", Ours: 105, Peer: "Go map", Theirs: 350, Ratio: 0.3},
		{Name: "hit 10M", Unit: "ns CPU", Ours: 640, Peer: "Go map", Theirs: 320, Ratio: 2},
		{Name: "handshake 1M", Unit: "us CPU", Ours: 500, Peer: "nginx", Theirs: 70000, Ratio: 0.00714},
		{Name: "load 10k", Unit: "s wall", Ours: 0.005123, Peer: "crypto/x509", Theirs: 0.0161, Ratio: 0.318},
	}
	if diff := cmp.Diff(want, example().rows()); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	if rows := new(sheet).rows(); len(rows) != 0 {
		t.Errorf("rows of an empty sheet: %v, want none", rows)
	}
}

func TestMarkdown(t *testing.T) {
	r := report{
		machine:  benchmark.Machine{Text: "2 cores", Before: "0.10", After: "1.20"},
		versions: []string{"package revocation", "OpenSSL 3.0"},
		notes:    []string{"nginx is left out: it is not installed"},
		sheet:    example(), bare: true,
	}
	const golden = "testdata/table.md"
	if *update {
		if err := benchmark.WriteFile(golden, r.markdown()); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(r.markdown())); diff != "" {
		t.Errorf("%s (-want +got):\n%s", golden, diff)
	}
}

func TestNumbers(t *testing.T) {
	for _, tt := range []struct{ got, want string }{
		{benchmark.Count(10_000_000), "10M"},
		{benchmark.Count(100_000), "100k"},
		{benchmark.Count(1500), "1500"},
		{benchmark.Count(1_500_000), "1500k"},
		{seconds(0.00036), "360 µs"},
		{seconds(0.0761), "76.1 ms"},
		{seconds(57.94), "57.9 s"},
		{seconds(1234.5), "1230 s"},
		{nanoseconds(49.96), "50 ns"},
		{nanoseconds(8725), "8.73 µs"},
		{microseconds(70000), "70 ms"},
		{mebibytes(3157.3), "3160 MiB"},
		{benchmark.Digits(0), "0"},
		{benchmark.Digits(0.000123456), "0.000123"},
		{benchmark.Digits(12345678), "12300000"},
	} {
		if tt.got != tt.want {
			t.Errorf("%s, want %s", tt.got, tt.want)
		}
	}
}
