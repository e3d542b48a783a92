package edge

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/sallyport/sallyport/bpf"
	"github.com/sallyport/sallyport/edge/config"
)

// layout is where a generation takes connections: the policies of its sockets, by
// the sockets' names, and what the kernel steers to which of them. The name of a
// socket that nothing is steered to is the address that it listens on.
type layout struct {
	sockets map[string]*policy
	table   *bpf.Table // nil: nothing is steered
	to      []string   // the socket of each of the table's destinations
	owner   []string   // and the listener

	standIn map[string]bool // sockets of an address and port each, where the kernel cannot steer
	tenant  string          // a plugin that could share a port of the edge's
}

// A socket that takes a listener's prefixes and ranges is called by these and the
// listener's name. It listens on addresses to which no packet may be sent (RFC 7600
// section 4, RFC 6666), so that it takes what is steered to it and nothing else.
const (
	steered4 = "steered ipv4 "
	steered6 = "steered ipv6 "
)

var nowhere = map[string]string{steered4: "192.0.0.8:0", steered6: "[100::1]:0"}

// maxPlainSockets is how many sockets the edge opens where it cannot steer.
const maxPlainSockets = 64

// layout lays out a generation. A listener without a policy would be a way in that
// nobody judges: that is refused here, whatever led to it.
func (g *generation) layout() (layout, error) {
	l := layout{sockets: map[string]*policy{}}
	var plain []config.Address
	names := map[config.Address]string{} // of the plain ones
	var destinations []bpf.Destination
	for _, listener := range slices.Sorted(maps.Keys(g.cfg.Listeners)) {
		p := g.policies[listener]
		if p == nil {
			return l, fmt.Errorf("put configuration in force: listener %s has no policy", listener)
		}
		for _, text := range g.cfg.Listeners[listener].Address {
			a, err := config.ParseAddress(text)
			if err != nil {
				return l, fmt.Errorf("put configuration in force: listener %s: address %q: %w", listener, text, err)
			}
			if a.IsSocket() {
				name := text
				if strings.ContainsAny(text, "/-") { // written as what it is not
					name = net.JoinHostPort(hostOf(a.Addr), strconv.Itoa(int(a.First)))
				}
				l.sockets[name] = p
				plain = append(plain, a)
				names[a] = name
				continue
			}
			for _, prefix := range a.Prefixes() {
				name := steered6 + listener
				switch {
				case prefix.Addr().Is4():
					name = steered4 + listener
				case !a.Addr.IsValid() && !hasIPv6():
					continue
				}
				l.sockets[name] = p
				destinations = append(destinations, bpf.Destination{Prefix: prefix, First: a.First, Last: a.Last})
				l.to, l.owner = append(l.to, name), append(l.owner, listener)
			}
		}
	}
	if p := g.policies[adminListenerName]; p != nil {
		l.sockets[g.cfg.Admin.Listener.Address] = p
	} else if g.cfg.Admin.Listener.On() {
		return l, fmt.Errorf("put configuration in force: the admin listener has no policy")
	}
	if len(destinations) == 0 {
		return l, nil
	}
	// The kernel asks the table before it looks for a socket: a socket of ours that
	// is more specific than a range must be in it.
	for _, a := range plain {
		for _, prefix := range a.Prefixes() {
			d := bpf.Destination{Prefix: prefix, First: a.First, Last: a.First}
			if a.First != 0 && slices.ContainsFunc(destinations, func(wide bpf.Destination) bool { return includes(wide, d) }) {
				destinations = append(destinations, d)
				l.to, l.owner = append(l.to, names[a]), append(l.owner, l.sockets[names[a]].name)
			}
		}
	}
	var err error
	if l.table, err = bpf.NewTable(destinations); err != nil {
		return l, fmt.Errorf("steer: %w", err)
	}
	return l, nil
}

// hostOf is an address as a host to listen on; the zero Addr is any.
func hostOf(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

func hasIPv6() bool {
	_, err := os.Stat("/proc/net/if_inet6")
	return err == nil
}

// includes says whether all that goes to d could go to wide.
func includes(wide, d bpf.Destination) bool {
	return wide.Prefix.Bits() <= d.Prefix.Bits() && wide.Prefix.Overlaps(d.Prefix) && wide.First <= d.First && d.Last <= wide.Last
}

// plainSockets is l where nothing can be steered: a socket for each address and
// port of what would be. It is an error that they are too many.
func (l layout) plainSockets() (layout, error) {
	plain := layout{sockets: map[string]*policy{}, standIn: map[string]bool{}}
	for name, p := range l.sockets {
		if !isSteered(name) {
			plain.sockets[name] = p
		}
	}
	for i, d := range l.table.Destinations() {
		if !isSteered(l.to[i]) {
			continue // has its socket
		}
		free := d.Prefix.Addr().BitLen() - d.Prefix.Bits()
		if free > 6 || int(d.Last-d.First) >= maxPlainSockets {
			return layout{}, fmt.Errorf("listener %s: %v would be more than %d sockets", l.owner[i], d, maxPlainSockets)
		}
		for address := d.Prefix.Addr(); d.Prefix.Contains(address); address = address.Next() {
			for port := int(d.First); port <= int(d.Last); port++ {
				at := netip.AddrPortFrom(address, uint16(port))
				if best, _ := l.table.Lookup(at); best != i {
					continue
				}
				plain.sockets[at.String()], plain.standIn[at.String()] = l.sockets[l.to[i]], true
			}
		}
		if len(plain.standIn) > maxPlainSockets {
			return layout{}, fmt.Errorf("listener %s: %v and those before it would be more than %d sockets", l.owner[i], d, maxPlainSockets)
		}
	}
	return plain, nil
}

func isSteered(name string) bool {
	return strings.HasPrefix(name, steered4) || strings.HasPrefix(name, steered6)
}

// steering is how connections to prefixes and ranges come to the edge.
type steering struct {
	next   func()                       // puts in force what a start has prepared; nil for nothing
	kernel atomic.Pointer[bpf.Steering] // nil: they do not, or by plain sockets
	layout atomic.Pointer[layout]       // in force; nil before
	why    atomic.Pointer[string]       // plain sockets; nil without any
}

func steeringPins(cfg *config.Config) string {
	return filepath.Join(bpf.DefaultPin, stateName(cfg.ResolvePath(cfg.StateDir))+"-steering")
}

// settle lays a generation out, opens what steering that needs, and does with plain
// sockets where the kernel cannot steer. The caller holds mu.
func (s *Server) settle(g *generation) (layout, error) {
	l, err := g.layout()
	if err != nil {
		return l, err
	}
	if l.table == nil {
		s.steering.why.Store(nil)
		return l, nil
	}
	if s.steering.kernel.Load() != nil {
		return l, nil
	}
	lacking := bpf.SteeringSupported()
	if lacking == nil {
		kernel, err := bpf.OpenSteering(steeringPins(g.cfg))
		if err == nil {
			s.steering.kernel.Store(kernel)
			s.steering.why.Store(nil)
		}
		return l, err
	}
	plain, err := l.plainSockets()
	if err != nil {
		return l, fmt.Errorf("%w, and %w", err, lacking)
	}
	why := lacking.Error()
	if known := s.steering.why.Swap(&why); known == nil {
		s.log.Info("prefixes and port ranges have a socket for each address and port", "sockets", len(plain.standIn), "why", why)
	}
	return plain, nil
}

// prepareSteering tells the kernel of a layout whose sockets are open. Nothing is
// steered by it before commitSteering.
func (s *Server) prepareSteering(l layout, opened map[string]*socket) (*bpf.Prepared, error) {
	kernel := s.steering.kernel.Load()
	if kernel == nil {
		return nil, nil
	}
	table := l.table
	if table == nil { // no more
		var err error
		if table, err = bpf.NewTable(nil); err != nil {
			return nil, err
		}
	}
	sockets := make([]*net.TCPListener, len(l.to))
	for i, name := range l.to {
		sock := opened[name]
		if sock == nil {
			sock = s.sockets[name].socket
		}
		tcp, ok := sock.net.(*net.TCPListener)
		if !ok {
			return nil, fmt.Errorf("steer to listener %s: its socket is a %T, want TCP", l.owner[i], sock.net)
		}
		sockets[i] = tcp
	}
	return kernel.Prepare(table, sockets)
}

// commitSteering puts a layout in force; at a start only takeOverSteering does, since
// until then an earlier process may be the one that serves. The caller holds mu.
func (s *Server) commitSteering(l layout, prepared *bpf.Prepared, starting bool) {
	s.steering.layout.Store(&l)
	for name, r := range s.sockets {
		if isSteered(name) {
			r.owns.Store(&owned{l.table, l.to})
		}
	}
	s.steering.next = func() { s.steer(l, prepared) }
	if !starting {
		s.takeOverSteering()
	}
}

// takeOverSteering has the kernel steer by what a start has prepared. The caller
// holds mu.
func (s *Server) takeOverSteering() {
	if put := s.steering.next; put != nil {
		s.steering.next = nil
		put()
	}
}

func (s *Server) steer(l layout, prepared *bpf.Prepared) {
	if prepared == nil {
		// What an edge that was killed has left would refuse what is not its.
		pins := steeringPins(s.generation.Load().cfg)
		if _, err := os.Lstat(pins); err == nil {
			if err := bpf.RemoveSteering(pins); err != nil {
				s.log.Error("an earlier process's steering is still in force: remove its directory as root", "directory", pins, "cause", err)
			}
		}
		return
	}
	if err := prepared.Commit(); err != nil {
		s.log.Error("steering not changed: connections to prefixes and port ranges are refused where that was to change", "cause", err)
	}
	s.warnOfOthers(l)
}

func (s *Server) closeSteering() {
	kernel := s.steering.kernel.Load()
	if kernel == nil {
		return
	}
	if err := kernel.Close(); err != nil {
		s.log.Error("steering not ended", "cause", err)
	}
}

// owned is what a socket takes of what is steered.
type owned struct {
	table *bpf.Table
	to    []string
}

// takes says whether a connection to local is the business of the socket of this
// name. One that was steered before a reload may be another's by now.
func (o *owned) takes(name string, local netip.AddrPort) bool {
	if o.table == nil {
		return false
	}
	i, ok := o.table.Lookup(local)
	return ok && o.to[i] == name
}

// listen opens the socket of a name, see layout. A stand-in need not be on an
// address that the host has: neither need what is steered.
func listen(name string, standIn bool) (*socket, error) {
	for family, address := range nowhere {
		if strings.HasPrefix(name, family) {
			return listenOn(name, address, freebind)
		}
	}
	if standIn {
		return listenOn(name, name, freebind)
	}
	return listenOn(name, name, nil)
}

func listenOn(name, address string, control func(string, string, syscall.RawConn) error) (*socket, error) {
	// MPTCP is off: SOCKMAP refuses MPTCP sockets.
	lc := net.ListenConfig{Control: control}
	lc.SetMultipathTCP(false)
	l, err := lc.Listen(context.Background(), "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", name, err)
	}
	return &socket{address: name, net: l, counts: counts{addresses: map[netip.Addr]int{}}}, nil
}

// freebind lets a socket be on an address that the host does not have.
func freebind(network, _ string, c syscall.RawConn) error {
	var set error
	err := c.Control(func(fd uintptr) {
		if strings.HasSuffix(network, "6") {
			set = unix.SetsockoptInt(int(fd), unix.SOL_IPV6, unix.IPV6_FREEBIND, 1)
			return
		}
		set = unix.SetsockoptInt(int(fd), unix.SOL_IP, unix.IP_FREEBIND, 1)
	})
	return errors.Join(err, set)
}
