package proxy

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/net/http2"
)

// TE is about one connection: a target gets the edge's own, and only for a client
// that takes trailers and may say so.
func TestTE(t *testing.T) {
	seen := make(chan string, 1)
	handler := func(w http.ResponseWriter, r *http.Request) {
		seen <- strings.Join(r.Header["Te"], "|") + ";" + strings.Join(r.Header["Connection"], "|")
	}
	one, two := startTarget(t, handler), startTarget2(t, handler)
	for _, test := range []struct{ fields, h1, h2 string }{
		{"", ";", ";"},
		{"TE: trailers\r\n", ";", ";"},
		{"TE: trailers\r\nConnection: TE\r\n", "trailers;TE", "trailers;"},
		{"TE: trailers\r\nConnection: keep-alive, te\r\n", "trailers;TE", "trailers;"},
		{"Connection: TE\r\n", ";", ";"},
		{"TE: gzip\r\nConnection: TE\r\n", ";", ";"},
		{"TE: gzip;q=0.5, Trailers\r\nConnection: x, TE\r\n", "trailers;TE", "trailers;"},
		{"TE: trailers\r\nConnection: Trailers\r\n", ";", ";"},
		{"TE: trailers\r\nX-Connection: TE\r\n", ";", ";"},
	} {
		text := "GET / HTTP/1.1\r\nHost: a\r\n" + test.fields + "Connection: close\r\n\r\n"
		startEdge(t, newListener(false).forwardTo(t, one)).raw(text)
		if got := receive(t, seen, "request"); got != test.h1 {
			t.Errorf("%q: a target gets %q, want %q", test.fields, got, test.h1)
		}
		startEdge(t, newListener(false).forwardTo2(t, two)).raw(text)
		if got := receive(t, seen, "request"); got != test.h2 {
			t.Errorf("%q: a target of HTTP/2 gets %q, want %q", test.fields, got, test.h2)
		}
	}
	// By HTTP/2 there is no Connection, and TE says this and nothing else.
	e := startEdge(t, newListener(true).forwardTo(t, one))
	c := dialHTTP2(e)
	c.request(1, true, "GET", "te", "trailers")
	if got := receive(t, seen, "request"); got != "trailers;TE" {
		t.Errorf("from HTTP/2 a target gets %q", got)
	}
}

// A target that answers before it has had the body, and leaves in the middle of
// its answer: neither its client nor the log may take that for a success.
func TestTargetAnswersEarlyAndLeaves(t *testing.T) {
	const size = 8 << 20
	one := rawTarget(t, func(conn net.Conn, r *bufio.Reader) {
		readHead(r)
		io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart")
	})
	chunked := rawTarget(t, func(conn net.Conn, r *bufio.Reader) {
		readHead(r)
		io.WriteString(conn, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n")
	})
	two := frameTarget(t, func(_ int, f *frames) {
		r := f.request()
		f.head(r.StreamID, false, ":status", "200", "content-length", "100")
		f.WriteData(r.StreamID, false, []byte("part"))
	})
	reset2 := frameTarget(t, func(_ int, f *frames) {
		r := f.request()
		f.head(r.StreamID, false, ":status", "200")
		f.WriteData(r.StreamID, false, []byte("part"))
		f.WriteRSTStream(r.StreamID, http2.ErrCodeNo)
		f.drain()
	})
	for _, way := range everyWay {
		for name, l := range map[string]*Listener{
			"length": newListener(way.secure).forwardTo(t, one), "chunked": newListener(way.secure).forwardTo(t, chunked),
			"HTTP/2": newListener(way.secure).forwardTo2(t, two), "HTTP/2, NO_ERROR": newListener(way.secure).forwardTo2(t, reset2),
		} {
			t.Run(way.name+"/"+name, func(t *testing.T) {
				l.Action.group.hold = 0
				e := startEdge(t, l)
				r, _ := http.NewRequest("POST", e.url("/"), &zeros{left: size})
				r.ContentLength = size
				resp, err := e.client(way.h2).Do(r)
				whole := false
				if err == nil {
					_, err = io.ReadAll(resp.Body)
					whole = err == nil && resp.StatusCode == 200
					resp.Body.Close()
				}
				if whole {
					t.Error("the client takes it for whole")
				}
				if got := e.record(); got.ErrorReason == "" || got.ELBStatusCode == 200 && got.ErrorReason != ReasonTargetClosed {
					t.Errorf("record %+v", got)
				}
			})
		}
	}
}
