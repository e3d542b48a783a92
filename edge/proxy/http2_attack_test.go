package proxy

import (
	"strings"
	"testing"

	"golang.org/x/net/http2"
)

// outcome is what becomes of a stream: its status, "reset", or "closed" with the
// whole connection.
func (c *http2Conn) outcome(stream uint32) string {
	for {
		frame, err := c.ReadFrame()
		if err != nil {
			return "closed"
		}
		switch f := frame.(type) {
		case *http2.MetaHeadersFrame:
			if f.StreamID == stream {
				return f.PseudoValue("status")
			}
		case *http2.RSTStreamFrame:
			if f.StreamID == stream {
				return "reset"
			}
		case *http2.GoAwayFrame:
			return "closed"
		}
	}
}

// http2Head is the block of a request, with what is given instead of the usual.
func http2Head(instead ...string) []string {
	all := []string{":method", "POST", ":scheme", "https", ":authority", "edge.test", ":path", "/"}
	for i := 0; i < len(instead); i += 2 {
		replaced := false
		for j := 0; j < len(all) && strings.HasPrefix(instead[i], ":"); j += 2 {
			if all[j] == instead[i] {
				all[j+1], replaced = instead[i+1], true
			}
		}
		if !replaced {
			all = append(all, instead[i], instead[i+1])
		}
	}
	return all
}

// What HTTP/2 can say and HTTP/1.1 cannot must not become another request at the
// target, nor a second one.
func TestHTTP2Smuggling(t *testing.T) {
	const inject = "x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled
	for _, test := range []struct {
		name   string
		head   []string
		body   string // "": the stream ends with its head
		want   string // one of these
		target string
	}{
		{"plain", http2Head(), "", "200", "POST /"},
		{"body", http2Head(), "hello", "200", "POST / hello"},
		{"H2.CL, less", http2Head("content-length", "0"), smuggled, "reset closed 400 200", "POST /"},
		{"H2.CL, more", http2Head("content-length", "50"), "hello", "reset closed 400 460", ""},
		{"H2.CL without a body", http2Head("content-length", "5"), "", "400", ""},
		{"H2.CL twice", http2Head("content-length", "5", "content-length", "6"), "hello", "400 reset", ""},
		{"H2.CL twice the same", http2Head("content-length", "5", "content-length", "5"), "hello", "400 reset", ""},
		{"H2.CL list", http2Head("content-length", "5, 5"), "hello", "400 reset", ""},
		{"H2.CL signed", http2Head("content-length", "+5"), "hello", "400 reset", ""},
		{"H2.CL of NUL", http2Head("content-length", "5\x00"), "hello", "reset closed 400", ""},
		{"H2.TE", http2Head("transfer-encoding", "chunked"), "0\r\n\r\n" + smuggled, "400 reset closed", ""},
		{"H2.TE by a look-alike", http2Head("transfer_encoding", "chunked"), "0\r\n\r\n" + smuggled, "400", ""},
		{"look-alike of a length", http2Head("content--length", "0"), "hello", "400", ""},
		{"CR LF in a value", http2Head("x", inject), "", "reset closed 400", ""},
		{"LF in a value", http2Head("x", strings.ReplaceAll(inject, "\r", "")), "", "reset closed 400", ""},
		{"CR in a value", http2Head("x", "a\rb: c"), "", "reset closed 400", ""},
		{"NUL in a value", http2Head("x", "a\x00b"), "", "reset closed 400", ""},
		{"CR LF in a name", http2Head("x: y\r\ntransfer-encoding", "chunked"), "", "reset closed 400", ""},
		{"colon in a name", http2Head("transfer-encoding: chunked\r\nx", "y"), "", "reset closed 400", ""},
		{"colon ends a name", http2Head("transfer-encoding:", "chunked"), "", "reset closed 400", ""},
		{"space in a name", http2Head("x y", "z"), "", "reset closed 400", ""},
		{"no name", http2Head("", "z"), "", "reset closed 400", ""},
		{"upper case", http2Head("Transfer-Encoding", "chunked"), "", "reset closed 400", ""},
		{"CR LF in the path", http2Head(":path", "/ HTTP/1.1\r\nX: y"), "", "reset closed 400", ""},
		{"space in the path", http2Head(":path", "/x HTTP/1.1"), "", "400 reset", ""},
		{"tab in the path", http2Head(":path", "/x\ty"), "", "400 reset", ""},
		{"path without a slash", http2Head(":path", "x"), "", "400 reset", ""},
		{"path of another host", http2Head(":path", "https://other/x"), "", "400 reset", ""},
		{"path with an authority", http2Head(":path", "//other/x"), "", "200", "POST //other/x"},
		{"no path", http2Head(":path", ""), "", "400 reset", ""},
		{"CR LF in the method", http2Head(":method", "GET / HTTP/1.1\r\nHost: b\r\n\r\nGET"), "", "reset closed 400", ""},
		{"space in the method", http2Head(":method", "GET /smuggled"), "", "reset closed 400", ""},
		{"CR LF in the authority", http2Head(":authority", "a\r\nX: y"), "", "reset closed 400", ""},
		{"path in the authority", http2Head(":authority", "a/b"), "", "reset closed 400", ""},
		{"user in the authority", http2Head(":authority", "u@a"), "", "reset closed 400", ""},
		{"authority against host", http2Head("host", "other.test"), "", "reset closed 400", ""},
		{"host twice", http2Head("host", "edge.test", "host", "edge.test"), "", "reset closed 400", ""},
		{"path twice", append(http2Head(), ":path", "/smuggled"), "", "reset closed 400", ""},
		{"authority twice", append(http2Head(), ":authority", "b"), "", "reset closed 400", ""},
		{"method twice", append(http2Head(), ":method", "GET"), "", "reset closed 400", ""},
		{"pseudo-header behind a field", append([]string{"x", "y"}, http2Head()...), "", "reset closed 400", ""},
		{"unknown pseudo-header", http2Head(":smuggled", "x"), "", "reset closed 400", ""},
		{"pseudo-header of responses", http2Head(":status", "200"), "", "reset closed 400", ""},
		{"scheme with CR LF", http2Head(":scheme", "https://a\r\nX: y"), "", "reset closed 400 200", ""},
		{"connection", http2Head("connection", "x-client-subject"), "", "400 reset", ""},
		{"keep-alive", http2Head("keep-alive", "1"), "", "400 reset", ""},
		{"proxy-connection", http2Head("proxy-connection", "close"), "", "400 reset", ""},
		{"upgrade", http2Head("upgrade", "h2c"), "", "400 reset", ""},
		{"te", http2Head("te", "chunked"), "", "400 reset", ""},
		{"CONNECT", []string{":method", "CONNECT", ":authority", "a:443"}, "", "405 reset", ""},
		{"extended CONNECT", []string{":method", "CONNECT", ":protocol", "websocket", ":scheme", "https", ":path", "/", ":authority", "edge.test"}, "", "reset closed 400 405", ""},
		{"expectation", http2Head("expect", "y"), "", "417", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			// One of its own: a request whose client has been reset may still be on its way.
			target := startRecorder(t)
			c := dialHTTP2(startEdge(t, newListener(true).forwardTo(t, target.url)))
			defer c.conn.Close()
			c.allowIllegal()
			c.AllowIllegalWrites = true
			c.headers(1, test.body == "", test.head...)
			if test.body != "" {
				c.WriteData(1, true, []byte(test.body))
			}
			got := c.outcome(1)
			if !strings.Contains(" "+test.want+" ", " "+got+" ") {
				t.Errorf("%s, want %s", got, test.want)
			}
			seen := target.seen()
			if seen != test.target && !(seen == "" && got != "200") {
				t.Errorf("the target got %q, want %q", seen, test.target)
			}
		})
	}
}

// Trailers of HTTP/2 do not frame, route or identify at the target.
func TestHTTP2Trailers(t *testing.T) {
	target := startRecorder(t)
	e := startEdge(t, newListener(true).forwardTo(t, target.url))
	for _, name := range []string{"content-length", "transfer-encoding", "content_length", "host", "x-client-subject", "x_client_subject", "upgrade", "connection", "te", "trailer",
		"keep-alive", "x-forwarded-for", "authorization", "x-sum"} {
		c := dialHTTP2(e)
		c.request(1, false, "POST", "trailer", name)
		c.WriteData(1, false, []byte("hello"))
		c.headers(1, true, name, "0")
		got := c.outcome(1)
		c.conn.Close()
		messages, broken := target.take()
		if len(broken) > 0 || got == "200" && (len(messages) != 1 || messages[0].message.body != "hello") || got != "200" && got != "reset" && got != "400" {
			t.Fatalf("%s: answered %s, and the target got %+v %q", name, got, messages, broken)
		}
		for _, m := range messages {
			if passed := len(m.message.trailers) > 0; passed != (name == "x-sum") {
				t.Errorf("%s: the target got the trailers %q", name, m.message.trailers)
			}
		}
	}
}
