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
	"golang.org/x/net/http2/hpack"
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
	for over := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
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
	l.Action.group.answer = patience
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
	for over := time.Now().Add(patience); len(*pool.conns.Load()) > 0; time.Sleep(time.Millisecond) {
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

// counted is how many connections a target has had, and has.
type counted struct{ made, open atomic.Int32 }

// slowTarget accepts connections of HTTP/2, sends its SETTINGS late, and then has
// serve go on.
func (n *counted) slowTarget(t *testing.T, delay time.Duration, streams uint32, serve func(f *frames)) string {
	t.Helper()
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			conn, err := tcp.Accept()
			if err != nil {
				return
			}
			n.made.Add(1)
			n.open.Add(1)
			conns.Go(func() {
				defer n.open.Add(-1)
				defer conn.Close()
				conn.SetDeadline(time.Now().Add(30 * time.Second))
				if _, err := io.ReadFull(conn, make([]byte, len(http2.ClientPreface))); err != nil {
					return
				}
				timer := time.NewTimer(delay)
				<-timer.C
				f := &frames{Framer: http2.NewFramer(conn, conn), conn: conn}
				f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
				f.encoder = hpack.NewEncoder(&f.block)
				f.WriteSettings(http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: streams})
				serve(f)
			})
		}
	})
	t.Cleanup(func() { tcp.Close(); conns.Wait() })
	return "http://" + tcp.Addr().String()
}

// allEnd waits until the connections have ended and are out of the pool.
func (n *counted) allEnd(t *testing.T, pool *sharedPool) {
	t.Helper()
	for over := time.Now().Add(15 * time.Second); n.open.Load() > 0 || len(*pool.conns.Load()) > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(over) {
			t.Fatalf("%d connections open, %d in the pool", n.open.Load(), len(*pool.conns.Load()))
		}
	}
}

const plainGet = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"

// A target that takes no streams gets one connection, which is waited on.
func TestNoStreams(t *testing.T) {
	for _, opens := range []bool{false, true} {
		t.Run(fmt.Sprint("opens ", opens), func(t *testing.T) {
			var n counted
			target := n.slowTarget(t, 0, 0, func(f *frames) {
				if opens {
					timer := time.NewTimer(300 * time.Millisecond)
					<-timer.C
					f.WriteSettings(http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 10})
				}
				f.answer("hello")
			})
			l := newListener(false).forwardTo2(t, target)
			pool, want := l.Action.group.targets[0].shared, "HTTP/1.1 504 "
			if opens {
				want = "HTTP/1.1 200 "
			} else {
				pool.limit = time.Second
			}
			e := startEdge(t, l)
			var clients sync.WaitGroup
			for range 5 {
				clients.Go(func() {
					if got := e.raw(plainGet); !strings.HasPrefix(got, want) {
						t.Errorf("got %q, want %q", got, want)
					}
				})
			}
			clients.Wait()
			if r := e.record(); !opens && r.ErrorReason != ReasonTargetConnectSlow {
				t.Errorf("record %+v", r)
			}
			if made := n.made.Load(); made != 1 {
				t.Errorf("%d connections, want 1", made)
			}
			l.Action.group.Close()
			n.allEnd(t, pool)
		})
	}
}

// A target that goes away from each connection gets a few, and none stays.
func TestGoesAwayAtOnce(t *testing.T) {
	for _, streams := range []uint32{0, 1, 100} {
		t.Run(fmt.Sprint(streams), func(t *testing.T) {
			var n counted
			target := n.slowTarget(t, 0, streams, func(f *frames) {
				f.WriteGoAway(0, http2.ErrCodeNo, nil)
				f.drain()
			})
			e := startEdge(t, newListener(false).forwardTo2(t, target))
			const requests = 5
			for range requests {
				if got := e.raw(plainGet); !strings.HasPrefix(got, "HTTP/1.1 502 ") {
					t.Errorf("got %q", got)
				}
			}
			// Some may have looked sound until the GOAWAY came: these count with the
			// attempts of a request.
			if made := n.made.Load(); made < requests || made > requests*attempts*maxBarren {
				t.Errorf("%d connections for %d requests", made, requests)
			}
			n.allEnd(t, e.listener.Action.group.targets[0].shared)
		})
	}
}

// A connection that had a request and then GOAWAY is closed by the edge.
func TestGoesAwayIdle(t *testing.T) {
	var n counted
	target := n.slowTarget(t, 0, 100, func(f *frames) {
		r := f.request()
		if r == nil {
			return
		}
		f.head(r.StreamID, true, ":status", "200")
		f.WriteGoAway(r.StreamID, http2.ErrCodeNo, nil)
		f.drain()
	})
	e := startEdge(t, newListener(false).forwardTo2(t, target))
	if got := e.raw(plainGet); !strings.HasPrefix(got, "HTTP/1.1 200 ") {
		t.Errorf("got %q", got)
	}
	n.allEnd(t, e.listener.Action.group.targets[0].shared)
}

// Connections are made at the same time, as many as are wanted and allowed. Beyond
// that requests wait for room, and get it.
func TestManyConnections(t *testing.T) {
	for _, test := range []struct {
		requests, conns int
		delay           time.Duration // of the SETTINGS
	}{{60, 60, 200 * time.Millisecond}, {maxSharedConns + 40, maxSharedConns, 0}} {
		t.Run(fmt.Sprint(test.requests), func(t *testing.T) {
			var n counted
			arrived, proceed := make(chan struct{}, test.requests), make(chan struct{})
			l := newListener(false).forwardTo2(t, n.slowTarget(t, test.delay, 1, func(f *frames) {
				for r := f.request(); r != nil; r = f.request() {
					arrived <- struct{}{}
					<-proceed
					f.head(r.StreamID, true, ":status", "200")
				}
			}))
			pool := l.Action.group.targets[0].shared
			if test.delay == 0 {
				pool.limit = patience
			}
			e := startEdge(t, l)
			var clients sync.WaitGroup
			for range test.requests {
				clients.Go(func() {
					if got := e.raw(plainGet); !strings.HasPrefix(got, "HTTP/1.1 200 ") {
						t.Errorf("got %q", got)
					}
				})
			}
			for range test.conns {
				receive(t, arrived, "request")
			}
			for over := time.Now().Add(15 * time.Second); int(pool.waiting.Load()) < test.requests-test.conns; time.Sleep(time.Millisecond) {
				if time.Now().After(over) {
					t.Fatalf("%d requests wait", pool.waiting.Load())
				}
			}
			close(proceed)
			clients.Wait()
			if made := int(n.made.Load()); made != test.conns {
				t.Errorf("%d connections, want %d", made, test.conns)
			}
		})
	}
}
