package segment

import (
	"bytes"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

var update = flag.Bool("update", false, "write golden files anew")

// golden is a small segment whose file depends on nothing that is random.
func golden(t *testing.T, dir string) *model {
	t.Helper()
	m := goldenModel(t, dir)
	m.build(t)
	return m
}

func goldenModel(t testing.TB, dir string) *model {
	t.Helper()
	m := newModel(Options{Dir: dir})
	m.builder.key = sipKey{0x0706050403020100, 0x0f0e0d0c0b0a0908}
	for i, serial := range oddSerials[:100] {
		m.add(t, serial, Entry{At: 1_700_000_000 + int64(i), Reason: uint8(i % 16)})
	}
	return m
}

// TestGolden opens a file that was written before. Whoever changes what is
// written has to raise the version, so that older files are refused.
func TestGolden(t *testing.T) {
	dir := privateDir(t)
	m := golden(t, dir)
	path := filepath.Join("testdata", "version1.segment")
	written, err := os.ReadFile(filepath.Join(dir, "list"))
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, written, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(written, kept) {
		t.Error("the same entries are written otherwise than in testdata")
	}
	// A checkout has whatever permissions it has.
	if err := os.WriteFile(filepath.Join(dir, "kept"), kept, 0o600); err != nil {
		t.Fatal(err)
	}
	s, head, err := Open(dir, "kept")
	if err != nil || string(head) != "head" {
		t.Fatalf("head %q, %v", head, err)
	}
	m.askAll(t, s)
	if err := s.Verify(); err != nil {
		t.Error(err)
	}
}

func TestOpenAgain(t *testing.T) {
	dir := privateDir(t)
	r := seeded(t)
	m := newModel(Options{Dir: dir})
	for range 5000 {
		m.add(t, randomSerial(r), randomEntry(r))
	}
	head := bytes.Repeat([]byte("0123456789abcdef"), 1<<16) // of many pages
	built, err := m.builder.Build(head, "list")
	if err != nil {
		t.Fatal(err)
	}
	m.askAll(t, built)
	s, got, err := Open(dir, "list")
	if err != nil || !bytes.Equal(got, head) {
		t.Fatalf("head of %d bytes, %v", len(got), err)
	}
	m.askAll(t, s)
	for range 5000 {
		m.ask(t, s, randomSerial(r))
	}
	a, b := built.Stats(), s.Stats()
	a.FalsePositives, b.FalsePositives = 0, 0
	if a != b {
		t.Errorf("stats %+v when opened, %+v when built", b, a)
	}
	info, err := os.Stat(filepath.Join(dir, "list"))
	if err != nil || info.Mode() != 0o600 || info.Size() != a.DiskBytes {
		t.Errorf("file %v of %d bytes, %v; want mode 0600 and %d", info.Mode(), info.Size(), err, a.DiskBytes)
	}
	if names := namesIn(t, dir); len(names) != 1 {
		t.Errorf("left in the directory: %q", names)
	}
}

func TestOpenRefuses(t *testing.T) {
	chmod := func(mode fs.FileMode) func(*testing.T, string) {
		return func(t *testing.T, path string) {
			if err := os.Chmod(path, mode); err != nil {
				t.Fatal(err)
			}
		}
	}
	replace := func(make func(path string) error) func(*testing.T, string) {
		return func(t *testing.T, path string) {
			if err := errors.Join(os.Rename(path, path+".away"), make(path)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, tt := range map[string]struct {
		change func(t *testing.T, path string)
		want   string
	}{
		"group may write":      {chmod(0o620), "mode 0620"},
		"others may write":     {chmod(0o602), "mode 0602"},
		"directory for group":  {func(t *testing.T, p string) { chmod(0o770)(t, filepath.Dir(p)) }, "mode 0770"},
		"directory for others": {func(t *testing.T, p string) { chmod(0o1777)(t, filepath.Dir(p)) }, "mode 0777"},
		"pipe":                 {replace(func(p string) error { return syscall.Mkfifo(p, 0o600) }), "want a regular file"},
		"directory":            {replace(func(p string) error { return os.Mkdir(p, 0o700) }), "want a regular file"},
		"link":                 {replace(func(p string) error { return os.Symlink(p+".away", p) }), "too many levels"},
		"nothing":              {replace(func(p string) error { return nil }), "no such file"},
		"empty":                {replace(func(p string) error { return os.WriteFile(p, nil, 0o600) }), "0 bytes"},
		"text": {replace(func(p string) error {
			return os.WriteFile(p, bytes.Repeat([]byte("-----BEGIN"), 1000), 0o600)
		}), `begins with "-----BEG": want "SallySeg"`},
		"stranger's file": {func(t *testing.T, p string) { chown(t, p) }, "belongs to user 12345: want "},
		"stranger's dir":  {func(t *testing.T, p string) { chown(t, filepath.Dir(p)) }, "belongs to user 12345: want "},
	} {
		t.Run(name, func(t *testing.T) {
			dir := privateDir(t)
			golden(t, dir)
			tt.change(t, filepath.Join(dir, "list"))
			if s, _, err := Open(dir, "list"); s != nil || err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v: want %q", err, tt.want)
			}
		})
	}
	t.Run("no directory", func(t *testing.T) {
		if _, _, err := Open(filepath.Join(t.TempDir(), "none"), "list"); !errors.Is(err, fs.ErrNotExist) {
			t.Error(err)
		}
	})
	for _, name := range []string{"", ".", "..", "../list", "a/b", "x.segment.tmp", "a\x00"} {
		if _, _, err := Open(privateDir(t), name); err == nil || !strings.Contains(err.Error(), "want the name of a file") {
			t.Errorf("name %q: %v", name, err)
		}
	}
}

func chown(t *testing.T, path string) {
	t.Helper()
	needRoot(t)
	if err := os.Chown(path, 12345, -1); err != nil {
		t.Fatal(err)
	}
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("not root, and CI must not skip")
		}
		t.Skip("needs root")
	}
}

// TestHeader gives the header values that no list has; its checksum is right.
func TestHeader(t *testing.T) {
	dir := privateDir(t)
	golden(t, dir)
	data, err := os.ReadFile(filepath.Join(dir, "list"))
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		change func(h *header)
		want   string
	}{
		"none":            {func(h *header) {}, ""},
		"size":            {func(h *header) { h.Size++ }, "want "},
		"entries":         {func(h *header) { h.Entries = 1 << 40 }, "entries"},
		"times":           {func(h *header) { h.Packing.Days = 2 }, "times in form 2"},
		"latest":          {func(h *header) { h.Packing.Latest = -1 << 62 }, "times up to day"},
		"rate":            {func(h *header) { h.FalsePositiveRate = -0.5 }, "rate -0.5"},
		"no filter":       {func(h *header) { h.Filter.Length = 0 }, "filter of 0 bytes"},
		"uneven filter":   {func(h *header) { h.Filter.Length-- }, "filter of"},
		"filter outside":  {func(h *header) { h.Filter.Offset = 1 << 40 }, "filter of"},
		"filter wraps":    {func(h *header) { h.Filter.Offset = -blockSize & (1<<64 - 1) }, "filter of"},
		"directory":       {func(h *header) { h.Tables[medium].Directory.Length = 4 }, "directory of 4 bytes"},
		"directory out":   {func(h *header) { h.Tables[short].Directory.Offset = 1 << 40 }, "directory of"},
		"rows":            {func(h *header) { h.Tables[short].Rows.Length++ }, "rows of"},
		"rows out":        {func(h *header) { h.Tables[short].Rows.Offset = 1 << 63 }, "rows of"},
		"serials":         {func(h *header) { h.Tables[long].Data.Length = 1 << 40 }, "serials of"},
		"no such table":   {func(h *header) { h.Tables[long] = tableSpans{Rows: span{0, 24}} }, "directory of 0 bytes"},
		"pages":           {func(h *header) { h.Pages++ }, "pages"},
		"head":            {func(h *header) { h.Head = 1 << 31 }, "head of"},
		"head in padding": {func(h *header) { h.Head++ }, ""}, // no harm: zeros, and checksummed
	} {
		t.Run(name, func(t *testing.T) {
			h, _, _, err := readFront(bytes.NewReader(data), int64(len(data)))
			if err != nil {
				t.Fatal(err)
			}
			tt.change(h)
			changed := bytes.Clone(data)
			h.encode(changed)
			seal(changed[:minFront])
			_, err = fromBytes(changed)
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v: want %q", err, tt.want)
			}
		})
	}
}

func namesIn(t testing.TB, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}
