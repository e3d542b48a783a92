package sdk

import (
	"syscall"
	"unsafe"
)

// awaitReadable waits with ppoll(2). It says that it is done in any case.
func awaitReadable(fd uintptr) bool {
	const in = 1 // POLLIN
	p := struct {
		fd              int32
		events, revents int16
	}{fd: int32(fd), events: in}
	timeout := syscall.NsecToTimespec(lingerTime.Nanoseconds())
	_, _, _ = syscall.Syscall6(syscall.SYS_PPOLL, uintptr(unsafe.Pointer(&p)), 1, uintptr(unsafe.Pointer(&timeout)), 0, 0, 0)
	return true
}
