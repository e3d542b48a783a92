package proxy

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/edge/http1"
)

// Each limit of a request: one byte below, at it, and one above, in one write and
// byte by byte of TLS records. What is at the limit reaches the target as it was.
func TestExactLimits(t *testing.T) {
	target := startRecorder(t)
	e := startEdge(t, newListener(true).forwardTo(t, target.url))
	line := func(size int) string { // a request line of this size
		const rest = "GET / HTTP/1.1\r\n"
		return "GET /" + strings.Repeat("a", size-len(rest)) + " HTTP/1.1\r\n"
	}
	field := func(size int) string { return "X: " + strings.Repeat("b", size-len("X: \r\n")) + "\r\n" }
	head := func(size int) string { // a head of this size, of lines that are within theirs
		text := "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
		for size-len(text)-2 > 10000 {
			text += field(8000)
		}
		return text + field(size-len(text)-2) + "\r\n"
	}
	const host = "Host: a\r\nConnection: close\r\n\r\n"
	fields := func(n int) string {
		return "GET / HTTP/1.1\r\nConnection: close\r\nHost: a\r\n" + strings.Repeat("X:\r\n", n-2) + "\r\n"
	}
	trailers := func(size int) string {
		return "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + field(size-2) + "\r\n"
	}
	for _, test := range []struct {
		name  string
		limit int
		text  func(int) string
		above int
	}{
		{"request line", http1.MaxLine, func(n int) string { return line(n) + host }, 414},
		{"field line", http1.MaxLine, func(n int) string { return "GET / HTTP/1.1\r\n" + field(n) + host }, 400},
		{"head", http1.MaxHead, head, 400},
		{"fields", http1.MaxFields, fields, 400},
		{"trailers", http1.MaxTrailer, trailers, 400},
		{"extension", http1.MaxExtension, func(n int) string {
			return "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n1;" + strings.Repeat("e", n) + "\r\nx\r\n0\r\n\r\n"
		}, 400},
	} {
		for over := -1; over <= 1; over++ {
			want := 200
			if over > 0 {
				want = test.above
			}
			text := test.text(test.limit + over)
			for _, piece := range []int{len(text), 1000} {
				conn := e.dial("http/1.1")
				go func() { // what is above the limit may be answered before all is written
					for rest := text; rest != ""; {
						n := min(piece, len(rest))
						if _, err := conn.Write([]byte(rest[:n])); err != nil {
							return
						}
						rest = rest[n:]
					}
				}()
				status, _, err := newResponses(conn).next()
				if status != want || err != nil {
					t.Errorf("%s of %d%+d in pieces of %d: %d, %v, want %d", test.name, test.limit, over, piece, status, err, want)
				}
				conn.Close()
				messages, broken := target.take()
				if (len(messages) == 1) != (want == 200) || len(broken) > 0 {
					t.Errorf("%s of %d%+d: the target got %d requests", test.name, test.limit, over, len(messages))
				}
				if r := e.record(); r.ELBStatusCode != want {
					t.Errorf("%s of %d%+d: record of %d, want %d", test.name, test.limit, over, r.ELBStatusCode, want)
				}
				receive(t, e.served, "end of the connection")
			}
		}
	}
}

// Heads and lines that never end are answered where the limit is, not held.
func TestEndlessHeads(t *testing.T) {
	e := startEdge(t, newListener(true))
	for begin, want := range map[string]int{
		"GET /": 414, "GET": 414, "GET / HTTP/1.1\r\nHost: a\r\nX: ": 400, "GET / HTTP/1.1\r\nHost: a\r\nX": 400,
	} {
		conn := e.dial("http/1.1")
		wrote := make(chan int, 1)
		go func() {
			sum, _ := conn.Write([]byte(begin))
			chunk := []byte(strings.Repeat("x", 1000))
			for sum < 64<<20 {
				n, err := conn.Write(chunk)
				if sum += n; err != nil {
					break
				}
			}
			wrote <- sum
		}()
		if status, _, err := newResponses(conn).next(); status != want || err != nil {
			t.Errorf("%q without end: %d, %v, want %d", begin, status, err, want)
		}
		receive(t, e.served, "end of the connection")
		if n := receive(t, wrote, "end of writing"); n >= 64<<20 {
			t.Errorf("%q without end: %d bytes were taken", begin, n)
		}
		if r := e.record(); r.ELBStatusCode != want {
			t.Errorf("%q without end: record %+v", begin, r)
		}
	}
}

// A flood of small fields costs no more than the limit on their number.
func TestFieldFlood(t *testing.T) {
	e := startEdge(t, newListener(true))
	for _, name := range []string{"X", "Host", "Content-Length", "Transfer-Encoding", "Connection", "Cookie"} {
		var text strings.Builder
		text.WriteString("GET / HTTP/1.1\r\nHost: a\r\n")
		for i := range 2000 {
			fmt.Fprintf(&text, "%s: %d\r\n", name, i)
		}
		text.WriteString("\r\n")
		if got := e.raw(text.String()); statuses(got) != "400" {
			t.Errorf("%s two thousand times: %q", name, got)
		}
	}
}
