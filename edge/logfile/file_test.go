package logfile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// run runs f and returns a function that ends it and returns Run's error.
func run(t *testing.T, f *File) (end func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- f.Run(ctx) }()
	var once sync.Once
	var err error
	end = func() error {
		once.Do(func() { cancel(); err = <-ended })
		return err
	}
	t.Cleanup(func() { end() })
	return end
}

func mustOpen(t *testing.T, name string) *File {
	t.Helper()
	f, err := Open(name)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func content(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// eventually waits for a condition that another goroutine or process brings
// about.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 2 min: %s", what)
		}
	}
}

func TestAppendsWholeLines(t *testing.T) {
	name := filepath.Join(t.TempDir(), "a.log")
	if err := os.WriteFile(name, []byte("before\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	f := mustOpen(t, name)
	line := []byte("one")
	f.Write(line) // before Run: waits in the queue
	copy(line, "XXX")
	end := run(t, f)
	f.Write([]byte("two\n"))
	f.Write(nil)
	if err := end(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("before\none\ntwo\n\n", content(t, name)); diff != "" {
		t.Error(diff)
	}
	if n := f.Dropped(); n != 0 {
		t.Errorf("dropped %d lines", n)
	}
	if f.Name() != name {
		t.Errorf("name %q, want %q", f.Name(), name)
	}
}

func TestMadeForOwnerOnly(t *testing.T) {
	name := filepath.Join(t.TempDir(), "a.log")
	end := run(t, mustOpen(t, name))
	if err := end(); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode() != 0o600 {
		t.Errorf("mode %v, want 0600", info.Mode())
	}
}

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{dir, filepath.Join(dir, "absent", "a.log")} {
		if _, err := Open(name); err == nil || !strings.HasPrefix(err.Error(), "open log file: open "+name+": ") {
			t.Errorf("open %s: %v", name, err)
		}
	}
}

func TestLinesAreWrittenWhileRunning(t *testing.T) {
	name := filepath.Join(t.TempDir(), "a.log")
	f := mustOpen(t, name)
	run(t, f)
	want := ""
	for _, line := range []string{"one\n", "two\n"} {
		f.Write([]byte(line))
		want += line
		eventually(t, want, func() bool { return content(t, name) == want })
	}
}

func TestManyWriters(t *testing.T) {
	const writers, each = 16, 2000
	name := filepath.Join(t.TempDir(), "a.log")
	f := mustOpen(t, name)
	end := run(t, f)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				f.Write(fmt.Appendf(nil, "%d %d %s", w, i, strings.Repeat("x", i%200)))
			}
		})
	}
	wg.Wait()
	if err := end(); err != nil {
		t.Fatal(err)
	}
	next := make([]int, writers)
	for line := range strings.Lines(content(t, name)) {
		var w, i int
		var x string
		if n, _ := fmt.Sscanf(line, "%d %d %s\n", &w, &i, &x); n < 2 || len(x) != i%200 {
			t.Fatalf("torn line %q", line)
		}
		if next[w] != i {
			t.Fatalf("writer %d: line %d, want %d", w, i, next[w])
		}
		next[w]++
	}
	for w, n := range next {
		if n != each {
			t.Errorf("writer %d: %d lines, want %d", w, n, each)
		}
	}
}

func TestReopen(t *testing.T) {
	for _, running := range []bool{false, true} {
		t.Run(fmt.Sprintf("running=%v", running), func(t *testing.T) {
			dir := t.TempDir()
			name := filepath.Join(dir, "a.log")
			f := mustOpen(t, name)
			end := func() error { return nil }
			if running {
				end = run(t, f)
			}
			for i := range 3 {
				f.Write(fmt.Appendf(nil, "line %d", i))
				if err := os.Rename(name, fmt.Sprintf("%s.%d", name, i)); err != nil {
					t.Fatal(err)
				}
				if err := f.Reopen(); err != nil {
					t.Fatal(err)
				}
			}
			f.Write([]byte("line 3"))
			if !running {
				end = run(t, f)
			}
			if err := end(); err != nil {
				t.Fatal(err)
			}
			for i := range 3 {
				if got, want := content(t, fmt.Sprintf("%s.%d", name, i)), fmt.Sprintf("line %d\n", i); got != want {
					t.Errorf("file %d: %q, want %q", i, got, want)
				}
			}
			if got := content(t, name); got != "line 3\n" {
				t.Errorf("new file: %q", got)
			}
			if fds := openFiles(t, dir); fds != 0 {
				t.Errorf("%d files left open", fds)
			}
		})
	}
}

// openFiles counts this process's descriptors below dir.
func openFiles(t *testing.T, dir string) (n int) {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		if target, _ := os.Readlink("/proc/self/fd/" + fd.Name()); strings.HasPrefix(target, dir+"/") {
			n++
		}
	}
	return n
}

func TestReopenWhileManyWrite(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "a.log")
	f := mustOpen(t, name)
	end := run(t, f)
	const writers, each, rotations = 4, 3000, 20
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				f.Write(fmt.Appendf(nil, "%d %d", w, i))
			}
		})
	}
	for i := range rotations {
		if err := os.Rename(name, fmt.Sprintf("%s.%02d", name, i)); err != nil {
			t.Fatal(err)
		}
		if err := f.Reopen(); err != nil {
			t.Fatal(err)
		}
	}
	wg.Wait()
	if err := end(); err != nil {
		t.Fatal(err)
	}
	var all bytes.Buffer
	for i := range rotations {
		all.WriteString(content(t, fmt.Sprintf("%s.%02d", name, i)))
	}
	all.WriteString(content(t, name))
	next := make([]int, writers)
	for line := range strings.Lines(all.String()) {
		var w, i int
		if n, _ := fmt.Sscanf(line, "%d %d\n", &w, &i); n != 2 || next[w] != i {
			t.Fatalf("line %q, want line %d of its writer", line, next[w])
		}
		next[w]++
	}
	if diff := cmp.Diff([]int{each, each, each, each}, next); diff != "" {
		t.Error(diff)
	}
}

func TestReopenErrorKeepsTheOldFile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "logs")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	f := mustOpen(t, filepath.Join(dir, "a.log"))
	end := run(t, f)
	moved := dir + ".moved"
	if err := os.Rename(dir, moved); err != nil {
		t.Fatal(err)
	}
	if err := f.Reopen(); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("reopen in a missing folder: %v", err)
	}
	f.Write([]byte("kept"))
	if err := end(); err != nil {
		t.Fatal(err)
	}
	if got := content(t, filepath.Join(moved, "a.log")); got != "kept\n" {
		t.Errorf("old file: %q", got)
	}
}

func TestAfterTheEnd(t *testing.T) {
	name := filepath.Join(t.TempDir(), "a.log")
	f := mustOpen(t, name)
	end := run(t, f)
	if err := end(); err != nil {
		t.Fatal(err)
	}
	f.Write([]byte("late"))
	if n := f.Dropped(); n != 1 {
		t.Errorf("dropped %d, want 1", n)
	}
	if err := f.Reopen(); !errors.Is(err, ErrClosed) {
		t.Errorf("reopen: %v, want ErrClosed", err)
	}
	if err := f.Run(t.Context()); err == nil {
		t.Error("a second Run was let through")
	}
	if got := content(t, name); got != "" {
		t.Errorf("file: %q", got)
	}
	if fds := openFiles(t, filepath.Dir(name)); fds != 0 {
		t.Errorf("%d files left open", fds)
	}
}

func TestHead(t *testing.T) {
	for _, test := range []struct {
		lines string
		size  int
		want  string
	}{
		{"a\nbb\n", 100, "a\nbb\n"},
		{"a\nbb\n", 5, "a\nbb\n"},
		{"a\nbb\n", 4, "a\n"},
		{"a\nbb\n", 2, "a\n"},
		{"aaaa\nb\n", 3, "aaaa\n"},
	} {
		if got := head([]byte(test.lines), test.size); string(got) != test.want {
			t.Errorf("head(%q, %d) = %q, want %q", test.lines, test.size, got, test.want)
		}
	}
}

// What a line costs its writer and the disk together, at the rate that the disk
// takes.
func BenchmarkWrite(b *testing.B) {
	line := bytes.Repeat([]byte("x"), 400)
	f, err := Open(filepath.Join(b.TempDir(), "a.log"))
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error)
	go func() { done <- f.Run(ctx) }()
	full := func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.queued > maxSpare
	}
	b.ReportAllocs()
	b.SetBytes(int64(len(line) + 1))
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			for i%256 == 0 && full() {
				time.Sleep(gather)
			}
			f.Write(line)
		}
	})
	cancel()
	if err := <-done; err != nil {
		b.Fatal(err)
	}
	if n := f.Dropped(); n > 0 {
		b.Errorf("dropped %d lines", n)
	}
}

// What a line costs its writer alone.
func BenchmarkQueue(b *testing.B) {
	line := bytes.Repeat([]byte("x"), 400)
	f, err := Open(os.DevNull)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			f.Write(line)
			f.mu.Lock()
			if f.queued > maxSpare {
				f.pending, f.queued = f.pending[:0], 0
			}
			f.mu.Unlock()
		}
	})
}
