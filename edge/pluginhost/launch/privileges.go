package launch

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// noRoot is SECBIT_NOROOT and SECBIT_NO_CAP_AMBIENT_RAISE of capabilities(7), each
// with its lock.
const noRoot = 1<<0 | 1<<1 | 1<<6 | 1<<7

// enterUser drops every capability, for good, and changes the user. It makes the
// system calls itself: package syscall would change all threads, of which only this
// one will be left.
func (s *stage) enterUser() error {
	bounded := emptyBounds()
	if haveCapability(unix.CAP_SETGID) {
		if _, _, errno := unix.RawSyscall(unix.SYS_SETGROUPS, 0, 0, 0); errno != 0 {
			return fmt.Errorf("leave all groups: %w", errno)
		}
	}
	edge := os.Geteuid()
	if s.Own {
		gid, uid := uintptr(s.GID), uintptr(s.UID)
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESGID, gid, gid, gid); errno != 0 {
			return fmt.Errorf("change to group %d: %w", s.GID, errno)
		}
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, uid, uid, uid); errno != 0 {
			return fmt.Errorf("change to user %d: %w", s.UID, errno)
		}
	}
	if s.Own && s.UID != edge {
		s.report.add(MeasureUser, true, "uid %d, gid %d", s.UID, s.GID)
	} else {
		s.report.add(MeasureUser, false, "the edge's own, uid %d, gid %d: set user for another; only landlock and seccomp are between it and the edge", os.Geteuid(), os.Getegid())
	}
	if err := dropCapabilities(); err != nil {
		return err
	}
	detail := "none" // and no_new_privs keeps it so
	if bounded {
		detail = "none, and an empty bounding set"
	}
	s.report.add(MeasureCapabilities, true, "%s", detail)
	return nil
}

// emptyBounds empties the bounding set, and takes its privileges from the user id
// 0, if this process may: then no exec gives a capability, whatever the file.
func emptyBounds() bool {
	if !haveCapability(unix.CAP_SETPCAP) {
		return false
	}
	for capability := uintptr(0); ; capability++ {
		if _, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, capability, 0, 0, 0); err != nil {
			break // no more of them
		}
		if unix.Prctl(unix.PR_CAPBSET_DROP, capability, 0, 0, 0) != nil {
			return false
		}
	}
	return unix.Prctl(unix.PR_SET_SECUREBITS, noRoot, 0, 0, 0) == nil
}

func dropCapabilities() error {
	// Before Linux 4.3 there were no ambient capabilities.
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil && !errors.Is(err, unix.EINVAL) {
		return fmt.Errorf("clear ambient capabilities: %w", err)
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	if err := unix.Capset(&header, &none[0]); err != nil {
		return fmt.Errorf("drop capabilities: %w", err)
	}
	return nil
}
