package edge

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/loadtest/pki"
)

// waiting counts the goroutines that hold a quiet connection.
func waiting() int {
	stacks := make([]byte, 1<<20)
	return strings.Count(string(stacks[:runtime.Stack(stacks, true)]), "proxy.(*Session).Wait(")
}

// TestIdleConnections has connections that nobody speaks on for a while: they go
// on as any other, share what they can, and end in time.
func TestIdleConnections(t *testing.T) {
	r := newRig(t)
	r.start(`
trust_stores: {clients: {ca_bundle: {file: ca.pem}}}
listeners:
  verify:
    address: 127.0.0.1:0
    mutual_authentication: {mode: verify, trust_store: clients}
    default_action: {forward: app}
  impatient:
    address: 127.0.0.2:0
    timeouts: {idle: 1s}
    mutual_authentication: {mode: verify, trust_store: clients}
    default_action: {forward: app}
`)
	leaf := pki.Must(r.ca.Issue())
	first, second := r.dial("verify", leaf), r.dial("verify", leaf)
	r.await("both to be quiet", func() bool { return waiting() == 2 })

	all := r.server.connections.all()
	if len(all) != 2 {
		t.Fatalf("%d connections, want 2", len(all))
	}
	for i, c := range all {
		for j, cert := range c.tls.ConnectionState().PeerCertificates {
			if cert != all[0].verified.Path[j] {
				t.Errorf("connection %d holds a certificate %d of its own", i, j)
			}
		}
		if block := c.identity.Load(); block == nil || block != all[0].identity.Load() {
			t.Errorf("connection %d has headers of its own", i)
		}
	}
	for range 2 { // and are quiet once more
		for _, conn := range []*tls.Conn{first, second} {
			if response, err := get(conn); err != nil || response.StatusCode != 200 {
				t.Fatalf("request on a quiet connection: %v, %v", response, err)
			}
		}
		r.await("both to be quiet", func() bool { return waiting() == 2 })
	}
	local := first.LocalAddr()
	first.Close()
	if end := r.end(local); !strings.Contains(end, `"end":"ClientClosed"`) {
		t.Errorf("a quiet connection that its client closes: %s", end)
	}

	impatient := r.dial("impatient", leaf)
	begun := time.Now()
	local = impatient.LocalAddr()
	r.await("the next to be quiet", func() bool { return waiting() == 2 })
	impatient.NetConn().Write([]byte{23, 3, 3}) // of a record, whose rest never comes
	if text := r.gone(impatient); time.Since(begun) < 900*time.Millisecond {
		t.Errorf("an idle connection ended after %s: %s", time.Since(begun), text)
	}
	if end := r.end(local); !strings.Contains(end, `"end":"Idle"`) {
		t.Errorf("an idle connection: %s", end)
	}
}

// A connection that was accepted before its socket was taken down, and is known
// only afterwards, is told to end as the others are.
func TestAcceptedTooLate(t *testing.T) {
	r := newRig(t)
	r.start(verifying())
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r.server.mu.Lock()
	var sock *socket
	for _, running := range r.server.sockets {
		sock = running.socket
	}
	r.server.mu.Unlock()
	served := make(chan struct{})
	go func() {
		defer close(served)
		if raw, err := l.Accept(); err == nil {
			r.server.serve(ctx, sock, raw)
		}
	}()
	cert := pki.Must(r.ca.Issue()).TLSCertificate()
	conn, err := tls.Dial("tcp", l.Addr().String(), r.client(&cert))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	if _, err := conn.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("client reads %v, want the end", err)
	}
	<-served
}
