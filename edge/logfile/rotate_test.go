package logfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"
	"go.uber.org/goleak"
)

// naming is that of the examples in AWS's documentation.
func naming(kind string) Naming {
	return Naming{Kind: kind, Account: "123456789012", Region: "us-east-2", Name: "my-loadbalancer", ID: "1234567890abcdef", Address: netip.MustParseAddr("172.160.1.192")}
}

func mustNew(t *testing.T, o Options) *File {
	t.Helper()
	f, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	f.settle = 0 // nobody else has these files open
	return f
}

// pieces lists the pieces below dir, the random ends of their names left out, and
// what is in them.
func pieces(t *testing.T, dir string) (names, contents []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Dir(name) == dir {
			return err
		}
		short, _ := filepath.Rel(dir, name)
		names = append(names, regexp.MustCompile(`_[a-z0-9]{8}\.log`).ReplaceAllString(short, "_RANDOM.log"))
		file, err := os.Open(name)
		if err != nil {
			return err
		}
		defer file.Close()
		var r io.Reader = file
		if strings.HasSuffix(name, gzipSuffix) {
			if r, err = gzip.NewReader(file); err != nil {
				return err
			}
		}
		b, err := io.ReadAll(r)
		contents = append(contents, string(b))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names, contents
}

// A file is cut off at the multiples of its interval, if there is something in it,
// and the pieces have ALB's names.
func TestRotatesByTime(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) { // 2000-01-01T00:00:00Z
		name := filepath.Join(dir, "access.log")
		f := mustNew(t, Options{Name: name, Rotate: Rotate{Every: 5 * time.Minute, Compress: true, Naming: naming("")}})
		end := run(t, f)
		time.Sleep(7 * time.Minute)
		f.Write([]byte("one"))
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		f.Write([]byte("two"))
		time.Sleep(23*time.Hour + 42*time.Minute + 59*time.Second) // a second before the day's last interval ends
		f.Write([]byte("three"))
		time.Sleep(2 * time.Second)
		f.Write([]byte("four"))
		time.Sleep(time.Second)
		if err := end(); err != nil {
			t.Fatal(err)
		}
		names, contents := pieces(t, dir)
		const root = "AWSLogs/123456789012/elasticloadbalancing/us-east-2/2000/01/"
		const prefix = "/123456789012_elasticloadbalancing_us-east-2_app.my-loadbalancer.1234567890abcdef_"
		want := []string{
			root + "01" + prefix + "20000101T0010Z_172.160.1.192_RANDOM.log.gz",
			root + "01" + prefix + "20000101T0020Z_172.160.1.192_RANDOM.log.gz",
			root + "02" + prefix + "20000102T0000Z_172.160.1.192_RANDOM.log.gz",
		}
		if diff := cmp.Diff(want, names); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{"one\n", "two\n", "three\n"}, contents); diff != "" {
			t.Error(diff)
		}
		if got := content(t, name); got != "four\n" {
			t.Errorf("the file itself: %q", got)
		}
	})
}

// What an earlier process wrote in an interval that is over becomes a piece of
// that interval.
func TestRotatesWhatWasLeft(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "access.log")
	if err := os.WriteFile(name, []byte("old\n"), 0o640); err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	if err := os.Chtimes(name, at, at); err != nil {
		t.Fatal(err)
	}
	f := mustNew(t, Options{Name: name, Rotate: Rotate{Every: time.Hour, Naming: naming("conn_log_")}})
	f.Write([]byte("new"))
	if err := run(t, f)(); err != nil {
		t.Fatal(err)
	}
	names, contents := pieces(t, dir)
	if len(names) != 1 || !strings.Contains(names[0], "/2026/03/04/conn_log_123456789012_") || !strings.Contains(names[0], "_20260304T0600Z_") || contents[0] != "old\n" {
		t.Errorf("pieces %q with %q", names, contents)
	}
	if got := content(t, name); got != "new\n" {
		t.Errorf("the file itself: %q", got)
	}
	if info, err := os.Stat(name); err != nil || info.Mode() != 0o640 {
		t.Errorf("mode %v (%v), want that of the old file, 0640", info.Mode(), err)
	}
}

// Under load, with signals in between, every line is in one piece, whole and in
// order.
func TestRotatesBySizeUnderLoad(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	const writers, each = 4, 5000
	dir := t.TempDir()
	name := filepath.Join(dir, "access.log")
	f := mustNew(t, Options{Name: name, Rotate: Rotate{Size: 4 << 10, Compress: true, Naming: naming("")}})
	end := run(t, f)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				f.Write(fmt.Appendf(nil, "%d %d %s", w, i, strings.Repeat("x", i%50)))
				if i%500 == 0 {
					time.Sleep(gather) // so that there is more than one piece
				}
				if i%1000 == 0 {
					if err := f.Reopen(); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	if err := end(); err != nil {
		t.Fatal(err)
	}
	// The next Run finishes what this one has left.
	f = mustNew(t, f.Options())
	end = run(t, f)
	eventually(t, "all pieces are compressed", func() bool {
		found, err := naming("").find(os.DirFS(dir))
		return err == nil && len(found) > 1 && !slices.ContainsFunc(found, func(p piece) bool { return p.state != compressed })
	})
	if err := end(); err != nil {
		t.Fatal(err)
	}
	_, contents := pieces(t, dir)
	lines := map[string]int{}
	for _, c := range append(contents, content(t, name)) {
		last := make([]int, writers)
		for line := range strings.Lines(c) {
			var w, i int
			var x string
			if n, _ := fmt.Sscanf(line, "%d %d %s\n", &w, &i, &x); n < 2 || len(x) != i%50 {
				t.Fatalf("torn line %q", line)
			}
			if i < last[w] {
				t.Fatalf("writer %d: line %d after %d", w, i, last[w])
			}
			last[w] = i
			lines[fmt.Sprint(w, i)]++
		}
	}
	for key, n := range lines {
		if n != 1 {
			t.Errorf("line %s is there %d times", key, n)
		}
	}
	if len(lines) != writers*each {
		t.Errorf("%d lines, want %d", len(lines), writers*each)
	}
	if n := f.Dropped(); n != 0 {
		t.Errorf("dropped %d", n)
	}
}

func TestRotationThatFailsLosesNothing(t *testing.T) {
	said := captureWarnings(t)
	dir := t.TempDir()
	name := filepath.Join(dir, "access.log")
	if err := os.WriteFile(filepath.Join(dir, "AWSLogs"), nil, 0o600); err != nil { // where the folder should be
		t.Fatal(err)
	}
	f := mustNew(t, Options{Name: name, Rotate: Rotate{Size: 1, Naming: naming("")}})
	end := run(t, f)
	for i := range 5 {
		f.Write([]byte("line"))
		eventually(t, "the line is written", func() bool { return bytes.Count([]byte(content(t, name)), []byte("line\n")) == i+1 })
	}
	if err := end(); err != nil {
		t.Fatal(err)
	}
	if lines := said.lines(); len(lines) != 1 || !strings.Contains(lines[0], "log file not rotated") {
		t.Errorf("said %q, want one complaint a minute", lines)
	}
}

// A new file that cannot be opened leaves the old one where it was.
func TestRotationWithoutDescriptors(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "access.log")
	f := mustNew(t, Options{Name: name, Rotate: Rotate{Size: 1, Naming: naming("")}})
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 3, Max: limit.Max}); err != nil {
		t.Fatal(err)
	}
	err := f.rotate(f.current.(*regular), time.Now())
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(err, syscall.EMFILE) {
		t.Errorf("rotate: %v, want %v", err, syscall.EMFILE)
	}
	f.Write([]byte("kept"))
	f.options.Rotate.Size = 0 // nothing is cut off from here on
	if err := run(t, f)(); err != nil {
		t.Fatal(err)
	}
	if names, _ := pieces(t, dir); len(names) != 0 || content(t, name) != "kept\n" {
		t.Errorf("pieces %q, and in the file %q", names, content(t, name))
	}
}

// What Reopen has left to write may go to the very file that would be cut off.
func TestNotRotatedWhileLinesWait(t *testing.T) {
	f := mustNew(t, Options{Name: filepath.Join(t.TempDir(), "access.log"), Rotate: Rotate{Size: 1, Naming: naming("")}})
	f.Write([]byte("one"))
	if err := f.Reopen(); err != nil {
		t.Fatal(err)
	}
	if _, ok := f.rotatable(); ok {
		t.Error("would be rotated before the lines are written")
	}
	if err := run(t, f)(); err != nil {
		t.Fatal(err)
	}
}

func TestOptionsThatAreRefused(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(dir, "link.log")
	if err := os.Symlink(filepath.Join(dir, "real.log"), link); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, "a.log")
	bad := naming("")
	bad.Name = "../x"
	for _, test := range []struct {
		o    Options
		want string
	}{
		{Options{}, "want a name or a syslog receiver"},
		{Options{Name: name, Syslog: Syslog{Network: "udp"}}, "want a name or a syslog receiver"},
		{Options{Syslog: Syslog{Network: "udp"}, Rotate: Rotate{Size: 1}}, "nothing to rotate"},
		{Options{Name: name, Rotate: Rotate{Keep: 1}}, "want a size or a time"},
		{Options{Name: name, Rotate: Rotate{Size: -1}}, "negative"},
		{Options{Name: name, Rotate: Rotate{Size: 1, Naming: bad}}, `"../x" in the names of pieces`},
		{Options{Name: name, Rotate: Rotate{Size: 1, Naming: naming("x/")}}, `"x/" as the kind of log`},
		{Options{Name: "/dev/stdout", Rotate: Rotate{Size: 1, Naming: naming("")}}, "not a regular file"},
		{Options{Name: link, Rotate: Rotate{Size: 1, Naming: naming("")}}, "not a regular file"},
	} {
		if _, err := New(test.o); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: %v, want %s", test.o, err, test.want)
		}
	}
	if fds := openFiles(t, dir); fds != 0 {
		t.Errorf("%d files left open", fds)
	}
}
