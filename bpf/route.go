package bpf

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

var routeTypes = map[uint8]string{
	unix.RTN_UNICAST: "unicast", unix.RTN_LOCAL: "local", unix.RTN_BROADCAST: "broadcast", unix.RTN_ANYCAST: "anycast",
	unix.RTN_MULTICAST: "multicast", unix.RTN_BLACKHOLE: "blackhole", unix.RTN_UNREACHABLE: "unreachable",
	unix.RTN_PROHIBIT: "prohibit", unix.RTN_THROW: "throw", unix.RTN_NAT: "nat",
}

// RouteType returns the type, as ip-route(8) calls it, of the route that this
// host has to an address, in the network namespace of the calling thread: only
// what comes to a "local" one can be connected to. It is an error that there is
// no route.
func RouteType(a netip.Addr) (string, error) {
	a = a.Unmap().WithZone("")
	raw, family := a.AsSlice(), uint8(unix.AF_INET)
	if a.Is6() {
		family = unix.AF_INET6
	}
	request := make([]byte, unix.SizeofNlMsghdr+unix.SizeofRtMsg+unix.SizeofRtAttr+len(raw))
	binary.NativeEndian.PutUint32(request[0:], uint32(len(request)))
	binary.NativeEndian.PutUint16(request[4:], unix.RTM_GETROUTE)
	binary.NativeEndian.PutUint16(request[6:], unix.NLM_F_REQUEST)
	message := request[unix.SizeofNlMsghdr:]
	message[0], message[1] = family, uint8(a.BitLen()) // rtm_family, rtm_dst_len
	attribute := message[unix.SizeofRtMsg:]
	binary.NativeEndian.PutUint16(attribute[0:], uint16(unix.SizeofRtAttr+len(raw)))
	binary.NativeEndian.PutUint16(attribute[2:], unix.RTA_DST)
	copy(attribute[unix.SizeofRtAttr:], raw)

	kind, err := askRoute(request)
	if err != nil {
		return "", fmt.Errorf("route to %v: %w", a, err)
	}
	if name, ok := routeTypes[kind]; ok {
		return name, nil
	}
	return fmt.Sprintf("type %d", kind), nil
}

// askRoute returns rtm_type of the kernel's answer.
func askRoute(request []byte) (uint8, error) {
	s, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return 0, err
	}
	defer unix.Close(s)
	if err := unix.Sendto(s, request, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return 0, err
	}
	reply := make([]byte, 16<<10)
	n, _, err := unix.Recvfrom(s, reply, 0)
	if err != nil {
		return 0, err
	}
	messages, err := syscall.ParseNetlinkMessage(reply[:n])
	if err != nil {
		return 0, err
	}
	for _, m := range messages {
		switch {
		case m.Header.Type == unix.RTM_NEWROUTE && len(m.Data) >= unix.SizeofRtMsg:
			return m.Data[7], nil // rtm_type
		case m.Header.Type == unix.NLMSG_ERROR && len(m.Data) >= 4:
			return 0, syscall.Errno(-int32(binary.NativeEndian.Uint32(m.Data)))
		}
	}
	return 0, fmt.Errorf("no answer")
}
