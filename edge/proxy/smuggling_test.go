package proxy

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
)

// Through the whole edge: what is not framed beyond doubt is answered 400, noted,
// and nothing behind it on the connection is taken for a request.
func TestMalformedRequests(t *testing.T) {
	var paths atomic.Pointer[string]
	target := startTarget(t, func(w http.ResponseWriter, r *http.Request) {
		path := r.URL.Path
		if path == "/smuggled" {
			paths.Store(&path)
		}
		io.Copy(io.Discard, r.Body)
	})
	const smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
	for _, secure := range []bool{false, true} {
		e := startEdge(t, newListener(secure).forwardTo(t, target))
		for name, test := range illFramed {
			t.Run(name, func(t *testing.T) {
				got := e.raw(test.text + smuggled)
				if !strings.HasPrefix(got, "HTTP/1.1 400 ") || strings.Count(got, "HTTP/1.1 ") != 1 {
					t.Errorf("answered %q, want one 400", got)
				}
				r := e.record()
				if r.ELBStatusCode != 400 || r.ClassificationReason != test.reason || r.ErrorReason != ReasonMalformedRequest {
					t.Errorf("record %+v, want 400 for %s", r, test.reason)
				}
			})
		}
	}
	if path := paths.Load(); path != nil {
		t.Errorf("target got %s", *path)
	}
}

// A malformed request behind a good one spares the good one. Where it is wrong
// from the start, net/http closes without an answer.
func TestMalformedPipelined(t *testing.T) {
	target := startTarget(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "good") })
	e := startEdge(t, newListener(false).forwardTo(t, target))
	for bad, answers := range map[string]int{"\x16\x03\x01": 0, "GET / HTTP/3.0\r\n\r\n": 1, "\n\n\n": 0} {
		got := e.raw("GET / HTTP/1.1\r\nHost: a\r\n\r\n" + bad)
		if !strings.HasPrefix(got, "HTTP/1.1 200 OK\r\n") || !strings.Contains(got, "good") || strings.Count(got, "HTTP/1.1 400") != answers {
			t.Errorf("before %q: %q, want 200 and then %d times 400", bad, got, answers)
		}
		if a, b := e.record().ELBStatusCode, e.record().ELBStatusCode; a+b != 600 {
			t.Errorf("before %q: records of %d and %d, want 200 and 400", bad, a, b)
		}
	}
}

// Requests in one packet are answered in turn, bodies in between included.
func TestPipelining(t *testing.T) {
	target := startTarget(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		io.WriteString(w, r.URL.Path+"="+string(body)+";")
	})
	e := startEdge(t, newListener(true).forwardTo(t, target))
	got := e.raw("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n" +
		"POST /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n" +
		"POST /3 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nde" +
		"GET /4 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	if n := strings.Count(got, "HTTP/1.1 200 OK"); n != 4 {
		t.Errorf("%d responses in %q, want 4", n, got)
	}
	last := 0
	for _, want := range []string{"/1=;", "/2=abc;", "/3=de;", "/4=;"} {
		at := strings.Index(got, want)
		if at < last {
			t.Errorf("%q is missing or out of order in %q", want, got)
		}
		last = at
	}
}

// Heads that net/http would take, and the edge does not.
func TestRefusedHeads(t *testing.T) {
	target := startTarget(t, func(w http.ResponseWriter, r *http.Request) { t.Errorf("target got %s %s", r.Method, r.RequestURI) })
	e := startEdge(t, newListener(false).forwardTo(t, target))
	many := "X-Forwarded-For: " + strings.Repeat("192.0.2.1, ", 30) + "192.0.2.1\r\n"
	for _, test := range []struct {
		name, text string
		status     int
		reason     string
	}{
		{"TRACE", "TRACE / HTTP/1.1\r\nHost: a\r\n", 405, ReasonMethodNotAllowed},
		{"CONNECT", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n", 405, ReasonMethodNotAllowed},
		{"31 addresses", "GET / HTTP/1.1\r\nHost: a\r\n" + many, 463, ReasonTooManyForwarded},
		{"31 addresses in two lines", "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.1\r\n" + strings.Replace(many, "192.0.2.1, ", "", 1), 463, ReasonTooManyForwarded},
		{"rootless target", "GET mailto:x HTTP/1.1\r\nHost: a\r\n", 400, ReasonMalformedRequest},
		{"GET *", "GET * HTTP/1.1\r\nHost: a\r\n", 400, ReasonMalformedRequest},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := e.raw(test.text + "Connection: close\r\n\r\n")
			resp, err := http.ReadResponse(newReader(got), nil)
			if err != nil {
				t.Fatalf("%v in %q", err, got)
			}
			defer resp.Body.Close()
			if resp.StatusCode != test.status || resp.Header.Get("Server") != "sallyport" || resp.Header.Get("Content-Type") != "text/html" {
				t.Errorf("got %d %v, want %d", resp.StatusCode, resp.Header, test.status)
			}
			if r := e.record(); r.ELBStatusCode != test.status || r.ErrorReason != test.reason || r.Target != "" {
				t.Errorf("record %+v", r)
			}
		})
	}
}
