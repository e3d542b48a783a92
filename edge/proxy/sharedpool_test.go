package proxy

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// What a target has not taken up is sent again, and nothing else.
func TestRetries2(t *testing.T) {
	refuse := func(f *frames, s uint32) { f.WriteRSTStream(s, http2.ErrCodeRefusedStream) }
	goAway := func(f *frames, s uint32) { f.WriteGoAway(s-2, http2.ErrCodeNo, nil); f.drain() }
	for _, test := range []struct {
		name, method, body string
		held               bool // the body comes later than the head
		fail               func(f *frames, stream uint32)
		times              int // that a request fails
		status, sent       int
	}{
		{"refused", "GET", "", false, refuse, 1, 200, 2},
		{"refused, with a body", "POST", "body", false, refuse, 2, 200, 3},
		{"refused for good", "GET", "", false, refuse, 100, 502, attempts},
		{"refused, with a body that is gone", "POST", "body", true, refuse, 1, 502, 1},
		{"going away", "POST", "body", false, goAway, 1, 200, 2},
		{"going away, with a body that is gone", "POST", "body", true, goAway, 1, 502, 1},
		{"cancelled", "GET", "", false, func(f *frames, s uint32) { f.WriteRSTStream(s, http2.ErrCodeCancel) }, 1, 502, 1},
		{"closed", "GET", "", false, func(f *frames, s uint32) { f.conn.Close() }, 1, 200, 2},
		{"closed on what cannot be repeated", "POST", "", false, func(f *frames, s uint32) { f.conn.Close() }, 1, 502, 1},
		{"closed after 103", "GET", "", false, func(f *frames, s uint32) {
			f.head(s, false, ":status", "103")
			f.conn.Close()
		}, 1, 502, 1},
		{"taken up, and going away", "POST", "", false, func(f *frames, s uint32) {
			f.WriteGoAway(s, http2.ErrCodeNo, nil)
			f.conn.Close()
		}, 1, 502, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			var failed, sent atomic.Int32
			arrived := make(chan struct{}, 8)
			target := frameTarget(t, func(_ int, f *frames) {
				for r := f.request(); r != nil; r = f.request() {
					switch {
					case r.PseudoValue("path") == "/first": // the connection is an old one then
						f.head(r.StreamID, true, ":status", "200")
						continue
					case test.held:
						arrived <- struct{}{}
						for { // what came of the body is gone
							frame, err := f.ReadFrame()
							if err != nil {
								return
							}
							if d, ok := frame.(*http2.DataFrame); ok && len(d.Data()) > 0 {
								break
							}
						}
					}
					sent.Add(1)
					if failed.Add(1) <= int32(test.times) {
						test.fail(f, r.StreamID)
					} else {
						f.head(r.StreamID, true, ":status", "200")
					}
				}
			})
			e := startEdge(t, newListener(false).forwardTo2(t, target))
			e.raw("GET /first HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
			e.record()
			conn := e.dial("http/1.1")
			head := test.method + " / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
			switch {
			case test.held:
				io.WriteString(conn, head+"Transfer-Encoding: chunked\r\n\r\n")
				receive(t, arrived, "request")
				io.WriteString(conn, "4\r\nbody\r\n")
			case test.body != "":
				fmt.Fprintf(conn, "%sContent-Length: %d\r\n\r\n%s", head, len(test.body), test.body)
			default:
				io.WriteString(conn, head+"\r\n")
			}
			r := e.record()
			conn.Close()
			if r.ELBStatusCode != test.status || int(sent.Load()) != test.sent {
				t.Errorf("status %d after %d requests, want %d after %d; record %+v", r.ELBStatusCode, sent.Load(), test.status, test.sent, r)
			}
		})
	}
}

// Requests share a connection, as far as their target lets them: from the first.
func TestSharedConnections(t *testing.T) {
	const requests = 40
	for _, test := range []struct{ streams, conns int }{{100, 1}, {10, 4}, {1, 40}} {
		t.Run(fmt.Sprint(test.streams), func(t *testing.T) {
			var conns atomic.Int32
			arrived, proceed := make(chan struct{}, requests), make(chan struct{})
			s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				arrived <- struct{}{}
				<-proceed
			}))
			s.Config.Protocols = new(http.Protocols)
			s.Config.Protocols.SetUnencryptedHTTP2(true)
			s.Config.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: test.streams}
			s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
				if state == http.StateNew {
					conns.Add(1)
				}
			}
			s.Start()
			t.Cleanup(s.Close)
			e := startEdge(t, newListener(false).forwardTo2(t, s.URL))
			var clients sync.WaitGroup
			for range requests {
				clients.Go(func() {
					if got := e.raw("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 200 ") {
						t.Errorf("got %q", got)
					}
				})
			}
			for range requests {
				receive(t, arrived, "request")
			}
			close(proceed)
			clients.Wait()
			// One more may be on its way when room is found after all.
			if got := int(conns.Load()); got < test.conns || got > test.conns+1 {
				t.Errorf("%d connections, want %d", got, test.conns)
			}
		})
	}
}

// A client that does not read its response holds up nobody else's.
func TestSlowClientHoldsUpNobody(t *testing.T) {
	target := startTarget2(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/large" {
			return
		}
		for piece := make([]byte, 64<<10); ; {
			if _, err := w.Write(piece); err != nil {
				return
			}
		}
	})
	e := startEdge(t, newListener(false).forwardTo2(t, target))
	for range 30 {
		io.WriteString(e.dial("http/1.1"), "GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
	}
	// As much is on its way as there is room for when it moves no more.
	pool := e.listener.Action.group.targets[0].shared
	for over := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if conns := *pool.conns.Load(); len(conns) == 1 && conns[0].InFlight() == 30 {
			break
		}
		if time.Now().After(over) {
			t.Fatal("the large responses are not on their way")
		}
	}
	for range 10 {
		if got := e.raw("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 200 ") {
			t.Fatalf("got %q", got)
		}
	}
}

// A target that does not answer in time gets later requests on another connection:
// this one may be dead.
func TestLateAnswer2(t *testing.T) {
	ended := make(chan struct{})
	target := frameTarget(t, func(n int, f *frames) {
		if n > 1 {
			f.answer("hello")
			return
		}
		f.request()
		f.drain()
		close(ended)
	})
	l := newListener(false).forwardTo2(t, target)
	l.Action.group.answer = 200 * time.Millisecond
	e := startEdge(t, l)
	if got := e.raw("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 504 ") {
		t.Errorf("got %q", got)
	}
	if r := e.record(); r.ErrorReason != ReasonTargetResponseSlow || r.TargetStatusCode != 0 {
		t.Errorf("record %+v", r)
	}
	l.Action.group.answer = 20 * time.Second
	// One that is not sent again, should the old connection end under it.
	if got := e.raw("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"); !strings.HasSuffix(got, "hello\r\n0\r\n\r\n") {
		t.Errorf("got %q", got)
	}
	receive(t, ended, "end of the connection that did not answer")
}

// The end of a group leaves its requests alone, and no connection behind.
func TestTargetGroupClose2(t *testing.T) {
	arrived, proceed, ended := make(chan struct{}), make(chan struct{}), make(chan struct{})
	target := frameTarget(t, func(_ int, f *frames) {
		defer close(ended)
		r := f.request()
		if r == nil {
			return
		}
		close(arrived)
		<-proceed
		f.head(r.StreamID, false, ":status", "200")
		f.WriteData(r.StreamID, true, []byte("done"))
		f.drain()
	})
	e := startEdge(t, newListener(false).forwardTo2(t, target))
	body := make(chan string)
	go func() { body <- e.raw("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n") }()
	receive(t, arrived, "request")
	e.listener.Action.group.Close()
	close(proceed)
	if got := receive(t, body, "response"); !strings.Contains(got, "done") {
		t.Errorf("got %q", got)
	}
	receive(t, ended, "end of the target's connection")
}

// A request that has its group from before a reload gets a connection after it.
func TestClosedTargetGroup2(t *testing.T) {
	ended := make(chan struct{}, 8)
	target := frameTarget(t, func(_ int, f *frames) { f.answer("hello"); ended <- struct{}{} })
	e := startEdge(t, newListener(false).forwardTo2(t, target))
	e.listener.Action.group.Close()
	for range 2 {
		if got := e.raw("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 200 ") {
			t.Errorf("got %q", got)
		}
		receive(t, ended, "end of the target's connection")
	}
}

// An unused connection is closed after its time.
func TestIdleTargetConnection2(t *testing.T) {
	ended := make(chan struct{})
	target := frameTarget(t, func(_ int, f *frames) { f.answer("hello"); close(ended) })
	l := newListener(false).forwardTo2(t, target)
	l.Action.group.targets[0].shared.transport.IdleConnTimeout = 50 * time.Millisecond
	e := startEdge(t, l)
	e.raw("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	receive(t, ended, "end of the target's connection")
	pool := l.Action.group.targets[0].shared
	for over := time.Now().Add(20 * time.Second); len(*pool.conns.Load()) > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(over) {
			t.Fatal("the pool keeps a connection that has ended")
		}
	}
}

// A client that goes away ends its stream at the target, and only that.
func TestClientCloses2(t *testing.T) {
	for _, way := range everyWay {
		t.Run(way.name, func(t *testing.T) {
			arrived, gone := make(chan struct{}), make(chan struct{})
			target := startTarget2(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/other" {
					return
				}
				close(arrived)
				<-r.Context().Done()
				close(gone)
			})
			e := startEdge(t, newListener(way.secure).forwardTo2(t, target))
			if way.h2 {
				c := dialHTTP2(e)
				c.request(1, true, "GET")
				receive(t, arrived, "request")
				c.WriteRSTStream(1, http2.ErrCodeCancel)
			} else {
				conn := e.dial("http/1.1")
				io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
				receive(t, arrived, "request")
				conn.Close()
			}
			receive(t, gone, "end of the request at the target")
			if r := e.record(); r.ELBStatusCode != 460 || r.ErrorReason != ReasonClientClosed || r.TargetStatusCode != 0 || r.SentBytes != 0 {
				t.Errorf("record %+v, want 460", r)
			}
			resp, err := e.client(way.h2).Get(e.url("/other"))
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if conns := *e.listener.Action.group.targets[0].shared.conns.Load(); len(conns) != 1 {
				t.Errorf("%d connections to the target", len(conns))
			}
		})
	}
}
