package main

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// ethtoolSet gives an interface a value by SIOCETHTOOL, whose structures have no
// others in package unix: struct ifreq with a pointer, and struct ethtool_value.
func ethtoolSet(fd int, device string, command, value uint32) error {
	ask := struct{ command, value uint32 }{command, value}
	request := struct {
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		rest [16]byte
	}{data: unsafe.Pointer(&ask)}
	copy(request.name[:unix.IFNAMSIZ-1], device)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request))); errno != 0 {
		return errno
	}
	return nil
}
