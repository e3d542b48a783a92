package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/edge/config"
)

// Long heads that follow at once have to move to another buffer: behind an answer
// that was streamed, and behind a body that came after its head.
func TestLongHeadsPipelined(t *testing.T) {
	field := "X-A: " + strings.Repeat("x", 8300) + "\r\n"
	t.Run("behind a streamed answer", func(t *testing.T) {
		read := make(chan struct{}, 2)
		e := startEdge(t, newListener(false).forwardTo(t, startTarget(t, func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "a")
			w.(http.Flusher).Flush()
			<-read
			io.WriteString(w, "b")
		})))
		c := e.dial("")
		go io.WriteString(c, "GET /1 HTTP/1.1\r\nHost: a\r\n"+field+"\r\nGET /2 HTTP/1.1\r\nHost: a\r\n"+field+"Connection: close\r\n\r\n")
		in := bufio.NewReader(c)
		for n := 1; n <= 2; n++ {
			if head := readHead(in); !strings.HasPrefix(head, "HTTP/1.1 200 ") {
				t.Fatalf("answer %d: %.60q", n, head)
			}
			read <- struct{}{}
			if n == 1 { // its chunks, up to the last
				for line := ""; line != "0\r\n"; {
					var err error
					if line, err = in.ReadString('\n'); err != nil {
						t.Fatal(err)
					}
				}
				in.ReadString('\n')
			}
		}
	})
	t.Run("behind a late body", func(t *testing.T) {
		begun := make(chan struct{}, 2)
		e := startEdge(t, newListener(false).forwardTo(t, startTarget(t, func(_ http.ResponseWriter, r *http.Request) {
			begun <- struct{}{}
			io.Copy(io.Discard, r.Body)
		})))
		c := e.dial("")
		io.WriteString(c, "POST /1 HTTP/1.1\r\nHost: a\r\n"+field+"Transfer-Encoding: chunked\r\n\r\n")
		<-begun
		io.WriteString(c, "1\r\na\r\n0\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n"+field+"Connection: close\r\n\r\n")
		got, _ := io.ReadAll(c)
		if n := strings.Count(string(got), "HTTP/1.1 200 "); n != 2 {
			t.Errorf("%d answers, want 2: %.200q", n, got)
		}
	})
}

// A client that was promised no 100 Continue may send its body late or never: an
// answer of our own must end the connection, or one of two requests is lost.
func TestExpectAnsweredWithoutTheBody(t *testing.T) {
	e := startEdge(t, newListener(false))
	c := e.dial("")
	io.WriteString(c, "POST /one HTTP/1.1\r\nHost: a\r\nContent-Length: 60\r\nExpect: 100-continue\r\n\r\n")
	in := bufio.NewReader(c)
	if head := readHead(in); !strings.Contains(strings.ToLower(head), "connection: close") {
		t.Errorf("%q, want Connection: close", head)
	}
}

// rawHeads is a target that tells the heads it is sent, and answers none of those
// that hold slow.
func rawHeads(t *testing.T, seen chan string) string {
	return rawTarget(t, func(conn net.Conn, r *bufio.Reader) {
		for head := readHead(r); head != ""; head = readHead(r) {
			seen <- head
			if strings.Contains(head, "/slow") {
				readHead(r) // until the edge has had enough
				return
			}
			fmt.Fprint(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		}
	})
}

// A target that is slow to answer on a connection used before is no stale
// connection: it must not get the request twice.
func TestSlowTargetGetsARequestOnce(t *testing.T) {
	seen := make(chan string, 10)
	g, err := NewTargetGroup("app", config.TargetGroup{
		Targets:  []string{rawHeads(t, seen)},
		Timeouts: config.TargetTimeouts{Connect: config.Duration(10 * time.Second), Response: config.Duration(time.Second), Idle: config.Duration(time.Minute)},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	l := newListener(false)
	l.Action = Action{group: g}
	e := startEdge(t, l)
	e.raw("GET /warm HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	if got := e.raw("DELETE /slow HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 504 ") {
		t.Errorf("%.60q, want 504", got)
	}
	if n := len(seen); n != 2 {
		t.Errorf("the target got %d requests, want 2", n)
	}
}

// What HTTP/2 lets through must not become another request in HTTP/1.1.
func TestHTTP2IsJudgedAsHTTP1(t *testing.T) {
	t.Run("methods", func(t *testing.T) {
		seen := make(chan string, 10)
		e := startEdge(t, newListener(true).forwardTo(t, rawHeads(t, seen)))
		for _, method := range []string{"GET /admin HTTP/1.1", "GET /x", "G\tT", "GET:", "\"", " GET", "G\x80T"} {
			c := dialHTTP2(e)
			c.allowIllegal()
			c.request(1, true, method)
			if status := c.status(1); status != "400" {
				t.Errorf("method %q: status %s, want 400", method, status)
			}
			c.conn.Close()
		}
		if len(seen) > 0 {
			t.Errorf("the target got %q", <-seen)
		}
	})
	t.Run("names that look like framing", func(t *testing.T) {
		seen := make(chan string, 10)
		e := startEdge(t, newListener(true).forwardTo(t, rawHeads(t, seen)))
		for _, name := range []string{"content_length", "transfer_encoding", "content.length"} {
			c := dialHTTP2(e)
			c.request(1, true, "POST", name, "5")
			c.status(1)
			c.conn.Close()
			if head := strings.ToLower(<-seen); strings.Contains(head, name) {
				t.Errorf("the target got %q", head)
			}
		}
	})
	t.Run("a GET with a body", func(t *testing.T) {
		conns := make(chan string, 10)
		e := startEdge(t, newListener(true).forwardTo(t, rawTarget(t, func(conn net.Conn, r *bufio.Reader) {
			conns <- conn.RemoteAddr().String()
			readHead(r) // and takes no notice of its body
			fmt.Fprint(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			io.Copy(io.Discard, r)
		})))
		for range 2 {
			request, err := http.NewRequest("GET", e.url("/attack"), strings.NewReader("GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"))
			if err != nil {
				t.Fatal(err)
			}
			response, err := e.client(true).Do(request)
			if err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
		}
		// A second connection shows that the first was not kept for others.
		if a, b := <-conns, <-conns; a == b {
			t.Errorf("both requests went to the target on one connection")
		}
	})
}
