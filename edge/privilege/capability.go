// Package privilege says which rights the process has, and gives up those that it
// does not need.
package privilege

import (
	"bufio"
	"fmt"
	"io"
	"math/bits"
	"os"
	"strconv"
	"strings"
)

// Set is a set of capabilities (capabilities(7)): bit n is capability n.
type Set uint64

// Those that an edge may need.
const (
	NetBindService Set = 1 << 10 // ports below 1024
	NetAdmin       Set = 1 << 12 // XDP at an interface
	BPF            Set = 1 << 39 // programs and maps in the kernel
)

var names = [...]string{
	"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_SETGID",
	"CAP_SETUID", "CAP_SETPCAP", "CAP_LINUX_IMMUTABLE", "CAP_NET_BIND_SERVICE", "CAP_NET_BROADCAST", "CAP_NET_ADMIN",
	"CAP_NET_RAW", "CAP_IPC_LOCK", "CAP_IPC_OWNER", "CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_SYS_CHROOT",
	"CAP_SYS_PTRACE", "CAP_SYS_PACCT", "CAP_SYS_ADMIN", "CAP_SYS_BOOT", "CAP_SYS_NICE", "CAP_SYS_RESOURCE",
	"CAP_SYS_TIME", "CAP_SYS_TTY_CONFIG", "CAP_MKNOD", "CAP_LEASE", "CAP_AUDIT_WRITE", "CAP_AUDIT_CONTROL",
	"CAP_SETFCAP", "CAP_MAC_OVERRIDE", "CAP_MAC_ADMIN", "CAP_SYSLOG", "CAP_WAKE_ALARM", "CAP_BLOCK_SUSPEND",
	"CAP_AUDIT_READ", "CAP_PERFMON", "CAP_BPF", "CAP_CHECKPOINT_RESTORE",
}

// Names lists the capabilities in s in the order of their numbers.
func (s Set) Names() []string {
	list := []string{}
	for rest := uint64(s); rest != 0; rest &= rest - 1 {
		n := bits.TrailingZeros64(rest)
		if n < len(names) {
			list = append(list, names[n])
		} else {
			list = append(list, fmt.Sprintf("CAP_%d", n)) // of a kernel that is newer
		}
	}
	return list
}

// String is Names in one line.
func (s Set) String() string {
	if s == 0 {
		return "none"
	}
	return strings.Join(s.Names(), " ")
}

// Held returns the capabilities that the process has, and can use: those that are
// permitted (proc_pid_status(5), CapPrm).
func Held() (Set, error) {
	f, err := os.Open("/proc/self/status")
	if err != nil {
		return 0, fmt.Errorf("read capabilities: %w", err)
	}
	defer f.Close()
	return heldIn(f)
}

func heldIn(status io.Reader) (Set, error) {
	for lines := bufio.NewScanner(status); lines.Scan(); {
		if text, ok := strings.CutPrefix(lines.Text(), "CapPrm:"); ok {
			set, err := strconv.ParseUint(strings.TrimSpace(text), 16, 64)
			if err != nil {
				return 0, fmt.Errorf("read capabilities: %w", err)
			}
			return Set(set), nil
		}
	}
	return 0, fmt.Errorf("read capabilities: no line CapPrm in the status of the process")
}
