package proxy

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/net/websocket"
)

// echoes is a WebSocket server.
func echoes(t *testing.T) string {
	return startTarget(t, websocket.Handler(func(ws *websocket.Conn) {
		io.WriteString(ws, ws.Request().Header.Get("X-Client-Subject")+" "+ws.Request().URL.Path)
		io.Copy(ws, ws)
	}).ServeHTTP)
}

func dialWebSocket(t *testing.T, e *edge) *websocket.Conn {
	t.Helper()
	cfg, err := websocket.NewConfig("ws://edge.test/chat", "http://edge.test")
	if err != nil {
		t.Fatal(err)
	}
	cfg.Header.Set("X-Client-Subject", lie)
	ws, err := websocket.NewClient(cfg, e.dial("http/1.1"))
	if err != nil {
		t.Fatal(err)
	}
	return ws
}

func TestWebSocket(t *testing.T) {
	for _, secure := range []bool{false, true} {
		e := startEdge(t, newListener(secure).forwardTo(t, echoes(t)))
		ws := dialWebSocket(t, e)
		subject, kind := "", "ws"
		if secure {
			subject, kind = "CN=alice", "wss"
		}
		var got string
		if err := websocket.Message.Receive(ws, &got); err != nil || got != subject+" /chat" {
			t.Fatalf("got %q, %v", got, err)
		}
		for _, want := range []string{"hello", strings.Repeat("x", 100<<10), "x"} {
			if err := websocket.Message.Send(ws, want); err != nil {
				t.Fatal(err)
			}
			got := make([]byte, len(want))
			if _, err := io.ReadFull(ws, got); err != nil || string(got) != want {
				t.Fatalf("got %.20q…, %v; want %.20q", got, err, want)
			}
		}
		ws.Close()
		receive(t, e.served, "end of ServeConn")
		if r := e.record(); r.Type != kind || r.ELBStatusCode != 101 || r.TargetStatusCode != 101 || r.ReceivedBytes < 100<<10 || r.SentBytes < 100<<10 || r.ErrorReason != "" {
			t.Errorf("record %+v", r)
		}
	}
}

// A drain leaves a tunnel alone; the caller ends it by closing the connection.
func TestWebSocketDrain(t *testing.T) {
	for _, secure := range []bool{false, true} {
		e := startEdge(t, newListener(secure).forwardTo(t, echoes(t)))
		ws := dialWebSocket(t, e)
		conn := receive(t, e.open, "connection")
		var got string
		websocket.Message.Receive(ws, &got)
		e.drain()
		if err := websocket.Message.Send(ws, "still here"); err != nil {
			t.Fatal(err)
		}
		if err := websocket.Message.Receive(ws, &got); err != nil || got != "still here" {
			t.Fatalf("got %q, %v", got, err)
		}
		if len(e.served) > 0 {
			t.Error("ServeConn has returned")
		}
		conn.Conn.Close()
		receive(t, e.served, "end of ServeConn")
		e.record()
	}
}

func TestWebSocketIdle(t *testing.T) {
	for _, secure := range []bool{false, true} {
		e := startEdge(t, newListener(secure).impatient().forwardTo(t, echoes(t)))
		ws := dialWebSocket(t, e)
		var got string
		websocket.Message.Receive(ws, &got)
		if err := websocket.Message.Receive(ws, &got); err == nil {
			t.Errorf("got %q of nobody", got)
		}
		receive(t, e.served, "end of ServeConn")
		if r := e.record(); r.ErrorReason != ReasonIdle {
			t.Errorf("record %+v", r)
		}
	}
}

// upgraded is a target that accepts every upgrade and then runs serve.
func upgraded(t *testing.T, serve func(net.Conn, *bufio.Reader)) string {
	return rawTarget(t, func(conn net.Conn, r *bufio.Reader) {
		readHead(r)
		io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nearly")
		serve(conn, r)
	})
}

const asksUpgrade = "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n\r\n"

// Each side may end its way and still listen.
func TestTunnelHalfClose(t *testing.T) {
	for _, secure := range []bool{false, true} {
		t.Run("client first", func(t *testing.T) {
			target := upgraded(t, func(conn net.Conn, r *bufio.Reader) {
				all, _ := io.ReadAll(r)
				io.WriteString(conn, strings.ToUpper(string(all)))
			})
			e := startEdge(t, newListener(secure).forwardTo(t, target))
			conn := e.dial("http/1.1")
			r := bufio.NewReader(conn)
			io.WriteString(conn, asksUpgrade)
			readHead(r)
			io.WriteString(conn, "hello")
			conn.(closeWriter).CloseWrite()
			if got, err := io.ReadAll(r); string(got) != "earlyHELLO" || err != nil {
				t.Errorf("got %q, %v", got, err)
			}
			receive(t, e.served, "end of ServeConn")
		})
		t.Run("target first", func(t *testing.T) {
			received := make(chan string, 1)
			target := upgraded(t, func(conn net.Conn, r *bufio.Reader) {
				conn.(*net.TCPConn).CloseWrite()
				all, _ := io.ReadAll(r)
				received <- string(all)
			})
			e := startEdge(t, newListener(secure).forwardTo(t, target))
			conn := e.dial("http/1.1")
			r := bufio.NewReader(conn)
			// Against the protocol, but no reason to lose it.
			io.WriteString(conn, asksUpgrade+"\x81early")
			readHead(r)
			if got, err := io.ReadAll(r); string(got) != "early" || err != nil {
				t.Errorf("got %q, %v", got, err)
			}
			io.WriteString(conn, "late")
			conn.Close()
			if got := receive(t, received, "data"); got != "\x81earlylate" {
				t.Errorf("target got %q", got)
			}
			receive(t, e.served, "end of ServeConn")
		})
	}
}

// What is no request for a WebSocket goes on as an ordinary request, or not at
// all.
func TestOtherUpgrades(t *testing.T) {
	for _, text := range []string{
		"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
		"GET / HTTP/1.0\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket, h2c\r\n\r\n",
	} {
		heads := make(chan string, 1)
		target := rawTarget(t, func(conn net.Conn, r *bufio.Reader) {
			heads <- readHead(r)
			io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
		})
		e := startEdge(t, newListener(false).forwardTo(t, target))
		conn := e.dial("http/1.1")
		io.WriteString(conn, text)
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || resp.StatusCode != 200 {
			t.Errorf("%q: %v, %v", text, resp, err)
		}
		if head := receive(t, heads, "request"); strings.Contains(strings.ToLower(head), "upgrade") || strings.Contains(head, "Http2") {
			t.Errorf("target got %q", head)
		}
	}
}
