package launch

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func TestRunDirRefused(t *testing.T) {
	open := t.TempDir()
	if err := os.Chmod(open, 0o770); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(t.TempDir(), link); err != nil {
		t.Fatal(err)
	}
	long := filepath.Join(t.TempDir(), strings.Repeat("x", 100))
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ dir, want string }{
		{"", "absolute"}, {"run", "absolute"}, {open, "0770"}, {link, "want a directory"}, {long, "too long"}, {file, "not a directory"},
	} {
		p, err := Start(t.Context(), Spec{Name: "x", Command: []string{"/bin/cat"}}, Options{RunDir: c.dir})
		if err == nil {
			p.Kill()
			t.Fatalf("%s: started", c.dir)
		}
		if !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: refused with %q", c.dir, err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(long, "p*")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// What belongs to a living edge is left alone; what does not is swept.
func TestSweep(t *testing.T) {
	f := newFixture(t, "echo")
	mine := f.start()
	dead := filepath.Join(f.opts.RunDir, "p123")
	if err := os.MkdirAll(filepath.Join(dead, "plugin-dir1"), 0o700); err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(f.opts.RunDir, "not-ours")
	if err := os.Mkdir(other, 0o700); err != nil {
		t.Fatal(err)
	}
	f.start()
	for path, want := range map[string]bool{mine.dir.path: true, dead: false, other: true} {
		if _, err := os.Stat(path); (err == nil) != want {
			t.Errorf("%s is there: %v, want %v", path, err == nil, want)
		}
	}
}

// A run directory goes when the last process in it has, and what killed edges have
// left does not keep it. Nobody is in the way of who starts meanwhile.
func TestRemoveRunDir(t *testing.T) {
	f := newFixture(t, "echo")
	base := f.opts.RunDir
	there := func() bool { _, err := os.Stat(base); return err == nil }
	if err := RemoveRunDir(base); err != nil || there() {
		t.Errorf("empty: %v, there %t", err, there())
	}
	p := f.start()
	if err := os.MkdirAll(filepath.Join(base, "p123"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(base, "uid-61200"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := RemoveRunDir(base); err != nil || !there() {
		t.Errorf("in use: %v, there %t", err, there())
	}
	if _, err := os.Stat(p.dir.path); err != nil {
		t.Errorf("of a process that lives: %v", err)
	}
	p.Kill()
	if err := RemoveRunDir(base); err != nil || there() {
		t.Errorf("after the last process: %v, there %t", err, there())
	}
	if err := RemoveRunDir(base); err != nil {
		t.Errorf("that is not there: %v", err)
	}

	stop := make(chan struct{})
	var remover sync.WaitGroup
	remover.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if err := RemoveRunDir(base); err != nil {
				t.Errorf("beside starts: %v", err)
				return
			}
		}
	})
	for range 50 {
		d, err := newRunDir(base)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(d.path); err != nil {
			t.Errorf("removed from under its process: %v", err)
		}
		d.remove()
	}
	close(stop)
	remover.Wait()
	if err := RemoveRunDir(base); err != nil || there() {
		t.Errorf("in the end: %v, there %t", err, there())
	}
}

// What is not ours is left alone, and what somebody else could write is refused.
func TestRemoveRunDirOfOthers(t *testing.T) {
	base := filepath.Join(t.TempDir(), "run")
	if err := os.Mkdir(base, 0o700); err != nil {
		t.Fatal(err)
	}
	mine := filepath.Join(base, "mine")
	if err := os.WriteFile(mine, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := RemoveRunDir(base); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(mine); err != nil {
		t.Errorf("removed what is not ours: %v", err)
	}
	if err := os.Chmod(base, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := RemoveRunDir(base); err == nil || !strings.Contains(err.Error(), "mode 0700") {
		t.Errorf("open to others: %v", err)
	}
}
