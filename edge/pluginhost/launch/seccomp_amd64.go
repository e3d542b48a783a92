package launch

import "golang.org/x/sys/unix"

const seccompArch uint32 = unix.AUDIT_ARCH_X86_64

// deniedHere are calls that only this machine has.
var deniedHere = []uint32{
	unix.SYS_IOPL, unix.SYS_IOPERM, unix.SYS_LOOKUP_DCOOKIE, unix.SYS_USELIB, unix.SYS_NFSSERVCTL, unix.SYS__SYSCTL,
	unix.SYS_CHMOD, unix.SYS_CHOWN, unix.SYS_LCHOWN, unix.SYS_UTIME, unix.SYS_UTIMES, unix.SYS_FUTIMESAT,
}
