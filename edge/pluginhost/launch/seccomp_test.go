package launch

import (
	"encoding/binary"
	"testing"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// The filter's answers, by an interpreter of BPF.
func TestSeccompFilter(t *testing.T) {
	const (
		arch  = unix.AUDIT_ARCH_X86_64
		self  = 4711
		group = 1<<32 - self // -self
		allow = int(unix.SECCOMP_RET_ALLOW)
		eperm = int(unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM))
	)
	killed := uint32(unix.SECCOMP_RET_KILL_PROCESS)
	cases := []struct {
		name            string
		arch, call      uint32
		args            [2]uint64 // the others are 0
		strict, network int
	}{
		{"read", arch, unix.SYS_READ, [2]uint64{}, allow, allow},
		{"execve", arch, unix.SYS_EXECVE, [2]uint64{}, allow, allow},
		{"another machine's", arch + 1, unix.SYS_READ, [2]uint64{}, int(killed), int(killed)},
		{"x32", arch, x32 | unix.SYS_READ, [2]uint64{}, eperm, eperm},
		{"ptrace", arch, unix.SYS_PTRACE, [2]uint64{}, eperm, eperm},
		{"the last of the list", arch, deniedCalls[len(deniedCalls)-1], [2]uint64{}, eperm, eperm},
		{"clone3", arch, unix.SYS_CLONE3, [2]uint64{}, int(unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)), int(unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS))},
		{"clone of a thread", arch, unix.SYS_CLONE, [2]uint64{unix.CLONE_VM | unix.CLONE_THREAD | unix.CLONE_SIGHAND}, allow, allow},
		{"clone with namespace", arch, unix.SYS_CLONE, [2]uint64{unix.CLONE_VM | unix.CLONE_NEWNET}, eperm, eperm},
		{"clone with another", arch, unix.SYS_CLONE, [2]uint64{unix.CLONE_NEWUSER}, eperm, eperm},
		{"socket unix", arch, unix.SYS_SOCKET, [2]uint64{unix.AF_UNIX, unix.SOCK_STREAM | unix.SOCK_CLOEXEC | unix.SOCK_NONBLOCK}, allow, allow},
		{"socket unix packets", arch, unix.SYS_SOCKET, [2]uint64{unix.AF_UNIX, unix.SOCK_SEQPACKET}, allow, allow},
		{"socket unix datagrams", arch, unix.SYS_SOCKET, [2]uint64{unix.AF_UNIX, unix.SOCK_DGRAM | unix.SOCK_CLOEXEC}, eperm, allow},
		{"socket unix raw", arch, unix.SYS_SOCKET, [2]uint64{unix.AF_UNIX, unix.SOCK_RAW}, eperm, allow},
		{"socketpair datagrams", arch, unix.SYS_SOCKETPAIR, [2]uint64{unix.AF_UNIX, unix.SOCK_DGRAM}, eperm, allow},
		{"socket inet", arch, unix.SYS_SOCKET, [2]uint64{unix.AF_INET, unix.SOCK_STREAM}, eperm, allow},
		// The kernel takes an int: what is above it must not hide the family.
		{"socket inet, upper half", arch, unix.SYS_SOCKET, [2]uint64{1<<32 | unix.AF_INET, unix.SOCK_STREAM}, eperm, allow},
		{"socketpair", arch, unix.SYS_SOCKETPAIR, [2]uint64{unix.AF_UNIX, unix.SOCK_STREAM}, allow, allow},
		{"socketpair tipc", arch, unix.SYS_SOCKETPAIR, [2]uint64{unix.AF_TIPC, unix.SOCK_STREAM}, eperm, allow},
		{"connect", arch, unix.SYS_CONNECT, [2]uint64{3}, eperm, allow},
		{"ioctl", arch, unix.SYS_IOCTL, [2]uint64{0, unix.TCGETS}, allow, allow},
		{"ioctl TIOCSTI", arch, unix.SYS_IOCTL, [2]uint64{0, unix.TIOCSTI}, eperm, eperm},
		{"ioctl TIOCSTI, upper half", arch, unix.SYS_IOCTL, [2]uint64{0, 1<<32 | unix.TIOCSTI}, eperm, eperm},
		{"ioctl TIOCLINUX", arch, unix.SYS_IOCTL, [2]uint64{0, unix.TIOCLINUX}, eperm, eperm},
		{"ioctl FIOSETOWN", arch, unix.SYS_IOCTL, [2]uint64{0, 0x8901}, eperm, allow},
		{"prlimit of itself", arch, unix.SYS_PRLIMIT64, [2]uint64{0, unix.RLIMIT_CPU}, allow, allow},
		{"prlimit of itself by id", arch, unix.SYS_PRLIMIT64, [2]uint64{self, unix.RLIMIT_CPU}, allow, allow},
		{"prlimit of another", arch, unix.SYS_PRLIMIT64, [2]uint64{self - 1, unix.RLIMIT_CPU}, eperm, eperm},
		{"priority of itself", arch, unix.SYS_SETPRIORITY, [2]uint64{unix.PRIO_PROCESS, 0}, allow, allow},
		{"priority of another", arch, unix.SYS_SETPRIORITY, [2]uint64{unix.PRIO_PROCESS, 1}, eperm, eperm},
		{"priority of the user", arch, unix.SYS_SETPRIORITY, [2]uint64{unix.PRIO_USER, 0}, eperm, eperm},
		{"processors of another", arch, unix.SYS_SCHED_SETAFFINITY, [2]uint64{1}, eperm, eperm},
		{"fchmod", arch, unix.SYS_FCHMOD, [2]uint64{}, eperm, eperm},
		{"shared memory", arch, unix.SYS_SHMGET, [2]uint64{1}, eperm, eperm},
		{"messages", arch, unix.SYS_MSGGET, [2]uint64{1}, eperm, eperm},
		{"the end of others' semaphores", arch, unix.SYS_SEMCTL, [2]uint64{1}, eperm, eperm},
		{"kill itself", arch, unix.SYS_KILL, [2]uint64{self}, allow, allow},
		{"kill its group", arch, unix.SYS_KILL, [2]uint64{group}, allow, allow},
		{"kill another", arch, unix.SYS_KILL, [2]uint64{self + 1}, eperm, allow},
		{"kill all", arch, unix.SYS_KILL, [2]uint64{1<<64 - 1}, eperm, allow},
		{"tgkill its thread", arch, unix.SYS_TGKILL, [2]uint64{self, self + 3}, allow, allow},
		{"tgkill another's", arch, unix.SYS_TGKILL, [2]uint64{self + 1, self + 1}, eperm, allow},
		{"tkill another", arch, unix.SYS_TKILL, [2]uint64{self + 1}, eperm, allow},
		{"queue to another", arch, unix.SYS_RT_SIGQUEUEINFO, [2]uint64{self + 1}, eperm, allow},
		{"signal by pidfd", arch, unix.SYS_PIDFD_SEND_SIGNAL, [2]uint64{0}, eperm, allow},
		{"fcntl", arch, unix.SYS_FCNTL, [2]uint64{3, unix.F_GETFL}, allow, allow},
		{"owner of a descriptor", arch, unix.SYS_FCNTL, [2]uint64{3, unix.F_SETOWN}, eperm, allow},
		{"owner of a descriptor, by pointer", arch, unix.SYS_FCNTL, [2]uint64{3, unix.F_SETOWN_EX}, eperm, allow},
	}
	for _, network := range []bool{false, true} {
		vm, err := bpf.NewVM(seccompFilter(arch, deniedCalls, checkedCalls(self, network, network), network))
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range cases {
			// The interpreter reads words as a network has them; seccomp's are the machine's.
			data := make([]byte, 64)
			binary.BigEndian.PutUint32(data[offsetCall:], c.call)
			binary.BigEndian.PutUint32(data[offsetArch:], c.arch)
			for i, arg := range c.args {
				binary.BigEndian.PutUint32(data[offsetArgs+8*i:], uint32(arg))
				binary.BigEndian.PutUint32(data[offsetArgs+8*i+4:], uint32(arg>>32))
			}
			want := c.strict
			if network {
				want = c.network
			}
			if got, err := vm.Run(data); err != nil || uint32(got) != uint32(want) {
				t.Errorf("%s, network %v: %#x, %v; want %#x", c.name, network, got, err, want)
			}
		}
	}
}

func TestLandlockRules(t *testing.T) {
	last := landlockRules(0, false)
	if last != (unix.LandlockRulesetAttr{}) {
		t.Errorf("version 0: %+v", last)
	}
	for abi := 1; abi <= 12; abi++ {
		r := landlockRules(abi, false)
		if r.Handled_access_fs&last.Handled_access_fs != last.Handled_access_fs || r.Handled_access_net&last.Handled_access_net != last.Handled_access_net || r.Scoped&last.Scoped != last.Scoped {
			t.Errorf("version %d restricts less than the one before: %+v, %+v", abi, r, last)
		}
		if n := landlockRules(abi, true); n.Handled_access_net != 0 || n.Handled_access_fs&unix.LANDLOCK_ACCESS_FS_RESOLVE_UNIX != 0 || n.Scoped&unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET != 0 {
			t.Errorf("version %d with the network: %+v", abi, n)
		}
		last = r
	}
	want := unix.LandlockRulesetAttr{Handled_access_fs: 1<<17 - 1, Handled_access_net: 1<<4 - 1, Scoped: 1<<2 - 1}
	if last != want {
		t.Errorf("the newest: %+v, want %+v", last, want)
	}
}
