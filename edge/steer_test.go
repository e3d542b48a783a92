package edge

import (
	"errors"
	"io"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/sallyport/sallyport/edge/config"
)

// laidOut lays out listeners on these addresses, by their names.
func laidOut(t *testing.T, addresses map[string]config.Addresses) layout {
	t.Helper()
	g := &generation{cfg: &config.Config{Listeners: map[string]config.Listener{}}, policies: map[string]*policy{}}
	for name, list := range addresses {
		g.cfg.Listeners[name] = config.Listener{Address: list}
		g.policies[name] = &policy{name: name}
	}
	l, err := g.layout()
	if err != nil {
		t.Fatal(err)
	}
	for name, p := range l.sockets {
		if p == nil {
			t.Errorf("socket %q has no policy", name)
		}
	}
	return l
}

func TestLayout(t *testing.T) {
	l := laidOut(t, map[string]config.Addresses{
		"many": {"203.0.113.0/24:8000-8999", "[2001:db8::/64]:443-444", ":443"},
		"one":  {"203.0.113.7:8001", "203.0.113.8/32:8002", "198.51.100.1:8001", ":8500", "[2001:db8::7]:443"},
	})
	want := []string{"198.51.100.1:8001", "203.0.113.7:8001", "203.0.113.8:8002", ":443", ":8500", "[2001:db8::7]:443", "steered ipv4 many", "steered ipv6 many"}
	if got := slices.Sorted(maps.Keys(l.sockets)); !slices.Equal(got, want) {
		t.Errorf("sockets %q, want %q", got, want)
	}
	for to, want := range map[string]string{
		"203.0.113.1:8001":  "steered ipv4 many",
		"203.0.113.7:8001":  "203.0.113.7:8001", // more specific, so that the range must not take it
		"203.0.113.8:8002":  "203.0.113.8:8002",
		"203.0.113.8:8500":  "steered ipv4 many", // more specific than :8500
		"[2001:db8::7]:443": "[2001:db8::7]:443", "[2001:db8::8]:443": "steered ipv6 many",
		"198.51.100.1:8001": "", "198.51.100.1:443": "", // their sockets are found without
	} {
		got := ""
		if i, ok := l.table.Lookup(netip.MustParseAddrPort(to)); ok {
			got = l.to[i]
			if owns := (&owned{l.table, l.to}); !owns.takes(got, netip.MustParseAddrPort(to)) || owns.takes("another", netip.MustParseAddrPort(to)) {
				t.Errorf("%s is not taken by %q alone", to, got)
			}
		}
		if got != want {
			t.Errorf("%s goes to %q, want %q", to, got, want)
		}
	}
	if l := laidOut(t, map[string]config.Addresses{"a": {":443", "10.0.0.1:80"}}); l.table != nil || l.sockets[":443"] == nil {
		t.Errorf("without prefixes and ranges: %+v, want no table", l)
	}
	if (&owned{}).takes("x", netip.MustParseAddrPort("10.0.0.1:80")) {
		t.Error("something is taken by a socket that nothing is steered to any more")
	}

	g := &generation{cfg: &config.Config{Listeners: map[string]config.Listener{"a": {Address: config.Addresses{"10.0.0.0/8:80"}}}}}
	if _, err := g.layout(); err == nil || !strings.Contains(err.Error(), "has no policy") {
		t.Errorf("a listener without a policy: %v", err)
	}
}

func TestPlainSocketsInstead(t *testing.T) {
	l := laidOut(t, map[string]config.Addresses{
		"few": {"203.0.113.4/30:8000-8003", ":443"},
		"one": {"203.0.113.5:8001", "203.0.113.6/32:8002-8003"},
	})
	plain, err := l.plainSockets()
	if err != nil {
		t.Fatal(err)
	}
	owners := map[string]int{}
	for name, p := range plain.sockets {
		owners[p.name]++
		if want := name != ":443" && name != "203.0.113.5:8001"; plain.standIn[name] != want {
			t.Errorf("%s stands in: %v, want %v", name, !want, want)
		}
	}
	if want := map[string]int{"few": 4*4 - 3 + 1, "one": 3}; !maps.Equal(owners, want) || plain.table != nil {
		t.Errorf("sockets by listener: %v, want %v", owners, want)
	}
	for name, want := range map[string]string{"203.0.113.4:8000": "few", "203.0.113.7:8003": "few", "203.0.113.6:8002": "one", "203.0.113.6:8001": "few"} {
		if p := plain.sockets[name]; p == nil || p.name != want {
			t.Errorf("%s is of %v, want %s", name, p, want)
		}
	}
	for _, address := range []string{"203.0.113.0/24:8000", "203.0.113.4/30:8000-8016", "10.0.0.1:1-65535", ":8000-8001", "[2001:db8::/64]:443"} {
		if _, err := laidOut(t, map[string]config.Addresses{"few": {address}}).plainSockets(); err == nil || !strings.Contains(err.Error(), "more than 64 sockets") {
			t.Errorf("%s: %v, want too many sockets", address, err)
		}
	}
}

func TestListening(t *testing.T) {
	got, err := listening(strings.NewReader(`  sl  local_address rem_address   st tx_queue
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0
   1: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0
   2: 0100007F:9C40 0100007F:1F90 01 00000000:00000000 00:00000000 00000000     0
   3: B80D0120000000000000000001000000:01BB 00000000000000000000000000000000:0000 0A 0
   4: 0000000000000000FFFF00000100007F:0050 00000000000000000000000000000000:0000 0A 0
`))
	if err != nil {
		t.Fatal(err)
	}
	var text []string
	for _, a := range got {
		text = append(text, a.String())
	}
	if want := []string{"127.0.0.1:8080", "0.0.0.0:22", "[2001:db8::1]:443", "127.0.0.1:80"}; !slices.Equal(text, want) {
		t.Errorf("listening: %q, want %q", text, want)
	}
	for _, line := range []string{"0: 0100:1 0:0 0A", "0: 010:1 0:0 0A", "0: 0100007F:10000 0:0 0A", "0: 0100007F 0:0 0A"} {
		if got, err := listening(strings.NewReader("heading\n" + line + "\n")); err == nil {
			t.Errorf("%q: %v, want an error", line, got)
		}
	}
	l := laidOut(t, map[string]config.Addresses{"many": {"203.0.113.0/24:1-1000"}, "six": {"[2001:db8::/64]:443"}})
	for socket, want := range map[string]string{
		"0.0.0.0:22": "many", "[::]:22": "many", "203.0.113.9:22": "many", "203.0.114.9:22": "", "0.0.0.0:1001": "",
		"[::]:443": "many", "[2001:db8::1]:443": "six", "[2001:db8::1]:444": "",
	} {
		name := ""
		if i, ok := l.takesFrom(netip.MustParseAddrPort(socket)); ok {
			name = l.owner[i]
		}
		if name != want {
			t.Errorf("a socket on %s loses to %q, want %q", socket, name, want)
		}
	}
}

func TestEndsOfPrefixes(t *testing.T) {
	for prefix, want := range map[string][2]string{
		"203.0.113.0/24": {"203.0.113.128", "203.0.113.255"},
		"10.0.0.1/32":    {"10.0.0.1", "10.0.0.1"},
		"2001:db8::/33":  {"2001:db8:4000::", "2001:db8:7fff:ffff:ffff:ffff:ffff:ffff"},
	} {
		p := netip.MustParsePrefix(prefix)
		if got := [2]string{middle(p).String(), last(p).String()}; got != want {
			t.Errorf("%s: %q, want %q", prefix, got, want)
		}
	}
}

func TestScopeOfSteering(t *testing.T) {
	for address, want := range map[string][]string{
		"203.0.113.4/31:80-81":     {"203.0.113.4:80", "203.0.113.4:81", "203.0.113.5:80", "203.0.113.5:81"},
		"[2001:db8::/127]:443":     {"[2001:db8::]:443", "[2001:db8::1]:443"},
		"203.0.112.0/21:80":        {"0.0.0.0:80"},
		"[2001:db8::/64]:443-444":  {"[::]:443", "[::]:444"},
		"203.0.113.4/31:8000-8999": nil, // 2000
	} {
		scope := laidOut(t, map[string]config.Addresses{"a": {address}}).scope()
		if want == nil && (len(scope) != 1000 || scope[999].String() != "0.0.0.0:8999") {
			t.Errorf("%s: %d entries", address, len(scope))
		}
		var got []string
		for _, a := range scope {
			got = append(got, a.String())
		}
		if want != nil && !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", address, got, want)
		}
	}
	every := laidOut(t, map[string]config.Addresses{"a": {":1-65535"}, "b": {":443"}})
	if n := scopeEntries(every.scope()); n != 2*65535 {
		t.Errorf("every port: %d entries, want %d", n, 2*65535)
	}
	if scope := laidOut(t, map[string]config.Addresses{"a": {":443"}}).scope(); scope != nil {
		t.Errorf("what is not steered: %v", scope)
	}
}

// TestAstray: a connection that was steered to a socket and by now is another's is
// reset, and not served under the wrong listener's rules.
func TestAstray(t *testing.T) {
	sock, err := listenOn("steered ipv4 mine", "127.0.0.1:0", nil)
	if err != nil {
		t.Fatal(err)
	}
	served, ended := make(chan string, 2), make(chan error)
	go func() {
		ended <- sock.accept(func(c net.Conn) {
			served <- c.LocalAddr().String()
			c.Close()
		})
	}()
	connect := func(owner string) error {
		t.Helper()
		l := laidOut(t, map[string]config.Addresses{owner: {"127.0.0.0/8:1-65535"}, "wide": {"0.0.0.0/0:1-65535"}})
		sock.owns.Store(&owned{l.table, l.to})
		c, err := net.Dial("tcp", sock.net.Addr().String())
		if err != nil {
			return err // the reset may be there already
		}
		defer c.Close()
		_, err = c.Read(make([]byte, 1))
		return err
	}
	if err := connect("another"); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("a connection that is another's ended with %v, want a reset", err)
	}
	if err := connect("mine"); err != io.EOF || <-served != sock.net.Addr().String() {
		t.Errorf("a connection of its own ended with %v", err)
	}
	sock.net.Close()
	if err := <-ended; err != nil || len(served) > 0 {
		t.Errorf("accept ended with %v, %d more served", err, len(served))
	}
}
