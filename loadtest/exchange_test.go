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
		p.Protocol = protocol
		wantUnits(t, run(t, p), 6, 0, 0)
		// In HTTP/2 the server goes away when it has answered all under way.
		if n := n.Load(); conns > 0 && n != conns || n < 2 {
			t.Errorf("%s: %d connections, want %d", protocol, n, conns)
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
