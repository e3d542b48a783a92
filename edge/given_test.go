package edge

import (
	"log/slog"
	"net"
	"net/netip"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sallyport/sallyport/edge/handoff"
)

func TestIsAt(t *testing.T) {
	for _, c := range []struct {
		local, address string
		want           bool
	}{
		{"[::]:443", ":443", true},
		{"0.0.0.0:443", ":443", true},
		{"0.0.0.0:443", "0.0.0.0:443", true},
		{"[::]:443", "[::]:443", true},
		{"[::]:443", "0.0.0.0:443", false},
		{"192.0.2.1:443", ":443", false},
		{"192.0.2.1:443", "192.0.2.1:443", true},
		{"[::ffff:192.0.2.1]:443", "192.0.2.1:443", true},
		{"192.0.2.1:444", "192.0.2.1:443", false},
		{"[2001:db8::1]:443", "[2001:db8::1]:443", true},
		{"[2001:db8::1]:443", "[2001:db8::2]:443", false},
		{"192.0.2.1:443", "localhost:443", false},
		{"192.0.2.1:443", "nonsense", false},
	} {
		if got := isAt(netip.MustParseAddrPort(c.local), c.address); got != c.want {
			t.Errorf("%s at %s: %v", c.local, c.address, got)
		}
	}
}

// passed is a listening socket as a service manager passes it.
func passed(t *testing.T, name string) (*os.File, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var named *os.File
	if err := descriptor(l, func(int) error {
		fd, err := unix.Dup(int(f.Fd()))
		named = os.NewFile(uintptr(fd), name)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { named.Close() })
	return named, l.Addr().String()
}

func TestClaim(t *testing.T) {
	byName, _ := passed(t, "public")
	byAddress, address := passed(t, "LISTEN_FD_4")
	nobodys, _ := passed(t, "unknown")
	g, err := fromManager([]*os.File{byName, byAddress, nobodys})
	if err != nil {
		t.Fatal(err)
	}
	claim := func(address, name string, want bool) {
		t.Helper()
		l, err := g.claim(handoff.Listener, address, name)
		if err != nil || (l != nil) != want {
			t.Errorf("claim %s for %q: %v, %v", address, name, l, err)
		}
		if l != nil {
			l.Close()
		}
	}
	claim(":443", "other", false)
	claim(":443", "public", true)
	claim(":443", "public", false) // once
	claim(address, "", true)
	if n := len(g.takenOver()); n != 2 {
		t.Errorf("%d taken over, want 2", n)
	}
	forgotten := &forgetful{}
	g = append(g, &givenSocket{file: os.Stdin, name: storedName(":8443")})
	g[3].file, _ = passed(t, "x")
	g.close(slog.New(slog.DiscardHandler), forgotten)
	if len(forgotten.names) != 1 || forgotten.names[0] != "listen-_8443" {
		t.Errorf("forgotten: %q, want what was stored for an address that is gone", forgotten.names)
	}
}

type forgetful struct {
	noManager
	names []string
}

func (f *forgetful) Forget(name string) { f.names = append(f.names, name) }

func TestManagersSocketsAreJudged(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	if _, err := fromManager([]*os.File{r}); err == nil {
		t.Error("a pipe was taken for a socket")
	}
	client, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	f, err := client.(*net.UDPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := fromManager([]*os.File{f}); err == nil {
		t.Error("a UDP socket was taken for a listening one")
	}
}
