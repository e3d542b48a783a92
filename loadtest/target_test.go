package loadtest

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
)

// answers is a lookup that gives the next of its answers each time.
func answers(all ...string) (lookup func(context.Context, string, string) ([]netip.Addr, error), times *int) {
	times = new(int)
	return func(context.Context, string, string) ([]netip.Addr, error) {
		if *times >= len(all) {
			return nil, errors.New("looked up once too often")
		}
		text := all[*times]
		*times++
		var addrs []netip.Addr
		for part := range strings.FieldsSeq(text) {
			addrs = append(addrs, netip.MustParseAddr(part))
		}
		return addrs, nil
	}, times
}

func TestGuard(t *testing.T) {
	t.Parallel()
	own := guard{}
	isolated := guard{isolated: true, links: []netip.Prefix{
		netip.MustParsePrefix("10.1.0.1/24"), netip.MustParsePrefix("192.0.2.1/30"), netip.MustParsePrefix("fd00::1/64"),
		netip.MustParsePrefix("2001:db8::1/64"), netip.MustParsePrefix("fe80::1/64"), netip.MustParsePrefix("8.8.8.1/24"),
	}}
	for _, c := range []struct {
		name    string
		guard   guard
		target  string
		confirm string
		answer  string // of the lookup
		want    string // address; empty: refused
	}{
		{"loopback", own, "https://127.0.0.1:8443/", "", "127.0.0.1", "127.0.0.1:8443"},
		{"the rest of loopback", own, "https://127.9.8.7/", "", "127.9.8.7", "127.9.8.7:443"},
		{"loopback of IPv6", own, "https://[::1]:8443/", "", "::1", "[::1]:8443"},
		{"loopback in IPv6", own, "https://[::ffff:127.0.0.1]/", "", "::ffff:127.0.0.1", "127.0.0.1:443"},
		{"a name", own, "https://localhost/", "", "::1 127.0.0.1", "127.0.0.1:443"},
		{"a name of IPv6 alone", own, "https://localhost/", "", "::1", "[::1]:443"},
		{"a public address", own, "https://93.184.216.34/", "", "93.184.216.34", ""},
		{"a private address", own, "https://10.1.0.2/", "", "10.1.0.2", ""},
		{"a test address", own, "https://192.0.2.2/", "", "192.0.2.2", ""},
		{"no address", own, "https://0.0.0.0/", "", "0.0.0.0", ""},
		{"a name of nothing", own, "https://nothing.test/", "", "", ""},
		{"a name of both", own, "https://both.test/", "", "127.0.0.1 93.184.216.34", ""},
		{"a name of both, in IPv6", own, "https://both.test/", "", "2001:db8::1 127.0.0.1", ""},
		{"public, in IPv6", own, "https://x.test/", "", "::ffff:93.184.216.34", ""},

		{"confirmed", own, "https://93.184.216.34:8443/", "93.184.216.34:8443", "93.184.216.34", "93.184.216.34:8443"},
		{"confirmed with the default port", own, "https://x.test/", "x.test:443", "2001:db8::1", "[2001:db8::1]:443"},
		{"another host confirmed", own, "https://x.test/", "y.test:443", "93.184.216.34", ""},
		{"another port confirmed", own, "https://x.test/", "x.test:444", "93.184.216.34", ""},
		{"loopback, but another confirmed", own, "https://127.0.0.1/", "127.0.0.2:443", "127.0.0.1", ""},

		{"isolated: loopback", isolated, "https://127.0.0.1/", "", "127.0.0.1", "127.0.0.1:443"},
		{"isolated: private on a link", isolated, "https://10.1.0.2/", "", "10.1.0.2", "10.1.0.2:443"},
		{"isolated: private elsewhere", isolated, "https://10.2.0.2/", "", "10.2.0.2", ""},
		{"isolated: test address on a link", isolated, "https://192.0.2.2/", "", "192.0.2.2", "192.0.2.2:443"},
		{"isolated: test address elsewhere", isolated, "https://192.0.2.4/", "", "192.0.2.4", ""},
		{"isolated: unique local", isolated, "https://[fd00::2]/", "", "fd00::2", "[fd00::2]:443"},
		{"isolated: test address of IPv6", isolated, "https://[2001:db8::2]/", "", "2001:db8::2", "[2001:db8::2]:443"},
		{"isolated: link-local", isolated, "https://[fe80::2]/", "", "fe80::2%lo", "[fe80::2%lo]:443"},
		{"isolated: public, though on a link", isolated, "https://8.8.8.8/", "", "8.8.8.8", ""},
	} {
		var times *int
		c.guard.lookup, times = answers(c.answer)
		got, err := c.guard.resolve(t.Context(), Plan{Target: c.target, ConfirmTarget: c.confirm})
		switch {
		case c.want == "":
			if err == nil {
				t.Errorf("%s: got %s", c.name, got)
			}
		case err != nil || got.String() != c.want || *times != 1:
			t.Errorf("%s: got %s, %v after %d lookups; want %s", c.name, got, err, *times, c.want)
		}
	}
}

// What the guard says helps.
func TestGuardErrors(t *testing.T) {
	t.Parallel()
	g := guard{}
	for want, p := range map[string]Plan{
		`target "x.test" is at 93.184.216.34, which is not on this machine: want loopback, or confirm_target x.test:8443`: {Target: "https://x.test:8443/"},
		`confirm_target "x.test:1": want the target's x.test:8443`:                                                        {Target: "https://x.test:8443/", ConfirmTarget: "x.test:1"},
	} {
		g.lookup, _ = answers("93.184.216.34")
		if _, err := g.resolve(t.Context(), p); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	g.lookup, _ = answers()
	if _, err := g.resolve(t.Context(), Plan{Target: "https://x.test/"}); err == nil || !strings.HasPrefix(err.Error(), "look up target: ") {
		t.Errorf("got %v", err)
	}
}

// A process in the machine's own network is not isolated, and neither is one
// that cannot find out.
func TestGuardHere(t *testing.T) {
	t.Parallel()
	g := newGuard()
	first, err := os.Readlink("/proc/1/ns/net")
	own, err2 := os.Readlink("/proc/self/ns/net")
	if want := err == nil && err2 == nil && first != own; g.isolated != want || !want && len(g.links) > 0 {
		t.Errorf("isolated: %t with %v; want %t", g.isolated, g.links, want)
	}
}

// A target that is refused is never connected to: every address of this machine
// but loopback has a listener, which nobody comes to.
func TestGuardRefusesBeforeConnecting(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var came atomic.Int64
	over := make(chan struct{})
	go func() {
		defer close(over)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			came.Add(1)
			c.Close()
		}
	}()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	hosts := []string{"192.0.2.1", "0.0.0.0", "::"} // the last two would be this machine
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		if prefix := netip.MustParsePrefix(a.String()); !prefix.Addr().IsLoopback() && prefix.Addr().Is4() {
			hosts = append(hosts, prefix.Addr().String())
		}
	}
	if newGuard().isolated {
		hosts = hosts[:3]
	}
	for _, host := range hosts {
		p := planFor("https://"+net.JoinHostPort(host, port)+"/", Handshake)
		if r, err := Run(t.Context(), p, nil); err == nil {
			t.Errorf("%s was loaded: %+v", host, r.Units)
		} else if !strings.Contains(err.Error(), host) || !strings.Contains(err.Error(), "want loopback") {
			t.Errorf("%s: %v", host, err)
		}
		p.ConfirmTarget = "127.0.0.1:" + port
		if _, err := Run(t.Context(), p, nil); err == nil {
			t.Errorf("%s was loaded, although another was confirmed", host)
		}
	}
	// And loopback is refused where something else was confirmed.
	p := planFor("https://127.0.0.1:"+port+"/", Handshake)
	p.ConfirmTarget = "127.0.0.1:1"
	if _, err := Run(t.Context(), p, nil); err == nil {
		t.Error("a target was loaded, although another was confirmed")
	}
	l.Close()
	<-over
	if n := came.Load(); n != 0 {
		t.Errorf("%d connections came", n)
	}
}

// TestGuardedAddressIsDialled has a name whose address changes once it has been
// looked at: the run goes to the one that was looked at, under its name.
func TestGuardedAddressIsDialled(t *testing.T) {
	t.Parallel()
	var names atomic.Pointer[[]string]
	names.Store(&[]string{})
	target := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		for old := names.Load(); ; old = names.Load() {
			all := append(slices.Clone(*old), r.TLS.ServerName+" "+r.Host)
			if names.CompareAndSwap(old, &all) {
				return
			}
		}
	})
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	host := "rebind.test:" + u.Port()
	p := planFor("https://"+host+"/", Handshake).withDefaults()
	g := guard{}
	var times *int
	g.lookup, times = answers("127.0.0.1", "192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.1")
	address, err := g.resolve(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	e, err := newEngine(t.Context(), p, address)
	if err != nil {
		t.Fatal(err)
	}
	r, err := e.run(nil)
	if err != nil {
		t.Fatal(err)
	}
	check(t, r)
	wantUnits(t, r, 6, 0, 0)
	want := slices.Repeat([]string{"rebind.test " + host}, 6)
	if !slices.Equal(*names.Load(), want) || *times != 1 {
		t.Errorf("after %d lookups came %q, want %q", *times, *names.Load(), want)
	}
}
