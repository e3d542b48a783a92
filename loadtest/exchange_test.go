package loadtest

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/net/http2"
)

// connections counts what a server was connected to.
func connections(n *atomic.Int64) func(net.Conn, http.ConnState) {
	return func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			n.Add(1)
		}
	}
}

// TestRequest has many units on few connections, all of the form that was asked
// for.
func TestRequest(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		protocol Protocol
		streams  int
		proto    string
	}{{HTTP1, 0, "HTTP/1.1"}, {HTTP2, 0, "HTTP/2.0"}, {HTTP2, 1, "HTTP/2.0"}, {HTTP2, 20, "HTTP/2.0"}} {
		t.Run(fmt.Sprint(c.protocol, "/", c.streams), func(t *testing.T) {
			t.Parallel()
			var conns, good atomic.Int64
			var bad atomic.Pointer[http.Request]
			s := &http.Server{ConnState: connections(&conns), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(201)
				if r.Proto == c.proto && r.Method == "OPTIONS" && r.RequestURI == "/a/b?c=d" && r.Host == "site.test" &&
					r.UserAgent() == "test/1" && r.Header.Get("X-One") == "1" && r.Header.Get("X-Two") == "2, 3" && len(r.Header) == 3 {
					good.Add(1)
				} else {
					bad.Store(r)
				}
			})}
			p := planFor(serveWith(t, s)+"a/b?c=d", Request)
			p.Protocol, p.Streams, p.Connections, p.Count = c.protocol, c.streams, 3, 300
			p.Method, p.ExpectStatus = "OPTIONS", 201
			p.Headers = map[string]string{"host": "site.test", "User-agent": "test/1", "x-one": "1", "X-Two": "2, 3"}
			r := run(t, p)
			wantUnits(t, r, 300, 0, 0)
			if conns.Load() != 3 || good.Load() != 300 {
				t.Errorf("%d requests as they should be, on %d connections; want 300 on 3; one of them: %+v", good.Load(), conns.Load(), bad.Load())
			}
			// The connections were there already.
			if len(r.Phases) != 1 || r.Phases["first_byte"].Count != 300 {
				t.Errorf("phases %v", r.Phases)
			}
		})
	}
}

// A server that closes, and says so in its answer, makes no unit fail.
func TestRequestReconnects(t *testing.T) {
	t.Parallel()
	for protocol, conns := range map[Protocol]int64{HTTP1: 6, HTTP2: 0} {
		var n atomic.Int64
		p := planFor(serveWith(t, &http.Server{ConnState: connections(&n), Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Connection", "close")
		})}), Request)
		p.Protocol, p.Streams = protocol, 1
		wantUnits(t, run(t, p), 6, 0, 0)
		// In HTTP/2 the server goes away, and may take a request more until it has.
		if n := n.Load(); conns > 0 && n != conns || n < 2 {
			t.Errorf("%s: %d connections, want %d", protocol, n, conns)
		}
	}
}

// A request that the server did not take before it went away is sent once more;
// one that no connection takes has failed in the end.
func TestRequestNotTaken(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		refusing, conns, done, failed int64 // the first so many connections take nothing
	}{{1, 2, 6, 0}, {2, 3, 6, 0}, {3, 4, 5, 1}, {1000, 18, 0, 6}} {
		var conns atomic.Int64
		p := planFor(serveFrames(t, func(f *http2.Framer) {
			if conns.Add(1) <= c.refusing {
				f.WriteGoAway(0, http2.ErrCodeNo, nil)
				return
			}
			for stream := uint32(1); ; {
				const status200 = 0x88 // RFC 7541 appendix A
				f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, EndHeaders: true, EndStream: true, BlockFragment: []byte{status200}})
				for before := stream; stream == before; {
					frame, err := f.ReadFrame()
					if err != nil {
						return
					}
					if _, is := frame.(*http2.HeadersFrame); is {
						stream = frame.Header().StreamID
					}
				}
			}
		}), Request)
		p.Protocol, p.Connections, p.Streams = HTTP2, 1, 1
		r := run(t, p)
		wantUnits(t, r, c.done, 0, c.failed)
		if c.failed > 0 {
			wantKind(t, r, "http2 goaway", false)
		}
		if n := conns.Load(); n != c.conns {
			t.Errorf("%d connections, want %d", n, c.conns)
		}
	}
}

// TestUpload sends bodies of sizes on both sides of where they are cut, and
// checks every byte.
func TestUpload(t *testing.T) {
	t.Parallel()
	for _, protocol := range []Protocol{HTTP1, HTTP2} {
		for _, size := range []int64{1, withHead, withHead + 1, 200_000} {
			t.Run(fmt.Sprint(protocol, "/", size), func(t *testing.T) {
				t.Parallel()
				var good atomic.Int64
				p := planFor(serve(t, func(w http.ResponseWriter, r *http.Request) {
					body, err := io.ReadAll(r.Body)
					want := bytes.Repeat(filler, int(size)/len(filler)+1)[:size]
					if err == nil && r.Method == "POST" && r.ContentLength == size && bytes.Equal(body, want) {
						good.Add(1)
					}
				}), Upload)
				p.Protocol, p.BodySize = protocol, size
				r := run(t, p)
				wantUnits(t, r, 6, 0, 0)
				if good.Load() != 6 || r.Units.BytesOut != 6*size || r.Units.BytesIn != 0 {
					t.Errorf("%d bodies came as they should, of %d bytes; answers of %d", good.Load(), r.Units.BytesOut, r.Units.BytesIn)
				}
			})
		}
	}
}

// TestDownload counts bodies in every form that they come in.
func TestDownload(t *testing.T) {
	t.Parallel()
	body := strings.Repeat("0123456789", 10_000)
	length := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		io.WriteString(w, body)
	}
	pieces := func(w http.ResponseWriter, _ *http.Request) {
		for part := range 10 {
			io.WriteString(w, body[part*len(body)/10:(part+1)*len(body)/10])
			http.NewResponseController(w).Flush()
		}
	}
	for name, c := range map[string]struct {
		target   string
		protocol Protocol
	}{
		"length":             {serve(t, length), HTTP1},
		"chunked":            {serve(t, pieces), HTTP1},
		"HTTP/2":             {serve(t, pieces), HTTP2},
		"HTTP/2 with length": {serve(t, length), HTTP2},
		"until close": {serveTLS(t, func(conn *tls.Conn) {
			io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n"+body)
			conn.Close()
		}), HTTP1},
		"HTTP/1.0": {serveTLS(t, func(conn *tls.Conn) {
			io.WriteString(conn, "HTTP/1.0 200 OK\r\nContent-Length: 100000\r\n\r\n"+body)
			conn.Close()
		}), HTTP1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := planFor(c.target, Download)
			p.Protocol = c.protocol
			r := run(t, p)
			wantUnits(t, r, 6, 0, 0)
			if want := 6 * int64(len(body)); r.Units.BytesIn != want || r.Units.BytesOut != 0 {
				t.Errorf("%d bytes in and %d out, want %d and 0", r.Units.BytesIn, r.Units.BytesOut, want)
			}
		})
	}
}

// The answer to HEAD has no body, whatever length it says.
func TestHead(t *testing.T) {
	t.Parallel()
	for _, protocol := range []Protocol{HTTP1, HTTP2} {
		p := planFor(serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "5")
			if r.Method != "HEAD" {
				t.Errorf("came %s", r.Method)
			}
		}), Request)
		p.Protocol, p.Method = protocol, "HEAD"
		r := run(t, p)
		wantUnits(t, r, 6, 0, 0)
		if r.Units.BytesIn != 0 {
			t.Errorf("%d bytes came", r.Units.BytesIn)
		}
	}
}
