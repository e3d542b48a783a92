package edge

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/sallyport/sallyport/edge/reason"
	"github.com/sallyport/sallyport/loadtest/pki"
)

// proxyV2 is a version 2 header: command 0x20 (LOCAL) or 0x21 (PROXY), the family
// and protocol, and what follows the length.
func proxyV2(command, family byte, rest []byte) []byte {
	header := append([]byte("\r\n\r\n\x00\r\nQUIT\n"), command, family, byte(len(rest)>>8), byte(len(rest)))
	return append(header, rest...)
}

func TestProxyProtocol(t *testing.T) {
	r := newRig(t)
	r.start(verifying("proxy_protocol: {from: [127.0.0.2]}", "limits: {handshake_timeout: 3s, connections_per_address: 2}"))
	good := pki.Must(r.ca.Issue()).TLSCertificate()
	v4 := []byte{192, 0, 2, 7, 198, 51, 100, 1, 0x10, 0, 0x01, 0xBB}
	v6 := append(append(bytes.Repeat([]byte{0x20}, 16), bytes.Repeat([]byte{0x30}, 16)...), 0x10, 0, 0x01, 0xBB)
	tlvs := append(bytes.Clone(v4), 0x04, 0, 3, 1, 2, 3, 0xEE, 0, 1, 9)
	for _, test := range []struct {
		name, from string
		header     []byte
		want       reason.Code
		client     string // as the target is told; "" for the direct peer
	}{
		{"v1", "127.0.0.2", []byte("PROXY TCP4 192.0.2.7 198.51.100.1 4096 443\r\n"), reason.Success, "192.0.2.7"},
		{"v1 of IPv6", "127.0.0.2", []byte("PROXY TCP6 2001:db8::7 2001:db8::1 4096 443\r\n"), reason.Success, "2001:db8::7"},
		{"v1 unknown", "127.0.0.2", []byte("PROXY UNKNOWN\r\n"), reason.Success, ""},
		{"v2", "127.0.0.2", proxyV2(0x21, 0x11, v4), reason.Success, "192.0.2.7"},
		{"v2 of IPv6", "127.0.0.2", proxyV2(0x21, 0x21, v6), reason.Success, "2020:2020:2020:2020:2020:2020:2020:2020"},
		{"v2 with TLVs", "127.0.0.2", proxyV2(0x21, 0x11, tlvs), reason.Success, "192.0.2.7"},
		{"v2 of nothing with an address", "127.0.0.2", proxyV2(0x21, 0x00, nil), reason.Success, ""},
		{"v2 with 1 KB of TLVs", "127.0.0.2", proxyV2(0x21, 0x11, append(bytes.Clone(v4), append([]byte{0xEE, 0x04, 0x00}, make([]byte, 1024)...)...)), reason.Success, "192.0.2.7"},
		{"v2 with 60 KB of TLVs", "127.0.0.2", proxyV2(0x21, 0x11, append(bytes.Clone(v4), append([]byte{0xEE, 0xEA, 0x60}, make([]byte, 60000)...)...)), reason.Success, "192.0.2.7"},
		{"v2 of IPv6 with 60 KB of TLVs", "127.0.0.2", proxyV2(0x21, 0x21, append(bytes.Clone(v6), append([]byte{0xEE, 0xEA, 0x60}, make([]byte, 60000)...)...)), reason.Success, "2020:2020:2020:2020:2020:2020:2020:2020"},
		{"v2 local", "127.0.0.2", proxyV2(0x20, 0x00, nil), reason.Success, ""},
		{"v2 local with an address", "127.0.0.2", proxyV2(0x20, 0x11, v4), reason.Success, ""},
		{"missing", "127.0.0.2", nil, reason.ProxyProtocolError, ""},
		{"v1 malformed", "127.0.0.2", []byte("PROXY TCP4 192.0.2.7 nonsense\r\n"), reason.ProxyProtocolError, ""},
		{"v1 without end", "127.0.0.2", []byte("PROXY TCP4 " + strings.Repeat("1", 200)), reason.ProxyProtocolError, ""},
		{"v2 cut short", "127.0.0.2", proxyV2(0x21, 0x11, v4)[:20], reason.ProxyProtocolError, ""},
		{"v2 of a version to come", "127.0.0.2", proxyV2(0x31, 0x11, v4), reason.ProxyProtocolError, ""},
		{"from elsewhere, none", "127.0.0.3", nil, reason.Success, ""},
		{"v1 from elsewhere", "127.0.0.3", []byte("PROXY TCP4 192.0.2.7 198.51.100.1 4096 443\r\n"), reason.ProxyProtocolError, ""},
		{"v2 from elsewhere", "127.0.0.3", proxyV2(0x21, 0x11, v4), reason.ProxyProtocolError, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := r.within(t)
			before := len(r.records(noAddr))
			dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(test.from)}, Timeout: patience}
			raw, err := dialer.Dial("tcp", r.address("verify"))
			if err != nil {
				t.Fatal(err)
			}
			defer raw.Close()
			raw.SetDeadline(time.Now().Add(patience))
			raw.Write(test.header)
			var body string
			if test.want != reason.ProxyProtocolError || test.header == nil {
				conn := tls.Client(raw, r.client(&good))
				if conn.Handshake() == nil {
					fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
					if response, err := http.ReadResponse(bufio.NewReader(conn), nil); err == nil {
						text, _ := io.ReadAll(response.Body)
						body = string(text)
					}
				}
			} else {
				io.Copy(io.Discard, raw)
			}
			raw.Close()
			r.await("logged", func() bool { return len(r.records(noAddr)) > before })
			record := r.records(noAddr)[before]
			want := test.client
			if want == "" {
				want = test.from
			}
			if record.Status != test.want || record.Client.Addr().String() != want {
				t.Errorf("%s of %s: %s, want %s of %s", record.Status, record.Client, record.Cause, test.want, want)
			}
			if (test.client != "") != record.Peer.IsValid() {
				t.Errorf("proxy %s", record.Peer)
			}
			if test.want == reason.Success && !strings.Contains(body, "X-Forwarded-For: "+want+"\r\n") {
				t.Errorf("the target was told\n%s\nwant %s", body, want)
			}
		})
	}
}

// TestLimitIsTheClients has many clients come through one proxy: the limit for
// an address is each client's, not the proxy's.
func TestLimitIsTheClients(t *testing.T) {
	r := newRig(t)
	r.start(verifying("proxy_protocol: {from: [127.0.0.0/8]}", "limits: {connections_per_address: 1}"))
	good := pki.Must(r.ca.Issue()).TLSCertificate()
	connect := func(client string) error {
		raw, err := net.DialTimeout("tcp", r.address("verify"), patience)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { raw.Close() })
		line := "PROXY TCP4 %s 198.51.100.1 4096 443\r\n"
		if strings.Contains(client, ":") {
			line = "PROXY TCP6 %s 2001:db8::1 4096 443\r\n"
		}
		fmt.Fprintf(raw, line, client)
		conn := tls.Client(raw, r.client(&good))
		conn.SetDeadline(time.Now().Add(patience))
		if err := conn.Handshake(); err != nil {
			return err
		}
		_, err = get(conn)
		return err
	}
	for _, client := range []string{"192.0.2.1", "192.0.2.2", "192.0.2.3", "2001:db8:0:1::1", "2001:db8:0:2::1"} {
		if err := connect(client); err != nil {
			t.Errorf("first connection of %s: %v", client, err)
		}
	}
	for _, client := range []string{"192.0.2.2", "2001:db8:0:2::1", "2001:db8:0:2::2", "2001:db8:0:2:ffff::"} {
		if err := connect(client); err == nil {
			t.Errorf("a second connection of %s, or of its /64, was let in", client)
		}
	}
}

func FuzzProxyHeader(f *testing.F) {
	f.Add([]byte("PROXY TCP4 192.0.2.7 198.51.100.1 4096 443\r\nrest"))
	f.Add(proxyV2(0x21, 0x11, []byte{192, 0, 2, 7, 198, 51, 100, 1, 0x10, 0, 0x01, 0xBB}))
	f.Add([]byte("PROXY"))
	f.Fuzz(func(t *testing.T, data []byte) {
		head, rest, err := proxyHeader(bytes.NewReader(data))
		if err != nil {
			return
		}
		// In however many pieces a network brings it.
		same, _, err := proxyHeader(iotest.OneByteReader(bytes.NewReader(data)))
		if err != nil || !bytes.Equal(same, head) {
			t.Fatalf("%q: byte by byte %q, %v; at once %q", data, same, err, head)
		}
		if !bytes.Equal(append(bytes.Clone(head), rest...), data[:len(head)+len(rest)]) {
			t.Fatalf("%q became %q and %q", data, head, rest)
		}
	})
}
