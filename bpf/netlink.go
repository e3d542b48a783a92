package bpf

import (
	"encoding/binary"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// Of linux/if_link.h.
const (
	xdpAttachedNone = 0
	xdpAttachedSKB  = 2
)

// hook is an interface's XDP hook, as the kernel describes it.
type hook struct {
	mode    AttachMode // Auto when it is free
	program uint32
}

// hookOf asks the kernel about the interface of an index, in the network
// namespace of the calling thread.
func hookOf(index int) (hook, error) {
	link, err := askLink(index)
	if err != nil {
		return hook{}, err
	}
	attributes, err := syscall.ParseNetlinkRouteAttr(link)
	if err != nil {
		return hook{}, err
	}
	for _, a := range attributes {
		if a.Attr.Type&^unix.NLA_F_NESTED == unix.IFLA_XDP {
			return parseHook(a.Value)
		}
	}
	return hook{}, nil
}

// askLink returns the kernel's message about one interface.
func askLink(index int) (*syscall.NetlinkMessage, error) {
	s, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, err
	}
	defer unix.Close(s)
	request := make([]byte, unix.SizeofNlMsghdr+unix.SizeofIfInfomsg)
	binary.NativeEndian.PutUint32(request[0:], uint32(len(request)))
	binary.NativeEndian.PutUint16(request[4:], unix.RTM_GETLINK)
	binary.NativeEndian.PutUint16(request[6:], unix.NLM_F_REQUEST)
	binary.NativeEndian.PutUint32(request[unix.SizeofNlMsghdr+4:], uint32(index))
	if err := unix.Sendto(s, request, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, err
	}
	reply := make([]byte, 64<<10)
	n, _, err := unix.Recvfrom(s, reply, 0)
	if err != nil {
		return nil, err
	}
	messages, err := syscall.ParseNetlinkMessage(reply[:n])
	if err != nil {
		return nil, err
	}
	for _, m := range messages {
		switch m.Header.Type {
		case unix.RTM_NEWLINK:
			return &m, nil
		case unix.NLMSG_ERROR:
			if len(m.Data) >= 4 {
				return nil, syscall.Errno(-int32(binary.NativeEndian.Uint32(m.Data)))
			}
		}
	}
	return nil, fmt.Errorf("no answer about interface %d", index)
}

// parseHook reads the attributes within IFLA_XDP.
func parseHook(b []byte) (hook, error) {
	var h hook
	for len(b) >= unix.SizeofNlAttr {
		length, kind := int(binary.NativeEndian.Uint16(b)), binary.NativeEndian.Uint16(b[2:])
		if length < unix.SizeofNlAttr || length > len(b) {
			return hook{}, fmt.Errorf("XDP attribute of %d bytes, of which %d are there", length, len(b))
		}
		value := b[unix.SizeofNlAttr:length]
		switch {
		case kind == unix.IFLA_XDP_ATTACHED && len(value) >= 1:
			switch value[0] {
			case xdpAttachedNone:
			case xdpAttachedSKB:
				h.mode = Generic
			default: // in the driver, the device, or several of them
				h.mode = Native
			}
		case kind == unix.IFLA_XDP_PROG_ID && len(value) >= 4:
			h.program = binary.NativeEndian.Uint32(value)
		}
		b = b[min(len(b), (length+3)&^3):]
	}
	return h, nil
}
