package edge

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/sallyport/sallyport/edge/handoff"
)

// Two sockets of one port cannot both listen where one's address includes the
// other's, 127.0.0.1:8443 and :8443, unless both have SO_REUSEPORT. So a listener
// whose address is made wider or narrower gets it for a moment, with the socket that
// leaves: there is never a time without one, and nothing to undo if it fails. The
// kernel lets processes of the same user share that port by the same option from then
// on, until both sockets are closed: those can read our keys as well, but plugins in
// their sandbox, see tenant.

// tenant is a plugin that has the network and our user id, and so could take a share
// of a port's connections. "": none, neither of next's nor of those that still run.
func tenant(next, old *generation) string {
	for _, g := range []*generation{next, old} {
		if g == nil {
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(g.cfg.Plugins)) {
			if p := g.cfg.Plugins[name]; p.Network && hasOurUser(p.User) {
				return name
			}
		}
	}
	return ""
}

// hasOurUser says whether a plugin's user has this process's user id, or may have it.
func hasOurUser(account string) bool {
	if account == "" || account == "dynamic" {
		return account == ""
	}
	name, _, _ := strings.Cut(account, ":")
	if id, err := strconv.Atoi(name); err == nil {
		return id == os.Geteuid()
	}
	u, err := user.Lookup(name)
	return err != nil || u.Uid == strconv.Itoa(os.Geteuid())
}

// tenant is a plugin of a predecessor that has not ended yet, as tenant has it.
func (p *Predecessor) tenant() string {
	if p == nil {
		return ""
	}
	select {
	case <-p.gone:
		return ""
	default:
		return p.given.Tenant
	}
}

// leaver is a socket of ours that a layout has no use for.
type leaver struct {
	address string
	raw     syscall.RawConn
}

// leavers are the sockets that listen on a port and will be closed once l is in
// force: this process's, and those that its predecessor still has. The caller holds
// mu.
func (s *Server) leavers(port uint16, l layout) []leaver {
	var list []leaver
	for _, address := range slices.Sorted(maps.Keys(s.sockets)) {
		sock := s.sockets[address].net
		if l.sockets[address] != nil || addrPort(sock.Addr()).Port() != port {
			continue
		}
		if c, ok := sock.(syscall.Conn); ok {
			if raw, err := c.SyscallConn(); err == nil {
				list = append(list, leaver{address, raw})
			}
		}
	}
	for _, g := range s.given {
		local, err := listeningAt(g.file)
		if g.Role != handoff.Listener || g.taken || err != nil || local.Port() != port || l.sockets[g.Address] != nil {
			continue
		}
		if raw, err := g.file.SyscallConn(); err == nil {
			list = append(list, leaver{g.Address, raw})
		}
	}
	return list
}

// listenBeside opens the socket of a name of l whose port a socket that leaves still
// has; inUse is the error without. The caller holds mu.
func (s *Server) listenBeside(name string, l layout, inUse error) (*socket, error) {
	at, err := net.ResolveTCPAddr("tcp", name)
	if !errors.Is(inUse, unix.EADDRINUSE) || isSteered(name) || l.standIn[name] || err != nil {
		return nil, inUse
	}
	list := s.leavers(uint16(at.Port), l)
	if len(list) == 0 {
		return nil, s.explainInUse(name, at.AddrPort(), inUse)
	}
	if l.tenant != "" {
		return nil, fmt.Errorf("%w, by the socket on %s: the plugin %s, which has the network and this edge's user, could share the port meanwhile: want user: dynamic for it, another port first, or a restart", inUse, list[0].address, l.tenant)
	}
	var names []string
	for _, old := range list {
		names = append(names, old.address)
		if err := reusePort(old.raw, 1); err != nil {
			return nil, fmt.Errorf("%w, and the socket on %s could not be made to share its port: %w", inUse, old.address, err)
		}
		defer reusePort(old.raw, 0)
	}
	sock, err := listenOn(name, name, func(_, _ string, c syscall.RawConn) error { return reusePort(c, 1) })
	if err != nil {
		return nil, fmt.Errorf("%w (also beside %s, which this edge has): want another port first, or a restart", err, strings.Join(names, ", "))
	}
	raw, err := sock.net.(syscall.Conn).SyscallConn()
	if err == nil {
		err = reusePort(raw, 0) // nobody else is to share it
	}
	if err != nil {
		sock.net.Close()
		return nil, fmt.Errorf("listen on %s: %w", name, err)
	}
	for _, old := range names {
		if r := s.sockets[old]; r != nil {
			r.patient.Store(true) // its clients have not been told that anything changes
		}
	}
	return sock, nil
}

// explainInUse names the socket of ours that stays and has the port, if there is one.
func (s *Server) explainInUse(name string, at netip.AddrPort, inUse error) error {
	for _, address := range slices.Sorted(maps.Keys(s.sockets)) {
		if addrPort(s.sockets[address].net.Addr()).Port() == at.Port() {
			return fmt.Errorf("%w: this edge listens on %s, which stays: want one of the two, or another port", inUse, address)
		}
	}
	return inUse
}

func reusePort(c syscall.RawConn, on int) error {
	var set error
	err := c.Control(func(fd uintptr) { set = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, on) })
	return errors.Join(err, set)
}
