package proxy

import (
	"strings"
	"testing"

	"github.com/sallyport/sallyport/edge/http1"
)

const (
	smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
	follows  = "GET /next HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
	post     = "POST / HTTP/1.1\r\nHost: a\r\n"
)

// smugglings are attempts to have a target see other requests than the edge does:
// what the client is answered, and what the target gets, in monitor mode, which lets
// most through, and in the default mode. What is a body to the edge stays one.
var smugglings = []struct {
	name, text         string
	monitor, target    string
	defensive, target2 string
}{
	// Two accounts of the end.
	{"CL.TE", post + "Content-Length: 40\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled, "200", "POST /", "400", ""},
	{"TE.CL", post + "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n23\r\n" + smuggled + "\r\n0\r\n\r\n", "200", "POST / " + smuggled, "400", ""},
	{"TE.TE", post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n" + smuggled, "400", "", "400", ""},
	{"CL.CL", post + "Content-Length: 0\r\nContent-Length: 35\r\n\r\n" + smuggled, "400", "", "400", ""},
	{"CL twice", post + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello" + smuggled, "200", "POST / hello", "400", ""},
	{"CL and a look-alike of TE", post + "Content-Length: 35\r\nTransfer_Encoding: chunked\r\n\r\n" + smuggled, "200", "POST / " + smuggled, "400", ""},
	{"CL and a look-alike of CL", post + "Content-Length: 35\r\nContent--Length: 0\r\n\r\n" + smuggled, "200", "POST / " + smuggled, "400", ""},
	{"only a look-alike of TE", post + "Transfer-Encoding-: chunked\r\n\r\n" + smuggled, "200", "POST /", "200", "POST /"},
	{"CL in Connection", post + "Connection: Content-Length\r\nContent-Length: 5\r\n\r\nhello" + follows, "200 200", "POST / hello|GET /next", "200 200", "POST / hello|GET /next"},
	{"TE in Connection", post + "Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + follows, "200 200", "POST /|GET /next", "200 200", "POST /|GET /next"},
	{"Host in Connection", "GET / HTTP/1.1\r\nHost: a\r\nConnection: Host, X-Client-Subject\r\n\r\n" + follows, "200 200", "GET /|GET /next", "200 200", "GET /|GET /next"},

	// Bodies where a target may expect none, and none where it may expect one.
	{"CL.0", post + "Content-Length: 35\r\n\r\n" + smuggled + follows, "200 200", "POST / " + smuggled + "|GET /next", "200 200", "POST / " + smuggled + "|GET /next"},
	{"CL.0 of GET", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 35\r\n\r\n" + smuggled + follows, "200", "GET / " + smuggled, "200", "GET / " + smuggled},
	{"0.CL", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n" + follows, "200 200", "GET /|GET /next", "200 200", "GET /|GET /next"},
	{"0.CL of HEAD", "HEAD / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello" + smuggled, "200", "HEAD / hello", "200", "HEAD / hello"},
	{"TE.0", "OPTIONS / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n23\r\n" + smuggled + "\r\n0\r\n\r\n" + follows, "200 200", "OPTIONS / " + smuggled + "|GET /next", "200 200", "OPTIONS / " + smuggled + "|GET /next"},
	{"TE.0 of GET", "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n23\r\n" + smuggled + "\r\n0\r\n\r\n" + smuggled, "200", "GET / " + smuggled, "200", "GET / " + smuggled},
	{"POST of nothing", post + "\r\n" + follows, "200 200", "POST /|GET /next", "200 200", "POST /|GET /next"},

	// Chunks. What came before is not to look whole to the target.
	{"size overflows 32 bits", post + "Transfer-Encoding: chunked\r\n\r\n100000005\r\nhello\r\n0\r\n\r\n" + smuggled, "460", "", "460", ""},
	{"size overflows 64 bits", post + "Transfer-Encoding: chunked\r\n\r\n10000000000000005\r\nhello\r\n0\r\n\r\n" + smuggled, "400", "", "400", ""},
	{"size negative", post + "Transfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n0\r\n\r\n" + smuggled, "400", "", "400", ""},
	{"size with leading zeros", post + "Transfer-Encoding: chunked\r\n\r\n000000000000005\r\nhello\r\n000\r\n\r\n" + follows, "200 200", "POST / hello|GET /next", "200 200", "POST / hello|GET /next"},
	{"size of 16 digits", post + "Transfer-Encoding: chunked\r\n\r\n0000000000000005\r\nhello\r\n0\r\n\r\n" + smuggled, "400", "", "400", ""},
	{"size with underscore", post + "Transfer-Encoding: chunked\r\n\r\n1_0\r\n0123456789abcdef\r\n0\r\n\r\n" + smuggled, "400", "", "400", ""},
	{"white space behind the size", post + "Transfer-Encoding: chunked\r\n\r\n5 \r\nhello\r\n0\r\n\r\n" + smuggled, "400", "", "400", ""},
	{"white space before an extension", post + "Transfer-Encoding: chunked\r\n\r\n5 ;a\r\nhello\r\n0\r\n\r\n" + smuggled, "400", "", "400", ""},
	{"extension", post + "Transfer-Encoding: chunked\r\n\r\n5;a=\"b;c\"\r\nhello\r\n0;x\r\n\r\n" + follows, "200 200", "POST / hello|GET /next", "200 200", "POST / hello|GET /next"},
	{"extension with a bare LF", post + "Transfer-Encoding: chunked\r\n\r\n5;\nx\r\nhello\r\n0\r\n\r\n" + smuggled, "400", "", "400", ""},
	{"extension with a bare CR", post + "Transfer-Encoding: chunked\r\n\r\n5;\rx\r\nhello\r\n0\r\n\r\n" + smuggled, "400", "", "400", ""},
	{"extension flood", post + "Transfer-Encoding: chunked\r\n\r\n5;" + strings.Repeat("a", http1.MaxExtension+1) + "\r\nhello\r\n0\r\n\r\n" + smuggled, "400", "", "400", ""},
	{"other end of data", post + "Transfer-Encoding: chunked\r\n\r\n5\r\nhelloXX0\r\n\r\n" + smuggled, "400", "", "400", ""},
	{"any byte and LF behind data", post + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello!\n0\r\n\r\n" + smuggled, "400", "", "400", ""},
	{"bare LF behind data", post + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\n0\r\n\r\n" + smuggled, "400", "", "400", ""},
	{"bare LF behind the last chunk", post + "Transfer-Encoding: chunked\r\n\r\n0\n\n" + smuggled, "400", "", "400", ""},
	{"no empty line at the end", post + "Transfer-Encoding: chunked\r\n\r\n0\r\n" + smuggled, "400", "", "400", ""},

	// Trailers.
	{"framing in trailers", post + "Transfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 35\r\nTransfer-Encoding: x\r\nContent_Length: 9\r\nUpgrade: h2c\r\nHost: b\r\n\r\n" + follows, "200 200", "POST /|GET /next", "200 200", "POST /|GET /next"},
	{"folded trailer", post + "Transfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\n z\r\n\r\n" + smuggled, "400", "", "400", ""},
	{"trailer with a space", post + "Transfer-Encoding: chunked\r\n\r\n0\r\nX : y\r\n\r\n" + smuggled, "400", "", "400", ""},

	// Request lines and targets.
	{"absolute-form", "GET http://a/x HTTP/1.1\r\nHost: a\r\n\r\n" + follows, "200 200", "GET /x|GET /next", "200 200", "GET /x|GET /next"},
	{"absolute-form of another host", "GET http://b/x HTTP/1.1\r\nHost: a\r\n\r\n" + smuggled, "200", "GET /x", "400", ""},
	{"absolute-form with another port", "GET http://a:81/x HTTP/1.1\r\nHost: a\r\n\r\n" + smuggled, "200", "GET /x", "400", ""},
	{"absolute-form with user", "GET http://a@b/x HTTP/1.1\r\nHost: b\r\n\r\n" + smuggled, "400", "", "400", ""},
	{"absolute-form with a fragment", "GET http://a#@b/x HTTP/1.1\r\nHost: a\r\n\r\n" + smuggled, "400", "", "400", ""},
	{"request in the target", "GET /x%20HTTP/1.1%0d%0aX:y HTTP/1.1\r\nHost: a\r\n\r\n" + follows, "200 200", "GET /x%20HTTP/1.1%0d%0aX:y|GET /next", "200 200", "GET /x%20HTTP/1.1%0d%0aX:y|GET /next"},
	{"tab for a space", "GET /x\tHTTP/1.1\r\nHost: a\r\n\r\n" + smuggled, "400", "", "400", ""},
	{"three parts and one", "GET /x HTTP/1.1 HTTP/1.1\r\nHost: a\r\n\r\n" + smuggled, "400", "", "400", ""},
	{"HTTP/0.9", "GET /x\r\n" + smuggled, "400", "", "400", ""},
	{"HTTP/0.9 by name", "GET /x HTTP/0.9\r\n\r\n" + smuggled, "400", "", "400", ""},
	{"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + smuggled, "400", "", "400", ""},
	{"method override", post + "X-HTTP-Method-Override: DELETE\r\n\r\n" + follows, "200 200", "POST /|GET /next", "200 200", "POST /|GET /next"},
	{"method in lower case", "get / HTTP/1.1\r\nHost: a\r\n\r\n" + follows, "200 200", "get /|GET /next", "200 200", "get /|GET /next"},
	{"an empty line between", post + "Content-Length: 2\r\n\r\nhi\r\n" + smuggled, "200", "POST / hi", "200", "POST / hi"},

	// Hosts.
	{"Host twice", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n" + smuggled, "400", "", "400", ""},
	{"Host with two ports", "GET / HTTP/1.1\r\nHost: a:1:2\r\n\r\n" + smuggled, "400", "", "400", ""},
	{"Host with user", "GET / HTTP/1.1\r\nHost: u:p@a\r\n\r\n" + smuggled, "400", "", "400", ""},
	{"Host with a port beyond", "GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n" + smuggled, "400", "", "400", ""},
	{"Host list", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n" + smuggled, "400", "", "400", ""},
	{"Host folded", "GET / HTTP/1.1\r\nHost:\r\n a\r\n\r\n" + smuggled, "400", "", "400", ""},

	// HTTP/1.0.
	{"chunks in HTTP/1.0", "POST / HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled, "400", "", "400", ""},
	{"HTTP/1.0 closes", "GET / HTTP/1.0\r\n\r\n" + smuggled, "200", "GET /", "200", "GET /"},
	{"HTTP/1.0 kept", "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" + follows, "200 200", "GET /|GET /next", "200 200", "GET /|GET /next"},
	{"HTTP/1.0 expects", "POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi", "200", "POST / hi", "200", "POST / hi"},

	// Expect.
	{"Expect and the body", post + "Expect: 100-continue\r\nContent-Length: 2\r\n\r\nhi" + follows, "200 200", "POST / hi|GET /next", "200 200", "POST / hi|GET /next"},
	{"Expect without a body", "GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n" + follows, "200 200", "GET /|GET /next", "200 200", "GET /|GET /next"},
	{"Expect with a prefix", post + "Expect: y 100-continue\r\nContent-Length: 35\r\n\r\n" + smuggled + follows, "417 200", "GET /next", "417 200", "GET /next"},
	{"Expect twice", post + "Expect: 100-continue\r\nExpect: x\r\nContent-Length: 35\r\n\r\n" + smuggled + follows, "417 200", "GET /next", "417 200", "GET /next"},
	{"Expect empty", post + "Expect:\r\nContent-Length: 35\r\n\r\n" + smuggled + follows, "417 200", "GET /next", "417 200", "GET /next"},
}

func TestSmuggling(t *testing.T) {
	target := startRecorder(t)
	for _, mode := range []http1.Mode{http1.Monitor, http1.Defensive} {
		for _, secure := range []bool{false, true} {
			l := newListener(secure).forwardTo(t, target.url)
			l.Desync = mode
			e := startEdge(t, l)
			for _, test := range smugglings {
				want, gets := test.monitor, test.target
				if mode == http1.Defensive {
					want, gets = test.defensive, test.target2
				}
				t.Run(test.name, func(t *testing.T) {
					answer := ""
					if want == "460" { // nobody waits for more
						conn := e.dial("http/1.1")
						send(t, conn, test.text)
						conn.Close()
						if r := e.record(); r.ELBStatusCode != 460 {
							t.Errorf("record %+v", r)
						}
					} else if answer = e.raw(test.text); statuses(answer) != want {
						t.Errorf("answered %q, want %s", answer, want)
					}
					if got := target.seen(); got != gets {
						t.Errorf("the target got %q, want %q", got, gets)
					}
					for range strings.Fields(statuses(answer)) {
						e.record()
					}
				})
			}
		}
	}
}

// An Ambiguous request that is let through is the last on both its connections: a
// target that reads another end than the edge does answers nobody else.
func TestAmbiguousEndsBothConnections(t *testing.T) {
	for text, kept := range map[string]bool{
		"GET / HTTP/1.1\r\nHost: a\r\n\r\n":                                        true,
		"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n":                   true,
		"GET /\xC3\xA9 HTTP/1.1\r\nHost: a\r\n\r\n":                                true,
		"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi":                 false,
		post + "Content_Length: 2\r\n\r\n":                                         false,
		"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n": false,
	} {
		target := startRecorder(t)
		e := startEdge(t, newListener(true).forwardTo(t, target.url))
		got := e.raw(text + follows)
		if again := strings.HasSuffix(statuses(got), "200 200"); again != kept || strings.Contains(got, "Connection: close") == kept && !kept {
			t.Errorf("%q is answered %q; the connection goes on: %v", text, got, kept)
		}
		if n := len(e.listener.Action.group.targets[0].pool.idle); (n == 1) != kept {
			t.Errorf("%q: %d connections to the target are kept; want one: %v", text, n, kept)
		}
	}
}
