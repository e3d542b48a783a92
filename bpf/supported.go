package bpf

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Supported returns nil where a Filter can work, and otherwise what is missing:
// a right, or something of the kernel. It loads the program into the kernel,
// attaches it nowhere and removes it again. Whether an interface's hook is free
// and a directory for pins is writable only Open can tell.
func Supported() error {
	if err := rights(); err != nil {
		return fmt.Errorf("XDP bans cannot work here: %w", err)
	}
	if filesystems, err := os.ReadFile("/proc/filesystems"); err == nil && !strings.Contains(string(filesystems), "\tbpf\n") {
		return errors.New("XDP bans cannot work here: the kernel has no BPF file system (CONFIG_BPF_SYSCALL)")
	}
	f := &Filter{options: Options{MaxBans: 1, MaxPrefixes: 1, IPv6Prefix: 64}}
	if err := f.load(); err != nil {
		return fmt.Errorf("XDP bans cannot work here: want Linux 5.18 or later with CONFIG_BPF_SYSCALL, have %s: %w", release(), err)
	}
	return f.maps.Close()
}

// rights returns nil when the process has the capabilities that it needs.
func rights() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return fmt.Errorf("read capabilities: %w", err)
	}
	has := func(capability int) bool { return data[capability/32].Effective&(1<<(capability%32)) != 0 }
	var missing []string
	if !has(unix.CAP_BPF) && !has(unix.CAP_SYS_ADMIN) {
		missing = append(missing, "CAP_BPF")
	}
	if !has(unix.CAP_NET_ADMIN) {
		missing = append(missing, "CAP_NET_ADMIN")
	}
	if len(missing) > 0 {
		return fmt.Errorf("the process lacks %s (systemd: AmbientCapabilities=CAP_BPF CAP_NET_ADMIN)", strings.Join(missing, " and "))
	}
	return nil
}

func release() string {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return "an unknown kernel"
	}
	return "Linux " + unix.ByteSliceToString(name.Release[:])
}
