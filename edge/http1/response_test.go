package http1

import (
	"bufio"
	"bytes"
	"net/http"
	"testing"
)

func TestParseResponse(t *testing.T) {
	for _, test := range []struct {
		name, method, head string
		length             int64
		close              bool
		err                error
	}{
		{"length", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", 5, false, nil},
		{"chunks", "GET", "HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n", Unknown, false, nil},
		{"until the end", "GET", "HTTP/1.1 200 OK\r\n\r\n", Unknown, true, nil},
		{"old", "GET", "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", 5, true, nil},
		{"old and kept", "GET", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\n", 5, false, nil},
		{"closes", "GET", "HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 5\r\n\r\n", 5, true, nil},
		{"no phrase", "GET", "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", 0, false, nil},
		{"HEAD", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", 5, false, nil},
		{"HEAD with nothing", "HEAD", "HTTP/1.1 200 OK\r\n\r\n", None, false, nil},
		{"HEAD with chunks", "HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", None, false, nil},
		{"204 with a body", "GET", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", None, true, nil},
		{"204 with chunks", "GET", "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", None, true, nil},
		{"204 of no length", "GET", "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", None, false, nil},
		{"304 with a length", "GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", 5, false, nil},
		{"1xx of no length", "GET", "HTTP/1.1 103 Early Hints\r\nContent-Length: 0\r\n\r\n", None, false, nil},
		{"1xx with a body", "GET", "HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\n", 0, false, errInterim},
		{"1xx with chunks", "GET", "HTTP/1.1 100 Continue\r\nTransfer-Encoding: chunked\r\n\r\n", 0, false, errInterim},
		{"101 with a body", "GET", "HTTP/1.1 101 Switching Protocols\r\nContent-Length: 5\r\n\r\n", 0, false, errInterim},
		{"304 with chunks", "GET", "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", None, false, nil},
		{"HEAD with both", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 0, false, errBoth},
		{"length list", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\n", 0, false, errLength},
		{"length overflows", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551621\r\n\r\n", 0, false, errLength},
		{"empty line first", "GET", "\r\nHTTP/1.1 200 OK\r\n\r\n", 0, false, errStatusLine},
		{"two spaces", "GET", "HTTP/1.1  200 OK\r\n\r\n", 0, false, errStatusLine},
		{"no space", "GET", "HTTP/1.1 200OK\r\n\r\n", 0, false, errStatusLine},
		{"tab", "GET", "HTTP/1.1\t200 OK\r\n\r\n", 0, false, errStatusLine},
		{"no name", "GET", "HTTP/1.1 200 OK\r\n: x\r\n\r\n", 0, false, errFields},
		{"both", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 0, false, errBoth},
		{"length twice", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", 0, false, errLength},
		{"length signed", "GET", "HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\n", 0, false, errLength},
		{"coding twice", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 0, false, errCoding},
		{"another coding", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 0, false, errCoding},
		{"coding in HTTP 1.0", "GET", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 0, false, errCoding},
		{"splitting", "GET", "HTTP/1.1 200 OK\r\nX: a\rSet-Cookie: b\r\n\r\n", 0, false, errFields},
		{"bare LF", "GET", "HTTP/1.1 200 OK\r\nX: a\n\r\n", 0, false, errFields},
		{"folded", "GET", "HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n", 0, false, errFields},
		{"space before colon", "GET", "HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\n", 0, false, errFields},
		{"NUL", "GET", "HTTP/1.1 200 OK\r\nX: \x00\r\n\r\n", 0, false, errFields},
		{"NUL in phrase", "GET", "HTTP/1.1 200 \x00\r\n\r\n", 0, false, errStatusLine},
		{"status 099", "GET", "HTTP/1.1 099 Odd\r\n\r\n", 0, false, errStatusLine},
		{"four digits", "GET", "HTTP/1.1 2000 OK\r\n\r\n", 0, false, errStatusLine},
		{"HTTP 2", "GET", "HTTP/2.0 200 OK\r\n\r\n", 0, false, errStatusLine},
		{"not HTTP", "GET", "SSH-2.0\r\n\r\n", 0, false, errStatusLine},
	} {
		t.Run(test.name, func(t *testing.T) {
			var r Response
			err := r.Parse([]byte(test.head), test.method)
			if err != test.err || err == nil && (r.Length != test.length || r.Close != test.close) {
				t.Errorf("%v, length %d, close %v; want %v, %d, %v", err, r.Length, r.Close, test.err, test.length, test.close)
			}
		})
	}
}

// FuzzResponse: what is passed on net/http reads as the same response, or
// refuses.
func FuzzResponse(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"))
	f.Add([]byte("HTTP/1.0 404 \r\nTransfer-Encoding: chunked\r\nX: y\r\n\r\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		var s Scanner
		end, oversized := s.End(text, MaxResponseHead, MaxResponseHead)
		if end == 0 || oversized {
			return
		}
		var r Response
		if r.Parse(text[:end], "GET") != nil {
			return
		}
		resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(text)), nil)
		if err != nil {
			return
		}
		resp.Body.Close()
		if resp.StatusCode != r.Status {
			t.Fatalf("status %d, and %d to net/http", r.Status, resp.StatusCode)
		}
		if HasBody("GET", r.Status) && r.Length >= 0 && resp.ContentLength != r.Length {
			t.Fatalf("length %d, and %d to net/http", r.Length, resp.ContentLength)
		}
	})
}
