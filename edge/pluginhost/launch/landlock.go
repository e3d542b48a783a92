package launch

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What a program may read without being granted it: its loader, libraries,
// interpreters and their data, time zones and the authorities of TLS. Not /etc as a
// whole, nor /etc/ssl, where private keys are; not /proc, where all other
// processes are.
var systemReads = []string{
	"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32",
	"/etc/ld.so.cache", "/etc/ld.so.preload", "/etc/localtime",
	"/etc/ssl/certs", "/etc/ssl/openssl.cnf", "/etc/ca-certificates",
	"/etc/pki/ca-trust/extracted", "/etc/pki/tls/certs", "/etc/pki/tls/openssl.cnf", "/etc/crypto-policies",
	"/dev/zero", "/dev/full", "/dev/random", "/dev/urandom",
}

var systemWrites = []string{"/dev/null"}

// networkReads are for finding names.
var networkReads = []string{"/etc/resolv.conf", "/etc/hosts", "/etc/host.conf", "/etc/nsswitch.conf", "/etc/gai.conf", "/etc/services", "/etc/protocols"}

const (
	landlockRead  = unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_READ_DIR
	landlockWrite = unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_REMOVE_DIR | unix.LANDLOCK_ACCESS_FS_REMOVE_FILE |
		unix.LANDLOCK_ACCESS_FS_MAKE_DIR | unix.LANDLOCK_ACCESS_FS_MAKE_REG | unix.LANDLOCK_ACCESS_FS_MAKE_SOCK |
		unix.LANDLOCK_ACCESS_FS_MAKE_FIFO | unix.LANDLOCK_ACCESS_FS_MAKE_SYM | unix.LANDLOCK_ACCESS_FS_REFER | unix.LANDLOCK_ACCESS_FS_TRUNCATE
	// The rights that can be given on a file; others are a directory's.
	landlockFile = unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_TRUNCATE
)

// landlockRules is all that a version of the interface can restrict, of what we
// restrict. See landlock(7) for the versions.
func landlockRules(abi int, network bool) unix.LandlockRulesetAttr {
	var r unix.LandlockRulesetAttr
	if abi < 1 {
		return r
	}
	r.Handled_access_fs = 1<<13 - 1 // execute to make_sym
	if abi >= 2 {
		r.Handled_access_fs |= unix.LANDLOCK_ACCESS_FS_REFER
	}
	if abi >= 3 {
		r.Handled_access_fs |= unix.LANDLOCK_ACCESS_FS_TRUNCATE
	}
	if abi >= 4 && !network {
		r.Handled_access_net |= unix.LANDLOCK_ACCESS_NET_BIND_TCP | unix.LANDLOCK_ACCESS_NET_CONNECT_TCP
	}
	if abi >= 5 {
		r.Handled_access_fs |= unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
	}
	if abi >= 6 {
		r.Scoped = unix.LANDLOCK_SCOPE_SIGNAL
		if !network {
			r.Scoped |= unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET
		}
	}
	if abi >= 9 && !network {
		r.Handled_access_fs |= unix.LANDLOCK_ACCESS_FS_RESOLVE_UNIX
	}
	if abi >= 10 && !network {
		r.Handled_access_net |= unix.LANDLOCK_ACCESS_NET_BIND_UDP | unix.LANDLOCK_ACCESS_NET_CONNECT_SEND_UDP
	}
	return r
}

// landlockVersion is 0 where there is none.
func landlockVersion() (int, error) {
	abi, _, errno := unix.RawSyscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 {
		return 0, errno
	}
	return int(abi), nil
}

// enterLandlock restricts the calling thread. Without landlock in the kernel it
// says so in the report; a granted path that is not there is an error.
func (s *stage) enterLandlock() error {
	if s.Sandbox.AllFiles {
		s.report.add(MeasureLandlock, false, "turned off in the configuration")
		return nil
	}
	abi, err := landlockVersion()
	if err != nil {
		s.report.add(MeasureLandlock, false, "the kernel has none, or it is off: %v", err)
		return nil
	}
	rules := landlockRules(abi, s.Sandbox.Network)
	fd, _, errno := unix.RawSyscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&rules)), unsafe.Sizeof(rules), 0)
	if errno != 0 {
		return fmt.Errorf("make landlock's rules: %w", errno)
	}
	defer unix.Close(int(fd))
	if err := s.grantFiles(int(fd), rules.Handled_access_fs); err != nil {
		return err
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_LANDLOCK_RESTRICT_SELF, fd, 0, 0); errno != 0 {
		return fmt.Errorf("enter landlock: %w", errno)
	}
	s.signalsScoped = rules.Scoped&unix.LANDLOCK_SCOPE_SIGNAL != 0
	s.fileHint = ": the sandbox may not let it read the program or its interpreter; grant what lies outside the system's directories"
	detail := fmt.Sprintf("version %d", abi)
	for _, list := range [][]string{s.Sandbox.Read, s.Sandbox.Write} {
		if len(list) > 0 {
			detail += ", granted " + strings.Join(list, " ")
		}
	}
	s.report.add(MeasureLandlock, true, "%s", detail)
	return nil
}

// grantFiles gives what the configuration grants, which has to be there, and what
// is granted to all, where it is there.
func (s *stage) grantFiles(rules int, handled uint64) error {
	const readWrite = landlockRead | landlockWrite
	needed := map[uint64][]string{landlockRead: s.Sandbox.Read, readWrite: s.Sandbox.Write}
	if s.Dir != "" {
		needed[landlockRead] = append(needed[landlockRead], s.Dir)
	}
	for access, paths := range needed {
		for _, path := range paths {
			if err := grant(rules, path, access&handled); err != nil {
				return err
			}
		}
	}
	reads := append(s.Files[:len(s.Files):len(s.Files)], systemReads...)
	if s.Sandbox.Network {
		reads = append(reads, networkReads...)
	}
	for access, paths := range map[uint64][]string{landlockRead: reads, readWrite: systemWrites} {
		for _, path := range paths {
			if err := grant(rules, path, access&handled); err != nil && !errors.Is(err, os.ErrNotExist) && !errors.Is(err, os.ErrPermission) {
				return err
			}
		}
	}
	return nil
}

// grant gives rights on a file, or on a directory with all that is in it.
func grant(rules int, path string, access uint64) error {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("grant %s: %w", path, err)
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return fmt.Errorf("grant %s: %w", path, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		access &= landlockFile
	}
	beneath := unix.LandlockPathBeneathAttr{Allowed_access: access, Parent_fd: int32(fd)}
	if _, _, errno := unix.RawSyscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(rules), unix.LANDLOCK_RULE_PATH_BENEATH, uintptr(unsafe.Pointer(&beneath)), 0, 0, 0); errno != 0 {
		return fmt.Errorf("grant %s: %w", path, errno)
	}
	return nil
}
