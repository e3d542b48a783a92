package launch

import (
	"os"
	"path/filepath"
	"strings"
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
