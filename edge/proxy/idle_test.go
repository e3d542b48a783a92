package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/sallyport/sallyport/edge/config"
)

const shortIdle = 300 * time.Millisecond

func (l *Listener) impatient() *Listener { return l.idle(shortIdle) }

func (l *Listener) idle(d time.Duration) *Listener {
	l.Timeouts.Idle, l.Timeouts.RequestHead = config.Duration(d), config.Duration(d)
	return l
}

// inTime tries what only one side is to be idle in. A machine with other things to do
// may make the other side idle as well: then there is more time.
func inTime(t *testing.T, try func(idle time.Duration) error) {
	t.Helper()
	for idle := shortIdle; ; idle *= 4 {
		err := try(idle)
		if err == nil {
			return
		}
		if idle > patience/12 {
			t.Fatal(err)
		}
	}
}

// A connection on which nothing comes ends.
func TestIdleConnection(t *testing.T) {
	for _, text := range []string{"", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"} {
		for _, secure := range []bool{false, true} {
			e := startEdge(t, newListener(secure).impatient())
			began := time.Now() // the edge's time begins while the client connects
			conn := e.dial("http/1.1")
			io.WriteString(conn, text)
			if _, err := io.ReadAll(conn); err != nil {
				t.Errorf("after %q: %v, want the end", text, err)
			}
			if took := time.Since(began); took < shortIdle {
				t.Errorf("after %q: ended after %v, want %v", text, took, shortIdle)
			}
			conn.Close()
			receive(t, e.served, "end of ServeConn")
		}
	}
	e := startEdge(t, newListener(true).impatient())
	c := dialHTTP2(e)
	until(c, func(f *http2.GoAwayFrame) bool { return f.ErrCode == http2.ErrCodeNo })
	receive(t, e.served, "end of ServeConn")
}

// A client that stops in its body is told so.
func TestIdleInRequest(t *testing.T) {
	target := startTarget(t, func(w http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) })
	for _, way := range everyWay {
		t.Run(way.name, func(t *testing.T) {
			inTime(t, func(idle time.Duration) error {
				e := startEdge(t, newListener(way.secure).idle(idle).forwardTo(t, target))
				if way.h2 {
					c := dialHTTP2(e)
					c.request(1, false, "POST")
					c.WriteData(1, false, []byte("abc"))
					if got := c.outcome(1); got != "408" {
						return fmt.Errorf("%s, want 408", got)
					}
				} else {
					got := e.raw("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
					if !strings.HasPrefix(got, "HTTP/1.1 408 ") || !strings.Contains(got, "Connection: close\r\n") {
						return fmt.Errorf("got %q, want 408", got)
					}
				}
				if r := e.record(); r.ELBStatusCode != 408 || r.ErrorReason != ReasonClientIdle || r.ReceivedBytes < 3 {
					return fmt.Errorf("record %+v", r)
				}
				receive(t, e.served, "end of ServeConn")
				return nil
			})
		})
	}
}

// A target that does not take the body, and one that stops in its response.
func TestIdleTarget(t *testing.T) {
	for _, way := range everyWay {
		t.Run(way.name+" request", func(t *testing.T) {
			done := make(chan struct{})
			defer close(done)
			target := rawTarget(t, func(conn net.Conn, r *bufio.Reader) { <-done })
			inTime(t, func(idle time.Duration) error {
				e := startEdge(t, newListener(way.secure).idle(idle).forwardTo(t, target))
				req, _ := http.NewRequest("POST", e.url("/"), &zeros{left: 1 << 30})
				resp, err := e.client(way.h2).Do(req)
				if err == nil {
					resp.Body.Close()
					if resp.StatusCode != 504 {
						return fmt.Errorf("status %d, want 504", resp.StatusCode)
					}
				} else if receive(t, e.served, "end of ServeConn"); len(e.records) == 0 {
					return err // and else a client that is busy sending saw the end first
				}
				if r := e.record(); r.ELBStatusCode != 504 || r.ErrorReason != ReasonTargetResponseSlow {
					return fmt.Errorf("record %+v", r)
				}
				return nil
			})
		})
		t.Run(way.name+" response", func(t *testing.T) {
			target := rawTarget(t, func(conn net.Conn, r *bufio.Reader) {
				readHead(r)
				io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
				io.Copy(io.Discard, r)
			})
			inTime(t, func(idle time.Duration) error {
				e := startEdge(t, newListener(way.secure).idle(idle).forwardTo(t, target))
				resp, err := e.client(way.h2).Get(e.url("/"))
				if err != nil {
					return err
				}
				body, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err == nil || string(body) != "abc" {
					return fmt.Errorf("got %q, %v; want it cut", body, err)
				}
				if r := e.record(); r.ELBStatusCode != 200 || r.ErrorReason != ReasonTargetIdle {
					return fmt.Errorf("record %+v", r)
				}
				return nil
			})
		})
	}
}

// A client that does not read holds nothing for longer.
func TestIdleInResponse(t *testing.T) {
	for _, way := range everyWay {
		t.Run(way.name, func(t *testing.T) {
			gone := make(chan struct{})
			target := startTarget(t, func(w http.ResponseWriter, r *http.Request) {
				io.Copy(w, &zeros{left: 1 << 40})
				close(gone)
			})
			e := startEdge(t, newListener(way.secure).impatient().forwardTo(t, target))
			if way.h2 {
				c := dialHTTP2(e)
				c.request(1, true, "GET")
				until(c, func(f *http2.RSTStreamFrame) bool { return f.StreamID == 1 })
			} else {
				io.WriteString(e.dial("http/1.1"), "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
			}
			receive(t, gone, "end of the target's response")
			if r := e.record(); r.ELBStatusCode != 200 || r.ErrorReason != ReasonClientIdle {
				t.Errorf("record %+v", r)
			}
			receive(t, e.served, "end of ServeConn")
		})
	}
}

// The same for an answer of the edge's own, of which HTTP/2's flow control lets
// nothing through.
func TestIdleInAnswer(t *testing.T) {
	e := startEdge(t, newListener(true).impatient())
	c := dialHTTP2(e)
	c.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
	c.request(1, true, "GET")
	until(c, func(f *http2.RSTStreamFrame) bool { return f.StreamID == 1 })
	receive(t, e.served, "end of ServeConn")
}

// What moves, however slowly, is not idle; nor is a target that thinks.
func TestNotIdle(t *testing.T) {
	for _, way := range everyWay {
		for _, path := range []string{"/", "/think"} {
			t.Run(way.name+path, func(t *testing.T) {
				t.Parallel()
				inTime(t, func(idle time.Duration) error {
					if body, err := moving(t, way.secure, way.h2, path, idle); body != "xxxxxxxx" || err != nil {
						return fmt.Errorf("got %q, %v", body, err)
					}
					return nil
				})
			})
		}
	}
}

// moving asks a target whose answer takes twice the idle timeout, and goes on all
// the while.
func moving(t *testing.T, secure, h2 bool, path string, idle time.Duration) (string, error) {
	target := startTarget(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		if r.URL.Path == "/think" {
			time.Sleep(2 * idle)
		}
		for range 8 {
			io.WriteString(w, "x")
			w.(http.Flusher).Flush()
			time.Sleep(idle / 4)
		}
	})
	e := startEdge(t, newListener(secure).idle(idle).forwardTo(t, target))
	resp, err := e.client(h2).Post(e.url(path), "text/plain", strings.NewReader("hello"))
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}
