package proxy

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/edge/config"
)

// secureTarget is a rawTarget that speaks TLS.
func secureTarget(t *testing.T, serve func(net.Conn, *bufio.Reader)) string {
	pair, _ := certificate()
	url := rawTarget(t, func(raw net.Conn, r *bufio.Reader) {
		conn := tls.Server(&readerConn{raw, r}, &tls.Config{Certificates: []tls.Certificate{pair}})
		defer conn.Close()
		serve(conn, bufio.NewReader(conn))
	})
	return strings.Replace(url, "http:", "https:", 1)
}

type readerConn struct {
	net.Conn
	r *bufio.Reader
}

func (c *readerConn) Read(p []byte) (int, error) { return c.r.Read(p) }

// A target that says more than its answer must not have it taken for the next
// one, whether it comes with the answer or behind it.
func TestUnaskedAnswer(t *testing.T) {
	const poison = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"
	_, pool := certificate()
	for _, secure := range []bool{false, true} {
		for _, apart := range []bool{false, true} {
			said := make(chan struct{}, 10)
			serve := func(conn net.Conn, r *bufio.Reader) {
				for {
					if readHead(r) == "" {
						return
					}
					if apart {
						io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood")
						io.WriteString(conn, poison)
					} else {
						io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood"+poison)
					}
					said <- struct{}{}
				}
			}
			var target string
			if secure {
				target = secureTarget(t, serve)
			} else {
				target = rawTarget(t, serve)
			}
			l := newListener(false)
			g, err := NewTargetGroup("app", config.TargetGroup{Targets: []string{target}, Timeouts: config.TargetTimeouts{
				Connect: config.Duration(10 * time.Second), Response: config.Duration(patience), Idle: config.Duration(time.Minute),
			}}, &tls.Config{RootCAs: pool})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(g.Close)
			l.Action = Action{group: g}
			e := startEdge(t, l)
			for range 3 {
				got := e.raw("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
				if !strings.HasSuffix(got, "good") || strings.Contains(got, "poison") {
					t.Errorf("secure %v, apart %v: got %q", secure, apart, got)
				}
				receive(t, said, "poison") // it is on its way before the next request
			}
		}
	}
}

// A connection that its target closed while it was kept costs no request, as long
// as it cannot be done twice.
func TestStaleConnection(t *testing.T) {
	for _, test := range []struct {
		method string
		status string
		tries  int32
	}{{"GET", "200", 2}, {"POST", "502", 1}} {
		var requests atomic.Int32
		target := rawTarget(t, func(conn net.Conn, r *bufio.Reader) {
			for {
				head := readHead(r)
				switch {
				case head == "":
					return
				case strings.HasPrefix(head, "GET /first "):
				case requests.Add(1) == 1:
					return // takes the request, and closes
				}
				io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			}
		})
		e := startEdge(t, newListener(false).forwardTo(t, target))
		conn := e.dial("http/1.1")
		r := bufio.NewReader(conn)
		io.WriteString(conn, "GET /first HTTP/1.1\r\nHost: a\r\n\r\n")
		readHead(r)
		io.WriteString(conn, test.method+" / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
		if got := readHead(r); !strings.HasPrefix(got, "HTTP/1.1 "+test.status) || requests.Load() != test.tries {
			t.Errorf("%s: %q after %d tries, want %s after %d", test.method, got, requests.Load(), test.status, test.tries)
		}
	}
}

// The connection used last is used next, and one is enough for requests in turn.
func TestConnectionsAreKept(t *testing.T) {
	var conns atomic.Int32
	target := startTarget(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Write(body)
	})
	inner := strings.TrimPrefix(target, "http://")
	counting := rawTarget(t, func(conn net.Conn, r *bufio.Reader) {
		conns.Add(1)
		to, err := net.Dial("tcp", inner)
		if err != nil {
			return
		}
		defer to.Close()
		go func() { io.Copy(conn, to); conn.Close() }()
		io.Copy(to, r)
	})
	for _, way := range everyWay {
		conns.Store(0)
		l := newListener(way.secure).forwardTo(t, counting)
		e := startEdge(t, l)
		client := e.client(way.h2)
		for i := range 20 {
			body := strings.Repeat("x", i*3000)
			resp, err := client.Post(e.url("/"), "text/plain", strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if string(got) != body || err != nil {
				t.Fatalf("%s: %d bytes came back as %d, %v", way.name, len(body), len(got), err)
			}
			e.record()
		}
		if n := conns.Load(); n != 1 {
			t.Errorf("%s: %d connections, want 1", way.name, n)
		}
		l.Action.group.Close()
	}
}
