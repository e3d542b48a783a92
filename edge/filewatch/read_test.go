package filewatch

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestReadFile(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	if err := errors.Join(os.WriteFile(at("file"), []byte("12345678"), 0o600), os.Symlink("file", at("link")), syscall.Mkfifo(at("fifo"), 0o600)); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		path string
		most int64
		want string // of the error; empty for none
	}{
		{at("file"), 8, ""},
		{at("link"), 8, ""},
		{at("file"), 7, "want at most 7 bytes"},
		{at("fifo"), 8, "want a regular file, got one of mode p"},
		{"/dev/zero", 8, "want a regular file, got one of mode D"},
		{dir, 8, "want a regular file, got one of mode d"},
		{at("absent"), 8, "no such file"},
	} {
		data, err := ReadFile(test.path, test.most)
		switch {
		case test.want == "" && (err != nil || string(data) != "12345678"):
			t.Errorf("%s: %q, %v", test.path, data, err)
		case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), test.path)):
			t.Errorf("%s: %v, want %q", test.path, err, test.want)
		}
	}
	if _, err := ReadFile(at("absent"), 8); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent: %v", err)
	}
}
