package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/edge/http1"
)

// behind is what would be smuggled: what a reader leaves must be this.
const behind = "GET /behind HTTP/1.1\r\nHost: z\r\n\r\n"

// FuzzRequests: whatever a client says, a target reads exactly the requests that
// the engine believes to have sent, by the grammar, as net/http has it, and with
// each of the liberties that servers take.
func FuzzRequests(f *testing.F) {
	for _, test := range illFramed {
		if len(test.text) < 4<<10 {
			f.Add([]byte(test.text+behind), 4096, uint8(http1.Monitor))
		}
	}
	for _, text := range requestSeeds {
		f.Add([]byte(text), 4096, uint8(http1.Monitor))
		f.Add([]byte(text+text), 3, uint8(http1.Defensive))
	}
	p := newProbe(f)
	f.Fuzz(func(t *testing.T, text []byte, piece int, mode uint8) {
		_, requests := p.run(text, 1+piece&0xFFF, http1.Mode(mode%3))
		messages, broken := p.target.take()
		if len(broken) > 0 {
			t.Fatalf("the target cannot read %q", broken)
		}
		if aborted(requests) {
			defer p.regroup(t)
		}
		rest := string(text)
		for _, r := range requests {
			m, after, end := received.read(rest, nil, false)
			rest = after
			if r.record.Target == "" || r.record.TargetStatusCode == 0 {
				if r.record.Target != "" && r.record.ELBStatusCode != 460 && r.record.ELBStatusCode != 400 {
					t.Fatalf("no answer: %+v", r.record)
				}
				return // the last of its connection
			}
			if len(messages) == 0 {
				t.Fatalf("the target never got %s %s", r.method, r.target)
			}
			if mode%3 == uint8(http1.Strictest) && r.record.Classification != "" {
				t.Fatalf("%s in strictest mode", r.record.Classification)
			}
			if end != complete || m.start[0] != r.method || m.body != messages[0].message.body {
				t.Fatalf("target got body %q of %s, and the client sent %q of %v", messages[0].message.body, r.method, m.body, m.start)
			}
			checkSent(t, &r, messages[0])
			messages = messages[1:]
		}
		if len(messages) > 0 && len(requests) > 0 && requests[len(requests)-1].record.ELBStatusCode != 460 {
			t.Fatalf("the target got %q, which nobody has sent", messages[0].wire)
		}
	})
}

// requestSeeds are whole requests of every shape.
var requestSeeds = []string{
	"GET /a?b=c HTTP/1.1\r\nHost: a\r\nX-Y: z\r\n\r\n",
	"GET http://b:80/x?y HTTP/1.1\r\nHost: b:80\r\nConnection: X-Z, keep-alive\r\nX-Z: 1\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
	"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n5;x=\"y\"\r\nhello\r\n00\r\nX-Sum: 1\r\nHost: b\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
	"PUT /\xC3\xA9#x HTTP/1.1\r\nHost: [::1]:8\r\nContent_Length: 7\r\nContent-Length: 2\r\n\r\nhi",
	"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS http://a HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n" + behind,
	"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello",
	"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 33\r\n\r\n" + behind,
	"HEAD / HTTP/1.1\r\nHost: a\r\nTe: trailers\r\nConnection: te\r\nX-Forwarded-For: 192.0.2.7\r\nForwarded: for=x\r\nX-Amzn-Trace-Id: Root=1\r\n\r\n",
}

// checkSent compares what the engine believes to have sent with what there was on
// the wire, as every reader has it.
func checkSent(t *testing.T, r *sent, g got) {
	t.Helper()
	if g.message.start[0] != r.method || g.message.start[1] != r.target || g.message.start[2] != "HTTP/1.1" {
		t.Fatalf("request line %q, want %s %s", g.message.start, r.method, r.target)
	}
	if !isTarget(r.method, r.target) {
		t.Fatalf("request target %q", r.target)
	}
	hosts := g.message.get("Host")
	if len(hosts) != 1 || hosts[0] != r.host && (r.host != "" || hosts[0] != "192.0.2.2:443") {
		t.Fatalf("hosts %q, want %q", hosts, r.host)
	}
	if r.length >= 0 && int64(len(g.message.body)) != r.length {
		t.Fatalf("body of %d, want %d", len(g.message.body), r.length)
	}
	for _, field := range [][2]string{{"X-Client-Subject", "CN=alice"}, {"X-Amzn-Mtls-Clientcert-Serial-Number", "03A5B1"}, {"X-Forwarded-Proto", "https"}} {
		if values := g.message.get(field[0]); len(values) != 1 || values[0] != field[1] {
			t.Fatalf("%s is %q", field[0], values)
		}
	}
	want := map[string]int{} // of the client's, what may go on
	for _, f := range r.fields {
		want[strings.ToLower(f.Name)+": "+f.Value]++
	}
	for _, f := range g.message.fields {
		switch name := strings.ToLower(f[0]); name {
		case "host", "content-length", "transfer-encoding", "te", "connection", "upgrade", "trailer", "x-forwarded-for", "x-forwarded-port", "x-amzn-trace-id",
			"x-forwarded-proto", "x-client-subject", "x-amzn-mtls-clientcert-serial-number", "x-amzn-tls-version", "x-amzn-tls-cipher-suite":
		default:
			if want[name+": "+f[1]]--; want[name+": "+f[1]] < 0 {
				t.Fatalf("the target got %q, which the client has not sent", f)
			}
		}
	}
	for i := range lenient {
		d := &lenient[i]
		m, rest, end := d.read(g.wire+behind, nil, false)
		if end != complete || rest != behind || m.start != g.message.start || m.body != g.message.body || len(m.fields) != len(g.message.fields) {
			t.Fatalf("where %s: %d, %+v, leaving %q of %q", d.name, end, m, rest, g.wire)
		}
	}
	br := bufio.NewReader(strings.NewReader(g.wire + behind))
	req, err := http.ReadRequest(br)
	if err != nil {
		t.Fatalf("net/http reads %v of %q", err, g.wire)
	}
	body, err := io.ReadAll(req.Body)
	left, _ := io.ReadAll(br)
	fields := len(req.Host) // taken out of the header
	if fields > 0 {
		fields = 1
	}
	for _, values := range req.Header {
		fields += len(values)
	}
	if len(req.Trailer) > 0 || len(req.TransferEncoding) > 0 {
		fields = len(g.message.fields) // these it takes out too
	}
	if err != nil || string(body) != g.message.body || string(left) != behind || req.Method != r.method || req.RequestURI != r.target || fields != len(g.message.fields) {
		t.Fatalf("net/http reads %s %s, body %q, %v, %d fields, leaving %q of %q", req.Method, req.RequestURI, body, err, fields, left, g.wire)
	}
}

// isTarget says whether s is origin-form or asterisk-form: RFC 9112, section 3.2,
// of the bytes of RFC 3986 and the brackets that everyone sends.
func isTarget(method, s string) bool {
	if s == "*" {
		return method == "OPTIONS"
	}
	const unreserved = "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	path, query, _ := strings.Cut(s, "?")
	if !strings.HasPrefix(path, "/") || strings.Trim(query, unreserved+"!$&'()*+,;=:@/?%[]") != "" {
		return false
	}
	for i := 0; i < len(path); i++ {
		if path[i] == '%' {
			var b byte
			if _, err := fmt.Sscanf(path[i:min(i+3, len(path))], "%%%02x", &b); err != nil || i+2 >= len(path) {
				return false
			}
			i += 2
		} else if !strings.Contains(unreserved+"!$&'()*+,;=:@/[]", path[i:i+1]) {
			return false
		}
	}
	return true
}
