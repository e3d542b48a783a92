package edge

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sallyport/sallyport/bpf"
	"github.com/sallyport/sallyport/edge/admin"
	"github.com/sallyport/sallyport/edge/config"
)

// status is what an operator should know of it; nil when nothing is steered.
func (st *steering) status() *admin.Steering {
	if why := st.why.Load(); why != nil {
		return &admin.Steering{Datapath: "sockets", Why: *why}
	}
	kernel, l := st.kernel.Load(), st.layout.Load()
	if kernel == nil || l == nil || l.table == nil {
		return nil
	}
	of := kernel.Status()
	s := &admin.Steering{Datapath: "sk_lookup", Program: of.Program, Problem: of.Problem}
	counts, err := kernel.Counts()
	if err != nil && s.Problem == "" {
		s.Problem = err.Error()
	}
	for i, d := range l.table.Destinations() {
		n := counts[d]
		s.Destinations = append(s.Destinations, admin.SteeredDestination{
			Listener: l.owner[i], Destination: d.String(), Steered: n.Steered, NoSocket: n.NoSocket, Failed: n.Failed,
		})
	}
	return s
}

// collect reads the counts for a scrape.
func (st *steering) collect(ch chan<- prometheus.Metric) {
	kernel, l := st.kernel.Load(), st.layout.Load()
	if kernel == nil || l == nil || l.table == nil {
		return
	}
	counts, err := kernel.Counts()
	if err != nil {
		return // closed: the edge ends
	}
	for i, d := range l.table.Destinations() {
		for result, n := range map[string]uint64{"steered": counts[d].Steered, "no_socket": counts[d].NoSocket, "failed": counts[d].Failed} {
			ch <- prometheus.MustNewConstMetric(steerCnt, prometheus.CounterValue, float64(n), l.owner[i], d.String(), result)
		}
	}
}

// listensOn is where a socket takes connections, for people.
func (s *Server) listensOn(sock *socket) string {
	owns := sock.owns.Load()
	if owns == nil {
		return sock.net.Addr().String()
	}
	var list []string
	for i, d := range owns.table.Destinations() {
		if owns.to[i] == sock.address {
			list = append(list, d.String())
		}
	}
	return strings.Join(list, " ")
}

// maxExact is up to how many addresses and ports of a destination are told to XDP
// one by one.
const maxExact = 1024

// steeredTo is what is steered to the edge, as XDP can be told: of large prefixes
// it is the ports, on any address of this host.
func (s *Server) steeredTo() []netip.AddrPort {
	l := s.steering.layout.Load()
	if l == nil || s.steering.kernel.Load() == nil {
		return nil
	}
	return l.scope()
}

// scope is that of a layout.
func (l layout) scope() []netip.AddrPort {
	if l.table == nil {
		return nil
	}
	var list []netip.AddrPort
	for i, d := range l.table.Destinations() {
		if !isSteered(l.to[i]) {
			continue // is listened on
		}
		addresses := []netip.Addr{netip.IPv6Unspecified()} // of both families
		if d.Prefix.Addr().Is4() {
			addresses[0] = netip.IPv4Unspecified()
		}
		if free := d.Prefix.Addr().BitLen() - d.Prefix.Bits(); free <= 10 && d.Ports()<<free <= maxExact {
			addresses = nil
			for a := d.Prefix.Addr(); d.Prefix.Contains(a); a = a.Next() {
				addresses = append(addresses, a)
			}
		}
		for _, a := range addresses {
			for port := int(d.First); port <= int(d.Last); port++ {
				list = append(list, netip.AddrPortFrom(a, uint16(port)))
			}
		}
	}
	return list
}

// maxScope is how many pairs of address and port XDP has room for.
const maxScope = 65536

// scopeEntries is how many of them a scope takes: any address takes one in each
// family.
func scopeEntries(scope []netip.AddrPort) int {
	taken := map[netip.AddrPort]bool{}
	for _, a := range scope {
		taken[a] = true
		if a.Addr() == netip.IPv6Unspecified() {
			taken[netip.AddrPortFrom(netip.IPv4Unspecified(), a.Port())] = true
		}
	}
	return len(taken)
}

// routes warns of steered addresses whose packets this host does not take: to the
// kernel they are somebody else's, and no listener is looked for.
func (b *builder) routes(path string, prefix netip.Prefix) {
	if prefix.Bits() == 0 {
		return // whatever is the host's
	}
	for _, a := range []netip.Addr{prefix.Addr(), middle(prefix), last(prefix)} {
		if kind, err := bpf.RouteType(a); err != nil || kind != "local" {
			why := "is " + kind
			if err != nil {
				why = err.Error()
			}
			command := "ip route add local "
			if a.Is6() {
				command = "ip -6 route add local "
			}
			b.warning(path, "connections to %v do not come to this host's listeners: the route there has to be local, and %s: %s%v dev lo", a, why, command, prefix)
			return
		}
	}
}

// last returns the last address of a prefix.
func last(p netip.Prefix) netip.Addr {
	raw := p.Addr().AsSlice()
	for bit := p.Bits(); bit < len(raw)*8; bit++ {
		raw[bit/8] |= 0x80 >> (bit % 8)
	}
	a, _ := netip.AddrFromSlice(raw)
	return a
}

// middle returns the first address of a prefix's second half.
func middle(p netip.Prefix) netip.Addr {
	raw := p.Addr().AsSlice()
	if bit := p.Bits(); bit < len(raw)*8 {
		raw[bit/8] |= 0x80 >> (bit % 8)
	}
	a, _ := netip.AddrFromSlice(raw)
	return a
}

// steering checks what of the addresses can be checked without opening sockets.
func (b *builder) steering() {
	l, err := b.next.layout()
	if err != nil {
		if b.complete() {
			b.problem("listeners", "%v", err)
		}
		return
	}
	if l.table == nil {
		return
	}
	if n := scopeEntries(l.scope()); n > maxScope && b.cfg.Ban.Mode != config.BanOff && b.cfg.Ban.Datapath != config.DatapathUserspace && len(b.cfg.Ban.Interfaces) > 0 {
		b.warning("ban.interfaces", "the prefixes and ranges of the listeners are %d pairs of address and port to XDP, which has room for %d: bans are enforced in user space where they change", n, maxScope)
	}
	for name, cfg := range b.cfg.Listeners {
		for i, text := range cfg.Address {
			a, err := config.ParseAddress(text)
			if err != nil || a.IsSocket() {
				continue
			}
			for _, prefix := range a.Prefixes() {
				b.routes(fmt.Sprintf("listeners.%s.address[%d]", name, i), prefix)
			}
		}
	}
}
