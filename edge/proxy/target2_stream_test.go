package proxy

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/sallyport/sallyport/edge/config"
)

// prompt is forwardTo2 with heads that do not wait for long.
func prompt(t testing.TB, l *Listener, targets ...string) *Listener {
	l.forwardTo2(t, targets...).Action.group.hold = holdBack
	return l
}

// Pieces go through both ways at once, each before the next is made, the heads
// before the first.
func TestFullDuplex2(t *testing.T) {
	target := startTarget2(t, func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		piece := make([]byte, 5)
		for {
			if _, err := io.ReadFull(r.Body, piece); err != nil {
				return
			}
			w.Write(bytes.ToUpper(piece))
			w.(http.Flusher).Flush()
		}
	})
	for _, way := range everyWay {
		t.Run(way.name, func(t *testing.T) {
			e := startEdge(t, prompt(t, newListener(way.secure), target))
			var body io.Reader
			var send func(i int)
			var end func()
			if way.h2 {
				r, w := io.Pipe()
				req, _ := http.NewRequest("POST", e.url("/"), r)
				resp, err := e.client(true).Do(req)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				body, send, end = resp.Body, func(i int) { fmt.Fprintf(w, "ping%d", i) }, func() { w.Close() }
			} else {
				conn := e.dial("http/1.1")
				io.WriteString(conn, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
				resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				body, send, end = resp.Body, func(i int) { fmt.Fprintf(conn, "5\r\nping%d\r\n", i) }, func() { io.WriteString(conn, "0\r\n\r\n") }
			}
			piece := make([]byte, 5)
			for i := range 3 {
				send(i)
				if _, err := io.ReadFull(body, piece); err != nil || string(piece) != fmt.Sprint("PING", i) {
					t.Fatalf("piece %d: %q, %v", i, piece, err)
				}
			}
			end()
			if rest, err := io.ReadAll(body); len(rest) > 0 || err != nil {
				t.Errorf("at the end: %q, %v", rest, err)
			}
			if r := e.record(); r.ELBStatusCode != 200 || r.ErrorReason != "" || r.ReceivedBytes < 15 {
				t.Errorf("record %+v", r)
			}
		})
	}
}

// An answer that does not wait for the body reaches a client that still sends.
func TestEarlyAnswer2(t *testing.T) {
	for _, status := range []int{200, 413} {
		target := startTarget2(t, func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(status)
			io.WriteString(w, "big")
		})
		for _, way := range everyWay {
			t.Run(fmt.Sprint(way.name, " ", status), func(t *testing.T) {
				e := startEdge(t, newListener(way.secure).forwardTo2(t, target))
				if way.h2 {
					c := dialHTTP2(e)
					c.request(1, false, "POST")
					if got := c.status(1); got != fmt.Sprint(status) {
						t.Errorf("status %s", got)
					}
					c.conn.Close()
				} else {
					conn := e.dial("http/1.1")
					fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", 1<<30)
					io.WriteString(conn, strings.Repeat("x", 64<<10))
					got, err := io.ReadAll(conn)
					if err != nil || !strings.HasPrefix(string(got), fmt.Sprintf("HTTP/1.1 %d ", status)) || !strings.HasSuffix(string(got), "big") {
						t.Errorf("got %q, %v", got, err)
					}
					conn.Close()
				}
				if r := e.record(); r.ELBStatusCode != status || r.ErrorReason != "" {
					t.Errorf("record %+v", r)
				}
				receive(t, e.served, "end of the connection")
			})
		}
	}
}

// The target decides whether a body is sent that waits for 100 Continue.
func TestExpectContinue2(t *testing.T) {
	for _, test := range []struct {
		name, first string
		status      int
	}{{"asks", "100", 200}, {"refuses", "", 401}, {"does not need it", "", 200}} {
		t.Run(test.name, func(t *testing.T) {
			target := frameTarget(t, func(_ int, f *frames) {
				r := f.request()
				if r == nil {
					return
				}
				var expects bool
				for _, field := range r.RegularFields() {
					expects = expects || field.Name == "expect" && field.Value == "100-continue"
				}
				if !expects {
					t.Error("the target is not asked")
				}
				if test.first != "" {
					f.head(r.StreamID, false, ":status", test.first)
					for body := 0; body < 5; {
						frame, err := f.ReadFrame()
						if err != nil {
							t.Errorf("body: %v", err)
							return
						}
						if d, ok := frame.(*http2.DataFrame); ok {
							body += len(d.Data())
						}
					}
				}
				f.head(r.StreamID, true, ":status", fmt.Sprint(test.status))
				f.drain()
			})
			e := startEdge(t, newListener(true).forwardTo2(t, target))
			conn := e.dial("http/1.1")
			io.WriteString(conn, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
			r := bufio.NewReader(conn)
			if test.first != "" {
				if head := readHead(r); head != "HTTP/1.1 100 Continue\r\n\r\n" {
					t.Fatalf("got %q", head)
				}
				io.WriteString(conn, "hello")
			}
			resp, err := http.ReadResponse(r, nil)
			if err != nil || resp.StatusCode != test.status {
				t.Fatalf("got %v, %v", resp, err)
			}
			if test.first == "" && !resp.Close {
				t.Error("the connection goes on, with a body to come or not")
			}
			if r := e.record(); r.ELBStatusCode != test.status || r.ErrorReason != "" {
				t.Errorf("record %+v", r)
			}
		})
	}
}

// Whoever does not go on with a body ends it.
func TestIdleBodies2(t *testing.T) {
	target := startTarget2(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "hello")
		if r.URL.Path == "/stuck" {
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}
		io.Copy(io.Discard, r.Body)
	})
	waiting := startTarget2(t, func(w http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) })
	for _, way := range everyWay {
		t.Run(way.name, func(t *testing.T) {
			l := prompt(t, newListener(way.secure), target)
			l.Timeouts.Idle = config.Duration(300 * time.Millisecond)
			e := startEdge(t, l)
			resp, err := e.client(way.h2).Get(e.url("/stuck"))
			if err != nil {
				t.Fatal(err)
			}
			if body, err := io.ReadAll(resp.Body); string(body) != "hello" || err == nil {
				t.Errorf("got %q, and the response looks whole", body)
			}
			resp.Body.Close()
			if r := e.record(); r.ErrorReason != ReasonTargetIdle {
				t.Errorf("record %+v", r)
			}

			l = prompt(t, newListener(way.secure), waiting)
			l.Timeouts.Idle = config.Duration(300 * time.Millisecond)
			e = startEdge(t, l)
			if way.h2 {
				c := dialHTTP2(e)
				c.request(1, false, "POST")
				if status := c.status(1); status != "408" {
					t.Errorf("status %s, want 408", status)
				}
				c.conn.Close()
			} else {
				conn := e.dial("http/1.1")
				io.WriteString(conn, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n12")
				if got, _ := io.ReadAll(conn); !strings.HasPrefix(string(got), "HTTP/1.1 408 ") {
					t.Errorf("got %q, want 408", got)
				}
			}
			if r := e.record(); r.ELBStatusCode != 408 || r.ErrorReason != ReasonClientIdle {
				t.Errorf("record %+v", r)
			}
		})
	}
}

// A target that takes no body holds its client up, at little cost.
func TestBackPressure2(t *testing.T) {
	proceed := make(chan struct{})
	target := startTarget2(t, func(w http.ResponseWriter, r *http.Request) {
		<-proceed
		n, _ := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, n)
	})
	const size = 64 << 20
	for _, way := range everyWay {
		t.Run(way.name, func(t *testing.T) {
			e := startEdge(t, newListener(way.secure).forwardTo2(t, target))
			var sent atomic.Int64
			r, _ := http.NewRequest("POST", e.url("/"), io.TeeReader(&zeros{left: size}, counter{&sent}))
			r.ContentLength = size
			answer := make(chan string, 1)
			go func() {
				resp, err := e.client(way.h2).Do(r)
				if err != nil {
					answer <- err.Error()
					return
				}
				body, _ := io.ReadAll(resp.Body)
				resp.Body.Close()
				answer <- string(body)
			}()
			for last, still := int64(-1), 0; still < 20; time.Sleep(10 * time.Millisecond) {
				if now := sent.Load(); now == last && now > 0 {
					still++
				} else {
					last, still = now, 0
				}
			}
			if n := sent.Load(); n > size/2 {
				t.Errorf("%d bytes were taken that the target has not", n)
			}
			proceed <- struct{}{}
			if got := receive(t, answer, "answer"); got != fmt.Sprint(size) {
				t.Errorf("got %q", got)
			}
		})
	}
}

type counter struct{ n *atomic.Int64 }

func (c counter) Write(p []byte) (int, error) { c.n.Add(int64(len(p))); return len(p), nil }

// A drain lets a stream come to its end, and ends the client's connection then.
func TestDrain2(t *testing.T) {
	for _, way := range everyWay {
		t.Run(way.name, func(t *testing.T) {
			arrived, proceed := make(chan struct{}), make(chan struct{})
			target := startTarget2(t, func(w http.ResponseWriter, r *http.Request) {
				io.WriteString(w, "first ")
				w.(http.Flusher).Flush()
				close(arrived)
				<-proceed
				io.WriteString(w, "last")
			})
			e := startEdge(t, prompt(t, newListener(way.secure), target))
			resp, err := e.client(way.h2).Get(e.url("/"))
			if err != nil {
				t.Fatal(err)
			}
			receive(t, arrived, "request")
			e.drain()
			e.listener.Action.group.Close()
			close(proceed)
			body, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if string(body) != "first last" || err != nil {
				t.Errorf("got %q, %v", body, err)
			}
			receive(t, e.served, "end of the client's connection")
			if conns := e.listener.Action.group.targets[0].shared; len(*conns.conns.Load()) > 0 {
				over := time.Now().Add(patience)
				for len(*conns.conns.Load()) > 0 && time.Now().Before(over) {
					time.Sleep(time.Millisecond)
				}
				if len(*conns.conns.Load()) > 0 {
					t.Error("the target's connection stays")
				}
			}
		})
	}
}
