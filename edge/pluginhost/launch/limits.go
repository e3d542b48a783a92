package launch

import (
	"fmt"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// enterLimits sets the limits that bind the stage too without harm.
func (s *stage) enterLimits() error {
	var in, out []string
	set := func(what string, resource int, value uint64) error {
		// syscall's, not unix's: syscall.Exec would put back the limit of open files
		// that this process was started with, had it not been told of another.
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

// limitMemory comes last: it takes from the stage what the Go runtime may want, which
// has more than a small limit already and ends the process for the next page.
func (s *stage) limitMemory() error {
	if s.Sandbox.Memory <= 0 || s.MemoryByCgroup {
		return nil
	}
	value := uint64(s.Sandbox.Memory)
	if err := syscall.Setrlimit(unix.RLIMIT_DATA, &syscall.Rlimit{Cur: value, Max: value}); err != nil {
		return fmt.Errorf("set limit of data: %w", err)
	}
	return nil
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
