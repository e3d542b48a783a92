package logfile

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// smallDisk mounts a tmpfs of so many bytes.
func smallDisk(t *testing.T, size int) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", size)); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("mount tmpfs: %v", err)
		}
		t.Skipf("needs root, to mount a tmpfs: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// On a full disk nobody waits, what is dropped is counted, and when there is room
// again the log says in its place how much is missing.
func TestFullDisk(t *testing.T) {
	said := captureWarnings(t)
	dir := smallDisk(t, 1<<20)
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 512<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, "a.log")
	f := mustNew(t, Options{Name: name, JSON: true})
	f.limit = 256 << 10
	end := run(t, f)
	written := 0
	write := func() {
		f.Write(fmt.Appendf(nil, `{"n":%d,"x":"%s"}`, written, bytes.Repeat([]byte("x"), 500)))
		written++
	}
	for f.Dropped() == 0 {
		write()
		if written%100 == 0 {
			time.Sleep(gather) // let it come to the disk
		}
	}
	begun := time.Now()
	for range 1000 {
		write()
	}
	if took := time.Since(begun); took > 30*time.Second { // each waiting for a try of the disk would be more
		t.Errorf("1000 writes to a full log took %v", took)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the log takes lines again", func() bool { return strings.Contains(strings.Join(said.lines(), "\n"), "no longer dropped") })
	write()
	if err := end(); err != nil {
		t.Fatal(err)
	}
	next, missing := 0, 0
	for line := range strings.Lines(content(t, name)) {
		var got struct {
			N     *int
			Event string
			Lines int
		}
		if err := json.Unmarshal([]byte(line), &got); err != nil {
			t.Fatalf("torn line: %v: %q", err, line)
		}
		if got.Event == "dropped" {
			next += got.Lines
			missing += got.Lines
			continue
		}
		if got.N == nil || *got.N != next {
			t.Fatalf("line %q, want number %d", line, next)
		}
		next++
	}
	if next != written || missing != int(f.Dropped()) {
		t.Errorf("%d lines and gaps, want %d; %d in gaps, %d dropped", next, written, missing, f.Dropped())
	}
	all := strings.Join(said.lines(), "\n")
	for _, want := range []string{"log lines are being dropped", "log file takes no lines", "no space left on device", "log file takes lines again", fmt.Sprintf("no longer dropped\" dropped=%d", f.Dropped())} {
		if !strings.Contains(all, want) {
			t.Errorf("nothing said of %q in %s", want, all)
		}
	}
}

// fullFile makes a file that has room for six more bytes until lift is called.
// The limit on file sizes stands in for a full disk.
func fullFile(t *testing.T) (name string, full int64, lift func()) {
	t.Helper()
	full = 80 << 20 // beyond any other file that this process writes
	name = filepath.Join(t.TempDir(), "a.log")
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(name, full-6); err != nil {
		t.Fatal(err)
	}
	signal.Ignore(syscall.SIGXFSZ)
	t.Cleanup(func() { signal.Reset(syscall.SIGXFSZ) })
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	lift = func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(lift)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: uint64(full), Max: limit.Max}); err != nil {
		t.Fatal(err)
	}
	return name, full, lift
}

// A file that is full and rotated away ends in a whole line; what it did not take
// begins the next.
func TestFullFileRotatedAway(t *testing.T) {
	captureWarnings(t)
	name, full, _ := fullFile(t)
	f := mustOpen(t, name)
	f.Write([]byte("one"))
	f.Write([]byte("two"))
	end := run(t, f)
	eventually(t, "the file is full", func() bool {
		info, err := os.Stat(name)
		return err == nil && info.Size() == full
	})
	f.Write([]byte("three"))
	if err := os.Rename(name, name+".1"); err != nil {
		t.Fatal(err)
	}
	if err := f.Reopen(); err != nil {
		t.Fatal(err)
	}
	f.Write([]byte("four"))
	if err := end(); err != nil {
		t.Fatal(err)
	}
	if got := content(t, name); got != "two\nthree\nfour\n" {
		t.Errorf("new file: %q", got)
	}
	info, err := os.Stat(name + ".1")
	if err != nil || info.Size() != full-2 {
		t.Errorf("old file has %d bytes (%v), want it to end behind the first line, at %d", info.Size(), err, full-2)
	}
	if n := f.Dropped(); n != 0 {
		t.Errorf("dropped %d", n)
	}
	if fds := openFiles(t, filepath.Dir(name)); fds != 0 {
		t.Errorf("%d files left open", fds)
	}
}

// A file that is truncated when it has taken half a line gets that line whole.
func TestTruncatedInMidLine(t *testing.T) {
	said := captureWarnings(t)
	name, _, lift := fullFile(t)
	f := mustOpen(t, name)
	f.Write([]byte("one"))
	f.Write([]byte("two"))
	end := run(t, f)
	// Not before: the file is full a moment earlier, while the rest of the line is on
	// its way to it, which a truncation then would tear off.
	eventually(t, "the writer has been told that the file is full", func() bool {
		return strings.Contains(strings.Join(said.lines(), "\n"), "log file takes no lines")
	})
	if err := os.Truncate(name, 0); err != nil {
		t.Fatal(err)
	}
	lift()
	eventually(t, "the line is written", func() bool { return content(t, name) == "two\n" })
	f.Write([]byte("three"))
	if err := end(); err != nil {
		t.Fatal(err)
	}
	if got := content(t, name); got != "two\nthree\n" {
		t.Errorf("file: %q", got)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.queued != 0 || f.drops.total != 0 {
		t.Errorf("%d bytes queued and %d lines dropped at the end, want none", f.queued, f.drops.total)
	}
}

// After a rotation that copies and truncates, the file goes on with a whole line.
// What is lost is what was being written when the copy came to its end, until the
// truncation: it may have a part of one line.
func TestCopyTruncateUnderLoad(t *testing.T) {
	said := captureWarnings(t)
	name := filepath.Join(t.TempDir(), "a.log")
	f := mustOpen(t, name)
	end := run(t, f)
	var wg sync.WaitGroup
	const writers, each = 4, 4000
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				f.Write(fmt.Appendf(nil, "%d %d %s", w, i, strings.Repeat("x", i%97)))
				if i%200 == 0 {
					time.Sleep(gather)
				}
			}
		})
	}
	var copies []string
	for range 20 {
		time.Sleep(gather)
		copies = append(copies, content(t, name))
		if err := os.Truncate(name, 0); err != nil {
			t.Fatal(err)
		}
	}
	wg.Wait()
	for w := range writers {
		f.Write(fmt.Appendf(nil, "%d %d %s", w, each, strings.Repeat("x", each%97))) // behind the last truncation
	}
	if err := end(); err != nil {
		t.Fatal(err)
	}
	copies = append(copies, content(t, name))
	last := [writers]int{-1, -1, -1, -1}
	for i, c := range copies {
		if i < len(copies)-1 {
			c = c[:strings.LastIndexByte(c, '\n')+1]
		}
		for line := range strings.Lines(c) {
			var w, n int
			var x string
			if got, _ := fmt.Sscanf(line, "%d %d %s\n", &w, &n, &x); got < 2 || len(x) != n%97 {
				t.Fatalf("torn line %q in copy %d", line, i)
			}
			if n <= last[w] {
				t.Fatalf("writer %d: line %d after %d", w, n, last[w])
			}
			last[w] = n
		}
	}
	if diff := cmp.Diff([writers]int{each, each, each, each}, last); diff != "" {
		t.Error(diff)
	}
	if !strings.Contains(strings.Join(said.lines(), "\n"), "log file was truncated by somebody else") {
		t.Errorf("nothing said of it: %q", said.lines())
	}
}

// A file that somebody removes, without a signal, is made anew before lines go
// where nobody finds them.
func TestRemovedFile(t *testing.T) {
	captureWarnings(t)
	name := filepath.Join(t.TempDir(), "a.log")
	f := mustOpen(t, name)
	end := run(t, f)
	f.Write([]byte("one"))
	eventually(t, "the first line is written", func() bool { return content(t, name) == "one\n" })
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	f.current.(*regular).looked = time.Time{} // its look at the name is over a second ago
	f.Write([]byte("two"))
	eventually(t, "the file is made anew", func() bool { return exists(name) && content(t, name) == "two\n" })
	if err := end(); err != nil {
		t.Fatal(err)
	}
	if fds := openFiles(t, filepath.Dir(name)); fds != 0 {
		t.Errorf("%d files left open", fds)
	}
}

func TestMovedIsNotHasty(t *testing.T) {
	name := filepath.Join(t.TempDir(), "a.log")
	out, err := open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer out.close()
	o, now := out.(*regular), time.Now()
	check := func(after time.Duration, want bool, when string) {
		t.Helper()
		if got := o.moved(now.Add(after)); got != want {
			t.Errorf("%s: moved %v, want %v", when, got, want)
		}
	}
	check(0, false, "in its place")
	if err := os.Rename(name, name+".1"); err != nil {
		t.Fatal(err)
	}
	check(500*time.Millisecond, false, "not looked at")
	check(2*time.Second, false, "just renamed")
	if err := os.Rename(name+".1", name); err != nil {
		t.Fatal(err)
	}
	check(4*time.Second, false, "back in its place")
	if err := os.Rename(name, name+".1"); err != nil {
		t.Fatal(err)
	}
	check(30*time.Second, true, "renamed long ago")
}

// Drops are told of at once, then at growing intervals, and when they are over:
// never twice within a second.
func TestDropReports(t *testing.T) {
	said := captureWarnings(t)
	name := filepath.Join(t.TempDir(), "a.log")
	synctest.Test(t, func(t *testing.T) {
		f := mustOpen(t, name)
		quit, done := make(chan struct{}), make(chan struct{})
		go func() { defer close(done); f.watch(nil, quit) }()
		drop := func(n int) {
			f.mu.Lock()
			f.drop(n)
			f.mu.Unlock()
		}
		drop(1)
		time.Sleep(50 * time.Millisecond)
		for range 99 { // ten seconds
			drop(1)
			time.Sleep(100 * time.Millisecond)
		}
		f.leave(0, 0)
		time.Sleep(10 * time.Second)
		for range 10 { // spells of a moment
			drop(1)
			f.leave(0, 0)
			time.Sleep(50 * time.Millisecond)
		}
		time.Sleep(10 * time.Second)
		close(quit)
		<-done
		if err := f.current.close(); err != nil {
			t.Fatal(err)
		}
	})
	const still = `level=WARN msg="log lines are still being dropped" dropped=`
	want := []string{begun + "1", still + "11", still + "31", still + "71", ended + "100", ended + "1", ended + "9"}
	if diff := cmp.Diff(want, said.lines()); diff != "" {
		t.Error(diff)
	}
}
