package proxy

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/edge/http1"
)

// TestResponseTrailers: what a Judge or the listener sets or removes in the header of
// a response does not come in its trailers all the same, announced or not.
func TestResponseTrailers(t *testing.T) {
	handler := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Trailer", "X-Shaped, X-Internal, Server, X-Own")
		io.WriteString(w, "body")
		w.(http.Flusher).Flush()
		for _, name := range []string{"X-Shaped", "X-Internal", "Server", "X-Own", http.TrailerPrefix + "X_internal"} {
			w.Header().Set(name, "target")
		}
	}
	for _, target2 := range []bool{false, true} {
		l := newListener(true)
		if target2 {
			l.forwardTo2(t, startTarget2(t, handler))
		} else {
			l.forwardTo(t, startTarget(t, handler))
		}
		l.Judged, l.Response = true, hardened
		e := startEdge(t, l, &judgeFunc{response: func(r *Judged, _ *http1.Response) {
			r.ResponseEdits = http1.Edits{{set("X-Shaped", "yes"), {Op: http1.RemoveField, Name: "X-Internal"}}}
		}})
		for _, h2 := range []bool{false, true} {
			response, err := e.client(h2).Get(e.url("/"))
			if err != nil {
				t.Fatal(err)
			}
			var announced []string
			for name := range response.Trailer {
				announced = append(announced, name)
			}
			if !slices.Equal(announced, []string{"X-Own"}) {
				t.Errorf("target2 %t, h2 %t: announced are %q", target2, h2, announced)
			}
			io.Copy(io.Discard, response.Body)
			response.Body.Close()
			if len(response.Trailer) != 1 || response.Trailer.Get("X-Own") != "target" {
				t.Errorf("target2 %t, h2 %t: trailers are %v", target2, h2, response.Trailer)
			}
		}
	}
}

// TestJudgeWebSocket: a Judge's changes are in a 101 as well, and it is told of it.
func TestJudgeWebSocket(t *testing.T) {
	target := rawTarget(t, func(conn net.Conn, r *bufio.Reader) {
		readHead(r)
		io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade, X-Shaped\r\nUpgrade: websocket\r\nX-Internal: secret\r\n\r\nhello")
	})
	l := newListener(false).forwardTo(t, target)
	l.Judged = true
	j := &judgeFunc{response: func(r *Judged, _ *http1.Response) {
		r.ResponseEdits = http1.Edits{{set("X-Shaped", "yes"), {Op: http1.RemoveField, Name: "X-Internal"}}}
	}}
	e := startEdge(t, l, j)
	got := e.raw("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	if !strings.HasPrefix(got, "HTTP/1.1 101 ") || !strings.Contains(got, "\r\nX-Shaped: yes\r\n") || strings.Contains(got, "secret") || !strings.HasSuffix(got, "hello") {
		t.Errorf("got %q", got)
	}
	e.record()
	j.mu.Lock()
	defer j.mu.Unlock()
	if want := []string{"answered Switching Protocols", "over"}; !slices.Equal(j.events, want) {
		t.Errorf("events: %q, want %q", j.events, want)
	}
}
