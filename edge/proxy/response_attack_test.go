package proxy

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/edge/http1"
)

// answers is a target that answers /1 with text, and any other request with its
// path, on the same connection if that is still read.
func answers(t testing.TB, text string, end bool) *recorder {
	r := startRecorder(t)
	r.answer = func(m *wireMessage) (string, bool) {
		if m.start[1] == "/1" {
			return text, end
		}
		return "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n" + m.start[1], false
	}
	return r
}

const poison = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"

// Responses that are read in different ways, or are two: the client gets one, and
// the next request its own.
func TestResponseSmuggling(t *testing.T) {
	for _, test := range []struct {
		name, method, text string
		status             int
		body               string
	}{
		{"two at once", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi" + poison, 200, "hi"},
		{"two at once, chunked", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n" + poison, 200, "hi"},
		{"200 of no length", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" + poison, 200, ""},
		{"body of 204", "GET", "HTTP/1.1 204 No Content\r\n\r\n" + poison, 204, ""},
		{"body of 204 with a length", "GET", "HTTP/1.1 204 No Content\r\nContent-Length: 45\r\n\r\n" + poison, 204, ""},
		{"chunks of 204", "GET", "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n2d\r\n" + poison + "\r\n0\r\n\r\n", 204, ""},
		{"body of 304", "GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 45\r\n\r\n" + poison, 304, ""},
		{"body of HEAD", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 45\r\n\r\n" + poison, 200, ""},
		{"chunks of HEAD", "HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 200, ""},
		{"body of 1xx", "GET", "HTTP/1.1 103 Early Hints\r\nContent-Length: 45\r\n\r\n" + poison, 502, ""},
		{"body of 100", "GET", "HTTP/1.1 100 Continue\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + poison, 502, ""},
		{"CL and TE", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + poison, 502, ""},
		{"CL twice", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Length: 45\r\n\r\n" + poison, 502, ""},
		{"CL list", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 0, 45\r\n\r\n" + poison, 502, ""},
		{"TE twice", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 502, ""},
		{"another TE", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n" + poison, 502, ""},
		{"a chunk that is none", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhi\r\n0\r\n\r\n", 502, ""},
		{"a chunk that is none, behind one", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\nzz\r\n", 502, ""},
		{"TE in HTTP/1.0", "GET", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 502, ""},
		{"look-alikes are left out", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer_Encoding: chunked\r\nContent--Length: 0\r\n\r\nhi", 200, "hi"},
		{"split by LF", "GET", "HTTP/1.1 200 OK\r\nX: y\nContent-Length: 0\r\n\r\n", 502, ""},
		{"split by CR", "GET", "HTTP/1.1 200 OK\r\nX: y\rContent-Length: 0\r\n\r\n", 502, ""},
		{"folded", "GET", "HTTP/1.1 200 OK\r\nX: y\r\n Content-Length: 0\r\n\r\n", 502, ""},
		{"space before the colon", "GET", "HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n", 502, ""},
		{"NUL", "GET", "HTTP/1.1 200 OK\r\nX: \x00\r\nContent-Length: 0\r\n\r\n", 502, ""},
		{"empty line first", "GET", "\r\n" + poison, 502, ""},
		{"HTTP/0.9", "GET", "<html>hello", 502, ""},
		{"101 unasked", "GET", "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n" + poison, 502, ""},
		{"1xx flood", "GET", strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", maxInterim+1) + poison, 502, ""},
		{"1xx as many as may be", "GET", strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", maxInterim) + "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", 200, "hi"},
		{"status of no class", "GET", "HTTP/1.1 000 OK\r\nContent-Length: 0\r\n\r\n", 502, ""},
		{"endless field in Connection", "GET", "HTTP/1.1 200 OK\r\nConnection: Set-Cookie, close\r\nSet-Cookie: x\r\nContent-Length: 2\r\n\r\nhi", 200, "hi"},
	} {
		t.Run(test.name, func(t *testing.T) {
			target := answers(t, test.text, false)
			e := startEdge(t, newListener(true).forwardTo(t, target.url))
			conn := e.dial("http/1.1")
			send(t, conn, test.method+" /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
			all, err := io.ReadAll(conn)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(all), "poison") {
				t.Errorf("the client reads %q", all)
			}
			m, rest, end := final(&strict, string(all), test.method, false)
			if end != complete || m.start[1] != statusText(test.status) || test.status == 200 && m.body != test.body || len(m.get("Set-Cookie")) > 0 {
				t.Errorf("first %+v of %q, want %d %q", m, all, test.status, test.body)
			}
			if m, rest, end = final(&strict, rest, "GET", false); end != complete || m.body != "/2" || rest != "" {
				t.Errorf("second %+v of %q", m, all)
			}
			target.mu.Lock()
			defer target.mu.Unlock()
			if target.accepted != 2 && strings.Contains(test.text, poison) {
				t.Errorf("a target that says more than it was asked is asked again on %d connections", target.accepted)
			}
		})
	}
}

func statusText(status int) string {
	return string([]byte{byte('0' + status/100), byte('0' + status/10%10), byte('0' + status%10)})
}

// A body that only the end of the connection ends, and that its target cuts short:
// a client of HTTP/1.0, which gets it in the same way, must not take it for whole.
func TestCutBodyIsResetForHTTP10(t *testing.T) {
	const text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
	for _, secure := range []bool{false, true} {
		for _, whole := range []bool{false, true} {
			said := text
			if whole {
				said += "0\r\n\r\n"
			}
			e := startEdge(t, newListener(secure).forwardTo(t, answers(t, said, true).url))
			conn := e.dial("http/1.1")
			send(t, conn, "GET /1 HTTP/1.0\r\n\r\n")
			got, err := io.ReadAll(conn)
			if (err == nil) != whole || whole && !strings.HasSuffix(string(got), "hello") {
				t.Errorf("secure %v: the client reads %q and %v; whole: %v", secure, got, err, whole)
			}
			receive(t, e.served, "end of the connection")
		}
	}
}

// A target that answers before it has the body, and one that answers what it was not
// asked: nobody else reads of either.
func TestEarlyAndUnaskedResponses(t *testing.T) {
	t.Run("before the body", func(t *testing.T) {
		conns := make(chan net.Conn, 8)
		target := rawTarget(t, func(conn net.Conn, r *bufio.Reader) {
			conns <- conn
			for head := readHead(r); head != ""; head = readHead(r) {
				io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nearly")
				if strings.HasPrefix(head, "POST") {
					io.Copy(io.Discard, r)
				}
			}
		})
		e := startEdge(t, newListener(true).forwardTo(t, target))
		conn := e.dial("http/1.1")
		send(t, conn, post+"Content-Length: 100\r\n\r\nhalf")
		in := newResponses(conn)
		if status, body, err := in.next(); status != 200 || body != "early" || err != nil {
			t.Fatalf("%d %q, %v", status, body, err)
		}
		if _, _, err := in.next(); err == nil {
			t.Error("another answer behind a body that never came")
		}
		e.raw(follows)
		if a, b := receive(t, conns, "connection"), receive(t, conns, "another connection"); a == b {
			t.Error("the connection whose body was cut was used again")
		}
	})
	t.Run("before the rest of the body", func(t *testing.T) {
		// It may not mean to read the rest, and takes it for a request.
		conns := make(chan net.Conn, 8)
		target := rawTarget(t, func(conn net.Conn, r *bufio.Reader) {
			conns <- conn
			for head := readHead(r); head != ""; head = readHead(r) {
				io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nearly")
				if strings.HasPrefix(head, "POST") {
					io.CopyN(io.Discard, r, 8)
				}
			}
		})
		e := startEdge(t, newListener(true).forwardTo(t, target))
		conn := e.dial("http/1.1")
		send(t, conn, post+"Content-Length: 8\r\n\r\nhalf")
		in := newResponses(conn)
		if status, body, err := in.next(); status != 200 || body != "early" || err != nil {
			t.Fatalf("%d %q, %v", status, body, err)
		}
		send(t, conn, "rest")
		e.raw(follows)
		if a, b := receive(t, conns, "connection"), receive(t, conns, "another connection"); a == b {
			t.Error("the connection was used again")
		}
	})
	t.Run("between requests", func(t *testing.T) {
		said := make(chan struct{})
		e := startEdge(t, newListener(false).forwardTo(t, rawTarget(t, func(conn net.Conn, in *bufio.Reader) {
			if head := readHead(in); strings.HasPrefix(head, "GET /1 ") {
				io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n/1")
				<-said
				io.WriteString(conn, poison)
				said <- struct{}{}
			} else {
				io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n/2")
			}
			io.Copy(io.Discard, in)
		})))
		conn := e.dial("http/1.1")
		in := newResponses(conn)
		send(t, conn, "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n")
		if _, body, err := in.next(); body != "/1" || err != nil {
			t.Fatalf("%q, %v", body, err)
		}
		said <- struct{}{}
		<-said // the kernel has it: on loopback what is written is there
		send(t, conn, "GET /2 HTTP/1.1\r\nHost: a\r\n\r\n")
		if _, body, err := in.next(); body != "/2" || err != nil {
			t.Errorf("the next request was answered %q, %v", body, err)
		}
	})
}

// The head of a response at its limit, one byte below and one above, however many
// 1xx come first.
func TestResponseHeadLimit(t *testing.T) {
	const frame = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: \r\n\r\n"
	for _, before := range []string{"", "HTTP/1.1 103 Early Hints\r\nX: " + strings.Repeat("y", 20000) + "\r\n\r\n"} {
		for over, want := range map[int]string{-1: "200", 0: "200", 1: "502"} {
			text := before + strings.Replace(frame, "X: ", "X: "+strings.Repeat("x", http1.MaxResponseHead-len(frame)+over), 1) + "hi"
			e := startEdge(t, newListener(true).forwardTo(t, answers(t, text, false).url))
			got := e.raw("GET /1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
			if m, _, end := final(&strict, got, "GET", false); end != complete || m.start[1] != want {
				t.Errorf("%d bytes over: %.60q, want %s", over, got, want)
			}
		}
	}
}

// netConn is the socket below TLS.
func netConn(conn net.Conn) *net.TCPConn {
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn()
	}
	return conn.(*net.TCPConn)
}

// reset ends a connection with a reset, and nothing said.
func reset(conn net.Conn) {
	tcp := netConn(conn)
	tcp.SetLinger(0)
	tcp.Close()
}

// eventually waits for a condition.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for over := time.Now().Add(30 * time.Second); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(over) {
			t.Fatalf("not within 30s: %s", what)
		}
	}
}
