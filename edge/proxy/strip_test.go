package proxy

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

func newReader(s string) *bufio.Reader { return bufio.NewReader(strings.NewReader(s)) }

// forged are names that some target takes for a header of the edge's own.
var forged = []string{
	"X-Amzn-Mtls-Clientcert-Subject",
	"x-amzn-mtls-clientcert-subject",
	"X-AMZN-MTLS-CLIENTCERT-LEAF",
	"x-aMZN-mTLS-clientCERT",
	"X_Amzn_Mtls_Clientcert_Issuer",
	"x.amzn.mtls.clientcert.validity",
	"X-Amzn_Mtls.Clientcert~Serial-Number",
	"X-Amzn-Tls-Version",
	"x_amzn_tls_cipher_suite",
	"X-Forwarded-Client-Cert",
	"x_forwarded_client_cert",
	"Client-Cert",
	"client_cert_chain",
	"Ssl-Client-Verify",
	"X-SSL-Client-CN",
	"X-Client-Subject", // renamed
	"x_client_subject",
	"X-CLIENT.SUBJECT",
	"X-Client-Subject-Too-Large",
	"X_Forwarded_For",
	"x.forwarded.proto",
	"X_Amzn-Trace-Id",
}

const lie = "forged-by-the-client"

// Whatever a client sends, on whatever listener, in header or trailers: a target
// reads none of it, and reads what the edge says once.
func TestStrip(t *testing.T) {
	seen := make(chan string, 1)
	target := rawTarget(t, func(conn net.Conn, r *bufio.Reader) {
		var all bytes.Buffer
		req, err := http.ReadRequest(bufio.NewReader(io.TeeReader(r, &all)))
		if err != nil {
			seen <- "unreadable: " + err.Error()
			return
		}
		io.Copy(io.Discard, req.Body)
		seen <- all.String()
		io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
	})
	verify := func(t *testing.T, e *edge, h2 bool) {
		t.Helper()
		got := receive(t, seen, "request")
		if strings.Contains(got, lie) {
			t.Errorf("target got\n%s", got)
		}
		want := 0
		if e.listener.Secure {
			want = 1
		}
		for _, line := range []string{"X-Client-Subject: CN=alice\r\n", "X-Amzn-Mtls-Clientcert-Serial-Number: 03A5B1\r\n", "X-Amzn-Tls-Version: TLSv1.3\r\n"} {
			if n := strings.Count(got, line); n != want {
				t.Errorf("target got %q %d times, want %d, in\n%s", line, n, want, got)
			}
		}
		if r := e.record(); r.ELBStatusCode != 200 {
			t.Errorf("record %+v", r)
		}
	}
	for _, secure := range []bool{false, true} {
		e := startEdge(t, newListener(secure).forwardTo(t, target))
		way := map[bool]string{false: "http ", true: "https "}[secure]
		for _, name := range forged {
			head := "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
			requests := map[string]string{
				"header":     head + name + ": " + lie + "\r\nContent-Length: 0\r\n\r\n",
				"twice":      head + name + ": " + lie + "\r\n" + name + ":" + lie + "\t \r\nContent-Length: 0\r\n\r\n",
				"connection": head + "Connection: " + name + ", X-Client-Subject, X-Amzn-Mtls-Clientcert-Serial-Number, X-Amzn-Tls-Version\r\n" + name + ": " + lie + "\r\nContent-Length: 0\r\n\r\n",
				"trailer":    head + "Transfer-Encoding: chunked\r\nTrailer: " + name + "\r\n\r\n0\r\n" + name + ": " + lie + "\r\n\r\n",
				"undeclared": head + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n" + name + ": " + lie + "\r\n\r\n",
			}
			for kind, text := range requests {
				t.Run(way+kind+" "+name, func(t *testing.T) {
					e.raw(text)
					verify(t, e, false)
				})
			}
			// White space before the colon is no header at all.
			t.Run(way+"space "+name, func(t *testing.T) {
				if got := e.raw(head + name + " : " + lie + "\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 400 ") {
					t.Errorf("answered %q, want 400", got)
				}
				e.record()
			})
		}
	}

	e := startEdge(t, newListener(true).forwardTo(t, target))
	for _, name := range forged {
		t.Run("h2 "+name, func(t *testing.T) {
			c := dialHTTP2(e)
			c.request(1, false, "POST", name, lie, "trailer", name)
			c.WriteData(1, false, []byte("abc"))
			c.headers(1, true, name, lie)
			if status := c.status(1); status != "200" {
				t.Errorf("status %s", status)
			}
			verify(t, e, true)
		})
	}
	t.Run("h2 upper case", func(t *testing.T) {
		c := dialHTTP2(e)
		c.allowIllegal()
		c.request(1, true, "GET", "X-Amzn-Mtls-Clientcert-Subject", lie)
		if code := c.reset(1); code != http2.ErrCodeProtocol {
			t.Errorf("reset with %v, want a protocol error", code)
		}
	})
	t.Run("h2 connection", func(t *testing.T) {
		c := dialHTTP2(e)
		c.request(1, true, "GET", "connection", "X-Client-Subject")
		if status := c.status(1); status != "400" {
			t.Errorf("status %s, want 400", status)
		}
	})
}

// http2Conn is a client that sends frames as it likes.
type http2Conn struct {
	*http2.Framer
	e       *edge
	conn    net.Conn
	block   bytes.Buffer
	encoder *hpack.Encoder
	upper   bool
}

func dialHTTP2(e *edge) *http2Conn {
	e.t.Helper()
	conn := e.dial("h2")
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		e.t.Fatal(err)
	}
	c := &http2Conn{Framer: http2.NewFramer(conn, conn), e: e, conn: conn}
	c.Framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	c.encoder = hpack.NewEncoder(&c.block)
	if err := c.WriteSettings(); err != nil {
		e.t.Fatal(err)
	}
	return c
}

func (c *http2Conn) allowIllegal() { c.upper = true }

// request sends a request's head; fields are names and values in turn.
func (c *http2Conn) request(stream uint32, end bool, method string, fields ...string) {
	c.headers(stream, end, append([]string{":method", method, ":scheme", "https", ":authority", "edge.test", ":path", "/"}, fields...)...)
}

func (c *http2Conn) headers(stream uint32, end bool, fields ...string) {
	c.e.t.Helper()
	c.block.Reset()
	for i := 0; i < len(fields); i += 2 {
		name := fields[i]
		if !c.upper {
			name = strings.ToLower(name)
		}
		c.encoder.WriteField(hpack.HeaderField{Name: name, Value: fields[i+1]})
	}
	err := c.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: c.block.Bytes(), EndStream: end, EndHeaders: true})
	if err != nil {
		c.e.t.Fatal(err)
	}
}

// until reads frames until one pleases.
func until[F http2.Frame](c *http2Conn, pleases func(F) bool) F {
	c.e.t.Helper()
	for {
		frame, err := c.ReadFrame()
		if err != nil {
			c.e.t.Fatalf("read frame: %v", err)
		}
		if f, ok := frame.(F); ok && pleases(f) {
			return f
		}
	}
}

func (c *http2Conn) status(stream uint32) string {
	c.e.t.Helper()
	f := until(c, func(f *http2.MetaHeadersFrame) bool { return f.StreamID == stream })
	return f.PseudoValue("status")
}

func (c *http2Conn) reset(stream uint32) http2.ErrCode {
	c.e.t.Helper()
	return until(c, func(f *http2.RSTStreamFrame) bool { return f.StreamID == stream }).ErrCode
}
