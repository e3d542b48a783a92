package http1

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

var modes = map[Mode]string{Monitor: "m", Defensive: "d", Strictest: "s"}

func TestParse(t *testing.T) {
	for _, test := range attacks {
		t.Run(test.name, func(t *testing.T) {
			r, found := parseAll(t, test.text)
			if found.Class != test.class || found.Reason != test.reason {
				t.Errorf("found %v %s, want %v %s", found.Class, found.Reason, test.class, test.reason)
			}
			for mode, letter := range modes {
				if got := found.Refused(mode); got != strings.Contains(test.refused, letter) {
					t.Errorf("refused in mode %s: %v", letter, got)
				}
			}
			if test.refused != all3 {
				if got := summary(r); got != test.forwarded {
					t.Errorf("goes on as %q, want %q", got, test.forwarded)
				}
			}
		})
	}
}

// parseAll parses text, which arrives in pieces of every size and must be the
// same each time.
func parseAll(t *testing.T, text string) (*Request, Finding) {
	t.Helper()
	var s Scanner
	end := 0
	for n := 1; n <= len(text) && end == 0; n++ {
		end, _ = s.End([]byte(text[:n]), MaxLine, MaxHead)
	}
	if end == 0 {
		t.Fatalf("%q has no end", text)
	}
	r := new(Request)
	return r, r.Parse([]byte(text)[:end])
}

// summary prints what of a request goes on.
func summary(r *Request) string {
	s := fmt.Sprintf("%s %s HTTP/1.1|Host: %s", r.Method, r.AppendTarget(nil), r.Host)
	for _, f := range r.Fields {
		s += "|" + f.Name + ": " + f.Value
	}
	if r.Length != 0 {
		s += fmt.Sprintf("|length %d", r.Length)
	}
	return s
}

// forward prints a request as it goes on, framing of its body included.
func forward(r *Request, body string, trailers []Field) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", r.Method, r.AppendTarget(nil), r.Host)
	for _, f := range r.Fields {
		if !f.Kind.HopByHop() {
			fmt.Fprintf(&b, "%s: %s\r\n", f.Name, f.Value)
		}
	}
	switch {
	case r.Length > 0:
		fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n%s", r.Length, body)
	case r.Length < 0:
		b.WriteString("Transfer-Encoding: chunked\r\n\r\n")
		if body != "" {
			fmt.Fprintf(&b, "%s%s\r\n", AppendChunkSize(nil, len(body)), body)
		}
		b.WriteString("0\r\n")
		for _, f := range trailers {
			fmt.Fprintf(&b, "%s: %s\r\n", f.Name, f.Value)
		}
		b.WriteString("\r\n")
	default:
		b.WriteString("\r\n")
	}
	return b.String()
}

// receive reads one request from the front of text as the edge does. It says
// whether that was whole and may go on in monitor mode, the mildest.
func receive(text []byte) (r *Request, body string, trailers []Field, ok bool) {
	var s Scanner
	end, oversized := s.End(text, MaxLine, MaxHead)
	if end == 0 || oversized {
		return nil, "", nil, false
	}
	r = new(Request)
	if r.Parse(text[:end]).Refused(Monitor) {
		return nil, "", nil, false
	}
	rest := append([]byte(nil), text[end:]...)
	switch {
	case r.Length > int64(len(rest)):
		return nil, "", nil, false
	case r.Length >= 0:
		return r, string(rest[:r.Length]), nil, true
	}
	var d Decoder
	n, _, found := d.Decode(rest)
	if found.Class != Compliant || !d.Done() {
		return nil, "", nil, false
	}
	return r, string(rest[:n]), d.Trailers, true
}

// FuzzForward: whatever goes on is one message to every reader, and the same one:
// to net/http, and to a reader that was written from RFC 9112's grammar.
func FuzzForward(f *testing.F) {
	for _, test := range attacks {
		if len(test.text) < 1<<10 {
			f.Add([]byte(test.text + "hello\r\n0\r\n\r\n"))
			f.Add([]byte(test.text + "5;x=\"y\"\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"))
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		r, body, trailers, ok := receive(text)
		if !ok || r.Method == "CONNECT" {
			return
		}
		wire := forward(r, body, trailers)
		const behind = "GET /smuggled HTTP/1.1\r\nHost: z\r\n\r\n"

		got, rest, ok := grammarRequest(wire + behind)
		if !ok {
			t.Fatalf("not by the grammar: %q of %q", wire, text)
		}
		if rest != behind || got.method != r.Method || got.body != body || got.host != r.Host {
			t.Fatalf("the grammar reads %+v and leaves %q of %q", got, rest, wire)
		}

		br := bufio.NewReader(strings.NewReader(wire + behind))
		req, err := http.ReadRequest(br)
		if err != nil {
			return // refused is safe: it checks more of hosts and paths
		}
		read, err := io.ReadAll(req.Body)
		if err != nil || string(read) != body || req.Method != r.Method {
			t.Fatalf("net/http reads %s and body %q, %v of %q", req.Method, read, err, wire)
		}
		if left, _ := io.ReadAll(br); string(left) != behind {
			t.Fatalf("net/http leaves %q behind %q", left, wire)
		}
	})
}

func TestLimits(t *testing.T) {
	line := strings.Repeat("x", MaxLine)
	for name, test := range map[string]struct {
		text      string
		oversized bool
	}{
		"line of 16 KiB":       {"GET /" + line[:MaxLine-16] + " HTTP/1.1\r\nHost: a\r\n\r\n", false},
		"longer line":          {"GET /" + line + " HTTP/1.1\r\nHost: a\r\n\r\n", true},
		"line without an end":  {"GET /" + line, true},
		"field of 16 KiB":      {"GET / HTTP/1.1\r\nHost: a\r\nX:" + line[:MaxLine-4] + "\r\n\r\n", false},
		"longer field":         {"GET / HTTP/1.1\r\nHost: a\r\nX:" + line + "\r\n\r\n", true},
		"field without an end": {"GET / HTTP/1.1\r\nHost: a\r\nX:" + line, true},
		"64 KiB":               {"GET / HTTP/1.1\r\n" + strings.Repeat("X:"+line[:8000]+"\r\n", 8) + "\r\n", false},
		"more":                 {"GET / HTTP/1.1\r\n" + strings.Repeat("X:"+line[:8000]+"\r\n", 9) + "\r\n", true},
	} {
		var s Scanner
		if _, oversized := s.End([]byte(test.text), MaxLine, MaxHead); oversized != test.oversized {
			t.Errorf("%s: oversized %v", name, oversized)
		}
	}
}

func TestParseDoesNotAllocate(t *testing.T) {
	head := []byte("GET /a?b HTTP/1.1\r\nHost: a\r\nUser-Agent: test\r\nAccept: */*\r\nX-Forwarded-For: 192.0.2.1\r\nContent-Length: 0\r\n\r\n")
	response := []byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: text/plain\r\n\r\n")
	var r Request
	var p Response
	if n := testing.AllocsPerRun(100, func() {
		var s Scanner
		s.End(head, MaxLine, MaxHead)
		r.Parse(head)
		if p.Parse(response, "GET") != nil {
			t.Error("refused")
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkParse(b *testing.B) {
	head := []byte("GET /a?b HTTP/1.1\r\nHost: api.example.com\r\nUser-Agent: bench\r\nAccept: */*\r\nAccept-Encoding: gzip\r\nCookie: a=b; c=d\r\n\r\n")
	var r Request
	b.ReportAllocs()
	for b.Loop() {
		var s Scanner
		end, _ := s.End(head, MaxLine, MaxHead)
		r.Parse(head[:end])
	}
}
