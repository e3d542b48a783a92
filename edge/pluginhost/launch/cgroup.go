package launch

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// cgroup is one process's group in the unified hierarchy (cgroup v2).
type cgroup struct {
	path string
}

// limit is one file of a cgroup.
type limit struct {
	controller, file, value string
}

// limits are what a sandbox asks of a cgroup.
func (s *Sandbox) limits() []limit {
	var list []limit
	if s.Memory > 0 {
		list = append(list, limit{"memory", "memory.max", strconv.FormatInt(s.Memory, 10)},
			// Swapped out is not given back; and of a plugin half killed nothing comes.
			limit{"memory", "memory.swap.max", "0"}, limit{"memory", "memory.oom.group", "1"})
	}
	if s.Tasks > 0 {
		list = append(list, limit{"pids", "pids.max", strconv.Itoa(s.Tasks)})
	}
	if s.CPU > 0 {
		const period = 100000 // µs, the kernel's own
		list = append(list, limit{"cpu", "cpu.max", fmt.Sprintf("%d %d", int64(s.CPU*period), period)})
	}
	return list
}

// newCgroup makes a group below parent, or below where the edge is if parent is
// empty, and sets what limits it can. The group may be there, and be good for
// killing, with an error about the limits; it is nil if there is none.
func newCgroup(parent, plugin string, s *Sandbox) (g *cgroup, in []limit, err error) {
	if parent == "" {
		if parent, err = ownCgroup(); err != nil {
			return nil, nil, err
		}
	}
	path, err := os.MkdirTemp(parent, "sallyport-plugin-"+plugin+"-")
	if err != nil {
		return nil, nil, fmt.Errorf("make a cgroup: %w", err)
	}
	g = &cgroup{path: path}
	if _, err := os.Stat(filepath.Join(path, "cgroup.procs")); err != nil {
		os.Remove(path)
		return nil, nil, fmt.Errorf("%s is no cgroup of version 2", parent)
	}
	in, err = g.limit(parent, s.limits())
	return g, in, err
}

// limit sets the limits whose controllers are there.
func (g *cgroup) limit(parent string, want []limit) (in []limit, err error) {
	has := func(controller string) bool {
		have, _ := os.ReadFile(filepath.Join(g.path, "cgroup.controllers"))
		return slices.Contains(strings.Fields(string(have)), controller)
	}
	var lacking []string
	for _, l := range want {
		if slices.Contains(lacking, l.controller) {
			continue
		}
		if !has(l.controller) {
			// Refused (EBUSY) while the parent has processes of its own.
			_ = writeTo(filepath.Join(parent, "cgroup.subtree_control"), "+"+l.controller)
			if !has(l.controller) {
				lacking = append(lacking, l.controller)
				continue
			}
		}
		if werr := writeTo(filepath.Join(g.path, l.file), l.value); werr != nil {
			if l.controller == "memory" && l.file != "memory.max" {
				continue // a kernel without swap accounting has no memory.swap.max
			}
			err = errors.Join(err, fmt.Errorf("set %s to %s: %w", l.file, l.value, werr))
			continue
		}
		in = append(in, l)
	}
	if len(lacking) > 0 {
		err = errors.Join(err, fmt.Errorf("%s has no controller %s to give (version 1 has it, or processes are in it; under systemd, set Delegate=yes and DelegateSubgroup=edge)", parent, strings.Join(lacking, ", ")))
	}
	return in, err
}

// kill kills all that is in the group, at once. It is best effort: cgroup.kill is
// of Linux 5.14.
func (g *cgroup) kill() {
	if g != nil {
		_ = writeTo(filepath.Join(g.path, "cgroup.kill"), "1")
	}
}

// end kills what is in the group and removes it. The kernel keeps it while what
// was killed has not gone; then it is left to a later sweep.
func (g *cgroup) end() (removed bool) {
	if g == nil {
		return true
	}
	g.kill()
	for range 100 {
		err := unix.Rmdir(g.path)
		if err == nil || errors.Is(err, unix.ENOENT) {
			return true
		}
		if !errors.Is(err, unix.EBUSY) {
			return false
		}
		time.Sleep(5 * time.Millisecond)
	}
	return false
}

// writeTo writes to a file that is there: none can be made in a cgroup.
func writeTo(path, value string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value)
	return errors.Join(err, f.Close())
}

// ownCgroup is the directory to make groups in. Without delegation it is the
// edge's own group. A service manager that delegates to us puts us into a leaf of
// what is ours, since no group with processes can give controllers to others; it
// marks what is ours.
func ownCgroup() (string, error) {
	mount, err := cgroupMount()
	if err != nil {
		return "", err
	}
	data, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", fmt.Errorf("find the edge's cgroup: %w", err)
	}
	for line := range strings.Lines(string(data)) {
		if path, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "0::"); ok {
			own := filepath.Join(mount, path)
			if parent := filepath.Dir(own); own != mount && delegated(parent) {
				return parent, nil
			}
			return own, nil
		}
	}
	return "", errors.New("the edge is in no cgroup of version 2")
}

// delegated asks for the marks that systemd documents.
func delegated(path string) bool {
	value := make([]byte, 8)
	for _, name := range []string{"user.delegate", "trusted.delegate"} {
		if n, err := unix.Getxattr(path, name, value); err == nil && string(value[:n]) == "1" {
			return true
		}
	}
	return false
}

func cgroupMount() (string, error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return "", fmt.Errorf("find cgroups: %w", err)
	}
	defer f.Close()
	return cgroupMountIn(bufio.NewScanner(f))
}

// cgroupMountIn reads lines of proc_pid_mountinfo(5): the mount point is the
// fifth field, the type the first behind the hyphen.
func cgroupMountIn(lines *bufio.Scanner) (string, error) {
	for lines.Scan() {
		before, after, ok := strings.Cut(lines.Text(), " - ")
		fields := strings.Fields(before)
		if ok && strings.HasPrefix(after, "cgroup2 ") && len(fields) >= 5 {
			return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(fields[4]), nil
		}
	}
	return "", errors.New("no cgroups of version 2 are mounted")
}
