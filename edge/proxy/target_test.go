package proxy

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/edge/config"
)

// impatient makes a group with short timeouts, for targets that are to miss them.
func impatient(t *testing.T, targets ...string) Action {
	t.Helper()
	return within(t, time.Second, 300*time.Millisecond, nil, targets...)
}

func within(t *testing.T, connect, response time.Duration, tlsConfig *tls.Config, targets ...string) Action {
	t.Helper()
	g, err := NewTargetGroup("app", config.TargetGroup{Targets: targets, Timeouts: config.TargetTimeouts{
		Connect: config.Duration(connect), Response: config.Duration(response), Idle: config.Duration(time.Minute),
	}}, tlsConfig)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	return Action{group: g}
}

// What becomes of a request whose target fails it.
func TestTargetFailures(t *testing.T) {
	silent := func(conn net.Conn, r *bufio.Reader) { io.Copy(io.Discard, r) }
	says := func(text string) func(net.Conn, *bufio.Reader) {
		return func(conn net.Conn, r *bufio.Reader) { readHead(r); io.WriteString(conn, text) }
	}
	refused := refusedAddr(t)
	tests := []struct {
		name    string
		targets []string
		status  int
		reason  string
	}{
		{"refused", []string{"http://" + refused}, 502, ReasonTargetConnect},
		{"all refused", []string{"http://" + refused, "http://" + refusedAddr(t)}, 502, ReasonTargetConnect},
		{"no TLS at the target", []string{strings.Replace(rawTarget(t, func(conn net.Conn, r *bufio.Reader) {
			r.Peek(1)
			io.WriteString(conn, "HTTP/1.1 400 no\r\n\r\n")
		}), "http", "https", 1)}, 502, ReasonTargetConnect},
		{"handshake too slow", []string{strings.Replace(rawTarget(t, silent), "http", "https", 1)}, 504, ReasonTargetConnectSlow},
		{"closed", []string{rawTarget(t, says(""))}, 502, ReasonTargetResponse},
		{"reset", []string{rawTarget(t, func(conn net.Conn, r *bufio.Reader) { readHead(r); conn.(*net.TCPConn).SetLinger(0) })}, 502, ReasonTargetResponse},
		{"not HTTP", []string{rawTarget(t, says("SSH-2.0\r\n\r\n"))}, 502, ReasonTargetResponse},
		{"cut head", []string{rawTarget(t, says("HTTP/1.1 200 OK\r\nX: "))}, 502, ReasonTargetResponse},
		{"head too large", []string{rawTarget(t, says("HTTP/1.1 200 OK\r\nX: "+strings.Repeat("x", 40<<10)+"\r\n\r\n"))}, 502, ReasonTargetResponse},
		{"status 099", []string{rawTarget(t, says("HTTP/1.1 099 Odd\r\nContent-Length: 0\r\n\r\n"))}, 502, ReasonTargetResponse},
		{"switches unasked", []string{rawTarget(t, says("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"))}, 502, ReasonTargetResponse},
		{"endless 1xx", []string{rawTarget(t, says(strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 100)))}, 502, ReasonTargetResponse},
		{"no answer", []string{rawTarget(t, silent)}, 504, ReasonTargetResponseSlow},
	}
	for _, way := range everyWay {
		for _, test := range tests {
			t.Run(way.name+" "+test.name, func(t *testing.T) {
				l := newListener(way.secure).forwardTo(t, test.targets...)
				if test.status == 504 {
					l.Action = impatient(t, test.targets...)
				}
				e := startEdge(t, l)
				resp, err := e.client(way.h2).Get(e.url("/"))
				if err != nil {
					t.Fatal(err)
				}
				body, _ := io.ReadAll(resp.Body)
				resp.Body.Close()
				if resp.StatusCode != test.status || string(body) != string(page(test.status)) || resp.Header.Get("Content-Type") != "text/html" {
					t.Errorf("got %d %q, want %d", resp.StatusCode, body, test.status)
				}
				if r := e.record(); r.ELBStatusCode != test.status || r.ErrorReason != test.reason || r.ErrorDetail == "" {
					t.Errorf("record %+v, want %s", r, test.reason)
				}
			})
		}
	}
}

// Requests go to the targets in turn, past those that cannot be reached, with
// their bodies.
func TestRoundRobin(t *testing.T) {
	echo := func(name string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			io.WriteString(w, name+string(body))
		}
	}
	a, b := startTarget(t, echo("a")), startTarget(t, echo("b"))
	e := startEdge(t, newListener(true).forwardTo(t, a, "http://"+refusedAddr(t), b, "https://"+refusedAddr(t)))
	client := e.client(false)
	got := map[string]int{}
	for range 20 {
		resp, err := client.Post(e.url("/"), "text/plain", strings.NewReader("!"))
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		got[string(body)]++
		if r := e.record(); r.ELBStatusCode != 200 || "http://"+r.Target != map[string]string{"a!": a, "b!": b}[string(body)] {
			t.Errorf("record %+v for %q", r, body)
		}
	}
	if got["a!"] != 10 || got["b!"] != 10 {
		t.Errorf("answers %v, want 10 of each", got)
	}
}

// A target's certificate is always checked.
func TestTargetTLS(t *testing.T) {
	pair, pool := certificate()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, r.Proto+" "+r.TLS.ServerName)
	}))
	s.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: []string{"h2", "http/1.1"}}
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	for _, test := range []struct {
		name   string
		config *tls.Config
		status int
		body   string
	}{
		{"known CA", &tls.Config{RootCAs: pool}, 200, "HTTP/1.1 "},
		{"server name", &tls.Config{RootCAs: pool, ServerName: "edge.test"}, 200, "HTTP/1.1 edge.test"},
		{"another's name", &tls.Config{RootCAs: pool, ServerName: "other.test"}, 502, string(page(502))},
		{"unknown CA", nil, 502, string(page(502))},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := newListener(false)
			l.Action = within(t, patience, patience, test.config, s.URL)
			l.Action.group.connect, l.Action.group.answer = patience, patience
			e := startEdge(t, l)
			resp, err := e.client(false).Get(e.url("/"))
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if resp.StatusCode != test.status || string(body) != test.body {
				t.Errorf("got %d %q, want %d %q", resp.StatusCode, body, test.status, test.body)
			}
		})
	}
}

// A client that goes away before the answer leaves a 460, and its target's
// request is given up.
func TestClientCloses(t *testing.T) {
	for _, way := range everyWay {
		t.Run(way.name, func(t *testing.T) {
			arrived, gone := make(chan struct{}), make(chan struct{})
			target := startTarget(t, func(w http.ResponseWriter, r *http.Request) {
				close(arrived)
				<-r.Context().Done()
				close(gone)
			})
			e := startEdge(t, newListener(way.secure).forwardTo(t, target))
			var conn net.Conn
			if way.h2 {
				c := dialHTTP2(e)
				c.request(1, true, "GET")
				conn = c.conn
				receive(t, arrived, "request")
				c.WriteRSTStream(1, 8)
			} else {
				conn = e.dial("http/1.1")
				io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
				receive(t, arrived, "request")
				conn.Close()
			}
			receive(t, gone, "end of the request at the target")
			if r := e.record(); r.ELBStatusCode != 460 || r.ErrorReason != ReasonClientClosed || r.TargetStatusCode != 0 || r.SentBytes != 0 {
				t.Errorf("record %+v, want 460", r)
			}
			conn.Close()
			receive(t, e.served, "end of the connection")
		})
	}
}

// A client that closes in the middle of its body.
func TestClientClosesInBody(t *testing.T) {
	target := startTarget(t, func(w http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) })
	for _, half := range []bool{false, true} {
		e := startEdge(t, newListener(false).forwardTo(t, target))
		conn := e.dial("http/1.1").(*net.TCPConn)
		io.WriteString(conn, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345")
		if half {
			conn.CloseWrite()
		} else {
			conn.Close()
		}
		if r := e.record(); r.ELBStatusCode != 460 || r.ErrorReason != ReasonClientClosed {
			t.Errorf("half %v: record %+v, want 460", half, r)
		}
		receive(t, e.served, "end of the connection")
	}
}

// A response that its target cuts short must not look whole.
func TestTargetClosesInBody(t *testing.T) {
	for _, response := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
	} {
		for _, way := range everyWay {
			t.Run(way.name, func(t *testing.T) {
				target := rawTarget(t, func(conn net.Conn, r *bufio.Reader) { readHead(r); io.WriteString(conn, response) })
				e := startEdge(t, newListener(way.secure).forwardTo(t, target))
				resp, err := e.client(way.h2).Get(e.url("/"))
				if err == nil {
					_, err = io.ReadAll(resp.Body)
					resp.Body.Close()
				}
				if err == nil {
					t.Error("the response looks whole")
				}
				if r := e.record(); r.ELBStatusCode != 200 || r.TargetStatusCode != 200 || r.ErrorReason != ReasonTargetClosed {
					t.Errorf("record %+v", r)
				}
			})
		}
	}
}

// Close leaves requests in flight alone.
func TestTargetGroupClose(t *testing.T) {
	arrived, proceed := make(chan struct{}), make(chan struct{})
	var conns sync.Map
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			close(arrived)
			<-proceed
		}
		io.WriteString(w, "done")
	}))
	s.Config.ConnState = func(c net.Conn, state http.ConnState) { conns.Store(c, state) }
	s.Start()
	t.Cleanup(s.Close)
	e := startEdge(t, newListener(false).forwardTo(t, s.URL))
	body := make(chan string)
	go func() { body <- e.raw("GET /slow HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n") }()
	receive(t, arrived, "request")
	e.listener.Action.group.Close()
	close(proceed)
	if got := receive(t, body, "response"); !strings.HasSuffix(got, "done") {
		t.Errorf("got %q", got)
	}
	for open, over := true, time.Now().Add(patience); open; {
		open = false
		conns.Range(func(_, state any) bool { open = open || state != http.StateClosed; return true })
		if time.Now().After(over) {
			t.Fatal("target connection stays open")
		}
		time.Sleep(time.Millisecond)
	}
}

func TestNewTargetGroup(t *testing.T) {
	timeouts := config.TargetTimeouts{Connect: 1, Response: 1, Idle: 1}
	for _, test := range []struct {
		cfg  config.TargetGroup
		want string
	}{
		{config.TargetGroup{Timeouts: timeouts}, "at least one target"},
		{config.TargetGroup{Targets: []string{"http://a"}}, "timeouts"},
		{config.TargetGroup{Timeouts: timeouts, Targets: []string{"a:80"}}, `target "a:80"`},
		{config.TargetGroup{Timeouts: timeouts, Targets: []string{"ftp://a"}}, `target "ftp://a"`},
		{config.TargetGroup{Timeouts: timeouts, Targets: []string{"http://a/path"}}, `target "http://a/path"`},
		{config.TargetGroup{Timeouts: timeouts, Targets: []string{"http://u:p@a"}}, `target "http://u:p@a"`},
		{config.TargetGroup{Timeouts: timeouts, Targets: []string{"http://:80"}}, `target "http://:80"`},
		{config.TargetGroup{Timeouts: timeouts, Targets: []string{"http://a", "https://[::1]:8443", "http://a:81/"}}, ""},
	} {
		_, err := NewTargetGroup("app", test.cfg, nil)
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%v: %v, want %q", test.cfg.Targets, err, test.want)
		}
	}
}

// TestNoHostIsNoTargetsAddress has an HTTP/1.0 request come without Host: the
// target is not told its own address as if the client had asked for it.
func TestNoHostIsNoTargetsAddress(t *testing.T) {
	seen := make(chan string, 1)
	target := startTarget(t, func(w http.ResponseWriter, r *http.Request) { seen <- r.Host })
	e := startEdge(t, newListener(false).forwardTo(t, target))
	e.raw("GET / HTTP/1.0\r\n\r\n")
	if host := receive(t, seen, "request"); host != e.addr {
		t.Errorf("the target was told Host %q, want %q", host, e.addr)
	}
}

// TestNoContentHasNoLength has a target announce a body where there can be none:
// HTTP/2 would then wait for it.
func TestNoContentHasNoLength(t *testing.T) {
	target := rawTarget(t, func(conn net.Conn, r *bufio.Reader) {
		readHead(r)
		io.WriteString(conn, "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\nX-Target: yes\r\n\r\n")
	})
	e := startEdge(t, newListener(true).forwardTo(t, target))
	for _, h2 := range []bool{false, true} {
		resp, err := e.client(h2).Get(e.url("/"))
		if err != nil {
			t.Errorf("h2 %v: %v", h2, err)
			continue
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusNoContent || resp.Header.Get("Content-Length") != "" || resp.Header.Get("X-Target") != "yes" {
			t.Errorf("h2 %v: %s %v", h2, resp.Status, resp.Header)
		}
	}
}
