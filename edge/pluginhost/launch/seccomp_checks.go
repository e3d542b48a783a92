package launch

import (
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// checkedCall is a system call that some arguments make harmless. It fails with
// EPERM unless all of its checks pass.
type checkedCall struct {
	call   uint32
	checks []check
}

// check looks at the lower half of one argument: the kernel takes an int there.
type check struct {
	arg    uint32
	mask   uint32 // 0 is all bits
	deny   bool   // the values are those denied, not those allowed
	values []uint32
}

const newNamespaces = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNET

// sockTypeMask is the kernel's SOCK_TYPE_MASK: the rest of a type is flags.
const sockTypeMask = 0xf

// checkedCalls are those of a program with the process id self. Its threads count
// as others where a call takes a thread's id: no filter knows those.
func checkedCalls(self uint32, network, signals bool) []checkedCall {
	itself := func(arg uint32) []check { return []check{{arg: arg, values: []uint32{0, self}}} }
	// PRIO_PROCESS is 0 and IOPRIO_WHO_PROCESS is 1.
	list := []checkedCall{
		{unix.SYS_CLONE, []check{{arg: 0, mask: newNamespaces, values: []uint32{0}}}},
		// Typing into a terminal that somebody has left open.
		{unix.SYS_IOCTL, []check{{arg: 1, deny: true, values: ioctlsDenied(signals)}}},
		// Limits, priorities and processors of others: with the edge's own user id,
		// one call could end the edge.
		{unix.SYS_PRLIMIT64, itself(0)},
		{unix.SYS_SETPRIORITY, []check{{arg: 0, values: []uint32{0}}, {arg: 1, values: []uint32{0, self}}}},
		{unix.SYS_IOPRIO_SET, []check{{arg: 0, values: []uint32{1}}, {arg: 1, values: []uint32{0, self}}}},
		{unix.SYS_SCHED_SETAFFINITY, itself(0)}, {unix.SYS_SCHED_SETATTR, itself(0)},
		{unix.SYS_SCHED_SETPARAM, itself(0)}, {unix.SYS_SCHED_SETSCHEDULER, itself(0)},
		{unix.SYS_MIGRATE_PAGES, itself(0)}, {unix.SYS_MOVE_PAGES, itself(0)},
	}
	if !network {
		// A datagram needs no connection, and its address is behind a pointer. Of unix
		// sockets, SOCK_RAW is one of datagrams too.
		connected := []check{
			{arg: 0, values: []uint32{unix.AF_UNIX}},
			{arg: 1, mask: sockTypeMask, values: []uint32{unix.SOCK_STREAM, unix.SOCK_SEQPACKET}},
		}
		list = append(list, checkedCall{unix.SYS_SOCKET, connected}, checkedCall{unix.SYS_SOCKETPAIR, connected})
	}
	if signals {
		return list
	}
	return append(list,
		checkedCall{unix.SYS_KILL, []check{{arg: 0, values: []uint32{0, self, -self}}}},
		checkedCall{unix.SYS_TGKILL, itself(0)},
		checkedCall{unix.SYS_TKILL, itself(0)},
		checkedCall{unix.SYS_RT_SIGQUEUEINFO, itself(0)}, checkedCall{unix.SYS_RT_TGSIGQUEUEINFO, itself(0)},
		// Whose process a pidfd is cannot be told, and a socket gives that of its other
		// end. Runtimes try this call on themselves first, and then use kill.
		checkedCall{unix.SYS_PIDFD_SEND_SIGNAL, []check{{arg: 0}}},
		// The owner of a descriptor gets signals about it, of any number.
		checkedCall{unix.SYS_FCNTL, []check{{arg: 1, deny: true, values: []uint32{unix.F_SETOWN, unix.F_SETOWN_EX}}}},
	)
}

func ioctlsDenied(signals bool) []uint32 {
	list := []uint32{unix.TIOCSTI, unix.TIOCLINUX}
	if !signals {
		const fioSetOwn, siocSPGRP = 0x8901, 0x8902 // F_SETOWN, of sockets
		list = append(list, fioSetOwn, siocSPGRP)
	}
	return list
}

// instructions begin and end with the call's number loaded, if it is another's.
func (c checkedCall) instructions() []bpf.Instruction {
	var body []bpf.Instruction
	for _, check := range c.checks {
		body = append(body, check.instructions()...)
	}
	body = append(body, bpf.RetConstant{Val: uint32(unix.SECCOMP_RET_ALLOW)})
	return append([]bpf.Instruction{bpf.JumpIf{Cond: bpf.JumpEqual, Val: c.call, SkipFalse: uint8(len(body))}}, body...)
}

// instructions return EPERM, or go on behind themselves.
func (c check) instructions() []bpf.Instruction {
	list := []bpf.Instruction{bpf.LoadAbsolute{Off: offsetArgs + 8*c.arg, Size: 4}}
	if c.mask != 0 {
		list = append(list, bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: c.mask})
	}
	for i, value := range c.values {
		jump := bpf.JumpIf{Cond: bpf.JumpEqual, Val: value}
		left := uint8(len(c.values) - 1 - i)
		switch {
		case !c.deny:
			jump.SkipTrue = left + 1
		case left > 0:
			jump.SkipTrue = left
		default:
			jump.SkipFalse = 1
		}
		list = append(list, jump)
	}
	return append(list, bpf.RetConstant{Val: errnoEPERM})
}
