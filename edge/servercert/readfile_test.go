package servercert

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/sallyport/sallyport/loadtest/pki"
)

// TestNoFile: what is no file, or has no end, is refused at once; in a running edge
// the old certificate stays, and a good file is taken afterwards.
func TestNoFile(t *testing.T) {
	dir := t.TempDir()
	leaf := pki.Must(pki.Must(pki.NewRoot()).Issue(pki.Server("a.example")))
	cfg := files(t, dir, "a", leaf)
	cert, key := filepath.Join(dir, cfg.File.Cert), filepath.Join(dir, cfg.File.Key)
	write := func() { files(t, dir, "a", leaf) }
	c := pki.Must(Load(cfg, in(dir)))
	shown := c.Leaf()
	for what, put := range map[string]func(string) error{
		"a FIFO":             func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"a device":           func(path string) error { return os.Symlink("/dev/zero", path) },
		"a folder":           func(path string) error { return os.Mkdir(path, 0o700) },
		"a file of a TiB":    func(path string) error { return errors.Join(os.WriteFile(path, nil, 0o600), os.Truncate(path, 1<<40)) },
		"a dangling symlink": func(path string) error { return os.Symlink("nowhere", path) },
	} {
		for field, path := range map[string]string{"file.cert": cert, "file.key": key} {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			if err := put(path); err != nil {
				t.Fatal(err)
			}
			var blamed *FieldError
			if err := c.Reload(); !errors.As(err, &blamed) || blamed.Field != field || !strings.Contains(err.Error(), path) {
				t.Errorf("%s as %s: %v", what, field, err)
			}
			if !c.Leaf().Equal(shown) {
				t.Errorf("%s as %s: the old certificate is gone", what, field)
			}
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			write()
		}
	}
	if err := c.Reload(); err != nil || c.LastError() != "" {
		t.Errorf("a good file afterwards: %v, %q", err, c.LastError())
	}
}
