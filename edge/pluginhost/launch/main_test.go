package launch

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

// patience is for what should happen within a second, on a machine that is busy.
const patience = 30 * time.Second

// TestMain makes the test binary, by its first argument, the launcher, a program
// or an edge.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "plugin-run":
			if err := Run(os.Args[2:]); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			os.Exit(0)
		case "program":
			beProgram(os.Args[2], os.Args[3:])
			os.Exit(0)
		case "edge":
			beEdge(os.Args[2])
		case "mute-launcher":
			unix.Pause()
		}
	}
	goleak.VerifyTestMain(m)
}

// fixture is a place to start plugins in.
type fixture struct {
	t    *testing.T
	spec Spec
	opts Options
	log  *logLines
}

// newFixture is for a program of program_test.go.
func newFixture(t *testing.T, mode string, args ...string) *fixture {
	t.Helper()
	// t.TempDir is too long for a socket in it.
	run, err := os.MkdirTemp("/tmp", "launch")
	if err != nil {
		t.Fatal(err)
	}
	log := &logLines{}
	f := &fixture{
		t: t, log: log,
		spec: Spec{Name: strings.NewReplacer("/", "-", ":", "-").Replace(t.Name()), Command: append([]string{self(t), "program", mode}, args...)},
		opts: Options{RunDir: run, Log: slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))},
	}
	t.Cleanup(func() {
		f.empty()
		os.RemoveAll(run)
	})
	return f
}

func self(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// start starts the program, to be killed at the test's end. Then nothing may be
// left of it.
func (f *fixture) start() *Process {
	f.t.Helper()
	p, err := Start(context.Background(), f.spec, f.opts)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() {
		p.Kill()
		waitDone(f.t, p)
	})
	return p
}

// refused expects that the program is not started, and returns why.
func (f *fixture) refused() string {
	f.t.Helper()
	p, err := Start(context.Background(), f.spec, f.opts)
	if err == nil {
		p.Kill()
		f.t.Fatal("started")
	}
	return err.Error()
}

// empty checks that the run directory has no process's directory left.
func (f *fixture) empty() {
	f.t.Helper()
	left, err := filepath.Glob(filepath.Join(f.opts.RunDir, "p*"))
	if err != nil || len(left) > 0 {
		f.t.Errorf("left in the run directory: %v, %v", left, err)
	}
}

// sweep ends an edge of its own process and has another clear up after it.
func (f *fixture) sweep(edge *exec.Cmd) {
	f.t.Helper()
	_ = edge.Process.Kill()
	_ = edge.Wait()
	d, err := newRunDir(f.opts.RunDir)
	if err != nil {
		f.t.Fatal(err)
	}
	d.remove()
}

func waitDone(t *testing.T, p *Process) {
	t.Helper()
	select {
	case <-p.Done():
	case <-time.After(patience):
		t.Fatal("the process has not ended")
	}
}

// hear reads one JSON value from the program.
func hear[T any](t *testing.T, p *Process) T {
	t.Helper()
	var value T
	if err := p.Conn().SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if err := json.NewDecoder(p.Conn()).Decode(&value); err != nil {
		t.Fatalf("hear from the program: %v", err)
	}
	return value
}

// eventually polls until what holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for over := time.Now().Add(patience); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(over) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// alive is false for a zombie.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	return fields[0] != "Z" && fields[0] != "X"
}

func statusOf(t *testing.T, pid int, key string) string {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		if value, ok := strings.CutPrefix(line, key+":"); ok {
			return strings.Join(strings.Fields(value), " ")
		}
	}
	t.Fatalf("no %s in the status of %d", key, pid)
	return ""
}

// logLines collects the edge's log.
type logLines struct {
	mu   sync.Mutex
	data bytes.Buffer
}

func (l *logLines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.data.Write(b)
}

// output are the records of what the program wrote.
func (l *logLines) output() []map[string]any {
	l.mu.Lock()
	defer l.mu.Unlock()
	var records []map[string]any
	for decoder := json.NewDecoder(bytes.NewReader(l.data.Bytes())); ; {
		var r map[string]any
		if err := decoder.Decode(&r); errors.Is(err, io.EOF) {
			return records
		} else if err != nil {
			panic(err)
		}
		if r["msg"] == "plugin output" {
			records = append(records, r)
		}
	}
}

func (l *logLines) has(text string) bool {
	return slices.ContainsFunc(l.output(), func(r map[string]any) bool { return r["text"] == text })
}

// rootOnly skips for whom is not root, other than in CI.
func rootOnly(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		skip(t, "root")
	}
}

func skip(t *testing.T, needed string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf("needs %s, and CI must not skip", needed)
	}
	t.Skipf("needs %s", needed)
}

// everybodys is the test binary's copy at a path that all users can reach.
func everybodys(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "launch")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(self(t))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "program")
	if err := os.WriteFile(path, data, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func number(t *testing.T, text string) int {
	t.Helper()
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
