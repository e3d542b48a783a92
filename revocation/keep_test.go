package revocation

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// store reads a list into the Dir.
func (k *kept) store(der []byte) []*List {
	k.t.Helper()
	lists, err := Read(k.t.Context(), bytes.NewReader(der), Options{Dir: k.Dir})
	if err != nil {
		k.t.Fatal(err)
	}
	return lists
}

func TestKeepUnderAName(t *testing.T) {
	ca := newCA(t, "Named CA")
	k := newKept(t)
	one := k.store(entriesOf(t, ca, revoke(7)))
	both := append(k.store(entriesOf(t, ca, revoke(8))), one...)
	if err := errors.Join(k.Keep("one", one), k.Keep("both", both)); err != nil {
		t.Fatal(err)
	}
	k.restart()
	for name, want := range map[string][]*List{"one": one, "both": both} {
		got, err := k.Kept(name)
		if err != nil {
			t.Fatal(err)
		}
		sameLists(t, got, want)
		wantStatus(t, Revoked, ca.link(t, 7), got...)
		wantStatus(t, Good, ca.link(t, 9), got...)
	}
	if _, err := k.Kept("none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v", err)
	}
	// A name is no path, and a file's lists are not kept under its path.
	for _, name := range []string{"../one", "file " + k.file, ""} {
		if _, err := k.Kept(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q: error %v", name, err)
		}
	}
	if err := k.Forget(one); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"one", "both"} {
		if _, err := k.Kept(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s, forgotten: error %v", name, err)
		}
	}
	// Lists that are in use stay so.
	wantStatus(t, Revoked, ca.link(t, 7), one...)
	if err := k.Forget(one); err != nil {
		t.Errorf("forgotten twice: %v", err)
	}
	if err := k.Keep("memory", []*List{parseOne(t, ca.base().der(t, ca))}); err == nil || !strings.Contains(err.Error(), "is not in") {
		t.Errorf("list in memory: error %v", err)
	}
	if err := k.Keep("nothing", nil); err == nil {
		t.Error("no lists were kept")
	}
}

func TestPrune(t *testing.T) {
	ca := newCA(t, "Pruned CA")
	k := newKept(t)
	data, _ := bigList(t, ca, 3000)
	k.put(data)
	file, _ := k.read()
	one, two := k.store(entriesOf(t, ca, revoke(7))), k.store(entriesOf(t, ca, revoke(8)))
	both := append(slices.Clone(one), two...)
	if err := errors.Join(k.Keep("one", one), k.Keep("two", two), k.Keep("both", both)); err != nil {
		t.Fatal(err)
	}
	foreign := filepath.Join(k.path, "README")
	if err := os.WriteFile(foreign, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	check := func(keep []*List, segments, sources int, has ...string) {
		t.Helper()
		if err := k.Prune(keep); err != nil {
			t.Fatal(err)
		}
		if s, j := k.names(segmentSuffix), k.names(sourceSuffix); len(s) != segments || len(j) != sources {
			t.Errorf("%d segments and %d sources: want %d and %d", len(s), len(j), segments, sources)
		}
		for _, name := range has {
			if _, err := k.Kept(name); err != nil {
				t.Error(err)
			}
		}
		if _, err := os.Stat(foreign); err != nil {
			t.Error(err)
		}
	}
	check(append(append(both, file...), nil), 3, 4, "one", "two", "both")
	if _, anew := k.read(); anew {
		t.Error("pruned what was to be kept")
	}
	check(append(file, one...), 2, 2, "one")
	check(one, 1, 1, "one")
	if err := os.WriteFile(filepath.Join(k.path, strings.Repeat("0", 64)+sourceSuffix), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	check(one, 1, 1, "one")
	check(nil, 0, 0)
	wantStatus(t, Revoked, ca.link(t, 7), one...)
}

func TestOpenDir(t *testing.T) {
	root := t.TempDir()
	path := filepath.Join(root, "state", "crls")
	d, err := OpenDir(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o700 {
		t.Errorf("mode %04o", info.Mode().Perm())
	}
	left := func(names ...string) (there []string) {
		for _, name := range names {
			if _, err := os.Stat(filepath.Join(path, name)); err == nil {
				there = append(there, name)
			}
		}
		return there
	}
	mine, theirs := "7"+draftSuffix, "README.tmp"
	for _, name := range []string{mine, theirs} {
		if err := os.WriteFile(filepath.Join(path, name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// As long as somebody may be writing it, it is no left-over.
	again, err := OpenDir(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{mine, theirs}, left(mine, theirs)); diff != "" {
		t.Error(diff)
	}
	runtime.KeepAlive(d)
	_ = d.lock.Close() // as if its process had ended
	_ = again.lock.Close()
	if _, err := OpenDir(path); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{theirs}, left(mine, theirs)); diff != "" {
		t.Error(diff)
	}
}

func TestOpenDirRefuses(t *testing.T) {
	root := t.TempDir()
	for _, mode := range []fs.FileMode{0o770, 0o702, 0o777} {
		if err := os.Chmod(root, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenDir(root); err == nil || !strings.Contains(err.Error(), "lets others write to it") {
			t.Errorf("mode %04o: error %v", mode, err)
		}
	}
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenDir(root); err != nil {
		t.Error(err)
	}
	file := filepath.Join(root, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, filepath.Join(file, "below")} {
		if _, err := OpenDir(path); err == nil {
			t.Errorf("%s: no error", path)
		}
	}
}

func TestOpenDirRefusesAnotherUsers(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("not root, and CI must not skip")
		}
		t.Skip("only root can give a directory away")
	}
	root := t.TempDir()
	if err := os.Chown(root, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenDir(root); err == nil || !strings.Contains(err.Error(), "belongs to another user") {
		t.Errorf("error %v", err)
	}
}

// TestDirThatCannotBeWritten has the directory go away.
func TestDirThatCannotBeWritten(t *testing.T) {
	ca := newCA(t, "Gone CA")
	k := newKept(t)
	data, _ := bigList(t, ca, 3000)
	k.put(data)
	if err := os.RemoveAll(k.path); err != nil {
		t.Fatal(err)
	}
	if lists, err := ReadFile(t.Context(), k.file, Options{Dir: k.Dir}); !errors.Is(err, fs.ErrNotExist) || lists != nil {
		t.Errorf("error %v", err)
	}
	if err := k.Prune(nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v", err)
	}
}

// FuzzSource wants what is taken to name segments only.
func FuzzSource(f *testing.F) {
	name := strings.Repeat("0", 64) + segmentSuffix
	f.Add([]byte(`{"version":1,"of":"name x","lists":["` + name + `"]}`))
	f.Add([]byte(`{"version":1,"of":"file /x","file":{"device":1,"inode":2,"size":3,"modified":4,"changed":5},"read":6,"lists":["` + name + `"]}`))
	f.Add([]byte(`{"version":2,"of":"name x","lists":["` + name + `"]}`))
	f.Add([]byte(`{"version":1,"of":"name x","lists":["../` + name[3:] + `"],"more":1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := parseSource(data)
		if err != nil {
			return
		}
		for _, name := range s.Lists {
			if len(name) != 64+len(segmentSuffix) || strings.ContainsAny(name, "/\\\x00") || !strings.HasSuffix(name, segmentSuffix) {
				t.Errorf("name %q", name)
			}
		}
		if len(s.Lists) == 0 {
			t.Error("no lists")
		}
	})
}
