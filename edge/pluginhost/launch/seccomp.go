package launch

import (
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// deniedCalls is what no plugin needs, and what attacks on a kernel or on other
// processes begin with. They fail with EPERM: what only tries goes on.
var deniedCalls = []uint32{
	// Other processes' memory and descriptors.
	unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV, unix.SYS_PIDFD_GETFD, unix.SYS_KCMP, unix.SYS_PROCESS_MADVISE,
	// Programs in the kernel, and its measurements.
	unix.SYS_BPF, unix.SYS_PERF_EVENT_OPEN, unix.SYS_USERFAULTFD,
	// A ring makes calls that no filter sees.
	unix.SYS_IO_URING_SETUP, unix.SYS_IO_URING_ENTER, unix.SYS_IO_URING_REGISTER,
	// Mounts, roots, namespaces.
	unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_PIVOT_ROOT, unix.SYS_CHROOT, unix.SYS_FSOPEN, unix.SYS_FSCONFIG, unix.SYS_FSMOUNT, unix.SYS_FSPICK,
	unix.SYS_MOVE_MOUNT, unix.SYS_OPEN_TREE, unix.SYS_OPEN_TREE_ATTR, unix.SYS_MOUNT_SETATTR, unix.SYS_STATMOUNT, unix.SYS_LISTMOUNT,
	unix.SYS_UNSHARE, unix.SYS_SETNS,
	// Files by number, past any path.
	unix.SYS_OPEN_BY_HANDLE_AT, unix.SYS_NAME_TO_HANDLE_AT, unix.SYS_FANOTIFY_INIT,
	// Keys.
	unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY, unix.SYS_KEYCTL,
	// The machine.
	unix.SYS_KEXEC_LOAD, unix.SYS_KEXEC_FILE_LOAD, unix.SYS_INIT_MODULE, unix.SYS_FINIT_MODULE, unix.SYS_DELETE_MODULE,
	unix.SYS_REBOOT, unix.SYS_SWAPON, unix.SYS_SWAPOFF, unix.SYS_ACCT, unix.SYS_QUOTACTL, unix.SYS_QUOTACTL_FD, unix.SYS_SYSLOG, unix.SYS_VHANGUP,
	unix.SYS_SETHOSTNAME, unix.SYS_SETDOMAINNAME, unix.SYS_SETTIMEOFDAY, unix.SYS_CLOCK_SETTIME,
	// Modes, owners, times and attributes of files, which landlock leaves to whoever
	// has the owner's user id: without a user of its own, all of the edge's files.
	// Landlock before its version 3 leaves truncating too.
	unix.SYS_FCHMOD, unix.SYS_FCHMODAT, unix.SYS_FCHMODAT2, unix.SYS_FCHOWN, unix.SYS_FCHOWNAT, unix.SYS_UTIMENSAT,
	unix.SYS_SETXATTR, unix.SYS_LSETXATTR, unix.SYS_FSETXATTR, unix.SYS_SETXATTRAT,
	unix.SYS_REMOVEXATTR, unix.SYS_LREMOVEXATTR, unix.SYS_FREMOVEXATTR, unix.SYS_REMOVEXATTRAT, unix.SYS_FILE_SETATTR,
	unix.SYS_TRUNCATE, unix.SYS_PROCESS_MRELEASE,
	// Memory, messages and semaphores that no path names: they outlive the program and
	// are in no limit of its memory, and those of others with its user id are open to it.
	unix.SYS_SHMGET, unix.SYS_SHMAT, unix.SYS_SHMCTL, unix.SYS_MSGGET, unix.SYS_MSGSND, unix.SYS_MSGRCV, unix.SYS_MSGCTL,
	unix.SYS_SEMGET, unix.SYS_SEMOP, unix.SYS_SEMTIMEDOP, unix.SYS_SEMCTL, unix.SYS_MQ_OPEN, unix.SYS_MQ_UNLINK,
}

// Offsets in struct seccomp_data; of an argument, the lower half (both machines are
// little-endian).
const (
	offsetCall = 0
	offsetArch = 4
	offsetArgs = 16
)

// x32 is the bit of calls in x86-64's second numbering, which nobody uses.
const x32 = 0x40000000

const errnoEPERM = uint32(unix.SECCOMP_RET_ERRNO) | uint32(unix.EPERM)

// seccompFilter is the program for a machine with this AUDIT_ARCH number. Calls
// made as another machine's end the process: their numbers mean others.
func seccompFilter(arch uint32, denied []uint32, checked []checkedCall, network bool) []bpf.Instruction {
	// What the C library takes for an old kernel, and then calls clone, whose flags
	// are not behind a pointer.
	const enosys = uint32(unix.SECCOMP_RET_ERRNO) | uint32(unix.ENOSYS)
	load := func(offset uint32) bpf.Instruction { return bpf.LoadAbsolute{Off: offset, Size: 4} }
	unless := func(cond bpf.JumpTest, value uint32) bpf.Instruction {
		return bpf.JumpIf{Cond: cond, Val: value, SkipFalse: 1}
	}
	ret := func(value uint32) bpf.Instruction { return bpf.RetConstant{Val: value} }

	program := []bpf.Instruction{
		load(offsetArch),
		unless(bpf.JumpNotEqual, arch), ret(uint32(unix.SECCOMP_RET_KILL_PROCESS)),
		load(offsetCall),
		unless(bpf.JumpGreaterOrEqual, x32), ret(errnoEPERM),
	}
	for _, call := range denied {
		program = append(program, unless(bpf.JumpEqual, call), ret(errnoEPERM))
	}
	program = append(program, unless(bpf.JumpEqual, unix.SYS_CLONE3), ret(enosys))
	if !network {
		program = append(program, unless(bpf.JumpEqual, unix.SYS_CONNECT), ret(errnoEPERM))
	}
	for _, call := range checked {
		program = append(program, call.instructions()...)
	}
	return append(program, ret(uint32(unix.SECCOMP_RET_ALLOW)))
}

// enterSeccomp filters the calling thread's system calls.
func (s *stage) enterSeccomp() {
	why := "turned off in the configuration"
	if !s.Sandbox.AllSyscalls {
		// Where the kernel keeps its signals from others, it may end its children,
		// whose ids no filter knows.
		signals := s.signalsScoped || s.report.InForce(MeasureUser)
		checked := checkedCalls(uint32(os.Getpid()), s.Sandbox.Network, signals) // the program's id, too
		err := filterCalls(checked, s.Sandbox.Network)
		if err == nil {
			detail := ""
			if !signals {
				detail = ", and signals to all processes but itself, its own children among them"
			}
			s.report.add(MeasureSeccomp, true, "%d calls denied%s", len(deniedCalls)+len(deniedHere), detail)
			if !s.Sandbox.Network {
				s.report.add(MeasureNetwork, true, "no sockets but unix ones, no connections and no datagrams")
			}
		} else {
			why = err.Error()
		}
	}
	if !s.report.InForce(MeasureSeccomp) {
		s.report.add(MeasureSeccomp, false, "%s", why)
	}
	switch {
	case s.Sandbox.Network:
		s.report.add(MeasureNetwork, false, "granted in the configuration")
	case !s.report.InForce(MeasureSeccomp):
		s.report.add(MeasureNetwork, false, "that takes seccomp; landlock, if in force, refuses TCP only, from its version 4 on")
	}
}

func filterCalls(checked []checkedCall, network bool) error {
	if seccompArch == 0 {
		return errors.New("not known for this machine")
	}
	raw, err := bpf.Assemble(seccompFilter(seccompArch, append(deniedCalls[:len(deniedCalls):len(deniedCalls)], deniedHere...), checked, network))
	if err != nil {
		return fmt.Errorf("assemble the filter: %w", err)
	}
	filter := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		filter[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if _, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&program))); errno != 0 {
		return fmt.Errorf("load the filter: %w", errno)
	}
	return nil
}
