package edge

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/bpf"
	"github.com/sallyport/sallyport/edge/ban"
	"github.com/sallyport/sallyport/edge/config"
)

// TestExemptNetworksHaveRoom counts all that the kernel must hold: those of the
// section, those of the proxies and those built in.
func TestExemptNetworksHaveRoom(t *testing.T) {
	const proxies = 2
	most := bpf.MaxExempt - len(ban.Exempt(config.Ban{}, nil)) - proxies
	for _, test := range []struct {
		mode    string
		n       int
		refused bool
	}{{"enforce", most, false}, {"enforce", most + 1, true}, {"dry_run", most + 1, true}, {"off", most + 1, false}} {
		var exempt []string
		for i := range test.n {
			exempt = append(exempt, fmt.Sprintf("20.%d.%d.%d/32", i>>16, i>>8&255, i&255))
		}
		text := fmt.Sprintf("state_dir: %s/state\nlisteners: {a: {address: ':80', protocol: http, proxy_protocol: {from: [198.51.100.0/24, 203.0.113.1]}, default_action: {fixed_response: {status_code: 200}}}}\nban: {mode: %s, datapath: userspace, exempt: [%s]}",
			t.TempDir(), test.mode, strings.Join(exempt, ", "))
		cfg, problems := config.Parse("test.yaml", []byte(text), "")
		if err := problems.Err(); err != nil {
			t.Fatal(err)
		}
		err := Check(cfg).Err()
		if refused := err != nil; refused != test.refused {
			t.Errorf("%s with %d: %v", test.mode, test.n, err)
		}
		if test.refused && !strings.Contains(fmt.Sprint(err), "4097 networks are exempt") {
			t.Errorf("the number is not said: %v", err)
		}
	}
}

// TestHangingUpBehindTheHello has clients, whom a proxy names, close before and
// behind the flight of the edge: only who has cost a signature has failed wholly.
func TestHangingUpBehindTheHello(t *testing.T) {
	r := newRig(t)
	r.start("ban: {mode: enforce, datapath: userspace, failures: 2}\n" + verifying("proxy_protocol: {from: [127.0.0.2]}"))
	hello := clientHello(t)
	come := func(client string, hello []byte) {
		t.Helper()
		dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}, Timeout: patience}
		conn, err := dialer.Dial("tcp", r.address("verify"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(patience))
		fmt.Fprintf(conn, "PROXY TCP4 %s 198.51.100.1 4096 443\r\n%s", client, hello)
		if len(hello) > 0 {
			if _, err := io.ReadFull(conn, make([]byte, 5)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for range 2 {
		come("192.0.2.1", nil)
		come("192.0.2.2", hello)
	}
	r.await("192.0.2.2 banned", func() bool {
		_, banned := r.banOf(netip.MustParseAddr("192.0.2.2"))
		return banned
	})
	r.await("all observed", func() bool {
		stats := r.server.bans.keeper.Stats()
		n := uint64(0)
		for _, observed := range stats.Observed {
			n += observed
		}
		return n == 4
	})
	if b, banned := r.banOf(netip.MustParseAddr("192.0.2.1")); banned {
		t.Errorf("banned for closing at once: %+v", b)
	}
}
