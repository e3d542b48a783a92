package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// protocols are the ways in.
var everyWay = []struct {
	name   string
	secure bool
	h2     bool
	record string
	proto  string
}{
	{"http", false, false, "http", "HTTP/1.1"},
	{"https", true, false, "https", "HTTP/1.1"},
	{"h2", true, true, "h2", "HTTP/2.0"},
}

func TestForward(t *testing.T) {
	for _, way := range everyWay {
		t.Run(way.name, func(t *testing.T) {
			target := startTarget(t, func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				w.Header()["Date"] = nil
				w.Header().Set("X-Target", "yes")
				w.Header().Set("Content-Type", "text/x-echo")
				w.WriteHeader(http.StatusTeapot)
				fmt.Fprintf(w, "%s %s %s %s %q %q", r.Proto, r.Method, r.Host, r.RequestURI, body, r.Header["User-Agent"])
			})
			e := startEdge(t, newListener(way.secure).forwardTo(t, target))
			req, _ := http.NewRequest("POST", e.url("/a%2Fb//c?x=1&y=%20"), strings.NewReader("hello"))
			req.Host = "api.example.com"
			req.Header.Set("User-Agent", "")
			resp, err := e.client(way.h2).Do(req)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if want := `HTTP/1.1 POST api.example.com /a%2Fb//c?x=1&y=%20 "hello" []`; string(body) != want {
				t.Errorf("target saw %s, want %s", body, want)
			}
			if resp.StatusCode != http.StatusTeapot || resp.Header.Get("X-Target") != "yes" || resp.Header.Get("Content-Type") != "text/x-echo" {
				t.Errorf("client got %d %v", resp.StatusCode, resp.Header)
			}

			r := e.record()
			if r.Type != way.record || r.Proto != way.proto || r.ELBStatusCode != 418 || r.TargetStatusCode != 418 ||
				r.Method != "POST" || r.Host != "api.example.com" || r.URI != "/a%2Fb//c?x=1&y=%20" || r.Port != 443 ||
				r.Target != strings.TrimPrefix(target, "http://") || r.TargetGroup != "app" || r.Action != "forward" || r.ErrorReason != "" {
				t.Errorf("record %+v", r)
			}
			if r.RequestProcessing < 0 || r.TargetProcessing < 0 || r.ResponseProcessing < 0 {
				t.Errorf("times %v %v %v, want all known", r.RequestProcessing, r.TargetProcessing, r.ResponseProcessing)
			}
			if r.ReceivedBytes < 50+5 || r.SentBytes < int64(30+len(body)) {
				t.Errorf("%d bytes received and %d sent, want heads and bodies", r.ReceivedBytes, r.SentBytes)
			}
		})
	}
}

// The target's request, byte for byte but for what is random.
func TestTargetSees(t *testing.T) {
	heads := make(chan string, 1)
	target := rawTarget(t, func(conn net.Conn, r *bufio.Reader) {
		heads <- readHead(r)
		io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
	})
	e := startEdge(t, newListener(true).forwardTo(t, target))
	e.raw("GET /x HTTP/1.1\r\nHost: api.example.com\r\nX-Forwarded-For: 192.0.2.1\r\nX-Forwarded-For: 192.0.2.2\r\n" +
		"X-Forwarded-Proto: gopher\r\nX-Forwarded-Port: 1\r\nX-Forwarded-Host: evil\r\nForwarded: for=evil\r\n" +
		"X-Amzn-Trace-Id: Root=1-67891233-abcdef012345678912345678\r\nAccept: */*\r\nConnection: close, TE, X-Hop\r\nX-Hop: 1\r\nTe: trailers\r\nKeep-Alive: 1\r\n\r\n")
	r := e.record()
	head := strings.Split(strings.TrimSpace(receive(t, heads, "request")), "\r\n")
	got := map[string]string{}
	for _, line := range head[1:] {
		name, value, _ := strings.Cut(line, ": ")
		if _, twice := got[name]; twice {
			t.Errorf("%s twice", name)
		}
		got[name] = value
	}
	want := map[string]string{
		"Host":                                 "api.example.com",
		"Accept":                               "*/*",
		"Connection":                           "TE",
		"Te":                                   "trailers",
		"X-Forwarded-For":                      "192.0.2.1, 192.0.2.2, 127.0.0.1",
		"X-Forwarded-Proto":                    "https",
		"X-Forwarded-Port":                     "443",
		"X-Amzn-Trace-Id":                      r.TraceID,
		"X-Amzn-Mtls-Clientcert-Serial-Number": "03A5B1",
		"X-Client-Subject":                     "CN=alice",
		"X-Amzn-Tls-Version":                   "TLSv1.3",
		"X-Amzn-Tls-Cipher-Suite":              r.CipherSuite,
	}
	if head[0] != "GET /x HTTP/1.1" {
		t.Errorf("request line %q", head[0])
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("head (-want +got):\n%s", diff)
	}
	if !strings.HasPrefix(r.TraceID, "Self=1-") || !strings.HasSuffix(r.TraceID, ";Root=1-67891233-abcdef012345678912345678") {
		t.Errorf("trace id %q", r.TraceID)
	}
}

// Responses without a body, and what is not to be made up for a response.
func TestResponseHeads(t *testing.T) {
	tests := []struct {
		method, path, response string
		status                 int
		length                 int64
	}{
		{"HEAD", "/", "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", 200, 1000},
		{"GET", "/", "HTTP/1.1 204 No Content\r\n\r\n", 204, 0},
		{"GET", "/", "HTTP/1.1 304 Not Modified\r\nEtag: \"x\"\r\n\r\n", 304, 0},
		{"GET", "/", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, 0},
		{"GET", "/", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n<html>abc", 200, 9},
		{"GET", "/", "HTTP/1.0 200 OK\r\n\r\n<html>", 200, -1},
		{"OPTIONS", "*", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, 0},
	}
	for _, way := range everyWay {
		for _, test := range tests {
			t.Run(fmt.Sprintf("%s %s %d %d", way.name, test.method, test.status, test.length), func(t *testing.T) {
				requests := make(chan string, 1)
				target := rawTarget(t, func(conn net.Conn, r *bufio.Reader) {
					requests <- readHead(r)
					io.WriteString(conn, test.response)
				})
				e := startEdge(t, newListener(way.secure).forwardTo(t, target))
				req, _ := http.NewRequest(test.method, e.url("/"), nil)
				if test.path == "*" {
					req.URL.Path = "*"
				}
				resp, err := e.client(way.h2).Do(req)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				if _, err := io.ReadAll(resp.Body); err != nil {
					t.Fatal(err)
				}
				if resp.StatusCode != test.status || resp.ContentLength != test.length {
					t.Errorf("got %d with length %d, want %d with %d", resp.StatusCode, resp.ContentLength, test.status, test.length)
				}
				if got, ok := resp.Header["Content-Type"]; ok {
					t.Errorf("Content-Type %q was made up", got)
				}
				if got := receive(t, requests, "request"); !strings.HasPrefix(got, test.method+" "+test.path+" HTTP/1.1\r\n") {
					t.Errorf("target got %q", got)
				}
			})
		}
	}
}
