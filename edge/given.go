package edge

import (
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/sallyport/sallyport/edge/handoff"
)

// given are listening sockets that this process got instead of opening them: from
// the edge that it takes over from, or from the service manager.
type given []*givenSocket

type givenSocket struct {
	file *os.File
	// From a predecessor: what for, and the address as it was configured there.
	handoff.SocketBody
	// From a service manager: its name there, and where it listens.
	name  string
	local netip.AddrPort
	taken bool
}

// storedPrefix begins the names of the sockets that an edge has left with its
// service manager.
const storedPrefix = "listen-"

// storedName is what the service manager calls the socket of an address: without
// colons, which its names must not have.
func storedName(address string) string {
	return storedPrefix + strings.ReplaceAll(address, ":", "_")
}

// givenSockets are those that the Options have.
func (s *Server) givenSockets() (given, error) {
	list, err := fromManager(s.options.Sockets)
	if p := s.options.Predecessor; err == nil && p != nil {
		list = append(list, p.sockets...)
	}
	return list, err
}

// fromManager takes what a service manager has passed. Anything but a listening
// TCP socket is an error.
func fromManager(files []*os.File) (given, error) {
	var list given
	for _, f := range files {
		local, err := listeningAt(f)
		if err != nil {
			return nil, fmt.Errorf("take socket %q from the service manager: %w", f.Name(), err)
		}
		list = append(list, &givenSocket{file: f, name: f.Name(), local: local})
	}
	return list, nil
}

func listeningAt(f *os.File) (local netip.AddrPort, err error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return local, err
	}
	controlErr := raw.Control(func(fd uintptr) {
		var listening int
		if listening, err = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ACCEPTCONN); err != nil {
			return
		}
		var address unix.Sockaddr
		if address, err = unix.Getsockname(int(fd)); err != nil {
			return
		}
		switch a := address.(type) {
		case *unix.SockaddrInet4:
			local = netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
		case *unix.SockaddrInet6:
			local = netip.AddrPortFrom(netip.AddrFrom16(a.Addr), uint16(a.Port))
		}
		if listening == 0 || !local.IsValid() {
			err = fmt.Errorf("not a listening TCP socket: want ListenStream= with an address")
		}
	})
	if err == nil {
		err = controlErr
	}
	return local, err
}

// isAt says whether a socket listens where address, HOST:PORT or :PORT, says.
func isAt(local netip.AddrPort, address string) bool {
	host, port, err := net.SplitHostPort(address)
	if err != nil || strconv.Itoa(int(local.Port())) != port {
		return false
	}
	if host == "" {
		return local.Addr().IsUnspecified()
	}
	want, err := netip.ParseAddr(host)
	return err == nil && want.WithZone("").Unmap() == local.Addr().Unmap()
}

// claim returns the socket for a role and address, nil if none was given. By name,
// which is the listener's, a service manager's counts wherever it listens, unless
// the listener has several addresses.
func (g given) claim(role handoff.Role, address, name string) (net.Listener, error) {
	for _, s := range g {
		mine := s.Role == role && s.Address == address
		if s.Role == "" {
			mine = s.name == name && name != "" || s.name == storedName(address) || role != handoff.Admin && isAt(s.local, address)
		}
		if s.taken || !mine {
			continue
		}
		l, err := net.FileListener(s.file)
		if err != nil {
			return nil, fmt.Errorf("listen on %s with the socket that was handed over: %w", address, err)
		}
		s.taken = true
		s.SocketBody = handoff.SocketBody{Role: role, Address: address}
		return l, nil
	}
	return nil, nil
}

// listen opens the socket of a name, see layout, or takes the one that was given for
// it, or for its listener if that has no other.
func (g given) listen(address string, l layout) (*socket, error) {
	name := ""
	if p := l.sockets[address]; len(p.cfg.Address) == 1 && !isSteered(address) && !l.standIn[address] {
		name = p.name
	}
	claimed, err := g.claim(handoff.Listener, address, name)
	if err != nil {
		return nil, err
	}
	if claimed == nil {
		return listen(address, l.standIn[address])
	}
	return &socket{address: address, net: claimed, counts: counts{addresses: map[netip.Addr]int{}}}, nil
}

// takenOver lists those that were claimed.
func (g given) takenOver() []handoff.SocketBody {
	list := []handoff.SocketBody{}
	for _, s := range g {
		if s.taken {
			list = append(list, s.SocketBody)
		}
	}
	return list
}

// close lets go of all: what was claimed has a descriptor of its own, and what was
// not is told.
func (g given) close(log *slog.Logger, m Manager) {
	for _, s := range g {
		s.file.Close()
		switch {
		case s.taken:
		case strings.HasPrefix(s.name, storedPrefix):
			m.Forget(s.name) // of an address that is configured no more
		case s.name != "":
			log.Warn("socket of the service manager is of no listener; closed", "name", s.name, "address", s.local)
		case s.Role == handoff.Listener:
			m.Forget(storedName(s.Address))
		}
	}
}

// descriptor calls do with the listener's descriptor. It does not change the
// descriptor's mode, which all processes that have the socket share.
func descriptor(l net.Listener, do func(fd int) error) error {
	c, ok := l.(syscall.Conn)
	if !ok {
		return fmt.Errorf("hand over %s: it is no socket", l.Addr())
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	controlErr := raw.Control(func(fd uintptr) { err = do(int(fd)) })
	if err == nil {
		err = controlErr
	}
	return err
}
