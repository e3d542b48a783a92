package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func sample() report {
	at := func(micros ...int) []window {
		var all []window
		for _, m := range micros {
			all = append(all, window{units: 1000, wall: 4 * time.Second, cpu: time.Duration(m) * time.Millisecond})
		}
		return all
	}
	return report{
		machine: "2 cores",
		options: options{passes: 3, window: 3 * time.Second},
		servers: []*server{{name: "Sallyport", suite: "A"}, {name: "peer", suite: "A"}},
		notes:   []string{"nginx is left out: it is not installed"},
		metrics: []metric{{name: "full_handshake", title: "handshake", windows: [][]window{at(600, 900, 700), at(1200, 1000, 1400)}}},
	}
}

func TestResults(t *testing.T) {
	file := filepath.Join(t.TempDir(), "new", "edge.json")
	if err := sample().write(file); err != nil {
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
	// The ratio is the median of 0.5, 0.9 and 0.5, not 700/1200.
	want := []map[string]any{{
		"name": "full_handshake", "unit": "us CPU", "ours": 700.0, "peer": "peer", "theirs": 1200.0, "ratio": 0.5,
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("results (-want +got):\n%s", diff)
	}
}

func TestPrint(t *testing.T) {
	var out bytes.Buffer
	if err := sample().print(&out); err != nil {
		t.Fatal(err)
	}
	// Widths are the tabwriter's affair.
	var text string
	for line := range strings.Lines(out.String()) {
		text += strings.Join(strings.Fields(line), " ") + "\n"
	}
	for _, want := range []string{
		"nginx is left out: it is not installed\n",
		"one core for server, client and backend\n",
		"suites: A\n",
		"\n700.0 18 % 600.0 900.0 700.0 Sallyport\n",
		"\n1200.0 0.50 30 % 1200.0 1000.0 1400.0 peer\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, out.String())
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

func TestNginxLibrary(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "nginx")
	for _, test := range []struct{ said, want string }{
		{"nginx version: nginx/1.22.1\nbuilt with OpenSSL 3.0.20 7 Apr 2026 (running with OpenSSL 3.0.19 27 Jan 2026)", "nginx 1.22.1, OpenSSL 3.0.19"},
		{"nginx version: nginx/1.31.5\nbuilt by gcc 12.2.0 (Debian)\nbuilt with OpenSSL 3.5.1 1 Jul 2025", "nginx 1.31.5, OpenSSL 3.5.1"},
		{"something else", "nginx"},
	} {
		script := "#!/bin/sh\ncat >&2 <<'END'\n" + test.said + "\nEND\n"
		if err := os.WriteFile(binary, []byte(script), 0o700); err != nil {
			t.Fatal(err)
		}
		if got, err := nginxName(t.Context(), binary); got != test.want || err != nil {
			t.Errorf("nginxName = %q, %v, want %q", got, err, test.want)
		}
	}
}
