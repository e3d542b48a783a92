package main

import (
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/bpf"
	"github.com/sallyport/sallyport/loadtest/benchmark"
)

func needAll(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		lack(t, "not root")
	}
	if err := bpf.Supported(); err != nil {
		lack(t, err.Error())
	}
	if _, err := exec.LookPath("ip"); err != nil {
		lack(t, "ip is not installed")
	}
	if why := lackOfNFT(); why != "" {
		lack(t, why)
	}
	if _, err := splitCores(); err != nil {
		lack(t, err.Error())
	}
}

// TestRun is a whole run, as small as it gets: some seconds, in which it yields to
// the tests beside it, with floods of a second and an attack of one
// connection at a time from each address.
func TestRun(t *testing.T) {
	if testing.Short() {
		t.Skip("a whole run, whose floods need the processor for themselves")
	}
	needAll(t)
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir) // where a run has its files
	binary := filepath.Join(dir, "sallyport")
	if out, err := exec.Command("go", "build", "-o", binary, "github.com/sallyport/sallyport/cmd/sallyport").CombinedOutput(); err != nil {
		t.Fatalf("build Sallyport: %v\n%s", err, out)
	}
	o := options{
		sallyport: binary, output: filepath.Join(dir, "out", "kernel.json"), passes: 1, sizes: []int{1000},
		window: time.Second, calm: 500 * time.Millisecond, flood: 2 * time.Second, failures: 2, listed: 500,
		atOnce: 1, yielding: true,
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
		got = append(got, r.Name+" / "+r.Peer)
		if r.Theirs <= 0 || r.Unit == "" || r.Ours <= 0 && !strings.HasSuffix(r.Name, ", off") {
			t.Errorf("row %+v: want figures above 0", r)
		}
	}
	want := []string{
		"drop per packet 1k bans / nftables", "drop per packet 1k bans / no filter", "good client under flood, XDP / undisturbed",
		"good client under flood, user space / undisturbed", "good client under flood, off / undisturbed",
	}
	for _, of := range []string{"good client's p50 under flood", "good client's p99 under flood, settled", "server core under flood, settled"} {
		for _, side := range []string{"XDP", "user space", "off"} {
			want = append(want, of+", "+side+" / undisturbed")
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("rows %q, want %q", got, want)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "bench-kernel-*")); err != nil || len(left) > 0 {
		t.Errorf("a run leaves %q, %v", left, err)
	}
	if _, err := net.InterfaceByName("s" + strconv.FormatInt(int64(os.Getpid()), 36)); err == nil {
		t.Error("a run leaves an interface where it was started")
	}
}

// TestRunStartsWithNothing: what is missing is said before anything is made.
func TestRunStartsWithNothing(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	if err := run(t.Context(), options{sallyport: filepath.Join(dir, "none"), passes: 1}); err == nil || !strings.Contains(err.Error(), "none") {
		t.Errorf("%v, want that there is no such binary", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("it leaves %v, %v", left, err)
	}
}
