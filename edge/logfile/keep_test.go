package logfile

import (
	"encoding/hex"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// put makes a piece of so many bytes that ended when end says, and returns its
// name.
func put(t *testing.T, dir string, n Naming, end time.Time, suffix string, size int) string {
	t.Helper()
	name := n.path(dir, end) + suffix
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, make([]byte, size), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// What is left of names.
func left(names ...string) (there []bool) {
	for _, name := range names {
		there = append(there, exists(name))
	}
	return there
}

func TestRetentionByAge(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	n := naming("")
	other := n
	other.Name = "another"
	old := put(t, dir, n, now.Add(-8*24*time.Hour), ".gz", 1)
	oldPlain := put(t, dir, n, now.Add(-9*24*time.Hour), "", 1)
	young := put(t, dir, n, now.Add(-6*24*time.Hour), ".gz", 1)
	foreign := put(t, dir, other, now.Add(-8*24*time.Hour), ".gz", 1)
	connections := put(t, dir, naming("conn_log_"), now.Add(-9*24*time.Hour), ".gz", 1)
	stranger := filepath.Join(filepath.Dir(old), "notes.txt")
	if err := os.WriteFile(stranger, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f := mustNew(t, Options{Name: filepath.Join(dir, "a.log"), Rotate: Rotate{Size: 1 << 20, Keep: 7 * 24 * time.Hour, Naming: n}})
	end := run(t, f)
	eventually(t, "the old pieces are removed", func() bool { return !exists(old) && !exists(oldPlain) })
	if err := end(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]bool{true, true, true, true}, left(young, foreign, connections, stranger)); diff != "" {
		t.Error(diff)
	}
}

func TestRetentionBySize(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	n := naming("health_check_log_")
	first := put(t, dir, n, now.Add(-3*24*time.Hour), ".gz", 100)
	second := put(t, dir, n, now.Add(-2*24*time.Hour), ".gz", 100)
	third := put(t, dir, n, now.Add(-1*24*time.Hour), ".gz", 100)
	f := mustNew(t, Options{Name: filepath.Join(dir, "a.log"), Rotate: Rotate{Size: 1 << 20, KeepSize: 250, Naming: n}})
	end := run(t, f)
	eventually(t, "the oldest is removed, and its folder", func() bool { return !exists(filepath.Dir(first)) })
	if err := end(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]bool{false, true, true}, left(first, second, third)); diff != "" {
		t.Error(diff)
	}
}

// What a process that died left of a compression does not stay; a compression
// that it had not finished is.
func TestLeftovers(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	n := naming("")
	interrupted := put(t, dir, n, now, "", 1000)
	put := func(name string) string {
		if err := os.WriteFile(name, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	half := put(interrupted + partSuffix)
	done := put(n.path(dir, now) + gzipSuffix)
	orphan := put(strings.TrimSuffix(done, gzipSuffix) + partSuffix)
	f := mustNew(t, Options{Name: filepath.Join(dir, "a.log"), Rotate: Rotate{Size: 1 << 20, Compress: true, Naming: n}})
	end := run(t, f)
	eventually(t, "what was left is finished", func() bool { return !exists(interrupted) && !exists(orphan) })
	if err := end(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]bool{false, true, true}, left(half, done, interrupted+gzipSuffix)); diff != "" {
		t.Error(diff)
	}
}

// A piece that others may still write to is not touched.
func TestFreshPieceIsLeftAlone(t *testing.T) {
	dir := t.TempDir()
	n := naming("")
	fresh := put(t, dir, n, time.Now(), "", 10)
	f := mustNew(t, Options{Name: filepath.Join(dir, "a.log"), Rotate: Rotate{Size: 1, Compress: true, Naming: n}})
	f.settle = time.Hour
	if next := f.tend(t.Context(), time.Now().Add(time.Minute)); next <= 0 || next > time.Hour || !exists(fresh) {
		t.Errorf("looks again in %v, want in an hour; piece there: %v", next, exists(fresh))
	}
	if next := f.tend(t.Context(), time.Now().Add(2*time.Hour)); next != keepEvery || exists(fresh) || !exists(fresh+gzipSuffix) {
		t.Errorf("an hour later: looks again in %v, piece there: %v", next, exists(fresh))
	}
	if err := f.current.close(); err != nil {
		t.Fatal(err)
	}
}

// An edge that is killed while it compresses has the piece finished by the next.
func TestKilledInMidCompression(t *testing.T) {
	dir := t.TempDir()
	n := naming("")
	piece := n.path(dir, time.Now())
	if err := os.MkdirAll(filepath.Dir(piece), 0o700); err != nil {
		t.Fatal(err)
	}
	noise := make([]byte, 6<<20)
	rand.NewChaCha8([32]byte{}).Read(noise) // not too easy: it is to take a while
	lines := hex.AppendEncode(nil, noise)
	if err := os.WriteFile(piece, lines, 0o600); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), "LOGFILE_TEST_ROTATED="+filepath.Join(dir, "a.log"))
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the compression is under way", func() bool {
		info, err := os.Stat(piece + partSuffix)
		return err == nil && info.Size() > 0
	})
	if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if !exists(piece) || exists(piece+gzipSuffix) {
		t.Fatalf("killed too late: piece there %v, compressed %v", exists(piece), exists(piece+gzipSuffix))
	}
	f := mustNew(t, rotated(filepath.Join(dir, "a.log")))
	end := run(t, f)
	eventually(t, "the piece is finished", func() bool { return !exists(piece) && !exists(piece+partSuffix) })
	if err := end(); err != nil {
		t.Fatal(err)
	}
	if _, contents := pieces(t, dir); len(contents) != 1 || contents[0] != string(lines) {
		t.Errorf("%d pieces, not what was written", len(contents))
	}
}

// rotated are the options of a log that is compressed as soon as it is rotated.
func rotated(name string) Options {
	return Options{Name: name, Rotate: Rotate{Size: 1 << 30, Compress: true, Naming: naming("")}}
}
