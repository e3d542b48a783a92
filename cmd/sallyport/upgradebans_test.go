package main

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// tunnelAs opens a WebSocket as a client at that address, as a proxy names it.
func (r *edgeRig) tunnelAs(address string) (net.Conn, *bufio.Reader) {
	r.t.Helper()
	raw, err := net.Dial("tcp", r.address)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { raw.Close() })
	fmt.Fprintf(raw, "PROXY TCP4 %s 127.0.0.1 1024 443\r\n", address)
	conn := tls.Client(raw, r.clientConfig("client"))
	conn.SetDeadline(time.Now().Add(patience))
	io.WriteString(conn, "GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	in := bufio.NewReader(conn)
	if response, err := http.ReadResponse(in, nil); err != nil || response.StatusCode != http.StatusSwitchingProtocols {
		r.t.Fatalf("%v, %v", response, err)
	}
	return conn, in
}

// A ban after an upgrade ends the connections of those that drain, too, and of those
// before them.
func TestUpgradeBanEndsWhatDrains(t *testing.T) {
	r := startRig(t)
	r.change("    mutual_authentication:", "    proxy_protocol: {from: [127.0.0.1/32]}\n    timeouts: {drain: 10m}\n    mutual_authentication:")
	if out, code := r.runToEnd("reload", "-c", "sallyport.yaml"); code != 0 {
		t.Fatalf("reload: exit %d, %s", code, out)
	}
	other, otherIn := r.tunnelAs("203.0.113.8")
	for n := range 2 {
		conn, in := r.tunnelAs("203.0.113.7")
		r.mustUpgrade()
		if n == 0 {
			defer conn.Close()
			r.mustUpgrade() // it has a process between
		}
		r.ban("203.0.113.7")
		if _, err := in.ReadByte(); err == nil || strings.Contains(err.Error(), "timeout") {
			t.Errorf("upgrade %d: the connection of the banned goes on: %v", n, err)
		}
		if out, code := r.runToEnd("unban", "203.0.113.7", "-c", "sallyport.yaml"); code != 0 {
			t.Fatalf("unban: exit %d, %s", code, out)
		}
	}
	other.SetDeadline(time.Now().Add(patience))
	io.WriteString(other, "hello\n")
	if line, err := otherIn.ReadString('\n'); err != nil || line != "hello\n" {
		t.Errorf("the connection of another: %q, %v", line, err)
	}
	if banned := r.banned(); banned != "" {
		t.Errorf("banned: %q", banned)
	}
}
