package launch

import (
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// enterLimits sets the limits that bind the stage too without harm.
func (s *stage) enterLimits() error {
	var in, out []string
	set := func(what string, resource int, value uint64) error {
		limit := syscall.Rlimit{Cur: value, Max: value}
		var now syscall.Rlimit
		if err := syscall.Getrlimit(resource, &now); err != nil {
			return fmt.Errorf("get limit of %s: %w", what, err)
		}
		if limit.Max > now.Max {
			limit = syscall.Rlimit{Cur: now.Max, Max: now.Max}
		}
		if err := syscall.Setrlimit(resource, &limit); err != nil {
			return fmt.Errorf("set limit of %s: %w", what, err)
		}
		in = append(in, fmt.Sprintf("%s=%d", what, limit.Cur))
		return nil
	}
	if err := set("core", unix.RLIMIT_CORE, 0); err != nil {
		return err
	}
	if err := set("open_files", unix.RLIMIT_NOFILE, uint64(s.Sandbox.OpenFiles)); err != nil {
		return err
	}
	if s.Sandbox.Tasks > 0 && !s.TasksByCgroup {
		// The limit counts all that the user has, so it means nothing unless the user
		// is the plugin's own.
		if s.Own {
			if err := set("tasks", unix.RLIMIT_NPROC, uint64(s.Sandbox.Tasks)); err != nil {
				return err
			}
		} else {
			out = append(out, "tasks need a cgroup with the controller pids, or a user of the plugin's own")
		}
	}
	if s.Sandbox.Memory > 0 && !s.MemoryByCgroup {
		in = append(in, fmt.Sprintf("data=%d", s.Sandbox.Memory)) // see limitMemory
	}
	s.report.add(MeasureLimits, len(out) == 0, "%s", strings.Join(append(in, out...), ", "))
	return nil
}

// become executes the program, with its limit of memory. The Go runtime has more than
// a small limit already, and ends the process for the next page that it wants: between
// the two calls nothing may be allocated, as syscall.Exec does.
func (s *stage) become(path string) error {
	name, err := syscall.BytePtrFromString(path)
	if err != nil {
		return err
	}
	args, err := syscall.SlicePtrFromStrings(s.Args)
	if err != nil {
		return err
	}
	env, err := syscall.SlicePtrFromStrings(s.Env)
	if err != nil {
		return err
	}
	if s.Sandbox.Memory > 0 && !s.MemoryByCgroup {
		limit := syscall.Rlimit{Cur: uint64(s.Sandbox.Memory), Max: uint64(s.Sandbox.Memory)}
		if _, _, errno := syscall.RawSyscall6(unix.SYS_PRLIMIT64, 0, unix.RLIMIT_DATA, uintptr(unsafe.Pointer(&limit)), 0, 0, 0); errno != 0 {
			return fmt.Errorf("set limit of data: %w", errno)
		}
	}
	_, _, errno := syscall.RawSyscall(unix.SYS_EXECVE, uintptr(unsafe.Pointer(name)), uintptr(unsafe.Pointer(&args[0])), uintptr(unsafe.Pointer(&env[0])))
	return errno
}

// enterCgroup moves the process into the group that the edge has made.
func (s *stage) enterCgroup() {
	if s.Cgroup == "" {
		s.report.add(MeasureCgroup, false, "%s", s.CgroupWhyNot)
		return
	}
	if err := writeTo(filepath.Join(s.Cgroup, "cgroup.procs"), "0"); err != nil {
		s.report.add(MeasureCgroup, false, "enter it: %v", err)
		return
	}
	if s.CgroupWhyNot != "" {
		s.report.add(MeasureCgroup, false, "%s%s, but %s", s.Cgroup, s.CgroupDetail, s.CgroupWhyNot)
		return
	}
	s.report.add(MeasureCgroup, true, "%s%s", s.Cgroup, s.CgroupDetail)
}
