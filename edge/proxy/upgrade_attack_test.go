package proxy

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
)

const asksWebSocket = "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

// A client that asks for a WebSocket and goes on as if it had it: where the target
// does not switch, what comes behind is requests like any others, read by the edge
// and not passed by it.
func TestFailedUpgrade(t *testing.T) {
	for _, answer := range []string{
		"HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nContent-Length: 2\r\n\r\nno",
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno",
		"HTTP/1.1 400 Bad Request\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n",
	} {
		target := startRecorder(t)
		target.answer = func(m *wireMessage) (string, bool) {
			if m.start[1] == "/ws" {
				return answer, false
			}
			return "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false
		}
		e := startEdge(t, newListener(true).forwardTo(t, target.url))
		got := e.raw(asksWebSocket + "GET /next HTTP/1.1\r\nHost: a\r\nX-Client-Subject: " + lie + "\r\nConnection: close\r\n\r\n")
		m, rest, end := final(&strict, got, "GET", false)
		if end != complete || m.body != "no" || strings.Contains(strings.ToLower(got), "upgrade:") {
			t.Errorf("%q: the client reads %q", answer, got)
		}
		if m, rest, end = final(&strict, rest, "GET", false); end != complete || m.start[1] != "200" || rest != "" {
			t.Errorf("%q: behind it the client reads %+v", answer, m)
		}
		messages, _ := target.take()
		if len(messages) != 2 || strings.Contains(messages[1].wire, lie) || !strings.Contains(messages[1].wire, "X-Client-Subject: CN=alice\r\n") {
			t.Errorf("%q: the target got %+v", answer, messages)
		}
	}
	for _, answer := range []string{
		"HTTP/1.1 101 Switching Protocols\r\n\r\n",
		"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
		"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n\r\n",
		"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket, h2c\r\n\r\n",
		"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 5\r\n\r\n",
	} {
		e := startEdge(t, newListener(true).forwardTo(t, rawTarget(t, func(conn net.Conn, r *bufio.Reader) {
			readHead(r)
			io.WriteString(conn, answer)
			io.Copy(io.Discard, r)
		})))
		if got := e.raw(strings.Replace(asksWebSocket, "Connection: Upgrade", "Connection: Upgrade, close", 1)); !strings.HasPrefix(got, "HTTP/1.1 502 ") {
			t.Errorf("%q: the client reads %q, want 502", answer, got)
		}
	}
}

// Nothing of the client's reaches the target behind an upgrade before it has
// switched.
func TestEarlyBytesWaitForTheSwitch(t *testing.T) {
	switched, checked := make(chan struct{}), make(chan bool, 1)
	e := startEdge(t, newListener(true).forwardTo(t, rawTarget(t, func(conn net.Conn, r *bufio.Reader) {
		readHead(r)
		early := r.Buffered()
		<-switched
		checked <- early == 0 && r.Buffered() == 0
		io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		io.Copy(conn, r)
	})))
	conn := e.dial("http/1.1")
	send(t, conn, asksWebSocket+smuggled)
	close(switched)
	if !receive(t, checked, "check") {
		t.Error("the target got bytes before it switched")
	}
	in := bufio.NewReader(conn)
	readHead(in)
	got := make([]byte, len(smuggled))
	if _, err := io.ReadFull(in, got); err != nil || string(got) != smuggled {
		t.Errorf("echo %q, %v", got, err)
	}
}

// Both sides flood, each reads when it has to: all arrives, whole and in order, and
// each can end its half.
func TestTunnelFlood(t *testing.T) {
	const size = 8 << 20
	data := make([]byte, size)
	rand.Read(data)
	e := startEdge(t, newListener(true).forwardTo(t, rawTarget(t, func(conn net.Conn, r *bufio.Reader) {
		readHead(r)
		io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		var both sync.WaitGroup
		both.Go(func() { conn.Write(data); conn.(closeWriter).CloseWrite() })
		got, _ := io.ReadAll(r)
		both.Wait()
		if !bytes.Equal(got, data) {
			t.Errorf("the target got %d bytes, want %d", len(got), size)
		}
	})))
	conn := e.dial("http/1.1")
	send(t, conn, asksWebSocket)
	in := bufio.NewReader(conn)
	readHead(in)
	var both sync.WaitGroup
	both.Go(func() { conn.Write(data); conn.(closeWriter).CloseWrite() })
	got, err := io.ReadAll(in)
	both.Wait()
	if !bytes.Equal(got, data) || err != nil {
		t.Errorf("the client got %d bytes, %v, want %d", len(got), err, size)
	}
	receive(t, e.served, "end of the connection")
	if r := e.record(); r.ReceivedBytes < size || r.SentBytes < size || r.ErrorReason != "" {
		t.Errorf("record %+v", r)
	}
}

// A tunnel whose client or target is reset ends on both sides.
func TestTunnelReset(t *testing.T) {
	for _, first := range []string{"client", "target"} {
		over := make(chan struct{})
		proceed := make(chan struct{})
		e := startEdge(t, newListener(true).forwardTo(t, rawTarget(t, func(conn net.Conn, r *bufio.Reader) {
			defer close(over)
			readHead(r)
			io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nx")
			if first == "target" {
				<-proceed
				reset(conn)
				return
			}
			io.Copy(io.Discard, r)
		})))
		conn := e.dial("http/1.1")
		send(t, conn, asksWebSocket)
		in := bufio.NewReader(conn)
		readHead(in)
		in.ReadByte()
		if first == "client" {
			reset(conn)
		} else {
			close(proceed)
			io.Copy(io.Discard, in)
		}
		receive(t, over, "end at the target")
		receive(t, e.served, "end of the connection")
	}
}
