package filewatch

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func replace(t *testing.T, path, content string) {
	t.Helper()
	write(t, path+".new", content)
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func symlink(t *testing.T, target, path string) {
	t.Helper()
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
}

// swapLink does what the kubelet does to update a mounted secret.
func swapLink(t *testing.T, target, path string) {
	t.Helper()
	symlink(t, target, path+".new")
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// untilSeen makes a change until a file's times show it: those of many kernels go on
// by some milliseconds only.
func untilSeen(path string, change func()) {
	for before := look(path); look(path) == before; {
		change()
	}
}

func TestChangesAreReportedOnceWhenTheyHaveSettled(t *testing.T) {
	for name, change := range map[string]func(t *testing.T, path string){
		"rewritten in place":  func(t *testing.T, path string) { write(t, path, "longer than before") },
		"same size":           func(t *testing.T, path string) { untilSeen(path, func() { write(t, path, "BEFORE") }) },
		"renamed over":        func(t *testing.T, path string) { replace(t, path, "before") },
		"gone":                func(t *testing.T, path string) { os.Remove(path) },
		"mode taken away":     func(t *testing.T, path string) { untilSeen(path, func() { os.Chmod(path, 0) }) },
		"directory in place":  func(t *testing.T, path string) { os.Remove(path); os.Mkdir(path, 0o700) },
		"link to another":     func(t *testing.T, path string) { write(t, path+"2", "before"); swapLink(t, path+"2", path) },
		"link loop":           func(t *testing.T, path string) { swapLink(t, path, path) },
		"older modified time": func(t *testing.T, path string) { os.Chtimes(path, time.Unix(1, 0), time.Unix(1, 0)) },
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "f")
			write(t, path, "before")
			w := New(path)
			if got := w.poll(); got != nil {
				t.Fatalf("poll without a change = %q", got)
			}
			change(t, path)
			if got := w.poll(); got != nil {
				t.Fatalf("first poll after the change = %q, want it to wait for one more", got)
			}
			if got := w.poll(); !slices.Equal(got, []string{path}) {
				t.Fatalf("second poll after the change = %q, want the path", got)
			}
			if got := w.poll(); got != nil {
				t.Fatalf("third poll after the change = %q, want nothing", got)
			}
		})
	}
}

func TestFileBeingWrittenIsLeftAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	write(t, path, "")
	w := New(path)
	content := ""
	for range 5 {
		content += "more"
		write(t, path, content)
		if got := w.poll(); got != nil {
			t.Fatalf("poll while %q is being written = %q", content, got)
		}
	}
	if got := w.poll(); len(got) != 1 {
		t.Fatalf("poll after the last write = %q, want the path", got)
	}
}

func TestChangeBackIsNoChange(t *testing.T) {
	dir := t.TempDir()
	a, b, link := filepath.Join(dir, "a"), filepath.Join(dir, "b"), filepath.Join(dir, "link")
	write(t, a, "a")
	write(t, b, "b")
	symlink(t, a, link)
	w := New(link)
	swapLink(t, b, link)
	w.poll()
	swapLink(t, a, link)
	for range 3 {
		if got := w.poll(); got != nil {
			t.Fatalf("poll after a change and back = %q, want nothing", got)
		}
	}
}

func TestOnlyChangedPathsAreReported(t *testing.T) {
	dir := t.TempDir()
	a, b, missing := filepath.Join(dir, "a"), filepath.Join(dir, "b"), filepath.Join(dir, "missing")
	write(t, a, "a")
	write(t, b, "b")
	w := New(a, b, missing)
	replace(t, b, "b2")
	write(t, missing, "there now")
	w.poll()
	if got := w.poll(); !slices.Equal(got, []string{b, missing}) {
		t.Fatalf("poll = %q, want b and missing", got)
	}
}

func TestRunReportsWithinTwoIntervalsAndStops(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	write(t, path, "before")
	synctest.Test(t, func(t *testing.T) {
		w := New(path)
		write(t, path, "after New, before Run")

		ctx, cancel := context.WithCancel(t.Context())
		calls := make(chan time.Time, 10)
		done := make(chan error)
		start := time.Now()
		go func() { done <- w.Run(ctx, Interval, func([]string) { calls <- time.Now() }) }()

		if got := (<-calls).Sub(start); got != 2*Interval {
			t.Errorf("change before Run reported after %v, want %v", got, 2*Interval)
		}
		time.Sleep(10 * time.Second)
		write(t, path, "again")
		start = time.Now()
		if got := (<-calls).Sub(start); got > 2*Interval {
			t.Errorf("change reported after %v, want at most %v", got, 2*Interval)
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Run = %v, want %v", err, context.Canceled)
		}
		if n := len(calls); n != 0 {
			t.Errorf("%d calls more than there were changes", n)
		}
	})
}
