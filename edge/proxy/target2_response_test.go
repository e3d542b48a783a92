package proxy

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/net/http2"
)

// A response that is not one, or could be taken for another, becomes a 502: of it
// nothing gets to the client.
func TestMalformedResponses2(t *testing.T) {
	ok := []string{":status", "200"}
	for _, test := range []struct {
		name, method string
		send         func(f *frames, stream uint32)
	}{
		{"closed", "GET", func(f *frames, s uint32) {}},
		{"not HTTP/2", "GET", func(f *frames, s uint32) {
			io.WriteString(f.conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			f.drain()
		}},
		{"reset", "GET", func(f *frames, s uint32) { f.WriteRSTStream(s, http2.ErrCodeInternal); f.drain() }},
		{"no status", "GET", func(f *frames, s uint32) { f.head(s, true, "x", "y"); f.drain() }},
		{"status 099", "GET", func(f *frames, s uint32) { f.head(s, true, ":status", "099"); f.drain() }},
		{"status +200", "GET", func(f *frames, s uint32) { f.head(s, true, ":status", "+200"); f.drain() }},
		{"status 0200", "GET", func(f *frames, s uint32) { f.head(s, true, ":status", "0200"); f.drain() }},
		{"status 1000", "GET", func(f *frames, s uint32) { f.head(s, true, ":status", "1000"); f.drain() }},
		{"status in words", "GET", func(f *frames, s uint32) { f.head(s, true, ":status", "fine"); f.drain() }},
		{"101", "GET", func(f *frames, s uint32) { f.head(s, false, ":status", "101"); f.drain() }},
		{"endless 1xx", "GET", func(f *frames, s uint32) {
			for range maxInterim + 1 {
				f.head(s, false, ":status", "103")
			}
			f.drain()
		}},
		{"1xx at the end", "GET", func(f *frames, s uint32) { f.head(s, true, ":status", "103"); f.drain() }},
		{"another pseudo-header", "GET", func(f *frames, s uint32) { f.head(s, true, append(ok, ":path", "/")...); f.drain() }},
		{"upper case", "GET", func(f *frames, s uint32) { f.head(s, true, append(ok, "X-Upper", "y")...); f.drain() }},
		{"split value", "GET", func(f *frames, s uint32) { f.head(s, true, append(ok, "x", "y\r\nSet-Cookie: z")...); f.drain() }},
		{"NUL in a value", "GET", func(f *frames, s uint32) { f.head(s, true, append(ok, "x", "y\x00")...); f.drain() }},
		{"space in a name", "GET", func(f *frames, s uint32) { f.head(s, true, append(ok, "x y", "z")...); f.drain() }},
		{"Connection", "GET", func(f *frames, s uint32) { f.head(s, true, append(ok, "connection", "close")...); f.drain() }},
		{"Keep-Alive", "GET", func(f *frames, s uint32) { f.head(s, true, append(ok, "keep-alive", "timeout=5")...); f.drain() }},
		{"Transfer-Encoding", "GET", func(f *frames, s uint32) {
			f.head(s, false, append(ok, "transfer-encoding", "chunked")...)
			f.WriteData(s, true, []byte("5\r\nhello\r\n0\r\n\r\n"))
			f.drain()
		}},
		{"two lengths", "GET", func(f *frames, s uint32) {
			f.head(s, false, append(ok, "content-length", "5", "content-length", "6")...)
			f.WriteData(s, true, []byte("hello"))
			f.drain()
		}},
		{"no length", "GET", func(f *frames, s uint32) {
			f.head(s, false, append(ok, "content-length", "five")...)
			f.WriteData(s, true, []byte("hello"))
			f.drain()
		}},
		{"length without a body", "GET", func(f *frames, s uint32) { f.head(s, true, append(ok, "content-length", "5")...); f.drain() }},
		{"body shorter than its length", "GET", func(f *frames, s uint32) {
			f.head(s, false, append(ok, "content-length", "6")...)
			f.WriteData(s, true, []byte("hello"))
			f.drain()
		}},
		{"body longer than its length", "GET", func(f *frames, s uint32) {
			f.head(s, false, append(ok, "content-length", "4")...)
			f.WriteData(s, true, []byte("hello"))
			f.drain()
		}},
		{"body cut", "GET", func(f *frames, s uint32) {
			f.head(s, false, append(ok, "content-length", "10")...)
			f.WriteData(s, false, []byte("hello"))
			f.WriteRSTStream(s, http2.ErrCodeInternal)
			f.drain()
		}},
		{"204 with a body", "GET", func(f *frames, s uint32) {
			f.head(s, false, ":status", "204")
			f.WriteData(s, true, []byte("hello"))
			f.drain()
		}},
		{"304 with a body", "GET", func(f *frames, s uint32) {
			f.head(s, false, ":status", "304", "content-length", "5")
			f.WriteData(s, true, []byte("hello"))
			f.drain()
		}},
		{"head too large", "GET", func(f *frames, s uint32) {
			f.head(s, true, append(ok, "x", strings.Repeat("x", 40<<10))...)
			f.drain()
		}},
		{"a stream of the target's own", "GET", func(f *frames, s uint32) {
			f.WritePushPromise(http2.PushPromiseParam{StreamID: s, PromiseID: 2, EndHeaders: true})
			f.drain()
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, h2 := range []bool{false, true} {
				e := startEdge(t, newListener(true).forwardTo2(t, frameTarget(t, func(_ int, f *frames) {
					if r := f.request(); r != nil {
						test.send(f, r.StreamID)
					}
				})))
				r, _ := http.NewRequest(test.method, e.url("/"), nil)
				resp, err := e.client(h2).Do(r)
				if err != nil {
					t.Fatal(err)
				}
				body, _ := io.ReadAll(resp.Body)
				resp.Body.Close()
				if resp.StatusCode != 502 || string(body) != string(page(502)) || resp.Header.Get("X") != "" {
					t.Errorf("h2 %v: got %d %q %v", h2, resp.StatusCode, body, resp.Header)
				}
				if r := e.record(); r.ELBStatusCode != 502 || r.ErrorReason != ReasonTargetResponse || r.ErrorDetail == "" {
					t.Errorf("h2 %v: record %+v", h2, r)
				}
			}
		})
	}
}

// Responses without a body end where they must, whatever their target says.
func TestBodilessResponses2(t *testing.T) {
	for _, test := range []struct {
		name, method string
		length       int64
		send         func(f *frames, stream uint32)
	}{
		{"204", "GET", 0, func(f *frames, s uint32) { f.head(s, true, ":status", "204") }},
		{"204 with a length", "GET", 0, func(f *frames, s uint32) { f.head(s, true, ":status", "204", "content-length", "5") }},
		{"204, ended later", "GET", 0, func(f *frames, s uint32) { f.head(s, false, ":status", "204"); f.WriteData(s, true, nil) }},
		{"304", "GET", 5, func(f *frames, s uint32) { f.head(s, true, ":status", "304", "content-length", "5") }},
		{"HEAD", "HEAD", 5, func(f *frames, s uint32) { f.head(s, true, ":status", "200", "content-length", "5") }},
		{"HEAD with a body", "HEAD", 5, func(f *frames, s uint32) {
			f.head(s, false, ":status", "200", "content-length", "5")
			f.WriteData(s, true, []byte("hello"))
		}},
		{"empty", "GET", 0, func(f *frames, s uint32) { f.head(s, true, ":status", "200") }},
	} {
		t.Run(test.name, func(t *testing.T) {
			target := frameTarget(t, func(_ int, f *frames) {
				for r := f.request(); r != nil; r = f.request() {
					test.send(f, r.StreamID)
				}
			})
			e := startEdge(t, newListener(true).forwardTo2(t, target))
			for _, h2 := range []bool{false, true} {
				client := e.client(h2)
				for range 3 { // and the connections can be used again
					r, _ := http.NewRequest(test.method, e.url("/"), nil)
					resp, err := client.Do(r)
					if err != nil {
						t.Fatal(err)
					}
					body, err := io.ReadAll(resp.Body)
					resp.Body.Close()
					if err == io.ErrUnexpectedEOF && resp.StatusCode == 304 {
						err = nil // net/http's client by HTTP/2 waits for what a 304 has the length of
					}
					if resp.StatusCode == 502 || len(body) > 0 || err != nil || resp.ContentLength != test.length && resp.Header.Get("Content-Length") != "5" {
						t.Errorf("h2 %v: got %d %q of %d, %v", h2, resp.StatusCode, body, resp.ContentLength, err)
					}
					if r := e.record(); r.ErrorReason != "" {
						t.Errorf("h2 %v: record %+v", h2, r)
					}
				}
			}
		})
	}
}

// A body that breaks off when its head is with the client does not look whole.
func TestCutResponses2(t *testing.T) {
	for _, test := range []struct {
		name string
		send func(f *frames, stream uint32)
	}{
		{"closed", func(f *frames, s uint32) {}},
		{"reset", func(f *frames, s uint32) { f.WriteRSTStream(s, http2.ErrCodeInternal); f.drain() }},
		{"reset without an error", func(f *frames, s uint32) { f.WriteRSTStream(s, http2.ErrCodeNo); f.drain() }},
		{"trailers with a status", func(f *frames, s uint32) { f.head(s, true, ":status", "200"); f.drain() }},
	} {
		for _, way := range everyWay {
			t.Run(test.name+" "+way.name, func(t *testing.T) {
				proceed := make(chan struct{})
				target := frameTarget(t, func(_ int, f *frames) {
					r := f.request()
					if r == nil {
						return
					}
					f.head(r.StreamID, false, ":status", "200")
					f.WriteData(r.StreamID, false, []byte("hello"))
					<-proceed
					test.send(f, r.StreamID)
				})
				l := newListener(way.secure).forwardTo2(t, target)
				l.Action.group.hold = holdBack
				e := startEdge(t, l)
				resp, err := e.client(way.h2).Get(e.url("/"))
				if err != nil {
					close(proceed)
					t.Fatal(err)
				}
				close(proceed)
				body, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if string(body) != "hello" || err == nil {
					t.Errorf("got %q, and the response looks whole", body)
				}
				if r := e.record(); r.ELBStatusCode != 200 || r.ErrorReason != ReasonTargetClosed {
					t.Errorf("record %+v", r)
				}
			})
		}
	}
}

// 1xx responses go on in front of the answer.
func TestInterimResponses2(t *testing.T) {
	target := frameTarget(t, func(_ int, f *frames) {
		for r := f.request(); r != nil; r = f.request() {
			f.head(r.StreamID, false, ":status", "103", "link", "</a.css>")
			f.head(r.StreamID, false, ":status", "103", "link", "</b.css>")
			f.head(r.StreamID, true, ":status", "200", "x", "y")
		}
	})
	e := startEdge(t, newListener(true).forwardTo2(t, target))
	got := e.raw("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	got = strings.ToLower(got)
	a, b, c := strings.Index(got, "link: </a.css>"), strings.Index(got, "link: </b.css>"), strings.Index(got, "http/1.1 200 ok\r\n")
	if !strings.HasPrefix(got, "http/1.1 103 early hints\r\n") || a < 0 || b < a || c < b || strings.Contains(got[c:], "link:") {
		t.Errorf("got %q", got)
	}
	if got = e.raw("GET / HTTP/1.0\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 200 OK\r\n") {
		t.Errorf("HTTP/1.0: got %q", got)
	}
	conn := dialHTTP2(e)
	conn.request(1, true, "GET")
	for _, want := range []string{"103", "103", "200"} {
		if status := conn.status(1); status != want {
			t.Errorf("h2: status %s, want %s", status, want)
		}
	}
}
