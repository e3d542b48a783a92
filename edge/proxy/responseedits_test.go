package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/http1"
)

var hardened = http1.Edits{{
	{Op: http1.RemoveField, Name: "Server"},
	{Op: http1.SetField, Name: "Strict-Transport-Security", Value: "max-age=600"},
	{Op: http1.SetField, Name: "X-Frame-Options", Value: "DENY"},
}}

// checkHardened holds a response against hardened.
func checkHardened(t *testing.T, h http.Header) {
	t.Helper()
	for name, want := range map[string][]string{"Strict-Transport-Security": {"max-age=600"}, "X-Frame-Options": {"DENY"}, "Server": nil} {
		if got := h.Values(name); !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

// TestResponseEdits: every response has them, whoever gives it and whatever the
// target has said.
func TestResponseEdits(t *testing.T) {
	target := startTarget(t, func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Server", "target/1")
		h["X-Frame-Options"] = []string{"SAMEORIGIN", "ALLOWALL"}
		h["x_frame_options"] = []string{"folded"}
		h.Set("X-Own", "stays")
		switch r.URL.Path {
		case "/listed":
			h.Set("Connection", "X-Frame-Options, Strict-Transport-Security, X-Own")
		case "/304":
			w.WriteHeader(http.StatusNotModified)
		case "/hints":
			w.WriteHeader(http.StatusEarlyHints)
		}
		io.WriteString(w, "body")
	})
	fixed := newListener(true)
	var err error
	if fixed.Action, err = NewAction(config.Action{FixedResponse: &config.FixedResponse{StatusCode: 200, ContentType: "text/plain", MessageBody: "x"}}, nil); err != nil {
		t.Fatal(err)
	}
	redirect := newListener(true)
	redirect.Action, err = NewAction(config.Action{Redirect: &config.Redirect{Protocol: "HTTPS", Host: "b.example", Port: "443", Path: "/", StatusCode: "HTTP_301"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, h2 := range []bool{false, true} {
		for _, test := range []struct {
			name   string
			l      *Listener
			path   string
			status int
			own    string
		}{
			{"target", newListener(true).forwardTo(t, target), "/", 200, "stays"},
			{"target that lists them", newListener(true).forwardTo(t, target), "/listed", 200, ""},
			{"no body", newListener(true).forwardTo(t, target), "/304", 304, "stays"},
			{"after a 103", newListener(true).forwardTo(t, target), "/hints", 200, "stays"},
			{"unreachable", newListener(true).forwardTo(t, "http://"+refusedAddr(t)), "/", 502, ""},
			{"fixed", fixed, "/", 200, ""},
			{"redirect", redirect, "/", 301, ""},
		} {
			t.Run(fmt.Sprintf("%s/h2=%v", test.name, h2), func(t *testing.T) {
				test.l.Response = hardened
				e := startEdge(t, test.l)
				resp, err := e.client(h2).Get(e.url(test.path))
				if err != nil {
					t.Fatal(err)
				}
				resp.Body.Close()
				if resp.StatusCode != test.status || h2 != (resp.ProtoMajor == 2) {
					t.Fatalf("got %s %s", resp.Proto, resp.Status)
				}
				checkHardened(t, resp.Header)
				if got := resp.Header["X_frame_options"]; got != nil {
					t.Errorf("x_frame_options: got %q", got)
				}
				if got := resp.Header.Get("X-Own"); got != test.own {
					t.Errorf("X-Own: got %q, want %q", got, test.own)
				}
			})
		}
	}
}

// TestResponseEditsOfRefusals is about what is answered before it is a request,
// and about a second request on the connection.
func TestResponseEditsOfRefusals(t *testing.T) {
	l := newListener(false).forwardTo(t, startTarget(t, func(http.ResponseWriter, *http.Request) {}))
	l.Response = hardened
	e := startEdge(t, l)
	for what, text := range map[string]string{
		"malformed":         "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
		"long request line": "GET /" + strings.Repeat("a", http1.MaxLine) + " HTTP/1.1\r\nHost: a\r\n\r\n",
		"method":            "TRACE / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
		"behind another":    "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/9.9\r\nHost: a\r\n\r\n",
	} {
		t.Run(what, func(t *testing.T) {
			r := bufio.NewReader(strings.NewReader(e.raw(text)))
			n := 0
			for ; ; n++ {
				resp, err := http.ReadResponse(r, nil)
				if err != nil {
					break
				}
				io.Copy(io.Discard, resp.Body)
				checkHardened(t, resp.Header)
			}
			if want := 1 + strings.Count(what, "behind"); n != want {
				t.Errorf("got %d responses, want %d", n, want)
			}
		})
	}
}

func TestResponseEditsOfWebSocket(t *testing.T) {
	target := rawTarget(t, func(conn net.Conn, r *bufio.Reader) {
		readHead(r)
		io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nServer: target/1\r\nX-Frame-Options: SAMEORIGIN\r\n\r\nhello")
	})
	l := newListener(false).forwardTo(t, target)
	l.Response = hardened
	got := startEdge(t, l).raw("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	head, body, _ := strings.Cut(got, "\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(strings.NewReader(head+"\r\n\r\n")), nil)
	if err != nil || resp.StatusCode != 101 || resp.Header.Get("Upgrade") != "websocket" || body != "hello" {
		t.Fatalf("got %q, %v", got, err)
	}
	checkHardened(t, resp.Header)
}

func BenchmarkEditResponse(b *testing.B) {
	fields := []http1.Field{{Name: "Content-Type", Value: "text/plain"}, {Name: "Server", Value: "target", Kind: http1.Server}, {Name: "Etag", Value: "x"}}
	x := &exchange{edits: hardened}
	b.ReportAllocs()
	for b.Loop() {
		x.resp.Fields = append(x.resp.Fields[:0], fields...)
		x.editResponse()
	}
}
