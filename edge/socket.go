package edge

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/edge/reason"
)

// socket is a listening address. It outlives reloads that keep the address: what
// its listener makes of connections is behind one pointer.
type socket struct {
	address string // as configured, or the name of one that is steered to: see layout
	net     net.Listener
	policy  atomic.Pointer[policy]
	owns    atomic.Pointer[owned] // what it takes of what is steered; nil for all that comes
	counts  counts
	patient atomic.Bool // its connections may wait for another request before they end

	connections sync.WaitGroup // their goroutines
}

// accept hands every accepted connection to serve, in its own goroutine, until
// the socket is closed; it returns when the last of them has. What serve leaves to
// another goroutine it starts in s.connections.
func (s *socket) accept(serve func(net.Conn)) error {
	defer s.connections.Wait()
	var pause time.Duration
	for {
		conn, err := s.net.Accept()
		switch {
		case err == nil && !s.takes(conn):
			pause = 0
			conn.(*net.TCPConn).SetLinger(0) // a reset, as if nobody had listened
			conn.Close()
		case err == nil:
			pause = 0
			s.connections.Go(func() { serve(conn) })
		case errors.Is(err, net.ErrClosed):
			return nil
		default:
			// Out of descriptors or memory, or a connection that broke before we
			// took it: the socket is fine, so go on, but not in a busy loop.
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			time.Sleep(pause)
		}
	}
}

// takes says whether a connection that was accepted is this socket's business.
func (s *socket) takes(conn net.Conn) bool {
	owns := s.owns.Load()
	return owns == nil || owns.takes(s.address, addrPort(conn.LocalAddr()))
}

// counts are the open connections of a socket, whole and by address, see oneClient.
type counts struct {
	mu        sync.Mutex
	open      int
	addresses map[netip.Addr]int
}

// now returns how many are open.
func (n *counts) now() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.open
}

// admit counts a connection in, until release, or refuses it where the listener's
// limit says so.
func (s *socket) admit(c *Conn) (refused *reason.Error) {
	limit := c.policy.cfg.Limits.Connections
	n := &s.counts
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.open >= limit {
		return reason.Errorf(reason.LimitExceeded, "%d connections open on listener %s: its limit is %d", n.open, c.policy.name, limit)
	}
	n.open++
	c.counted = true
	return nil
}

// admitAddress is admit for the client's address, once that is settled.
func (s *socket) admitAddress(c *Conn) (refused *reason.Error) {
	limit, address := c.policy.cfg.Limits.ConnectionsPerAddress, oneClient(c.client.Addr())
	n := &s.counts
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.addresses[address] >= limit {
		return reason.Errorf(reason.LimitExceeded, "%d connections open from %s on listener %s: its limit for an address is %d",
			n.addresses[address], address, c.policy.name, limit)
	}
	n.addresses[address]++
	c.countedAddress = address
	return nil
}

// oneClient stands for all addresses of whoever has this one: of IPv6, that is a /64.
func oneClient(a netip.Addr) netip.Addr {
	if a.Is6() && !a.Is4In6() {
		return netip.PrefixFrom(a, 64).Masked().Addr()
	}
	return a
}

// release counts a connection out again, as far as it was counted in.
func (s *socket) release(c *Conn) {
	n := &s.counts
	n.mu.Lock()
	defer n.mu.Unlock()
	if c.counted {
		n.open--
	}
	if address := c.countedAddress; address.IsValid() {
		if n.addresses[address]--; n.addresses[address] <= 0 {
			delete(n.addresses, address)
		}
	}
	c.counted, c.countedAddress = false, netip.Addr{}
}
