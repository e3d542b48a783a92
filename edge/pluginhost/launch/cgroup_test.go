package launch

import (
	"bufio"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A directory stands for a cgroup, since which controllers a kernel gives to
// version 2 differs by machine; the files are those of cgroups(7).
func TestLimitsOfACgroup(t *testing.T) {
	s := Sandbox{Memory: 64 << 20, Tasks: 100, CPU: 0.5}
	for _, c := range []struct {
		name, controllers string
		want              map[string]string
		err               string
	}{
		{"all", "cpuset cpu io memory pids", map[string]string{"memory.max": "67108864", "memory.swap.max": "0", "memory.oom.group": "1", "pids.max": "100", "cpu.max": "50000 100000"}, ""},
		{"some", "pids", map[string]string{"pids.max": "100"}, "no controller memory, cpu to give"},
		{"none", "hugetlb", map[string]string{}, "no controller memory, pids, cpu to give"},
	} {
		t.Run(c.name, func(t *testing.T) {
			parent := t.TempDir()
			g := &cgroup{path: filepath.Join(parent, "plugin")}
			if err := os.Mkdir(g.path, 0o700); err != nil {
				t.Fatal(err)
			}
			// A cgroup's files are there, and cannot be made.
			for file := range map[string]string{"memory.max": "", "memory.swap.max": "", "memory.oom.group": "", "pids.max": "", "cpu.max": ""} {
				if err := os.WriteFile(filepath.Join(g.path, file), nil, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.WriteFile(filepath.Join(g.path, "cgroup.controllers"), []byte(c.controllers+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			// What the parent would give is not given.
			if err := os.WriteFile(filepath.Join(parent, "cgroup.subtree_control"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			in, err := g.limit(parent, s.limits())
			if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("error %v, want %q", err, c.err)
			}
			got := map[string]string{}
			for _, l := range in {
				data, err := os.ReadFile(filepath.Join(g.path, l.file))
				if err != nil || string(data) != l.value {
					t.Errorf("%s: %q, %v, want %q", l.file, data, err, l.value)
				}
				got[l.file] = string(data)
			}
			if !maps.Equal(got, c.want) {
				t.Errorf("set %v, want %v", got, c.want)
			}
		})
	}
}

// With a real one: the program is in it, and all in it can be killed at once.
func TestOwnCgroup(t *testing.T) {
	f := newFixture(t, "hang")
	f.spec.Sandbox.Tasks = -1 // so that no controller is needed
	p := f.start()
	hear[int](t, p)
	if p.cgroup == nil {
		skip(t, "a cgroup v2 to make groups in")
	}
	if !p.Report().InForce(MeasureCgroup) {
		t.Errorf("reported: %s", detail(p.Report(), MeasureCgroup))
	}
	procs, err := os.ReadFile(filepath.Join(p.cgroup.path, "cgroup.procs"))
	if err != nil || number(t, strings.TrimSpace(string(procs))) != p.Pid() {
		t.Errorf("in the cgroup: %q, %v, want %d", procs, err, p.Pid())
	}
	path := p.cgroup.path
	// The launcher alone removes it too, when the edge is killed.
	cmd, says := startEdge(t, self(t), nil, f.spec, f.opts)
	other, _, _ := strings.Cut(detail(says.Report, MeasureCgroup), " ")
	if _, err := os.Stat(other); err != nil || other == path {
		t.Errorf("another's cgroup: %v", err)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	eventually(t, "its cgroup is gone", func() bool { _, err := os.Stat(other); return os.IsNotExist(err) })
	f.sweep(cmd)
	p.cgroup.kill()
	waitDone(t, p)
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("the cgroup is there still: %v", err)
	}
}

func TestCgroupElsewhere(t *testing.T) {
	f := newFixture(t, "echo")
	f.opts.Cgroup = t.TempDir()
	p := f.start()
	if got := detail(p.Report(), MeasureCgroup); p.Report().InForce(MeasureCgroup) || !strings.Contains(got, "no cgroup of version 2") {
		t.Errorf("reported: %s", got)
	}
	if left, _ := os.ReadDir(f.opts.Cgroup); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	f.spec.Sandbox.Require = []string{MeasureCgroup}
	if got := f.refused(); !strings.Contains(got, "no cgroup of version 2") {
		t.Errorf("refused with %q", got)
	}
}

// Delegation is seen by its mark on the group above.
func TestDelegated(t *testing.T) {
	dir := t.TempDir()
	if delegated(dir) {
		t.Error("without a mark")
	}
	if err := unix.Setxattr(dir, "user.delegate", []byte("1"), 0); err != nil {
		skip(t, "extended attributes in "+dir)
	}
	if !delegated(dir) {
		t.Error("with the mark")
	}
	if err := unix.Setxattr(dir, "user.delegate", []byte("0"), 0); err != nil || delegated(dir) {
		t.Errorf("with the mark of none: %v", err)
	}
}

func TestCgroupMount(t *testing.T) {
	for _, c := range []struct{ mounts, want string }{
		{"30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw", "/sys/fs/cgroup"},
		{"29 1 0:1 / / rw - ext4 /dev/vda rw\n41 31 0:38 / /sys/fs/cgroup/uni\\040fied rw,relatime - cgroup2 cgroup2 rw", "/sys/fs/cgroup/uni fied"},
		{"31 1 0:1 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu", ""},
		{"", ""},
		{"- cgroup2 x", ""},
	} {
		got, err := cgroupMountIn(bufio.NewScanner(strings.NewReader(c.mounts)))
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%q: %q, %v", c.mounts, got, err)
		}
	}
}

func TestParentOfAProcess(t *testing.T) {
	for stat, want := range map[string]int{
		"12 (sh) S 7 12 12 0":          7,
		"12 (a) b (c) S 8 12":          8, // a name that looks like more fields
		"12 (evil) S 1) S 9 12 12 0 1": 9,
		"":                             0,
		"12 (sh":                       0,
		"12 (sh) S":                    0,
		"12 (sh) S x":                  0,
	} {
		if got := parentIn([]byte(stat)); got != want {
			t.Errorf("%q: %d, want %d", stat, got, want)
		}
	}
	if got := parentOf(os.Getpid()); got != os.Getppid() {
		t.Errorf("of this process: %d, want %d", got, os.Getppid())
	}
}

// The name is the process's own to choose.
func FuzzParentOfAProcess(f *testing.F) {
	f.Add("sh", 7)
	f.Add(") S 1 (", 7)
	f.Add("\x00\n)", 1<<22)
	f.Fuzz(func(t *testing.T, name string, parent int) {
		if got := parentIn(fmt.Appendf(nil, "12 (%s) S %d 12 12 0 -1 4194560", name, parent)); got != parent {
			t.Errorf("%q: %d, want %d", name, got, parent)
		}
		parentIn([]byte(name))
	})
}
