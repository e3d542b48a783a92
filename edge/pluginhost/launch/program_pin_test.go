package launch

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func sumOf(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func TestPinnedProgram(t *testing.T) {
	f := newFixture(t, "environment")
	f.spec.SHA256 = strings.ToUpper(sumOf(t, self(t)))
	p := f.start()
	got := hear[surroundings](t, p)
	if want := []int{0, 1, 2, DataFD}; !slices.Equal(got.FDs, want) {
		t.Errorf("open: %v, want %v", got.FDs, want)
	}
	if got.Args[0] != self(t) {
		t.Errorf("called as %q", got.Args[0])
	}
}

func TestChecksumMismatch(t *testing.T) {
	f := newFixture(t, "echo")
	f.spec.SHA256 = strings.Repeat("ab", 32)
	if got := f.refused(); !strings.Contains(got, sumOf(t, self(t))) || !strings.Contains(got, f.spec.SHA256) {
		t.Errorf("refused with %q, which does not have both sums", got)
	}
	for _, bad := range []string{"abc", strings.Repeat("ab", 31), strings.Repeat("xy", 32)} {
		f.spec.SHA256 = bad
		if got := f.refused(); !strings.Contains(got, bad) {
			t.Errorf("refused with %q, which does not quote %q", got, bad)
		}
	}
}

// What is executed is what was hashed, whatever becomes of the file in between,
// its very bytes included.
func TestPinnedProgramIsACopy(t *testing.T) {
	for _, how := range []string{"replaced", "overwritten"} {
		t.Run(how, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "policy")
			if err := os.WriteFile(path, []byte("#!/bin/sh\nexec >&3; echo '\"good\"'; cat <&3\n"), 0o755); err != nil {
				t.Fatal(err)
			}
			sum := sumOf(t, path)
			evil := []byte("#!/bin/sh\nexec >&3; echo '\"evil\"'; cat <&3\n")
			// A launcher that changes the file, after Start has looked at it and before
			// the program is executed.
			target := path
			change := "cat " + filepath.Join(dir, "evil") + " >" + target
			if how == "replaced" {
				change = "mv " + filepath.Join(dir, "evil") + " " + target
			}
			if err := os.WriteFile(filepath.Join(dir, "evil"), evil, 0o755); err != nil {
				t.Fatal(err)
			}
			launcher := filepath.Join(dir, "launcher")
			if err := os.WriteFile(launcher, []byte("#!/bin/sh\n"+change+"\nexec "+self(t)+" plugin-run\n"), 0o755); err != nil {
				t.Fatal(err)
			}
			f := newFixture(t, "echo")
			f.spec.Command = []string{path}
			f.spec.SHA256 = sum
			f.opts.Launcher = []string{launcher}
			if got := hear[string](t, f.start()); got != "good" {
				t.Errorf("executed the %s one", got)
			}
			// Without a pin it is the file that counts: so the change was made.
			f.spec.SHA256 = ""
			if err := os.WriteFile(filepath.Join(dir, "evil"), evil, 0o755); err != nil {
				t.Fatal(err)
			}
			if got := hear[string](t, f.start()); got != "evil" {
				t.Errorf("not pinned, executed the %s one", got)
			}
		})
	}
}

func TestPinnedScripts(t *testing.T) {
	for _, c := range []struct{ interpreter, script string }{
		{"sh", "#!/bin/sh\necho '\"sh\"' >&3\ncat <&3\n"},
		{"python3", "#!/usr/bin/env python3\nimport os\nos.write(3, b'\"python3\"\\n')\nos.read(3, 1)\n"},
		{"node", "#!/usr/bin/env node\nconst fs = require('fs');\nfs.writeSync(3, '\"node\"\\n');\ntry { fs.readSync(3, Buffer.alloc(1)) } catch (e) {}\n"},
	} {
		t.Run(c.interpreter, func(t *testing.T) {
			if _, err := os.Stat("/usr/bin/" + c.interpreter); err != nil {
				skip(t, "/usr/bin/"+c.interpreter)
			}
			f := newFixture(t, "echo")
			path := filepath.Join(t.TempDir(), "script")
			if err := os.WriteFile(path, []byte(c.script), 0o700); err != nil {
				t.Fatal(err)
			}
			f.spec.Command = []string{path, "argument"}
			for _, pin := range []string{sumOf(t, path), ""} {
				f.spec.SHA256 = pin
				p := f.start()
				if got := hear[string](t, p); got != c.interpreter {
					t.Errorf("got %q", got)
				}
			}
		})
	}
}

// A script given to an interpreter may be read without being granted, as the
// program's file itself.
func TestScriptAsAnArgument(t *testing.T) {
	path := filepath.Join(t.TempDir(), "script.py")
	if err := os.WriteFile(path, []byte("import os\nos.write(3, b'\"python\"\\n')\nos.read(3, 1)\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat("/usr/bin/python3"); err != nil {
		skip(t, "/usr/bin/python3")
	}
	f := newFixture(t, "echo")
	f.spec.Command = []string{"python3", "-B", path}
	if got := hear[string](t, f.start()); got != "python" {
		t.Errorf("got %q", got)
	}
	f.spec.Dir = filepath.Dir(path)
	f.spec.Command = []string{"python3", "./script.py"}
	if got := hear[string](t, f.start()); got != "python" {
		t.Errorf("in its directory: got %q", got)
	}
}

func TestFindProgram(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a/x", "b/x", "b/y"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		mode := os.FileMode(0o755)
		if name == "a/x" {
			mode = 0o644 // so it is passed over
		}
		if err := os.WriteFile(path, nil, mode); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	env := []string{"PATH=b:" + dir + "/a:" + dir + "/b"}
	for _, c := range []struct{ name, dir, want string }{
		{"x", "", dir + "/b/x"},
		{"y", "", dir + "/b/y"}, // not the relative b/y, which is the edge's directory
		{"./b/y", dir, dir + "/b/y"},
		{"b/../b/y", dir, dir + "/b/y"},
		{dir + "/b/y", "/elsewhere", dir + "/b/y"},
		{"z", "", ""},
		{"b/y", "", ""},
	} {
		got, err := findProgram(c.name, c.dir, env)
		if got != c.want && err == nil || (err != nil) != (c.want == "") {
			t.Errorf("%q in %q: %q, %v; want %q", c.name, c.dir, got, err, c.want)
		}
	}
}

// An interpreter gets the copy of a pinned script that was hashed, whatever becomes
// of the file; one whose checksum is another does not run.
func TestPinnedArguments(t *testing.T) {
	f := newFixture(t, "echo")
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const script = "printf '[\"%s\", \"%s\", \"%s\"]' \"$0\" \"$1\" \"$(cat $2)\" >&3\n"
	rule, data := write("rule.sh", script), write("data", "first")
	f.spec.Dir = ""
	f.spec.Command = []string{"/bin/sh", rule, "plain", data}
	f.spec.Pinned = map[string]string{rule: sumOf(t, rule), data: sumOf(t, data)}

	r, err := Prepare(f.spec, f.opts)
	if err != nil {
		t.Fatal(err)
	}
	write("rule.sh", "exit 9\n") // in the very moment
	write("data", "second")
	p, err := r.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer p.Kill()
	if got := hear[[]string](t, p); !slices.Equal(got, []string{"/proc/self/fd/4", "plain", "first"}) {
		t.Errorf("the script was told %q", got)
	}
	waitDone(t, p)

	if text := f.refused(); !strings.Contains(text, "pin argument "+rule) || !strings.Contains(text, "is wanted") {
		t.Errorf("changed: %s", text)
	}
	f.spec.Pinned = map[string]string{"/etc/hostname": sumOf(t, rule)}
	if text := f.refused(); !strings.Contains(text, "want an argument of the command") {
		t.Errorf("no argument: %s", text)
	}
}

// A pinned script and its pinned arguments are each where it is told.
func TestPinnedScriptWithPinnedArguments(t *testing.T) {
	f := newFixture(t, "echo")
	dir := t.TempDir()
	script, data := filepath.Join(dir, "rule"), filepath.Join(dir, "data")
	for path, text := range map[string]string{script: "#!/bin/sh\nprintf '[\"%s\", \"%s\"]' \"$1\" \"$(cat $1)\" >&3\ncat <&3\n", data: "words"} {
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	f.spec.Command, f.spec.Dir = []string{script, data}, ""
	f.spec.SHA256, f.spec.Pinned = sumOf(t, script), map[string]string{data: sumOf(t, data)}
	p := f.start()
	if got := hear[[]string](t, p); !slices.Equal(got, []string{"/proc/self/fd/5", "words"}) {
		t.Errorf("the script was told %q", got)
	}
}

// The copy cannot be changed, not even by who has it open.
func TestSealed(t *testing.T) {
	f := newFixture(t, "echo")
	f.spec.SHA256 = sumOf(t, self(t))
	p, err := openProgram(&f.spec, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	if f, err := os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", p.pinned.Fd()), os.O_RDWR, 0); err == nil {
		if _, err := f.WriteAt([]byte("x"), 0); err == nil {
			t.Error("written")
		}
		if err := f.Truncate(0); err == nil {
			t.Error("truncated")
		}
		f.Close()
	}
	seals, err := unix.FcntlInt(p.pinned.Fd(), unix.F_GET_SEALS, 0)
	if err != nil || seals&^unix.F_SEAL_EXEC != unix.F_SEAL_SEAL|unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_WRITE {
		t.Errorf("seals %#x, %v", seals, err)
	}
}
