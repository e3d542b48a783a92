package proxy

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/edge/http1"
)

const marked = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nX-Mark: yes\r\n\r\nmark"

var responseSeeds = []string{
	"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
	"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello" + marked,
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n5;x\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n" + marked,
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
	"HTTP/1.1 200 OK\r\nX: y\r\n\r\nhello until the end",
	"HTTP/1.0 200 OK\r\n\r\n" + marked, "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhi",
	"HTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 204 No Content\r\nContent-Length: 80\r\n\r\n" + marked,
	"HTTP/1.1 304 Not Modified\r\nContent-Length: 80\r\n\r\n", "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
	"HTTP/1.1 103 Early Hints\r\nContent-Length: 80\r\n\r\n" + marked,
	"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 \r\nContent-Length: 0\r\nContent_Length: 5\r\n\r\n",
	"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n" + marked,
	"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	"HTTP/1.1 200 OK\r\nConnection: close, X-Y\r\nX-Y: z\r\nKeep-Alive: 5\r\nContent-Length: 0\r\n\r\n",
}

// noBodyOf says which responses to a method have no body.
func noBodyOf(method string) func(string) bool {
	return func(status string) bool {
		return method == "HEAD" || strings.HasPrefix(status, "1") || status == "204" || status == "304"
	}
}

// final reads the last response that answers one request, and what is before it.
func final(d *dialect, text, method string, toEnd bool) (m wireMessage, rest string, end verdict) {
	for {
		m, rest, end = d.read(text, noBodyOf(method), toEnd)
		if end != complete || !strings.HasPrefix(m.start[1], "1") || m.start[1] == "101" {
			return m, rest, end
		}
		text = rest
	}
}

// FuzzResponses: whatever a target answers, the client reads one response for each
// of its requests, every reader the same, and nothing that was meant for one
// request answers another. What ends too early does not look whole.
func FuzzResponses(f *testing.F) {
	for _, text := range responseSeeds {
		for way := range uint8(4) {
			f.Add([]byte(text), way)
		}
	}
	p := newProbe(f)
	f.Fuzz(func(t *testing.T, text []byte, way uint8) {
		method, version := []string{"GET", "HEAD", "POST", "GET"}[way%4], "1.1"
		if way%4 == 3 {
			version = "1.0"
		}
		// A target that has said all there is to say stays, and another ends.
		said, left, end := final(&received, string(text), method, true)
		stays := end == complete && (left != "" || len(said.get("Content-Length")) > 0 || noBodyOf(method)(said.start[1]))
		p.target.mu.Lock()
		p.target.answer = func(m *wireMessage) (string, bool) {
			if m.start[1] == "/2" {
				return marked, false
			}
			return string(text), !stays
		}
		p.target.mu.Unlock()
		conn, requests := p.run([]byte(method+" /1 HTTP/"+version+"\r\nHost: a\r\n\r\n"+"GET /2 HTTP/"+version+"\r\nHost: a\r\nConnection: close\r\n\r\n"), 4096, http1.Defensive)
		_, broken := p.target.take()
		if len(broken) > 0 || len(requests) == 0 {
			t.Fatalf("the target got %q", broken)
		}
		for i := range requests {
			if requests[i].record.ELBStatusCode == 460 {
				p.regroup(t) // the end of the client's script was seen too early
				return
			}
		}
		out, first := conn.out.String(), requests[0].record
		if first.TargetStatusCode == 0 { // an answer of our own
			if first.ELBStatusCode != 502 || !strings.HasPrefix(out, "HTTP/1.1 502 ") && !strings.HasPrefix(out, "HTTP/1.1 1") {
				t.Fatalf("%d and %.80q for %q", first.ELBStatusCode, out, text)
			}
		} else if end == malformed && first.ErrorReason == "" && version == "1.1" {
			t.Fatalf("%q was passed on", text)
		}
		checkReceived(t, out, method, version, conn.torn, len(requests) > 1, said, first)
	})
}

// checkReceived reads all that the client was sent, as every reader does.
func checkReceived(t *testing.T, out, method, version string, torn, second bool, said wireMessage, first Record) {
	t.Helper()
	cut := first.ErrorReason == ReasonTargetClosed || first.ErrorReason == ReasonTargetIdle
	for i := range lenient {
		d := &lenient[i]
		m, rest, end := final(d, out, method, version == "1.0")
		switch {
		case cut && version == "1.0" && m.start[0] != "" && len(m.get("Content-Length")) == 0:
			if !torn {
				t.Fatalf("%q looks whole to a client of HTTP/1.0", out)
			}
			continue
		case cut:
			if end != incomplete {
				t.Fatalf("where %s, %q looks whole", d.name, out)
			}
			continue
		case end != complete || torn:
			t.Fatalf("where %s: %q cannot be read", d.name, out)
		}
		if first.TargetStatusCode != 0 && first.ELBStatusCode == first.TargetStatusCode && !noBodyOf(method)(m.start[1]) && m.body != said.body {
			t.Fatalf("where %s: body %q, and the target has sent %q", d.name, m.body, said.body)
		}
		if !second {
			if rest != "" {
				t.Fatalf("where %s: %q behind the only response", d.name, rest)
			}
			continue
		}
		next, rest, end := final(d, rest, "GET", false)
		if end != complete || rest != "" || next.body != "mark" || next.start[1] != "200" {
			t.Fatalf("where %s: the second request is answered %+v of %q", d.name, next, out)
		}
	}
	if cut || version == "1.0" {
		return
	}
	br := bufio.NewReader(strings.NewReader(out))
	for range 1 + 16 {
		resp, err := http.ReadResponse(br, &http.Request{Method: method})
		if err != nil {
			t.Fatalf("net/http reads %v of %q", err, out)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatalf("net/http reads %q and %v of %q", body, err, out)
		}
		if resp.StatusCode < 200 && resp.StatusCode != 101 {
			continue
		}
		if rest, _ := io.ReadAll(br); second != strings.HasSuffix(string(rest), "\r\n\r\nmark") || !second && len(rest) > 0 {
			t.Fatalf("net/http leaves %q of %q", rest, out)
		}
		return
	}
	t.Fatalf("no response in %q", out)
}
