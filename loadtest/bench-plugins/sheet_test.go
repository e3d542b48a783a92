package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/loadtest/benchmark"
)

// exampleReport is of three rounds, in the last of which the machine was slow.
func exampleReport() *report {
	r := &report{machine: benchmark.Machine{Text: "2 cores", Before: "0.10", After: "0.20"}, cores: "one core for all", notes: []string{"nginx is left out: it is not installed."}, sides: sides()}
	for side, each := range map[string][3]float64{
		plainSallyport:          {30, 31, 60},
		"cached":                {31, 32, 61.5},
		"Go plugin":             {36, 38, 80},
		"Go plugin, concurrent": {42, 44, 90},
		plainStandIn:            {28, 29, 50},
		"gRPC (go-plugin)":      {98, 100, 180},
		plainHAProxy:            {30, 30, 50}, // and its other side has no value
	} {
		for _, v := range each {
			r.sheet.add(side, value{each: v, rate: 1e6 / v, busy: 0.5, load: 0.25})
		}
	}
	return r
}

func TestAddedIsOfEachRound(t *testing.T) {
	r := exampleReport()
	for name, want := range map[string]float64{"cached": 1, "Go plugin": 7, "Go plugin, concurrent": 13, "gRPC (go-plugin)": 71} {
		i := slices.IndexFunc(r.sides, func(s *side) bool { return s.name == name })
		if got, measured := r.sheet.added(r.sides[i]); !measured || got != want {
			t.Errorf("%s: %g, measured %t: want %g", name, got, measured, want)
		}
	}
	for _, s := range r.sides {
		if _, measured := r.sheet.added(s); measured && (s.base == "" || s.name == "HAProxy SPOE") {
			t.Errorf("%s: want nothing added", s.name)
		}
	}
}

func TestRows(t *testing.T) {
	r := exampleReport()
	const unit, peer = "us CPU", "gRPC (go-plugin)"
	want := []benchmark.Comparison{
		{Name: "added CPU per request, cached", Unit: unit, Ours: 1, Peer: peer, Theirs: 71, Ratio: 0.0141},
		{Name: "added CPU per request, Go plugin", Unit: unit, Ours: 7, Peer: peer, Theirs: 71, Ratio: 0.0986},
		{Name: "added CPU per request, Go plugin, concurrent", Unit: unit, Ours: 13, Peer: peer, Theirs: 71, Ratio: 0.183},
	}
	if diff := cmp.Diff(want, r.sheet.rows(r.sides)); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}

func TestTable(t *testing.T) {
	r := exampleReport()
	table := r.sheet.table(r.sides)
	if len(table) != 8 {
		t.Fatalf("%d lines, want a heading and 7 sides:\n%v", len(table), table)
	}
	want := []string{"Go plugin", "38.0 µs", "+7.0 µs", "26316", "50 %", "25 %"}
	if diff := cmp.Diff(want, table[3]); diff != "" {
		t.Errorf("line of the Go plugin (-want +got):\n%s", diff)
	}
	if table[1][2] != "" {
		t.Errorf("nothing adds %q", table[1][2])
	}
}

func TestPublish(t *testing.T) {
	r, dir := exampleReport(), filepath.Join(t.TempDir(), "new")
	o := options{output: filepath.Join(dir, "plugins.json"), markdown: filepath.Join(dir, "plugins.md")}
	if err := r.publish(o); err != nil {
		t.Fatal(err)
	}
	var rows []benchmark.Comparison
	text, err := os.ReadFile(o.output)
	if err == nil {
		err = json.Unmarshal(text, &rows)
	}
	if err != nil || len(rows) != 3 {
		t.Errorf("%d rows, %v, want 3", len(rows), err)
	}
	if text, err = os.ReadFile(o.markdown); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Measured on 2 cores; load average 0.10 before, 0.20 after; one core for all.", "\n|---|---:|", "\n| Go plugin | 38.0 µs | +7.0 µs |", "\n- nginx is left out"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

func TestSignificant(t *testing.T) {
	for _, tt := range []struct{ v, want float64 }{{0, 0}, {1234.5, 1230}, {-0.12345, -0.123}, {0.09996, 0.1}} {
		if got := benchmark.Significant(tt.v, 3); got != tt.want {
			t.Errorf("%g: %g, want %g", tt.v, got, tt.want)
		}
	}
}
