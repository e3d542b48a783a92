package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// traffic is clients of every kind at once, none of which tries anything twice
// that HTTP does not say it may.
type traffic struct {
	r       *edgeRig
	config  *tls.Config
	stop    chan struct{}
	workers sync.WaitGroup
	done    map[string]*atomic.Int64
	resumed atomic.Int64 // of the handshakes that could have been
	full    atomic.Int64 // and those that were not

	mu       sync.Mutex
	failures []string
}

// clientConfig shows the client's certificate of that name.
func (r *edgeRig) clientConfig(client string) *tls.Config {
	r.t.Helper()
	pair, err := tls.LoadX509KeyPair(filepath.Join(r.dir, client+".crt"), filepath.Join(r.dir, client+".key"))
	if err != nil {
		r.t.Fatal(err)
	}
	ca, err := os.ReadFile(filepath.Join(r.dir, "server-ca.pem"))
	if err != nil {
		r.t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	return &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: pool, ServerName: "localhost"}
}

// startTraffic begins; what it returns ends it and fails the test for every
// request that was not answered.
func (r *edgeRig) startTraffic() *traffic {
	t := &traffic{r: r, config: r.clientConfig("client"), stop: make(chan struct{}), done: map[string]*atomic.Int64{}}
	for kind, work := range map[string]func(count func()) error{
		"kept": t.kept, "fresh": t.fresh, "resumed": t.resuming, "h2": t.http2, "websocket": t.websocket,
	} {
		n := new(atomic.Int64)
		t.done[kind] = n
		for range 2 {
			t.workers.Go(func() {
				for !t.over() {
					if err := work(func() { n.Add(1) }); err != nil {
						t.mu.Lock()
						t.failures = append(t.failures, fmt.Sprintf("%s %s: %v", time.Now().UTC().Format("15:04:05.000"), kind, err))
						t.mu.Unlock()
					}
				}
			})
		}
	}
	return t
}

func (t *traffic) over() bool {
	select {
	case <-t.stop:
		return true
	default:
		return false
	}
}

// total is how many requests were answered so far.
func (t *traffic) total() (n int64) {
	for _, one := range t.done {
		n += one.Load()
	}
	return n
}

// end stops, and says what happened.
func (t *traffic) end() {
	t.r.t.Helper()
	close(t.stop)
	t.workers.Wait()
	for kind, n := range t.done {
		t.r.t.Logf("%s: %d answered", kind, n.Load())
		if n.Load() == 0 {
			t.r.t.Errorf("%s: none was answered", kind)
		}
	}
	for i, failure := range t.failures {
		if i == 10 {
			t.r.t.Errorf("and %d more", len(t.failures)-i)
			break
		}
		t.r.t.Error(failure)
	}
}

func (t *traffic) dial(config *tls.Config) (*tls.Conn, error) {
	dialer := tls.Dialer{NetDialer: &net.Dialer{Timeout: 2 * patience}, Config: config}
	conn, err := dialer.Dial("tcp", t.r.address)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	conn.SetDeadline(time.Now().Add(2 * patience))
	return conn.(*tls.Conn), nil
}

// exchange makes a request, and says whether another may follow.
func exchange(conn net.Conn, in *bufio.Reader) (again bool, err error) {
	conn.SetDeadline(time.Now().Add(2 * patience))
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		return false, err
	}
	response, err := http.ReadResponse(in, nil)
	if err != nil {
		return false, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && (response.StatusCode != http.StatusOK || string(body) != "welcome") {
		err = fmt.Errorf("%s %q", response.Status, body)
	}
	return !response.Close, err
}

// kept makes requests on one connection until it is told that there can be no
// more.
func (t *traffic) kept(count func()) error {
	conn, err := t.dial(t.config)
	if err != nil {
		return err
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	for n := 0; !t.over(); n++ {
		again, err := exchange(conn, in)
		if err != nil {
			return fmt.Errorf("request %d of the connection: %w", n+1, err)
		}
		if count(); !again {
			return nil
		}
	}
	return nil
}

// fresh makes one request on a connection of its own.
func (t *traffic) fresh(count func()) error {
	conn, err := t.dial(t.config)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := exchange(conn, bufio.NewReader(conn)); err != nil {
		return err
	}
	count()
	return nil
}

// resuming makes connections one after another, each of which offers the session of
// the one before, whichever process issued it.
func (t *traffic) resuming(count func()) error {
	config := t.config.Clone()
	config.ClientSessionCache = tls.NewLRUClientSessionCache(4)
	for n := 0; !t.over(); n++ {
		conn, err := t.dial(config)
		if err != nil {
			return err
		}
		_, err = exchange(conn, bufio.NewReader(conn))
		resumed := conn.ConnectionState().DidResume
		conn.Close()
		if err != nil {
			return err
		}
		switch {
		case n > 0 && resumed:
			t.resumed.Add(1)
		case n > 0:
			t.full.Add(1)
		}
		count()
	}
	return nil
}

// http2 makes requests over HTTP/2. A request that the server says it has not
// processed may be made again (RFC 9113, section 8.7), which net/http does.
func (t *traffic) http2(count func()) error {
	transport := &http.Transport{TLSClientConfig: t.config.Clone(), ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	for !t.over() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+t.r.address+"/", nil)
		if err != nil {
			cancel()
			return err
		}
		request.Host = "localhost"
		response, err := transport.RoundTrip(request)
		if err != nil {
			cancel()
			return err
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		cancel()
		if err != nil || response.ProtoMajor != 2 || string(body) != "welcome" {
			return fmt.Errorf("%s %s %q, %v", response.Proto, response.Status, body, err)
		}
		count()
	}
	return nil
}

// websocket keeps a tunnel open for some time, and what goes in must come out.
func (t *traffic) websocket(count func()) error {
	conn, err := t.dial(t.config)
	if err != nil {
		return err
	}
	defer conn.Close()
	io.WriteString(conn, "GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	in := bufio.NewReader(conn)
	response, err := http.ReadResponse(in, nil)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusSwitchingProtocols {
		return errors.New(response.Status)
	}
	pause := time.NewTicker(5 * time.Millisecond)
	defer pause.Stop()
	for n := 0; n < 200 && !t.over(); n++ {
		conn.SetDeadline(time.Now().Add(2 * patience))
		text := fmt.Sprintf("message %d\n", n)
		if _, err := io.WriteString(conn, text); err != nil {
			return err
		}
		line, err := in.ReadString('\n')
		if err != nil || line != text {
			return fmt.Errorf("message %d: got %q, %v", n, line, err)
		}
		count()
		<-pause.C
	}
	return nil
}

// TestUpgradeUnderLoad upgrades again and again under requests of every kind, of
// which none may fail.
func TestUpgradeUnderLoad(t *testing.T) {
	upgrades, enough := 2, int64(200)
	if os.Getenv("SALLYPORT_SOAK") != "" {
		upgrades, enough = 20, 20_000
	}
	r := startRig(t)
	r.ban("203.0.113.9")
	load := r.startTraffic()
	for n := range upgrades {
		share := enough * int64(n+1) / int64(upgrades+1)
		r.await("enough requests are answered", func() bool { return load.total() >= share })
		r.mustUpgrade()
	}
	r.await("enough requests are answered", func() bool { return load.total() >= enough })
	load.end()
	t.Logf("%d upgrades, %d requests, %d failed, %d sessions resumed, %d not", upgrades, load.total(), len(load.failures), load.resumed.Load(), load.full.Load())
	// A session that was issued in the very moment of the hand-over, and is offered
	// again before the successor has heard of it, costs a full handshake.
	if full := load.full.Load(); full > int64(4*upgrades) || load.resumed.Load() == 0 {
		t.Errorf("%d sessions not resumed, %d resumed", full, load.resumed.Load())
	}
	if banned := r.banned(); banned != "203.0.113.9/32" {
		t.Errorf("banned: %q", banned)
	}
	if n := strings.Count(r.log(), "took over"); n != upgrades {
		t.Errorf("%d processes took over, want %d", n, upgrades)
	}
}

// A connection that is idle at the hand-over, and one that has not said anything
// yet, are answered once more by the process that has them.
func TestUpgradeAnswersIdle(t *testing.T) {
	r := startRig(t)
	load := &traffic{r: r, config: r.clientConfig("client")}
	var conns []net.Conn
	var readers []*bufio.Reader
	for n := range 2 {
		conn, err := load.dial(load.config)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		in := bufio.NewReader(conn)
		if n == 0 {
			if again, err := exchange(conn, in); !again || err != nil {
				t.Fatalf("kept %v, %v", again, err)
			}
		}
		conns, readers = append(conns, conn), append(readers, in)
	}
	r.mustUpgrade()
	r.await("the old process drains", func() bool { return strings.Contains(r.log(), "msg=draining") })
	for n, conn := range conns {
		if again, err := exchange(conn, readers[n]); again || err != nil {
			t.Errorf("connection %d: kept %v, %v; want it answered for the last time", n, again, err)
		}
	}
	r.await("the old process ends", func() bool { return strings.Contains(r.log(), "msg=drained") })
}
