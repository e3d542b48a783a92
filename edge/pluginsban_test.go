package edge

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/edge/admin"
	"github.com/sallyport/sallyport/edge/reason"
	"github.com/sallyport/sallyport/loadtest/pki"
	"github.com/sallyport/sallyport/sdk"
)

// banOf returns the ban of one address, if there is one.
func (r *rig) banOf(addr netip.Addr) (found admin.Ban, ok bool) {
	for b := range (adminView{r.server}).Bans().All() {
		if b.Prefix.Contains(addr) {
			found, ok = b, true
		}
	}
	return found, ok
}

// comeFrom makes so many requests as a client that a proxy names, and says how many were
// answered. The last of them may not be: who is banned meanwhile is cut.
func (r *rig) comeFrom(client string, cert *tls.Certificate, requests int) (answered int) {
	r.t.Helper()
	conn := r.openFrom(client, cert)
	for range requests {
		if _, err := get(conn); err == nil {
			answered++
		}
	}
	return answered
}

// openFrom makes a connection as a client that a proxy names.
func (r *rig) openFrom(client string, cert *tls.Certificate) *tls.Conn {
	r.t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}, Timeout: patience}
	raw, err := dialer.Dial("tcp", r.address("verify"))
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { raw.Close() })
	raw.SetDeadline(time.Now().Add(patience))
	fmt.Fprintf(raw, "PROXY TCP4 %s 198.51.100.1 4096 443\r\n", client)
	conn := tls.Client(raw, r.client(cert))
	if err := conn.Handshake(); err != nil {
		r.t.Fatalf("%s: %v", client, err)
	}
	return conn
}

// TestBanHints has a plugin count against clients what it sees, at every hook, while
// it lets them in. They come through a proxy: no packet of theirs has the address.
func TestBanHints(t *testing.T) {
	r := newRig(t)
	hints := map[string]int{ // by address and hook
		"192.0.2.1 connection": 100,
		"192.0.2.2 request":    100,
		"192.0.2.3 response":   100,
		"192.0.2.4 request":    30,
		"192.0.2.5 request":    1,
	}
	verdict := func(c sdk.Connection, hook string) sdk.Verdict {
		if weight := hints[c.ClientIP().String()+" "+hook]; weight > 0 {
			return sdk.Allow().Ban(weight)
		}
		return sdk.Allow()
	}
	r.listen("p", &scripted{
		needs:      []sdk.Field{sdk.ClientIP},
		connection: func(c sdk.Connection) sdk.Verdict { return verdict(c, "connection") },
		request:    func(q sdk.Request) sdk.Verdict { return verdict(q.Connection, "request") },
		response:   func(_ context.Context, q sdk.Response) sdk.Verdict { return verdict(q.Connection, "response") },
	})
	r.start("ban: {mode: enforce, datapath: userspace, failures: 50, success_credit: 0}\n" +
		attached("p", "connection, request, shape_response") + verifying("plugins: [p]", "proxy_protocol: {from: [127.0.0.2]}"))
	cert := pki.Must(r.ca.Issue()).TLSCertificate()
	come := func(client string, requests int) int { return r.comeFrom(client, &cert, requests) }
	for _, test := range []struct {
		client   string
		requests int
		score    float64
	}{
		{"192.0.2.1", 1, 100},
		{"192.0.2.2", 1, 100},
		{"192.0.2.3", 1, 100},
		{"192.0.2.4", 2, 60},
	} {
		if test.requests > 1 {
			come(test.client, test.requests-1)
			if b, banned := r.banOf(netip.MustParseAddr(test.client)); banned {
				t.Errorf("%s is banned before it has failed often enough: %+v", test.client, b)
			}
		}
		come(test.client, 1)
		var b admin.Ban
		r.await(test.client+" banned", func() (banned bool) {
			b, banned = r.banOf(netip.MustParseAddr(test.client))
			return banned
		})
		if b.Prefix != netip.MustParsePrefix(test.client+"/32") || b.Score != test.score || b.Reason != reason.ClientCertRejected.String() {
			t.Errorf("%s: got %+v, want a ban for a score of %v", test.client, b, test.score)
		}
		if b.Direct {
			t.Errorf("%s was named by a proxy, and is banned as if its packets had the address", test.client)
		}
	}
	for _, client := range []string{"192.0.2.5", "192.0.2.6"} {
		if n := come(client, 3); n != 3 {
			t.Errorf("%s: %d of 3 requests were answered", client, n)
		}
		if b, banned := r.banOf(netip.MustParseAddr(client)); banned {
			t.Errorf("%s is banned: %+v", client, b)
		}
	}

	// Loopback is never banned, so that of a client without a proxy there is no more
	// to see here than what the keeper is told.
	direct := &Conn{client: netip.MustParseAddrPort("192.0.2.7:4096")}
	r.server.hintBan(direct, 0)
	if b, banned := r.banOf(direct.client.Addr()); banned {
		t.Errorf("banned without a hint: %+v", b)
	}
	r.server.hintBan(direct, 100)
	if b, banned := r.banOf(direct.client.Addr()); !banned || !b.Direct || b.Score != 100 {
		t.Errorf("a client without a proxy: banned %t, %+v", banned, b)
	}
}

// TestKeptVerdictsHintBans has a denial answer for many clients: each denied request
// is a failure of the address that it came from, and of no other.
func TestKeptVerdictsHintBans(t *testing.T) {
	r := newRig(t)
	asked := new(atomic.Int64)
	r.listen("p", &scripted{
		needs: []sdk.Field{sdk.CertCommonName},
		request: func(sdk.Request) sdk.Verdict {
			asked.Add(1)
			return sdk.Deny(http.StatusForbidden, "not for you").Ban(20).For(time.Hour)
		},
	})
	r.start("ban: {mode: enforce, datapath: userspace, failures: 50, success_credit: 0}\n" +
		"plugins: {p: {attach: p.sock, hooks: [request], timeout: 20s, cache: {deny_ttl: 1h}}}\n" +
		verifying("plugins: [p]", "proxy_protocol: {from: [127.0.0.2]}"))
	cert := pki.Must(r.ca.Issue()).TLSCertificate()
	first, second := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	r.comeFrom("192.0.2.1", &cert, 2)
	r.comeFrom("192.0.2.2", &cert, 1)
	for _, addr := range []netip.Addr{first, second} {
		if b, banned := r.banOf(addr); banned {
			t.Errorf("%s is banned before it has failed often enough: %+v", addr, b)
		}
	}
	r.comeFrom("192.0.2.1", &cert, 1)
	var b admin.Ban
	r.await("banned", func() (banned bool) { b, banned = r.banOf(first); return banned })
	if b.Score != 60 {
		t.Errorf("a score of %v for three denied requests of weight 20", b.Score)
	}
	if b, banned := r.banOf(second); banned {
		t.Errorf("banned for what somebody else has done: %+v", b)
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("the plugin was asked %d times: the others were to be answered by what is kept", n)
	}
}

// TestHintsOfConnectionsCountOnce has a plugin ended again and again under a
// connection of which it has seen a failure: that stays one.
func TestHintsOfConnectionsCountOnce(t *testing.T) {
	r := newRig(t)
	p, asked := counting(sdk.Allow().Ban(30))
	p.ends = make(chan error)
	r.listen("p", p)
	r.start("ban: {mode: enforce, datapath: userspace, failures: 50, success_credit: 0}\n" +
		attached("p", "connection") + verifying("plugins: [p]", "proxy_protocol: {from: [127.0.0.2]}"))
	cert := pki.Must(r.ca.Issue()).TLSCertificate()
	addr := netip.MustParseAddr("192.0.2.1")
	conn := r.openFrom(addr.String(), &cert)
	for round := int64(1); round <= 3; round++ {
		if status, _ := r.ask(conn); status != http.StatusOK || asked.Load() != round {
			t.Fatalf("process %d: %d, asked %d times", round, status, asked.Load())
		}
		r.restart(p)
	}
	if b, banned := r.banOf(addr); banned {
		t.Errorf("banned by restarts: %+v", b)
	}
	r.openFrom(addr.String(), &cert)
	r.await("banned for a second connection", func() bool { _, banned := r.banOf(addr); return banned })
}
