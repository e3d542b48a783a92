package logfile

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// warnings collects what slog.Warn says, as "message dropped=N".
type warnings struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (w *warnings) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.buf.Write(p)
}

func (w *warnings) lines() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Split(strings.TrimSuffix(w.buf.String(), "\n"), "\n")
}

// TestToldTo: an edge that logs JSON must not have lines of another form among it.
func TestToldTo(t *testing.T) {
	var told, other bytes.Buffer
	old := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&other, nil)))
	t.Cleanup(func() { slog.SetDefault(old) })
	f := mustNew(t, Options{Name: "/dev/full", Log: slog.New(slog.NewJSONHandler(&told, nil))})
	f.Write([]byte("a line\n"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := f.Run(ctx); err == nil {
		t.Error("the line is lost, and nobody says so")
	}
	if !strings.Contains(told.String(), `"msg":"log file takes no lines"`) || other.Len() > 0 {
		t.Errorf("told %q, others %q", told.String(), other.String())
	}
}

func captureWarnings(t *testing.T) *warnings {
	t.Helper()
	w := &warnings{}
	old := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey || a.Key == "file" {
				return slog.Attr{}
			}
			return a
		},
	})))
	t.Cleanup(func() { slog.SetDefault(old) })
	return w
}

const (
	begun = `level=WARN msg="log lines are being dropped" dropped=`
	ended = `level=WARN msg="log lines are no longer dropped" dropped=`
)

func TestFullQueueDropsAndCounts(t *testing.T) {
	said := captureWarnings(t)
	name := filepath.Join(t.TempDir(), "a.log")
	f := mustOpen(t, name)
	f.limit = 10
	for i := range 5 {
		f.Write(fmt.Appendf(nil, "%04d", i)) // five bytes with its newline
	}
	if n := f.Dropped(); n != 3 {
		t.Errorf("dropped %d, want 3", n)
	}
	f.Write([]byte("longer than the whole queue"))
	if err := run(t, f)(); err != nil {
		t.Fatal(err)
	}
	if got := content(t, name); got != "0000\n0001\n" {
		t.Errorf("file: %q", got)
	}
	if n := f.Dropped(); n != 4 {
		t.Errorf("dropped %d, want 4", n)
	}
	lines := said.lines()
	if last := lines[len(lines)-1]; last != ended+"4" {
		t.Errorf("said %q", lines)
	}
}

// A pipe that nobody reads holds the writer up, and nobody else.
func TestBlockedPipe(t *testing.T) {
	said := captureWarnings(t)
	name := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	f := mustOpen(t, name)
	f.limit = 1 << 16
	end := run(t, f)
	line := bytes.Repeat([]byte{'x'}, 999)
	written := 0
	for f.Dropped() == 0 {
		f.Write(line)
		written++
	}
	eventually(t, "drops are reported", func() bool { return said.lines()[0] == begun+"1" })
	for range 10 {
		f.Write(line)
		written++
	}

	reader, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	read := make(chan int)
	go func() {
		n := 0
		for lines := bufio.NewScanner(reader); lines.Scan(); n++ {
			if !bytes.Equal(lines.Bytes(), line) {
				t.Errorf("torn line %q", lines.Bytes())
			}
		}
		read <- n
	}()
	eventually(t, "the end of drops is reported", func() bool { return len(said.lines()) == 2 })
	if err := end(); err != nil {
		t.Fatal(err)
	}
	dropped := int(f.Dropped())
	if got := <-read; got+dropped != written {
		t.Errorf("%d lines read + %d dropped, want %d", got, dropped, written)
	}
	if diff := cmp.Diff([]string{begun + "1", fmt.Sprint(ended, dropped)}, said.lines()); diff != "" {
		t.Error(diff)
	}
}

// A pipe that takes nothing more does not keep the process from ending.
func TestBlockedPipeAtTheEnd(t *testing.T) {
	captureWarnings(t)
	name := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	f := mustOpen(t, name)
	f.grace = time.Millisecond
	reader, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	end := run(t, f)
	line := bytes.Repeat([]byte{'x'}, 1023)
	const written = 256 // Linux's pipe takes 64
	for range written {
		f.Write(line)
	}
	err = end()
	dropped := int(f.Dropped())
	if want := fmt.Sprintf("write log file %s: the last %d lines are lost: ", name, dropped); err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("run: %v, want %s…", err, want)
	}
	taken, err := io.ReadAll(reader)
	if err != nil {
		t.Fatal(err)
	}
	if got := bytes.Count(taken, append(line, '\n')); got+dropped != written || len(taken) != 1024*got {
		t.Errorf("%d lines in %d bytes taken + %d dropped, want %d", got, len(taken), dropped, written)
	}
}

func TestFullDevice(t *testing.T) {
	said := captureWarnings(t)
	dir := t.TempDir()
	name := filepath.Join(dir, "a.log")
	if err := os.Symlink("/dev/full", name); err != nil {
		t.Fatal(err)
	}
	f := mustOpen(t, name)
	end := run(t, f)
	f.Write([]byte("one"))
	eventually(t, "the failure is reported", func() bool {
		return strings.HasPrefix(said.lines()[0], `level=WARN msg="log file takes no lines" error=`)
	})
	if n := f.Dropped(); n != 0 {
		t.Errorf("dropped %d before the queue was full", n)
	}
	// The operator points the name elsewhere: what the full device never took
	// goes to the new file, before what comes after.
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	if err := f.Reopen(); err != nil {
		t.Fatal(err)
	}
	f.Write([]byte("two"))
	eventually(t, "the new file is written", func() bool { return content(t, name) == "one\ntwo\n" })
	if err := end(); err != nil {
		t.Fatal(err)
	}
	if n := f.Dropped(); n != 0 {
		t.Errorf("dropped %d", n)
	}
}

func TestFullDeviceAtTheEnd(t *testing.T) {
	captureWarnings(t)
	f := mustOpen(t, "/dev/full")
	f.Write([]byte("one"))
	f.Write([]byte("two"))
	err := run(t, f)()
	want := "write log file /dev/full: the last 2 lines are lost: write /dev/full: no space left on device"
	if err == nil || err.Error() != want {
		t.Errorf("run: %v, want %s", err, want)
	}
	if n := f.Dropped(); n != 2 {
		t.Errorf("dropped %d, want 2", n)
	}
}

// A file that takes half a line before it is full gets the other half first
// when there is room again. The limit on file sizes stands in for a full disk:
// it too makes the kernel write a part, then nothing.
func TestFullFileCompletesTheTornLine(t *testing.T) {
	const full = 64 << 20 // beyond any other file that this process writes
	captureWarnings(t)
	name := filepath.Join(t.TempDir(), "a.log")
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(name, full-6); err != nil {
		t.Fatal(err)
	}
	f := mustOpen(t, name)

	signal.Ignore(syscall.SIGXFSZ)
	defer signal.Reset(syscall.SIGXFSZ)
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	lift := func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
			t.Error(err)
		}
	}
	defer lift()
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: full, Max: limit.Max}); err != nil {
		t.Fatal(err)
	}

	f.Write([]byte("one"))
	f.Write([]byte("two"))
	end := run(t, f)
	eventually(t, "the file is full", func() bool {
		info, err := os.Stat(name)
		return err == nil && info.Size() == full
	})
	f.Write([]byte("three"))
	lift()
	if err := end(); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	got := make([]byte, 100)
	n, _ := file.ReadAt(got, full-6)
	if string(got[:n]) != "one\ntwo\nthree\n" {
		t.Errorf("file ends in %q", got[:n])
	}
	if n := f.Dropped(); n != 0 {
		t.Errorf("dropped %d", n)
	}
}
