package peers

import (
	"context"
	"errors"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/loadtest"
)

// built is Sallyport's binary, made once for all tests.
var built struct {
	sync.Mutex
	binary string
}

func buildSallyport(t *testing.T) string {
	t.Helper()
	built.Lock()
	defer built.Unlock()
	if built.binary == "" {
		binary := filepath.Join(buildDir, "sallyport")
		out, err := exec.Command("go", "build", "-o", binary, "github.com/sallyport/sallyport/cmd/sallyport").CombinedOutput()
		if err != nil {
			t.Fatalf("build Sallyport: %v\n%s", err, out)
		}
		built.binary = binary
	}
	return built.binary
}

// newBench makes what a run has made when it measures, of these servers, with
// small sizes: a PKI, a target, and servers that were found. Without any it has
// the plain Go edge. A server that is missing makes the test skip, but not in CI.
func newBench(t *testing.T, kinds ...*kind) *bench {
	t.Helper()
	if len(kinds) == 0 {
		kinds = []*kind{goNetHTTP}
	}
	b := &bench{
		Options:   Options{Log: io.Discard, Rounds: 1},
		size:      size{warmUp: 20 * time.Millisecond, newClients: 400, idle: 20, many: 2000},
		scenarios: scenarios,
		host:      newLoopback(),
		lengths:   map[[2]string]time.Duration{},
	}
	for _, k := range kinds {
		if k == sallyport {
			b.Sallyport = buildSallyport(t)
		}
		b.Peers = append(b.Peers, k.name)
	}
	if err := b.find(t.Context(), kinds); errors.Is(err, errMissing) && os.Getenv("CI") == "" {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
	var err error
	if b.dir, err = os.MkdirTemp("", "peers-"); err != nil { // short, for Sallyport's socket
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(b.dir) })
	if err := b.makeFiles(); err != nil {
		t.Fatal(err)
	}
	if err := b.startTarget(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.target.Stop)
	return b
}

// Every server that is installed does what it is measured for, in every
// scenario. Caddy is not: building it takes minutes.
func TestEveryServerInEveryScenario(t *testing.T) {
	for _, k := range []*kind{sallyport, nginx, haproxy, goNetHTTP} {
		t.Run(k.name, func(t *testing.T) {
			b := newBench(t, k)
			s := b.servers[0]
			var err error
			if s.proof, err = b.prove(t.Context(), s); err != nil {
				t.Fatal(err)
			}
			for _, sc := range b.scenarios {
				t.Run(sc.name, func(t *testing.T) {
					if reason := s.cannot(sc); reason != "" {
						t.Fatalf("left out: %s", reason)
					}
					r, err := b.window(t.Context(), s, sc, 200*time.Millisecond)
					if err != nil {
						t.Fatal(err)
					}
					checkWindow(t, sc, r)
				})
			}
		})
	}
}

// checkWindow checks that what was done is what the scenario is about.
func checkWindow(t *testing.T, sc *scenario, r *loadtest.Result) {
	t.Helper()
	switch sc.name {
	case "refused, no certificate", "refused, revoked":
		if r.Units.Refused == 0 || r.Units.Done != 0 {
			t.Errorf("units %+v, want refused ones only", r.Units)
		}
	case "resumed handshake":
		if r.Units.Resumed == 0 || r.Units.Resumed != r.Units.Done {
			t.Errorf("units %+v, want resumed ones only", r.Units)
		}
	case "gigabyte":
		if r.Units.BytesIn != r.Units.Done*megabyte {
			t.Errorf("units %+v, want 1 MiB each", r.Units)
		}
	case "idle connection memory":
		if r.Units.Done != 20 {
			t.Errorf("units %+v, want 20 connections", r.Units)
		}
	default:
		if r.Units.Done == 0 || r.Units.Refused != 0 || r.Units.Resumed != 0 {
			t.Errorf("units %+v, want some that were done, by full handshakes", r.Units)
		}
	}
	if v := sc.figure(r); math.IsNaN(v) || math.IsInf(v, 0) {
		t.Errorf("figure %g %s, want a number", v, sc.unit)
	}
	// nginx works in a child of the process that was started.
	if sc.name == "full handshake, returning client" && r.Server.User+r.Server.System < tick {
		t.Errorf("%d handshakes cost the server %s of CPU, want some", r.Units.Done, r.Server.User+r.Server.System)
	}
}

// A run from end to end: it measures, reports, and leaves neither processes nor
// files.
func TestRun(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	var log strings.Builder
	report, err := Run(t.Context(), Options{
		Sallyport: buildSallyport(t),
		Peers:     []string{goNetHTTP.name},
		Scenarios: []string{"full handshake, returning client", "idle connection memory"},
		Rounds:    1,
		Quick:     true,
		Dir:       t.TempDir(),
		Log:       &log,
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, log.String())
	}
	if len(report.Servers) != 2 || len(report.Rows) != 2 || report.Servers[0].Name != "Sallyport" || report.Servers[1].Name != goNetHTTP.name {
		t.Fatalf("report of %+v: want two scenarios of Sallyport and %s", report.Servers, goNetHTTP.name)
	}
	for i, cell := range report.Rows[0].Cells {
		if cell.Median <= 0 || len(cell.Samples) != 1 {
			t.Errorf("a handshake of %s costs %+v, want one sample over 0", report.Servers[i].Name, cell)
		}
	}
	if got := report.Rows[0].Cells[1].Ratio; got <= 0 {
		t.Errorf("ratio %g, want over 0", got)
	}
	if left, err := os.ReadDir(os.TempDir()); err != nil || len(left) > 0 {
		t.Errorf("files left: %v, %v", left, err)
	}
}

func TestRunInterrupted(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := Run(ctx, Options{Sallyport: buildSallyport(t), Peers: []string{goNetHTTP.name}, Scenarios: []string{"gigabyte"}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Run: %v, want %v", err, context.Canceled)
	}
	if left, err := os.ReadDir(os.TempDir()); err != nil || len(left) > 0 {
		t.Errorf("files left: %v, %v", left, err)
	}
}
