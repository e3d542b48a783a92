package peers

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/loadtest"
)

// sample has a figure of every size, a server left out, and one with CRLs.
func sample() *Report {
	handshake := &scenario{name: "full handshake, returning client", unit: microseconds}
	revoked := &scenario{name: "refused, revoked", unit: microseconds}
	many := &scenario{name: "full handshake, CRL of 1M", unit: microseconds}
	return &Report{
		Started: time.Date(2026, 11, 21, 4, 30, 0, 0, time.UTC),
		Machine: loadtest.Machine{CPU: "Some CPU", Cores: 2, Kernel: "6.18", Go: "go1.26.8"},
		Load:    1.25,
		Cores:   "server on core 0, load and target on core 1",
		Rounds:  3,
		Servers: []Server{
			{Name: "Sallyport", Version: "v1.0.0", Suite: "TLS_AES_128_GCM_SHA256"},
			{Name: "nginx", Version: "1.22.1, OpenSSL 3.0.19", Suite: "TLS_AES_128_GCM_SHA256"},
			{Name: "Caddy", Version: "2.11.9, go1.26.8", Suite: "TLS_AES_128_GCM_SHA256"},
		},
		Rows: []Row{
			newRow(handshake, [][]float64{{600, 900, 700}, {1200, 1000, 1400}, {1000.4, 1100, 1200}}, make([]string, 3)),
			newRow(revoked, [][]float64{{9.8765, 10, 12}, {98.76, 99, 111}, nil}, []string{"", "", "it has no CRL"}),
			newRow(many, [][]float64{{700, 720, 740}, {70000, 72000, 71000}, nil}, []string{"", "", "it has no CRL"}),
		},
		Notes: []string{"HAProxy is left out: haproxy is not installed."},
	}
}

func TestNewRow(t *testing.T) {
	got := sample().Rows[0]
	want := Row{
		Scenario: "full handshake, returning client", Unit: "µs CPU",
		Cells: []Cell{
			{Samples: []float64{600, 900, 700}, Median: 700, Min: 600, Max: 900},
			// The median of 0.5, 0.9 and 0.5, not 700/1200.
			{Samples: []float64{1200, 1000, 1400}, Median: 1200, Min: 1000, Max: 1400, Ratio: 0.5},
			{Samples: []float64{1000.4, 1100, 1200}, Median: 1100, Min: 1000.4, Max: 1200, Ratio: 600 / 1000.4},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("row (-want +got):\n%s", diff)
	}
}

// What cannot be divided has no ratio, and none is NaN or infinite, which JSON
// does not know.
func TestRatios(t *testing.T) {
	for _, test := range []struct{ ours, theirs, want []float64 }{
		{nil, nil, nil},
		{nil, []float64{1}, nil},
		{[]float64{1}, nil, nil},
		{[]float64{1, 2}, []float64{0, 4}, []float64{0.5}},
		{[]float64{1}, []float64{-1}, nil},
	} {
		if diff := cmp.Diff(test.want, ratios(test.ours, test.theirs)); diff != "" {
			t.Errorf("ratios(%v, %v) (-want +got):\n%s", test.ours, test.theirs, diff)
		}
	}
}

func TestMedian(t *testing.T) {
	for _, test := range []struct {
		values []float64
		want   float64
	}{{[]float64{3}, 3}, {[]float64{3, 1}, 2}, {[]float64{9, 1, 2}, 2}, {[]float64{4, 1, 9, 2}, 3}} {
		if got := median(test.values); got != test.want {
			t.Errorf("median(%v) = %g, want %g", test.values, got, test.want)
		}
	}
}

func TestTable(t *testing.T) {
	var out strings.Builder
	if err := sample().Table(&out); err != nil {
		t.Fatal(err)
	}
	golden(t, "report.txt", out.String())
}

func TestMarkdown(t *testing.T) {
	var out strings.Builder
	if err := sample().Markdown(&out); err != nil {
		t.Fatal(err)
	}
	golden(t, "report.md", out.String())
}

func TestWriteBench(t *testing.T) {
	file := filepath.Join(t.TempDir(), "new", "edge.json")
	if err := sample().WriteBench(file); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var got []map[string]any
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	line := func(name string, ours float64, peer string, theirs, ratio float64) map[string]any {
		return map[string]any{"name": name, "unit": "µs CPU", "ours": ours, "peer": peer, "theirs": theirs, "ratio": ratio}
	}
	want := []map[string]any{
		line("full handshake, returning client", 700, "nginx", 1200, 0.5),
		line("full handshake, returning client", 700, "Caddy", 1100, 0.5998),
		line("refused, revoked", 10, "nginx", 99, 0.101),
		line("full handshake, CRL of 1M", 720, "nginx", 71000, 0.01),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("comparisons (-want +got):\n%s", diff)
	}
}

// A report with nothing in it is a list with nothing in it, not null.
func TestWriteBenchOfNothing(t *testing.T) {
	file := filepath.Join(t.TempDir(), "edge.json")
	if err := (&Report{}).WriteBench(file); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != "[]\n" {
		t.Errorf("file %q, %v, want an empty list", text, err)
	}
}
