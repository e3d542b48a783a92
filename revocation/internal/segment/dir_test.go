package segment

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestCleanDir(t *testing.T) {
	dir := privateDir(t)
	golden(t, dir)
	for _, name := range []string{"a.X.segment.tmp", "b.segment.tmp", "other.tmp"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d, err := openDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	f, busy, err := d.temp("busy")
	if err != nil {
		t.Fatal(err)
	}
	if err := CleanDir(dir); err != nil {
		t.Fatal(err)
	}
	if names := namesIn(t, dir); !slices.Equal(names, []string{busy, "list", "other.tmp"}) {
		t.Errorf("after cleaning: %q", names)
	}
	f.Close()
	if err := CleanDir(dir); err != nil {
		t.Fatal(err)
	}
	if names := namesIn(t, dir); !slices.Equal(names, []string{"list", "other.tmp"}) {
		t.Errorf("after the writer ended: %q", names)
	}
	if err := CleanDir(filepath.Join(dir, "none")); err == nil {
		t.Error("cleaned what is not there")
	}
}

// full mounts a file system of so many bytes.
func full(t *testing.T, size string) string {
	t.Helper()
	needRoot(t)
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "mode=0700,size="+size); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("mount tmpfs: %v, and CI must not skip", err)
		}
		t.Skipf("mount tmpfs: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// TestDiskFull runs out of disk while entries are put aside, and while the file
// is written. The older file stays, and nothing else.
func TestDiskFull(t *testing.T) {
	for name, entries := range map[string]int{"while adding": 200_000, "while building": 40_000} {
		t.Run(name, func(t *testing.T) {
			dir := full(t, "1m")
			old := golden(t, dir)
			r := seeded(t)
			m := newModel(Options{Dir: dir})
			var err error
			for range entries {
				serial := make([]byte, 16)
				for i := range serial {
					serial[i] = byte(r.Uint32())
				}
				if err = m.builder.Add(serial, randomEntry(r)); err != nil {
					break
				}
			}
			if adding := name == "while adding"; (err != nil) != adding {
				t.Fatalf("Add: %v", err)
			}
			if err == nil {
				_, err = m.builder.Build(nil, "list")
			}
			if err == nil || !strings.Contains(err.Error(), "no space left") {
				t.Errorf("%v: want no space left", err)
			}
			m.builder.Discard()
			if names := namesIn(t, dir); !slices.Equal(names, []string{"list"}) {
				t.Errorf("in the directory: %q", names)
			}
			s, _, err := Open(dir, "list")
			if err != nil {
				t.Fatal(err)
			}
			old.askAll(t, s)
		})
	}
}
