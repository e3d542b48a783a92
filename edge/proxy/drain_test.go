package proxy

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/net/http2"
)

// gated is a target that holds its answer back.
func gated(t *testing.T) (target string, arrived, proceed chan struct{}) {
	arrived, proceed = make(chan struct{}, 4), make(chan struct{})
	return startTarget(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/begin" {
			w.(http.Flusher).Flush()
		}
		arrived <- struct{}{}
		<-proceed
		io.WriteString(w, "whole")
	}), arrived, proceed
}

func TestDrainHTTP1(t *testing.T) {
	for _, secure := range []bool{false, true} {
		start := func(t *testing.T) (e *edge, served *Conn, conn net.Conn, arrived, proceed chan struct{}) {
			target, arrived, proceed := gated(t)
			e = startEdge(t, newListener(secure).forwardTo(t, target))
			conn = e.dial("http/1.1")
			return e, receive(t, e.open, "connection"), conn, arrived, proceed
		}
		ends := func(t *testing.T, e *edge, conn io.Reader) {
			t.Helper()
			if rest, err := io.ReadAll(conn); len(rest) > 0 || err != nil {
				t.Errorf("client reads %q, %v; want the end", rest, err)
			}
			receive(t, e.served, "end of ServeConn")
		}
		t.Run("new", func(t *testing.T) {
			e, _, conn, _, _ := start(t)
			e.drain()
			ends(t, e, conn)
		})
		t.Run("idle", func(t *testing.T) {
			e, _, conn, _, proceed := start(t)
			close(proceed)
			io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
			r := bufio.NewReader(conn)
			resp, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatal(err)
			}
			io.Copy(io.Discard, resp.Body)
			if resp.Close {
				t.Error("connection is not kept")
			}
			e.drain()
			ends(t, e, r)
		})
		for _, path := range []string{"/", "/begin"} {
			t.Run("active "+path, func(t *testing.T) {
				e, served, conn, arrived, proceed := start(t)
				io.WriteString(conn, "GET "+path+" HTTP/1.1\r\nHost: a\r\n\r\n")
				receive(t, arrived, "request")
				r := bufio.NewReader(conn)
				if path == "/begin" {
					r.Peek(1) // the head is here before the drain
				}
				served.End() // not by the context, which says so to nobody at once
				close(proceed)
				resp, err := http.ReadResponse(r, nil)
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(resp.Body)
				if string(body) != "whole" || err != nil {
					t.Errorf("got %q, %v", body, err)
				}
				if path == "/" && !resp.Close {
					t.Error("response does not say Connection: close")
				}
				ends(t, e, r)
				if r := e.record(); r.ELBStatusCode != 200 || r.ErrorReason != "" {
					t.Errorf("record %+v", r)
				}
			})
		}
		t.Run("cut", func(t *testing.T) {
			e, _, conn, arrived, proceed := start(t)
			defer close(proceed)
			io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
			receive(t, arrived, "request")
			e.drain()
			conn.Close() // as the caller does on its side
			receive(t, e.served, "end of ServeConn")
		})
	}
}

func TestDrainHTTP2(t *testing.T) {
	t.Run("active", func(t *testing.T) {
		target, arrived, proceed := gated(t)
		e := startEdge(t, newListener(true).forwardTo(t, target))
		c := dialHTTP2(e)
		c.request(1, true, "GET")
		receive(t, arrived, "request")
		e.drain()
		away := until(c, func(*http2.GoAwayFrame) bool { return true })
		if away.LastStreamID != 1 || away.ErrCode != http2.ErrCodeNo {
			t.Errorf("GOAWAY %v, want stream 1 and no error", away)
		}
		c.request(3, true, "GET") // too late: never answered
		close(proceed)
		if status := c.status(1); status != "200" {
			t.Errorf("status %s", status)
		}
		data := until(c, func(f *http2.DataFrame) bool { return f.StreamID == 1 })
		if string(data.Data()) != "whole" {
			t.Errorf("got %q", data.Data())
		}
		for {
			frame, err := c.ReadFrame()
			if err != nil {
				break
			}
			if frame.Header().StreamID == 3 {
				t.Errorf("got %v", frame)
			}
		}
		receive(t, e.served, "end of ServeConn")
		if r := e.record(); r.ELBStatusCode != 200 {
			t.Errorf("record %+v", r)
		}
		if len(e.records) > 0 || len(arrived) > 0 {
			t.Error("the late request was served")
		}
	})
	t.Run("idle", func(t *testing.T) {
		e := startEdge(t, newListener(true))
		c := dialHTTP2(e)
		c.request(1, true, "GET")
		c.status(1)
		e.drain()
		until(c, func(*http2.GoAwayFrame) bool { return true })
		receive(t, e.served, "end of ServeConn")
	})
	t.Run("without a preface", func(t *testing.T) {
		e := startEdge(t, newListener(true))
		e.dial("h2")
		receive(t, e.open, "connection")
		e.drain()
		receive(t, e.served, "end of ServeConn")
	})
}

// A connection that begins when all is over.
func TestDrainBefore(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	client, server := net.Pipe()
	defer client.Close()
	s := New(Options{Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	l := newListener(false)
	s.ServeConn(ctx, &Conn{Conn: server, Listener: func() *Listener { return l }})
	if _, err := client.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("client reads %v, want the end", err)
	}
}

// What is called h2 and is not TLS is not served.
func TestHTTP2WithoutTLS(t *testing.T) {
	client, server := net.Pipe()
	defer client.Close()
	s := New(Options{Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	l := newListener(false)
	s.ServeConn(t.Context(), &Conn{Conn: server, ALPN: "h2", Listener: func() *Listener { return l }})
	if _, err := client.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("client reads %v, want the end", err)
	}
}

// A panic ends its request and is no page for the client.
func TestPanic(t *testing.T) {
	for _, way := range everyWay {
		l := newListener(way.secure)
		l.Action = Action{redirect: new(redirect)} // a status of 0 makes net/http panic
		l.Action.redirect.host = template{"a"}
		e := startEdge(t, l)
		resp, err := e.client(way.h2).Get(e.url("/"))
		if err == nil {
			body, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if strings.Contains(string(body), "panic") || resp.StatusCode != 500 {
				t.Errorf("got %d %q", resp.StatusCode, body)
			}
		}
		if r := e.record(); r.ErrorReason != ReasonInternal || r.ELBStatusCode != 500 {
			t.Errorf("record %+v", r)
		}
	}
}
