package edge

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/sallyport/sallyport/bpf"
)

// warnOfOthers tells of other processes that listen where connections are steered
// to the edge: steering comes before any socket, so those get them no more. The
// usual case is somebody's own SSH. The caller holds mu.
func (s *Server) warnOfOthers(l layout) {
	if l.table == nil || s.steering.kernel.Load() == nil {
		return
	}
	ours := map[netip.AddrPort]bool{}
	for _, r := range s.sockets {
		ours[addrPort(r.net.Addr())] = true
	}
	for _, name := range []string{"tcp", "tcp6"} {
		file, err := os.Open("/proc/thread-self/net/" + name)
		if err != nil {
			continue // no IPv6
		}
		others, err := listening(file)
		file.Close()
		if err != nil {
			s.log.Warn("not known whether other processes listen on what is steered to the edge", "cause", err)
			return
		}
		for _, other := range others {
			if i, ok := l.takesFrom(other); ok && !ours[other] {
				s.log.Warn("another process listens where connections are steered to the edge; it gets none from there",
					"socket", other.String(), "listener", l.owner[i], "destination", l.table.Destinations()[i].String())
			}
		}
	}
}

// takesFrom returns the destination that takes connections which a socket on a
// would get. A socket on any IPv6 address may take both families.
func (l layout) takesFrom(a netip.AddrPort) (index int, ok bool) {
	if !a.Addr().IsUnspecified() {
		return l.table.Lookup(a)
	}
	index = slices.IndexFunc(l.table.Destinations(), func(d bpf.Destination) bool {
		return d.First <= a.Port() && a.Port() <= d.Last && (a.Addr().Is6() || d.Prefix.Addr().Is4())
	})
	return index, index >= 0
}

// listening reads /proc/net/tcp or tcp6, see proc_net_tcp in the kernel's
// documentation: the addresses of sockets that listen. IPv4-in-IPv6 is IPv4.
func listening(r io.Reader) ([]netip.AddrPort, error) {
	const stateListen = "0A"
	var list []netip.AddrPort
	lines := bufio.NewScanner(r)
	lines.Scan() // the heading
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 4 || fields[3] != stateListen {
			continue
		}
		host, port, _ := strings.Cut(fields[1], ":")
		raw, err := hex.DecodeString(host)
		if err != nil || len(raw)%4 != 0 {
			return nil, fmt.Errorf("address %q: want words of 8 hexadecimal digits", host)
		}
		for word := range slices.Chunk(raw, 4) { // each printed as a number of this machine's
			slices.Reverse(word)
		}
		addr, ok := netip.AddrFromSlice(raw)
		n, err := strconv.ParseUint(port, 16, 16)
		if err != nil || !ok {
			return nil, fmt.Errorf("socket %q: want ADDRESS:PORT in hexadecimal digits", fields[1])
		}
		list = append(list, netip.AddrPortFrom(addr.Unmap(), uint16(n)))
	}
	return list, lines.Err()
}
