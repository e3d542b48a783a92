package edge

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/handoff"
)

// sharesPort says whether a socket lets another one have its port.
func sharesPort(t *testing.T, l net.Listener) bool {
	t.Helper()
	var on int
	if err := descriptor(l, func(fd int) (err error) {
		on, err = unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return on != 0
}

// having is a Server that listens on these addresses and nothing else.
func having(t *testing.T, addresses ...string) *Server {
	t.Helper()
	s := &Server{sockets: map[string]*running{}}
	for _, address := range addresses {
		sock, err := listen(address, false)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { sock.net.Close() })
		s.sockets[address] = &running{socket: sock}
	}
	return s
}

// portIn is a loopback address of that host which nobody listens on, and its port.
func portIn(t *testing.T, host string) (address, port string) {
	t.Helper()
	l, err := net.Listen("tcp", host+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ = net.SplitHostPort(l.Addr().String())
	return net.JoinHostPort(host, port), port
}

// widen opens name, whose port a socket of s has.
func widen(t *testing.T, s *Server, name string, l layout) (*socket, error) {
	t.Helper()
	_, err := listen(name, false)
	if err == nil {
		t.Fatalf("%s could be opened", name)
	}
	return s.listenBeside(name, l, err)
}

// An address is made wider, and narrower: both sockets are open until the old one
// goes, and then the new one gets what comes.
func TestListenBesideTheOneThatLeaves(t *testing.T) {
	for _, wider := range []bool{true, false} {
		narrow, port := portIn(t, "127.0.0.1")
		from, to := narrow, ":"+port
		if !wider {
			from, to = to, from
		}
		s := having(t, from)
		sock, err := widen(t, s, to, layout{})
		if err != nil {
			t.Fatal(err)
		}
		defer sock.net.Close()
		old := s.sockets[from].net
		if sharesPort(t, old) || sharesPort(t, sock.net) {
			t.Error("the port is still to be shared")
		}
		old.Close()
		conn, err := net.Dial("tcp", narrow)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		got, err := sock.net.Accept()
		if err != nil {
			t.Fatal(err)
		}
		got.Close()
	}
}

// A predecessor's socket leaves, too.
func TestListenBesideThePredecessors(t *testing.T) {
	f, address := passed(t, "")
	s := having(t)
	s.given = given{{file: f, SocketBody: handoff.SocketBody{Role: handoff.Listener, Address: address}}}
	port := netip.MustParseAddrPort(address).Port()
	sock, err := widen(t, s, netip.AddrPortFrom(netip.IPv4Unspecified(), port).String(), layout{})
	if err != nil {
		t.Fatal(err)
	}
	sock.net.Close()
}

// A port that cannot be had is refused with both addresses, and leaves no socket
// to be shared.
func TestListenBesideNothing(t *testing.T) {
	narrow, port := portIn(t, "127.0.0.1")
	s := having(t, narrow)
	_, err := widen(t, s, ":"+port, layout{sockets: map[string]*policy{narrow: {}}})
	if err == nil || !strings.Contains(err.Error(), "listen on :"+port) || !strings.Contains(err.Error(), "this edge listens on "+narrow+", which stays") {
		t.Errorf("beside one that stays: %v", err)
	}

	_, err = widen(t, s, ":"+port, layout{tenant: "geo"})
	if err == nil || !strings.Contains(err.Error(), "in use, by the socket on "+narrow+": the plugin geo") {
		t.Errorf("with a plugin that could share it: %v", err)
	}

	stranger, err := net.Listen("tcp", "127.0.0.2:"+port)
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	_, err = widen(t, s, ":"+port, layout{})
	if err == nil || !strings.Contains(err.Error(), "address already in use (also beside "+narrow+", which this edge has)") {
		t.Errorf("with a stranger's: %v", err)
	}
	if sharesPort(t, s.sockets[narrow].net) {
		t.Error("the old socket is left to be shared")
	}
	delete(s.sockets, narrow)
	if _, err = widen(t, s, "127.0.0.2:"+port, layout{}); err == nil || strings.Contains(err.Error(), "this edge") {
		t.Errorf("nothing but a stranger's: %v", err)
	}
}

// A plugin counts that could open a socket of our user's: one with the network, and
// without a user of its own, in what comes or in what still runs.
func TestTenant(t *testing.T) {
	with := func(plugins map[string]config.Plugin) *generation {
		return &generation{cfg: &config.Config{Plugins: plugins}}
	}
	lodger := with(map[string]config.Plugin{"a": {Network: true, User: "dynamic"}, "b": {}, "c": {Network: true}})
	harmless := with(map[string]config.Plugin{"a": {Network: true, User: "dynamic"}, "b": {}})
	ours := fmt.Sprint(os.Geteuid())
	named := with(map[string]config.Plugin{"d": {Network: true, User: ours + ":" + ours}})
	unknown := with(map[string]config.Plugin{"e": {Network: true, User: "nobody-of-this-name"}})
	another := with(map[string]config.Plugin{"f": {Network: true, User: fmt.Sprint(os.Geteuid()+1, ":1")}})
	for _, test := range []struct {
		next, old *generation
		want      string
	}{
		{named, nil, "d"}, {unknown, nil, "e"}, {another, nil, ""},
		{lodger, nil, "c"}, {harmless, lodger, "c"}, {lodger, harmless, "c"}, {harmless, harmless, ""}, {harmless, nil, ""},
	} {
		if got := tenant(test.next, test.old); got != test.want {
			t.Errorf("%q, want %q", got, test.want)
		}
	}

	// The plugins of a predecessor run until that has ended.
	p := &Predecessor{gone: make(chan struct{}), given: handoff.GivenBody{Tenant: "c"}}
	if got := p.tenant(); got != "c" {
		t.Errorf("beside a predecessor: %q", got)
	}
	close(p.gone)
	if got := p.tenant() + (*Predecessor)(nil).tenant(); got != "" {
		t.Errorf("without a predecessor: %q", got)
	}
}
