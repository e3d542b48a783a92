package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/edge/http1"
)

// What becomes of requests that servers read differently, by mode: whether they
// are refused, what the target gets, and whether the connection goes on.
func TestDesyncModes(t *testing.T) {
	got := make(chan string, 8)
	target := rawTarget(t, func(conn net.Conn, r *bufio.Reader) {
		for {
			req, err := http.ReadRequest(r)
			if err != nil {
				return
			}
			body, err := io.ReadAll(req.Body)
			got <- fmt.Sprintf("%s %s %d %v %q %v", req.Method, req.RequestURI, req.ContentLength, req.TransferEncoding, body, err)
			io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		}
	})
	const next = "GET /next HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
	for _, test := range []struct {
		name, text, class, reason string
		refused                   string // by which modes: m, d, s
		target                    string
		kept                      bool
	}{
		{"compliant", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "", "", "", `GET / 0 [] "" <nil>`, true},
		{"acceptable", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", "Acceptable", "GetHeadZeroContentLength", "s", `GET / 0 [] "" <nil>`, true},
		{"body of GET", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", "Ambiguous", "UndefinedContentLengthSemantics", "s", `GET / 5 [] "hello" <nil>`, false},
		{"look-alike", "POST / HTTP/1.1\r\nHost: a\r\nContent_Length: 5\r\n\r\n", "Ambiguous", "SuspiciousHeader", "s", `POST / 0 [] "" <nil>`, false},
		{"both", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "Ambiguous", "BothTeClPresent", "ds", `POST / -1 [chunked] "hello" <nil>`, false},
		{"length twice", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello", "Ambiguous", "DuplicateContentLength", "ds", `POST / 5 [] "hello" <nil>`, false},
		{"severe", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer_Encoding: chunked\r\n\r\nhello", "Severe", "SuspiciousTeClPresent", "ds", `POST / 5 [] "hello" <nil>`, false},
		{"no reading", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", "Severe", "MultipleContentLength", "mds", "", false},
	} {
		for mode, letter := range map[http1.Mode]string{http1.Monitor: "m", http1.Defensive: "d", http1.Strictest: "s"} {
			t.Run(test.name+" "+letter, func(t *testing.T) {
				l := newListener(true).forwardTo(t, target)
				l.Desync = mode
				e := startEdge(t, l)
				answer := e.raw(test.text + next)
				r := e.record()
				if r.Classification != test.class || r.ClassificationReason != test.reason {
					t.Errorf("classified %s %s", r.Classification, r.ClassificationReason)
				}
				if strings.Contains(test.refused, letter) {
					if r.ELBStatusCode != 400 || !strings.HasPrefix(answer, "HTTP/1.1 400 ") || strings.Count(answer, "HTTP/1.1 ") != 1 {
						t.Errorf("answered %q, want one 400", answer)
					}
					return
				}
				if seen := receive(t, got, "request"); seen != test.target {
					t.Errorf("target got %s, want %s", seen, test.target)
				}
				if n := strings.Count(answer, "HTTP/1.1 200 OK"); (n == 2) != test.kept || r.ELBStatusCode != 200 {
					t.Errorf("%d answers, want two: %v", n, test.kept)
				}
				if test.kept {
					receive(t, got, "next request")
				}
			})
		}
	}
}

// What exceeds the limits: a line that holds the target is 414, and nothing of it
// is waited for.
func TestHeadLimits(t *testing.T) {
	e := startEdge(t, newListener(false))
	long := strings.Repeat("x", http1.MaxLine)
	for text, want := range map[string]int{
		"GET /" + long: 414,
		"GET / HTTP/1.1\r\nHost: a\r\nX: " + long:                                                                                     400,
		"GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("X: "+long[:8000]+"\r\n", 9):                                                 400,
		"GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("X:\r\n", http1.MaxFields+1) + "\r\n":                                        400,
		"GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("X: "+long[:8000]+"\r\n", 7) + "Expect: 200-ok\r\nConnection: close\r\n\r\n": 417,
	} {
		got := e.raw(text)
		if !strings.HasPrefix(got, fmt.Sprint("HTTP/1.1 ", want, " ")) {
			t.Errorf("%.60q: %.40q, want %d", text, got, want)
		}
		if r := e.record(); r.ELBStatusCode != want || r.ErrorReason != ReasonMalformedRequest {
			t.Errorf("%.60q: record %+v", text, r)
		}
	}
}

// Whatever hook a listener has sees the answers of targets and of the edge.
func TestRespond(t *testing.T) {
	target := startTarget(t, func(w http.ResponseWriter, r *http.Request) { w.Header().Set("X-Target", "yes") })
	for _, way := range everyWay {
		for _, own := range []bool{false, true} {
			l := newListener(way.secure)
			if !own {
				l.forwardTo(t, target)
			}
			l.Respond = func(req *http1.Request, r *http1.Response) {
				r.Fields = append(r.Fields, http1.Field{Name: "X-Hook", Value: fmt.Sprint(req.Method, " ", r.Status)})
			}
			e := startEdge(t, l)
			resp, err := e.client(way.h2).Get(e.url("/"))
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if got := resp.Header.Get("X-Hook"); got != fmt.Sprint("GET ", resp.StatusCode) || (resp.StatusCode == 503) != own {
				t.Errorf("%s: got %d with %q", way.name, resp.StatusCode, got)
			}
		}
	}
}
