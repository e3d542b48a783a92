package proxy

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"
)

// lone is a connection of its own, whose Conn a test can end.
type lone struct {
	conn   *Conn
	client net.Conn
	served chan struct{}
}

func startLone(t *testing.T, l *Listener, protocol string) *lone {
	t.Helper()
	near, far := net.Pipe()
	deadline := time.Now().Add(30 * time.Second)
	near.SetDeadline(deadline)
	k := &lone{client: near, served: make(chan struct{})}
	k.conn = &Conn{Conn: far, ALPN: protocol, Listener: func() *Listener { return l }}
	if protocol == "h2" {
		pair, pool := certificate()
		k.conn.Conn = tls.Server(far, &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: []string{"h2"}})
		client := tls.Client(near, &tls.Config{RootCAs: pool, ServerName: "edge.test", NextProtos: []string{"h2"}})
		shaken := make(chan error, 1)
		go func() { shaken <- k.conn.Conn.(*tls.Conn).Handshake() }()
		if err := client.Handshake(); err != nil {
			t.Fatal(err)
		}
		if err := <-shaken; err != nil {
			t.Fatal(err)
		}
		k.client = client
	}
	s := New(Options{Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	go func() {
		defer close(k.served)
		s.ServeConn(t.Context(), k.conn)
	}()
	t.Cleanup(func() { near.Close(); far.Close(); <-k.served })
	return k
}

// ask makes a request of HTTP/1.1, and says whether the response is the last.
func (k *lone) ask(t *testing.T, in *bufio.Reader) (last bool) {
	t.Helper()
	if _, err := io.WriteString(k.client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, response.Body)
	return response.Close
}

// Who is told to end after the next request answers that, whenever it comes, and
// says that it was the last.
func TestEndAfterNextHTTP1(t *testing.T) {
	for _, before := range []int{0, 1} {
		target, _, proceed := gated(t)
		close(proceed)
		k := startLone(t, newListener(false).forwardTo(t, target), "")
		in := bufio.NewReader(k.client)
		for range before {
			if k.ask(t, in) {
				t.Error("the connection is not kept")
			}
		}
		k.conn.EndAfterNext()
		if !k.ask(t, in) {
			t.Errorf("after %d requests: the last response does not say Connection: close", before)
		}
		if rest, err := io.ReadAll(in); len(rest) > 0 || err != nil {
			t.Errorf("got %q, %v; want the end", rest, err)
		}
		receiveEnd(t, k)
	}
}

// End afterwards waits for nobody.
func TestEndAfterNextThenEnd(t *testing.T) {
	for _, protocol := range []string{"", "h2"} {
		k := startLone(t, newListener(protocol != ""), protocol)
		k.conn.EndAfterNext()
		k.conn.End()
		k.conn.EndAfterNext() // and takes nothing back
		go io.Copy(io.Discard, k.client)
		receiveEnd(t, k)
	}
}

func receiveEnd(t *testing.T, k *lone) {
	t.Helper()
	select {
	case <-k.served:
	case <-time.After(30 * time.Second):
		t.Fatal("the connection is still served")
	}
}

// A new connection of HTTP/2 gets its first request answered, and then a GOAWAY
// which says that it was.
func TestEndAfterNextHTTP2(t *testing.T) {
	target, _, proceed := gated(t)
	close(proceed)
	k := startLone(t, newListener(true).forwardTo(t, target), "h2")
	k.conn.EndAfterNext()
	transport := &http.Transport{
		DialTLSContext:    func(context.Context, string, string) (net.Conn, error) { return k.client, nil },
		ForceAttemptHTTP2: true,
	}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://edge.test/", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	response.Body.Close()
	if string(body) != "whole" || response.ProtoMajor != 2 || err != nil {
		t.Errorf("%s %q, %v", response.Proto, body, err)
	}
	receiveEnd(t, k)
}
