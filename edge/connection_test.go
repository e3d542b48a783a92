package edge

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/websocket"

	"github.com/sallyport/sallyport/edge/connlog"
	"github.com/sallyport/sallyport/edge/reason"
	"github.com/sallyport/sallyport/loadtest/pki"
)

// TestConnectionCodes has clients fail for every reason that comes before a
// certificate is seen.
func TestConnectionCodes(t *testing.T) {
	r := newRig(t)
	r.start(verifying("unknown_server_name: refuse", "limits: {handshake_timeout: 60s}") + `
  hasty:
    address: 127.0.0.2:0
    mutual_authentication: {mode: verify, trust_store: clients}
    limits: {handshake_timeout: 1s}
    default_action: {forward: app}
`)
	hello := clientHello(t)
	for _, test := range []struct {
		name string
		code reason.Code
		do   func(net.Conn)
	}{
		{"nothing sent", reason.HandshakeTimeout, func(c net.Conn) { c.Read(make([]byte, 1)) }},
		{"half a hello", reason.HandshakeTimeout, func(c net.Conn) { c.Write(hello[:40]); io.Copy(io.Discard, c) }},
		{"closed at once", reason.ClientClosed, func(c net.Conn) {}},
		{"closed after half a hello", reason.ClientClosed, func(c net.Conn) { c.Write(hello[:40]) }},
		{"reset", reason.ClientClosed, func(c net.Conn) { c.Write(hello[:40]); c.(*net.TCPConn).SetLinger(0) }},
		{"not TLS", reason.ProtocolError, func(c net.Conn) { fmt.Fprint(c, "SSH-2.0-OpenSSH_9.2\r\n"); io.Copy(io.Discard, c) }},
		{"plain HTTP", reason.ProtocolError, func(c net.Conn) { fmt.Fprint(c, "GET / HTTP/1.1\r\n\r\n"); io.Copy(io.Discard, c) }},
		{"a hello of 70 KB", reason.ProtocolError, func(c net.Conn) { c.Write(bigHello(70_000)); io.Copy(io.Discard, c) }},
		{"malformed hello", reason.ProtocolError, func(c net.Conn) {
			broken := bytes.Clone(hello)
			broken[5+4+2+32] = 200 // the length of the session id
			c.Write(broken)
			io.Copy(io.Discard, c)
		}},
		{"an alert", reason.ClientAlert, func(c net.Conn) { c.Write([]byte{21, 3, 1, 0, 2, 2, 40}); io.Copy(io.Discard, c) }},
		{"close_notify", reason.ClientClosed, func(c net.Conn) { c.Write([]byte{21, 3, 1, 0, 2, 1, 0}); io.Copy(io.Discard, c) }},
		{"TLS 1.1 only", reason.ProtocolError, func(c net.Conn) {
			tls.Client(c, &tls.Config{InsecureSkipVerify: true, ServerName: "localhost", MinVersion: tls.VersionTLS11, MaxVersion: tls.VersionTLS11}).Handshake()
		}},
		{"no common suite", reason.ProtocolError, func(c net.Conn) {
			tls.Client(c, &tls.Config{InsecureSkipVerify: true, ServerName: "localhost", MaxVersion: tls.VersionTLS12,
				CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256}}).Handshake()
		}},
		{"no common protocol", reason.ProtocolError, func(c net.Conn) {
			tls.Client(c, &tls.Config{InsecureSkipVerify: true, ServerName: "localhost", NextProtos: []string{"acme-tls/1"}}).Handshake()
		}},
		{"a client that distrusts us", reason.ClientAlert, func(c net.Conn) {
			tls.Client(c, &tls.Config{ServerName: "localhost"}).Handshake()
		}},
		{"an unknown server name", reason.UnknownServerName, func(c net.Conn) {
			tls.Client(c, &tls.Config{InsecureSkipVerify: true, ServerName: "elsewhere.example"}).Handshake()
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := r.within(t)
			begun := time.Now()
			listener := "verify"
			if test.code == reason.HandshakeTimeout {
				listener = "hasty"
			}
			conn, err := net.DialTimeout("tcp", r.address(listener), patience)
			if err != nil {
				t.Fatal(err)
			}
			conn.SetDeadline(time.Now().Add(patience))
			test.do(conn)
			conn.Close()
			if record := r.recordOf(conn.LocalAddr(), begun); record.Status != test.code {
				t.Errorf("%s (%s), want %s", record.Status, record.Cause, test.code)
			}
		})
	}
}

// clientHello is the first flight of a client.
func clientHello(t *testing.T) []byte {
	t.Helper()
	ours, theirs := net.Pipe()
	defer ours.Close()
	go tls.Client(theirs, &tls.Config{InsecureSkipVerify: true, ServerName: "localhost"}).Handshake()
	head := make([]byte, 5)
	if _, err := io.ReadFull(ours, head); err != nil {
		t.Fatal(err)
	}
	body := make([]byte, binary.BigEndian.Uint16(head[3:]))
	if _, err := io.ReadFull(ours, body); err != nil {
		t.Fatal(err)
	}
	return append(head, body...)
}

// bigHello announces a ClientHello of n bytes and begins it.
func bigHello(n int) []byte {
	message := append([]byte{1, byte(n >> 16), byte(n >> 8), byte(n)}, make([]byte, 16000)...)
	return append([]byte{22, 3, 1, byte(len(message) >> 8), byte(len(message))}, message...)
}

func TestLimits(t *testing.T) {
	for name, limits := range map[string]string{
		"for an address": "connections_per_address: 2",
		"in all":         "connections: 2",
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.start(verifying("limits: {" + limits + "}"))
			address := r.address("verify")
			var held []net.Conn
			for range 2 {
				conn, err := net.Dial("tcp", address)
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				held = append(held, conn)
			}
			r.await("counted", func() bool { return r.counted() == 2 })
			begun := time.Now()
			third, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			defer third.Close()
			third.SetDeadline(time.Now().Add(patience))
			third.Read(make([]byte, 1))
			if record := r.recordOf(third.LocalAddr(), begun); record.Status != reason.LimitExceeded {
				t.Errorf("the third: %s: %s", record.Status, record.Cause)
			}
			for _, conn := range held {
				conn.Close()
			}
			r.await("let go", func() bool { return len(r.server.connections.all()) == 0 })
			good := pki.Must(r.ca.Issue()).TLSCertificate()
			if record, body := r.try("verify", r.client(&good)); record.Status != reason.Success || body == "" {
				t.Errorf("once there is room: %s: %s", record.Status, record.Cause)
			}
		})
	}
}

// counted is how many connections the limits for an address count.
func (r *rig) counted() (n int) {
	for _, running := range r.server.sockets {
		running.counts.mu.Lock()
		defer running.counts.mu.Unlock()
		for _, of := range running.counts.addresses {
			n += of
		}
	}
	return n
}

func TestTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := make(turns, 1)
		if !turns.acquire(time.Now()) {
			t.Fatal("no turn although nobody has one")
		}
		begin := time.Now()
		if turns.acquire(begin.Add(time.Second)) || time.Since(begin) != time.Second {
			t.Errorf("a second turn, or not refused at its deadline but after %s", time.Since(begin))
		}
		time.AfterFunc(time.Second, turns.release)
		if !turns.acquire(time.Now().Add(time.Minute)) || time.Since(begin) != 2*time.Second {
			t.Errorf("no turn when one was given back, or only after %s", time.Since(begin))
		}
	})
}

// TestSilentClientsTakeNoTurn has one turn for handshakes and many clients that
// say nothing, or half of what they should: a good one does not wait for their
// deadline, which is later than it has patience.
func TestSilentClientsTakeNoTurn(t *testing.T) {
	r := newRig(t)
	r.start(verifying("limits: {handshakes: 1, handshake_timeout: 120s}"))
	hello := clientHello(t)
	for i := range 10 {
		silent, err := net.Dial("tcp", r.address("verify"))
		if err != nil {
			t.Fatal(err)
		}
		defer silent.Close()
		// Nothing, half a hello, or a whole one and then nothing.
		silent.Write(hello[:len(hello)*(i%3)/2])
	}
	r.await("in their handshakes", func() bool { return len(r.server.connections.all()) == 10 })
	good := pki.Must(r.ca.Issue()).TLSCertificate()
	if record, body := r.try("verify", r.client(&good)); record.Status != reason.Success || body == "" {
		t.Errorf("%s: %s", record.Status, record.Cause)
	}
}

// open makes a connection with a good client and one answered request on it.
func (r *rig) open(protos ...string) *tls.Conn {
	r.t.Helper()
	good := pki.Must(r.ca.Issue()).TLSCertificate()
	conf := r.client(&good)
	conf.NextProtos = protos
	conn, err := tls.Dial("tcp", r.address("verify"), conf)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	return conn
}

func get(conn *tls.Conn) (*http.Response, error) {
	fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err == nil {
		_, err = io.Copy(io.Discard, response.Body)
	}
	return response, err
}

// ends returns the end events of the connection log, by client.
func (r *rig) end(local net.Addr) (text string) {
	r.t.Helper()
	needle := fmt.Sprintf(`"client_port":%d,`, local.(*net.TCPAddr).Port)
	r.await("ended in the log", func() bool {
		data, _ := os.ReadFile(filepath.Join(r.dir, "connection.log"))
		for line := range strings.Lines(string(data)) {
			if strings.Contains(line, `"event":"end"`) && strings.Contains(line, needle) {
				text = line
			}
		}
		return text != ""
	})
	return text
}

func TestEnds(t *testing.T) {
	r := newRig(t)
	r.start(verifying("timeouts: {idle: 2s, drain: 3s}"))
	want := func(conn *tls.Conn, end connlog.End, requests int) {
		t.Helper()
		text := r.end(conn.LocalAddr())
		if !strings.Contains(text, fmt.Sprintf(`"end":%q`, end)) || !strings.Contains(text, fmt.Sprintf(`"requests":%d}`, requests)) {
			t.Errorf("want end %s and %d requests: %s", end, requests, text)
		}
	}
	idle := r.open()
	if _, err := get(idle); err != nil {
		t.Fatal(err)
	}
	if _, err := idle.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("idle connection: %v, want EOF", err)
	}
	want(idle, connlog.Idle, 1)

	closed := r.open()
	get(closed)
	get(closed)
	closed.Close()
	want(closed, connlog.ClientClosed, 2)

	drained := r.open()
	if _, err := get(drained); err != nil {
		t.Fatal(err)
	}
	r.server.Drain()
	if _, err := drained.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("idle connection at a drain: %v, want EOF", err)
	}
	want(drained, connlog.Drained, 1)
}

// TestDrainCuts has a WebSocket outlast the drain: it is cut when the listener's
// patience is over, and the edge ends.
func TestDrainCuts(t *testing.T) {
	r := newRig(t)
	r.target.Config.Handler = websocket.Handler(func(ws *websocket.Conn) { io.Copy(ws, ws) })
	r.start(verifying("timeouts: {drain: 3s}"))
	conn := r.open()
	config, err := websocket.NewConfig("wss://localhost/", "https://localhost/")
	if err != nil {
		t.Fatal(err)
	}
	ws, err := websocket.NewClient(config, conn)
	if err != nil {
		t.Fatal(err)
	}
	echo := func() error {
		if _, err := ws.Write([]byte("ping")); err != nil {
			return err
		}
		_, err := io.ReadFull(ws, make([]byte, 4))
		return err
	}
	if err := echo(); err != nil {
		t.Fatal(err)
	}
	r.server.Drain()
	if err := echo(); err != nil {
		t.Errorf("while draining: %v", err)
	}
	if _, err := ws.Read(make([]byte, 1)); err == nil {
		t.Error("the WebSocket outlasted the drain")
	}
	if err := <-r.ended; err != nil {
		t.Error(err)
	}
	r.ended <- nil // for the rig's own clean-up
}

// TestPanicIsOneConnections makes a connection panic: it is refused as our own
// failure, and nobody else notices.
func TestPanicIsOneConnections(t *testing.T) {
	r := newRig(t)
	r.start(verifying())
	good := pki.Must(r.ca.Issue()).TLSCertificate()
	for _, running := range r.server.sockets {
		sound := running.policy.Load()
		broken := *sound
		broken.selector = nil
		running.policy.Store(&broken)
		if record, body := r.try("verify", r.client(&good)); record.Status != reason.InternalError || body != "" {
			t.Errorf("%s: %s", record.Status, record.Cause)
		}
		running.policy.Store(sound)
	}
	if record, _ := r.try("verify", r.client(&good)); record.Status != reason.Success {
		t.Errorf("afterwards: %s: %s", record.Status, record.Cause)
	}
}
