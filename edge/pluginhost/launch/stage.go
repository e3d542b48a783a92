package launch

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"

	"golang.org/x/sys/unix"
)

// runStage takes away what the program must not have, and becomes it. It returns
// only if that failed.
func runStage() error {
	// All of it is this thread's; see the package's comment.
	runtime.LockOSThread()
	// A collection could want memory that the limits no longer grant.
	debug.SetGCPercent(-1)
	// Out of the way of the program's descriptors.
	moved, err := moveUp(controlFD, 1+pins())
	if err != nil {
		return fmt.Errorf("move the socket of orders and pinned files: %w", err)
	}
	control := os.NewFile(uintptr(moved[0]), "control")
	tell := json.NewEncoder(control)
	var o orders
	if err = json.NewDecoder(control).Decode(&o); err == nil {
		s := stage{orders: &o, pins: moved[1:]}
		if err = s.enter(); err == nil {
			// Before the exec: that it succeeds is told by this socket's end.
			_ = tell.Encode(verdict{Report: s.inOrder()})
			err = s.exec()
		}
	}
	_ = tell.Encode(verdict{Error: err.Error()})
	return err
}

// pins is how many pinned files this process was given.
func pins() int {
	n, err := strconv.Atoi(os.Getenv(pinsVariable))
	if err != nil || n < 0 || n > mostPins+1 {
		return 0 // of somebody who has called us by hand
	}
	return n
}

// moveUp moves descriptors, from first on, to where no program looks.
func moveUp(first, count int) (moved []int, err error) {
	for fd := first; fd < first+count; fd++ {
		high, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, highFD)
		if err != nil {
			return nil, err
		}
		unix.Close(fd)
		moved = append(moved, high)
	}
	return moved, nil
}

// stage is the process that becomes the program.
type stage struct {
	*orders
	pins     []int // descriptors of pinned files, that of the program first
	report   SandboxReport
	fileHint string // for an exec that landlock may have refused
	// signalsScoped is whether landlock keeps signals within the plugin's processes.
	signalsScoped bool
}

// enter puts the sandbox around the calling thread. What fails and was not
// required is in the report; what would leave more than was asked for is an error.
func (s *stage) enter() error {
	if err := s.dieWithLauncher(); err != nil {
		return err
	}
	if err := s.enterLimits(); err != nil {
		return err
	}
	s.enterCgroup()
	if err := s.enterUser(); err != nil {
		return err
	}
	if s.Own {
		// A change of user has undone it.
		if err := s.dieWithLauncher(); err != nil {
			return err
		}
	}
	unix.Umask(0o077)
	dir := s.Dir
	if dir == "" {
		dir = "/"
	}
	if err := unix.Chdir(dir); err != nil {
		return fmt.Errorf("enter the plugin's directory %s: %w", dir, err)
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("set no_new_privs: %w", err)
	}
	s.report.add(MeasureNoNewPrivs, true, "set")
	if err := s.enterLandlock(); err != nil {
		return err
	}
	s.enterSeccomp()
	return s.inOrder().missing(s.Sandbox.Require)
}

// inOrder is the report in the order of Measures.
func (s *stage) inOrder() SandboxReport {
	var list SandboxReport
	for _, name := range Measures {
		for _, m := range s.report {
			if m.Name == name {
				list = append(list, m)
			}
		}
	}
	return list
}

// dieWithLauncher has the kernel kill us when the launcher ends.
func (s *stage) dieWithLauncher() error {
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
		return fmt.Errorf("set the parent-death signal: %w", err)
	}
	if os.Getppid() != s.Launcher {
		return errors.New("the launcher has ended")
	}
	return nil
}

// exec becomes the program, with no descriptor but those that are its own.
func (s *stage) exec() error {
	path := s.Path
	own := s.pins // that the program is to find open, from scriptFD on
	if s.Pinned {
		if len(s.pins) == 0 {
			return errors.New("the program's copy was not handed on")
		}
		if path = fmt.Sprintf("/proc/self/fd/%d", s.pins[0]); s.Script {
			path = fmt.Sprintf("/proc/self/fd/%d", scriptFD) // its interpreter opens it once more
		} else {
			own = s.pins[1:]
		}
	}
	first := uint(dataFD + 1)
	for _, fd := range own {
		if err := unix.Dup3(fd, int(first), 0); err != nil {
			return fmt.Errorf("hand a pinned file on: %w", err)
		}
		first++
	}
	// Ours are marked already; this is for what somebody above us has let slip.
	_ = unix.CloseRange(first, ^uint(0)>>1, unix.CLOSE_RANGE_CLOEXEC)
	err := s.become(path)
	hint := ""
	if errors.Is(err, unix.EACCES) {
		hint = s.fileHint
	}
	if errors.Is(err, unix.ENOENT) {
		hint = ": the file is there, so its interpreter is not"
	}
	return fmt.Errorf("execute %s: %w%s", s.Path, err, hint)
}
