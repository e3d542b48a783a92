package proxy

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/sallyport/sallyport/edge/config"
)

// startTarget2 is a real server of HTTP/2 behind the edge, without TLS.
func startTarget2(t testing.TB, handler http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewUnstartedServer(handler)
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	t.Cleanup(s.Close)
	return s.URL
}

// group2 makes a group of targets that speak HTTP/2. What a target has sent in one
// go has come before its head goes to the client, on the slowest machine.
func group2(t testing.TB, version config.ProtocolVersion, tlsConfig *tls.Config, targets ...string) *TargetGroup {
	t.Helper()
	g, err := NewTargetGroup("app", config.TargetGroup{
		Targets: targets, ProtocolVersion: version,
		Timeouts: config.TargetTimeouts{
			Connect: config.Duration(patience), Response: config.Duration(patience), Idle: config.Duration(time.Minute),
		},
	}, tlsConfig)
	if err != nil {
		t.Fatal(err)
	}
	g.hold = 5 * time.Second
	t.Cleanup(g.Close)
	return g
}

// forwardTo2 makes l forward to targets that speak HTTP/2.
func (l *Listener) forwardTo2(t testing.TB, targets ...string) *Listener {
	t.Helper()
	l.Action = Action{group: group2(t, config.HTTP2, nil, targets...)}
	return l
}

// frames is the target's end of a connection of HTTP/2, frame by frame.
type frames struct {
	*http2.Framer
	conn    net.Conn
	block   bytes.Buffer
	encoder *hpack.Encoder
}

// frameTarget accepts connections of HTTP/2 and hands each to serve, which may do
// to it what no server does. n counts them from 1.
func frameTarget(t testing.TB, serve func(n int, f *frames)) string {
	t.Helper()
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var conns sync.WaitGroup
	conns.Go(func() {
		for n := 1; ; n++ {
			conn, err := tcp.Accept()
			if err != nil {
				return
			}
			conns.Go(func() {
				defer conn.Close()
				conn.SetDeadline(time.Now().Add(patience))
				preface := make([]byte, len(http2.ClientPreface))
				if _, err := io.ReadFull(conn, preface); err != nil || string(preface) != http2.ClientPreface {
					return
				}
				f := &frames{Framer: http2.NewFramer(conn, conn), conn: conn}
				f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
				f.encoder = hpack.NewEncoder(&f.block)
				f.WriteSettings()
				serve(n, f)
			})
		}
	})
	t.Cleanup(func() { tcp.Close(); conns.Wait() })
	return "http://" + tcp.Addr().String()
}

// request reads until the head of a request, nil at the end of the connection.
func (f *frames) request() *http2.MetaHeadersFrame {
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			return nil
		}
		switch frame := frame.(type) {
		case *http2.MetaHeadersFrame:
			return frame
		case *http2.SettingsFrame:
			if !frame.IsAck() {
				f.WriteSettingsAck()
			}
		}
	}
}

// drain reads to the end of the connection.
func (f *frames) drain() {
	for {
		if _, err := f.ReadFrame(); err != nil {
			return
		}
	}
}

// head sends a header of names and values in turn.
func (f *frames) head(stream uint32, end bool, fields ...string) error {
	f.block.Reset()
	for i := 0; i < len(fields); i += 2 {
		f.encoder.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	block := f.block.Bytes()
	first := block[:min(len(block), 16<<10)]
	err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: first, EndStream: end, EndHeaders: len(first) == len(block)})
	for block = block[len(first):]; len(block) > 0 && err == nil; {
		piece := block[:min(len(block), 16<<10)]
		block = block[len(piece):]
		err = f.WriteContinuation(stream, len(block) == 0, piece)
	}
	return err
}

// answer answers every request with 200 and a body.
func (f *frames) answer(body string) {
	for r := f.request(); r != nil; r = f.request() {
		f.head(r.StreamID, false, ":status", "200")
		f.WriteData(r.StreamID, true, []byte(body))
	}
}

// What a target gets by HTTP/2, and its client by either protocol.
func TestTarget2(t *testing.T) {
	type request struct {
		line, host string
		header     http.Header
		body       string
	}
	seen := make(chan request, 1)
	handler := func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		seen <- request{r.Method + " " + r.RequestURI + " " + r.Proto, r.Host, r.Header, string(body)}
		w.Header()["X-Twice"] = []string{"a", "b"}
		w.Header().Set("Content-Length", "5")
		w.WriteHeader(http.StatusAccepted)
		io.WriteString(w, "hello")
	}
	pair, pool := certificate()
	secure := httptest.NewUnstartedServer(http.HandlerFunc(handler))
	secure.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	secure.EnableHTTP2 = true
	secure.StartTLS()
	t.Cleanup(secure.Close)
	for _, target := range []string{startTarget2(t, handler), secure.URL} {
		l := newListener(true)
		l.Action = Action{group: group2(t, config.HTTP2, &tls.Config{RootCAs: pool}, target)}
		e := startEdge(t, l)
		for _, h2 := range []bool{false, true} {
			for _, test := range []struct{ method, path, body string }{
				{"GET", "/", ""},
				{"GET", "//twice/as//deep?q=a%20b&&", ""},
				{"GET", "/?", ""},
				{"POST", "/small", "body"},
				{"PUT", "/large", strings.Repeat("x", 1<<20)},
				{"POST", "/empty", ""},
				{"DELETE", "/a%2Fb;c", ""},
			} {
				t.Run(fmt.Sprint(strings.Split(target, ":")[0], " h2 ", h2, " ", test.method, " ", test.path), func(t *testing.T) {
					r, err := http.NewRequest(test.method, e.url(test.path), strings.NewReader(test.body))
					if err != nil {
						t.Fatal(err)
					}
					r.Host = "api.example.com"
					for name, value := range map[string]string{
						"X-Amzn-Mtls-Clientcert-Serial-Number": "forged", "x_client_subject": "forged", "X-Other": "kept",
						"Te": "trailers", "User-Agent": "",
					} {
						r.Header[name] = []string{value}
					}
					if !h2 {
						r.Header.Set("Connection", "X-Listed, TE, keep-alive")
						r.Header.Set("X-Listed", "not kept")
						r.Header.Set("Keep-Alive", "timeout=5")
						r.Header.Set("Proxy-Connection", "keep-alive")
					}
					resp, err := e.client(h2).Do(r)
					if err != nil {
						t.Fatal(err)
					}
					body, err := io.ReadAll(resp.Body)
					resp.Body.Close()
					if resp.StatusCode != 202 || string(body) != "hello" || err != nil || resp.ContentLength != 5 ||
						fmt.Sprint(resp.Header["X-Twice"]) != "[a b]" {
						t.Errorf("got %d %q %v, %v", resp.StatusCode, body, resp.Header, err)
					}
					got := receive(t, seen, "request")
					if want := test.method + " " + test.path + " HTTP/2.0"; got.line != want || got.host != "api.example.com" || got.body != test.body {
						t.Errorf("target got %q for %q with %d bytes, want %q", got.line, got.host, len(got.body), want)
					}
					want := http.Header{
						"X-Amzn-Mtls-Clientcert-Serial-Number": {"03A5B1"}, "X-Client-Subject": {"CN=alice"}, "X-Other": {"kept"}, "Te": {"trailers"},
						"X-Forwarded-For": {"127.0.0.1"}, "X-Forwarded-Proto": {"https"}, "X-Forwarded-Port": {"443"},
						"X-Amzn-Tls-Version": {"TLSv1.3"},
					}
					for name, values := range want {
						if fmt.Sprint(got.header[name]) != fmt.Sprint(values) {
							t.Errorf("%s: %q, want %q", name, got.header[name], values)
						}
					}
					if id := got.header["X-Amzn-Trace-Id"]; len(id) != 1 || !strings.HasPrefix(id[0], "Root=1-") {
						t.Errorf("trace id %q", id)
					}
					for name := range got.header {
						switch name {
						case "X-Amzn-Trace-Id", "X-Amzn-Tls-Cipher-Suite", "Content-Length", "Accept-Encoding":
						default:
							if want[name] == nil {
								t.Errorf("the target got %s: %q", name, got.header[name])
							}
						}
					}
					if r := e.record(); r.ELBStatusCode != 202 || r.TargetStatusCode != 202 || r.ErrorReason != "" || "http://"+r.Target != strings.Replace(target, "https", "http", 1) ||
						r.ReceivedBytes < int64(len(test.body)) || r.SentBytes < 5 || r.RequestProcessing < 0 || r.TargetProcessing < 0 || r.ResponseProcessing < 0 || r.TraceID == "" {
						t.Errorf("record %+v", r)
					}
				})
			}
		}
	}
}

// Trailers go through both ways, without what a client may not say.
func TestTrailers2(t *testing.T) {
	seen := make(chan http.Header, 1)
	e := startEdge(t, newListener(true).forwardTo2(t, startTarget2(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		seen <- r.Trailer
		w.Header().Set("Trailer", "X-Sum")
		io.WriteString(w, "hello")
		w.Header().Set("X-Sum", "42")
		w.Header().Set(http.TrailerPrefix+"X-Late", "yes")
	})))
	for _, h2 := range []bool{false, true} {
		r, _ := http.NewRequest("POST", e.url("/"), io.MultiReader(strings.NewReader("body")))
		r.Trailer = http.Header{"X-Check": {"7"}, "X-Client-Subject": {"forged"}}
		resp, err := e.client(h2).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if string(body) != "hello" || err != nil || resp.Trailer.Get("X-Sum") != "42" || resp.Trailer.Get("X-Late") != "yes" {
			t.Errorf("h2 %v: %q %v, %v", h2, body, resp.Trailer, err)
		}
		if got := receive(t, seen, "request"); got.Get("X-Check") != "7" || len(got) != 1 {
			t.Errorf("h2 %v: target got trailers %v", h2, got)
		}
	}
}

// A target that speaks no HTTP/2 is not reached.
func TestTarget2SpeaksHTTP1(t *testing.T) {
	pair, pool := certificate()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {}))
	s.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: []string{"http/1.1"}}
	s.StartTLS()
	t.Cleanup(s.Close)
	lax := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {}))
	lax.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		return &tls.Config{Certificates: []tls.Certificate{pair}}, nil // agrees on nothing
	}}
	lax.StartTLS()
	t.Cleanup(lax.Close)
	plain := rawTarget(t, func(conn net.Conn, r *bufio.Reader) {
		r.Peek(1)
		io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
	})
	for _, target := range []string{s.URL, lax.URL, plain} {
		l := newListener(false)
		l.Action = Action{group: group2(t, config.HTTP2, &tls.Config{RootCAs: pool}, target)}
		e := startEdge(t, l)
		if got := e.raw("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 502 ") {
			t.Errorf("got %q", got)
		}
		if r := e.record(); r.ErrorReason != ReasonTargetConnect {
			t.Errorf("record %+v", r)
		}
	}
}

// Only gRPC gets to a group of gRPC.
func TestIncompatibleProtocol(t *testing.T) {
	l := newListener(true)
	l.Action = Action{group: group2(t, config.GRPC, nil, startTarget2(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/grpc")
		w.Header().Set("Grpc-Status", "12")
	}))}
	e := startEdge(t, l)
	for _, test := range []struct {
		name, method, contentType string
		h2                        bool
		status                    int
	}{
		{"gRPC", "POST", "application/grpc", true, 200},
		{"gRPC with a codec", "POST", "application/grpc+proto", true, 200},
		{"gRPC with a parameter", "POST", "Application/gRPC; charset=utf-8", true, 200},
		{"HTTP/1.1", "POST", "application/grpc", false, 464},
		{"GET", "GET", "application/grpc", true, 464},
		{"another type", "POST", "application/json", true, 464},
		{"gRPC-Web", "POST", "application/grpc-web", true, 464},
		{"no type", "POST", "", true, 464},
	} {
		t.Run(test.name, func(t *testing.T) {
			r, _ := http.NewRequest(test.method, e.url("/a.Service/Method"), nil)
			if test.contentType != "" {
				r.Header.Set("Content-Type", test.contentType)
			}
			resp, err := e.client(test.h2).Do(r)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != test.status || test.status == 200 && resp.Header.Get("Grpc-Status") != "12" {
				t.Errorf("got %s %v, want %d", resp.Status, resp.Header, test.status)
			}
			record := e.record()
			if test.status == 464 {
				if record.ErrorReason != ReasonIncompatible || record.TargetStatusCode != 0 {
					t.Errorf("record %+v", record)
				}
			} else if record.Type != "grpcs" || record.ErrorReason != "" {
				t.Errorf("record %+v", record)
			}
		})
	}
}
