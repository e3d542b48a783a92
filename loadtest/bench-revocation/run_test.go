package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/loadtest/benchmark"
)

func swap(t *testing.T, a, b string) {
	t.Helper()
	for _, step := range [][2]string{{a, a + ".old"}, {b, a}, {a + ".old", b}} {
		if err := os.Rename(step[0], step[1]); err != nil {
			t.Fatal(err)
		}
	}
}

// TestRun is a whole run on lists as small as are kept. It takes some seconds, for
// a CRL must be of some age before.
func TestRun(t *testing.T) {
	dir := t.TempDir()
	o := options{
		cache: filepath.Join(dir, "crl"), output: filepath.Join(dir, "out", "revocation.json"), markdown: filepath.Join(dir, "table.md"),
		sizes: []int{2000, 3000}, rounds: 2, once: 3000, least: time.Millisecond,
	}
	if err := run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(o.output)
	if err != nil {
		t.Fatal(err)
	}
	var rows []benchmark.Comparison
	if err := json.Unmarshal(text, &rows); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range rows {
		got = append(got, r.Name+" "+r.Peer)
		if r.Ours <= 0 || r.Theirs <= 0 || r.Ratio <= 0 || r.Unit == "" {
			t.Errorf("row %+v: want figures above 0", r)
		}
	}
	want := []string{"load 3k crypto/x509", "peak memory 2k crypto/x509", "miss 3k Go map", "hit 2k Go map"}
	if _, missing, err := compilePeer(t.Context(), t.TempDir()); err == nil && missing == "" {
		want = append(want, "load 2k OpenSSL", "load CPU 3k OpenSSL", "peak memory 3k OpenSSL", "miss 2k OpenSSL", "hit 3k OpenSSL", "restart 2k OpenSSL", "restart 3k OpenSSL")
	}
	for _, name := range want {
		if !slices.Contains(got, name) {
			t.Errorf("no row %q among %q", name, got)
		}
	}
	if table, err := os.ReadFile(o.markdown); err != nil || !strings.Contains(string(table), "| miss (CPU), 3k |") {
		t.Errorf("table %q, %v, want a line of misses", table, err)
	}
	left, err := filepath.Glob(filepath.Join(o.cache, "*"))
	if err != nil || len(left) != 2 {
		t.Errorf("a run leaves %q, %v, want its two CRLs", left, err)
	}
}

func TestSideLacksMemory(t *testing.T) {
	s := side{name: "crypto/x509", needs: 900}
	if got := s.lack(10_000_000, 9e9); got != "" {
		t.Errorf("with all it needs: %q, want nothing", got)
	}
	want := "crypto/x509 is left out at 10M: it needs 9.0 GB of memory, and 8.5 GB are available"
	if got := s.lack(10_000_000, 8.5e9); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestRunMeasuredFails(t *testing.T) {
	for name, tt := range map[string]struct {
		script, err string
	}{
		"ends":         {"echo sorry >&2; exit 3", "exit status 3: sorry"},
		"says nothing": {"exit 0", `it wrote ""`},
		"no figures":   {"echo answered", `want "answered" and a measurement`},
		"no answer":    {"echo 1; echo 2", `it wrote "1\n" and "2\n"`},
		"garbage":      {"echo answered; echo 2", "parse measurement"},
	} {
		_, _, err := runMeasured(t.Context(), "/bin/sh", "-c", tt.script)
		if err == nil || !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%s: %v, want %q in it", name, err, tt.err)
		}
	}
	if _, _, err := runMeasured(t.Context(), filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("no such program: no error")
	}
}
