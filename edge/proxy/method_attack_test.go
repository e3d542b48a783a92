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
)

// The methods of requests that share a connection to a target of HTTP/2 stay what
// their clients sent: net/http keeps them in HPACK's table, long after the buffer
// that they came in is used again.
func TestMethodsOnSharedConnections(t *testing.T) {
	target := startTarget2(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "did "+r.Method) })
	e := startEdge(t, newListener(false).forwardTo2(t, target))
	e.records = nil
	methods := []string{"PUT", "DELETE", "PATCH", "OPTIONS", "PURGE", "REPORT", "SEARCH"}
	for i := range 300 {
		m := methods[i%len(methods)]
		got := e.raw(fmt.Sprintf("%s /x%d HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", m, i))
		if !strings.Contains(got, "did "+m) {
			t.Fatalf("request %d, %s, was answered %q", i, m, got)
		}
	}
}

// What only the edge may say it says alone, in trailers too, whatever the target
// speaks.
func TestForgedTrailersToHTTP2(t *testing.T) {
	seen := make(chan http.Header, 1)
	target := startTarget2(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		seen <- r.Trailer
	})
	e := startEdge(t, newListener(false).forwardTo2(t, target))
	e.raw("POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTrailer: X-Ok, X-Amzn-Mtls-Clientcert-Leaf, X-Forwarded-For\r\n" +
		"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Amzn-Mtls-Clientcert-Leaf: x\r\nX_Forwarded_For: 1\r\nX-Forwarded-For: 1\r\nX-Ok: 1\r\n\r\n")
	got := receive(t, seen, "request")
	if got.Get("X-Ok") != "1" {
		t.Errorf("trailers %v: the client's own is missing", got)
	}
	for name, values := range got {
		if name != "X-Ok" && len(values) > 0 {
			t.Errorf("trailer %s: %q came from a client", name, values)
		}
	}
}

// The limits of a request's line and of each field hold for HTTP/2 as well.
func TestLineLimitsOfHTTP2(t *testing.T) {
	handler := func(w http.ResponseWriter, r *http.Request) {}
	e := startEdge(t, newListener(true).forwardTo(t, startTarget(t, handler)))
	for _, c := range []struct {
		name         string
		path, header int
		want         int
	}{
		{"small", 100, 100, 200},
		{"path within", 16<<10 - 100, 0, 200},
		{"path beyond", 16<<10 + 100, 0, 414},
		{"field within", 0, 16<<10 - 100, 200},
		{"field beyond", 0, 16<<10 + 100, 400},
	} {
		t.Run(c.name, func(t *testing.T) {
			request, err := http.NewRequest("GET", e.url("/"+strings.Repeat("a", c.path)), nil)
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("X-Big", strings.Repeat("b", c.header))
			response, err := e.client(true).Do(request)
			if err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
			if response.StatusCode != c.want {
				t.Errorf("status %d, want %d", response.StatusCode, c.want)
			}
			e.record()
		})
	}
}

// A target that has worked on a request and then closed does not get it again.
func TestWorkedOnIsNotRepeated(t *testing.T) {
	requests := make(chan string, 4)
	target := rawTarget(t, func(conn net.Conn, r *bufio.Reader) {
		requests <- readHead(r)
		io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		requests <- readHead(r)
		<-time.After(staleWithin + staleWithin/4) // it works
	})
	e := startEdge(t, newListener(false).forwardTo(t, target))
	e.records = nil
	e.raw("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	if got := e.raw("DELETE /thing HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 502 ") {
		t.Errorf("got %q", got)
	}
	if n := len(requests); n != 2 {
		t.Errorf("the target got %d requests, want 2", n)
	}
}

// A Connection field that lists more than any client has a use for costs a look at
// each of the others.
func TestLongConnectionField(t *testing.T) {
	e := startEdge(t, newListener(false).forwardTo(t, startTarget(t, func(http.ResponseWriter, *http.Request) {})))
	e.records = nil
	ask := func(options int) string {
		return e.raw("GET / HTTP/1.1\r\nHost: a\r\nConnection: close" + strings.Repeat(", x", options) + "\r\n\r\n")
	}
	if got := ask(100); !strings.HasPrefix(got, "HTTP/1.1 200 ") {
		t.Errorf("100 options: %.40q", got)
	}
	if got := ask(1000); !strings.HasPrefix(got, "HTTP/1.1 400 ") {
		t.Errorf("1000 options: %.40q", got)
	}
}
