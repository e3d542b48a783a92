package proxy

import (
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// tagged is a target whose answers are about their requests: sizes and framings
// vary, and some requests are failed on purpose.
func tagged(t testing.TB) *recorder {
	r := startRecorder(t)
	r.answer = func(m *wireMessage) (string, bool) {
		tag := strings.TrimPrefix(m.start[1], "/")
		body := strings.Repeat("<"+tag+">", 1+len(tag)*7%40)
		if m.body != "" && m.body != strings.Repeat("("+tag+")", strings.Count(m.body, "(")) {
			body = "the body of " + tag + " was " + m.body
		}
		switch n := len(tag) + int(tag[len(tag)-1]); {
		case strings.HasPrefix(tag, "cut"):
			return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body[:len(body)/2]), true
		case strings.HasPrefix(tag, "torn"):
			return "HTTP/1.1 200 OK\r\nContent-Le", true
		case n%3 == 0:
			return fmt.Sprintf("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(body), body), false
		case n%3 == 1:
			return "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + body, true
		}
		return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body), false
	}
	return r
}

// isTagged says whether a body is nothing but that of a tag.
func isTagged(body, tag string) bool {
	return body != "" && strings.Trim(strings.ReplaceAll(body, "<"+tag+">", ""), " ") == ""
}

// Thousands of requests in one write, with and without bodies: answers in order,
// each to its own request.
func TestPipelineFlood(t *testing.T) {
	const requests = 3000
	target := tagged(t)
	e := startEdge(t, newListener(true).forwardTo(t, target.url))
	var text strings.Builder
	for i := range requests {
		tag := fmt.Sprintf("r%dk", i) // an answer that keeps the target's connection
		switch i % 4 {
		case 0:
			fmt.Fprintf(&text, "POST /%s HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n(%s)", tag, len(tag)+2, tag)
		case 1:
			fmt.Fprintf(&text, "POST /%s HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n(%s)\r\n0\r\nX: y\r\n\r\n", tag, len(tag)+2, tag)
		default:
			fmt.Fprintf(&text, "GET /%s HTTP/1.1\r\nHost: a\r\n\r\n", tag)
		}
	}
	conn := e.dial("http/1.1")
	go io.WriteString(conn, text.String())
	in := newResponses(conn)
	for i := range requests {
		status, body, err := in.next()
		if tag := fmt.Sprintf("r%dk", i); status != 200 || err != nil || !isTagged(body, tag) {
			t.Fatalf("answer %d: %d %.200q, %v", i, status, body, err)
		}
	}
	conn.Close()
	receive(t, e.served, "end of the connection")
	if messages, broken := target.take(); len(messages) != requests || len(broken) > 0 {
		t.Errorf("the target got %d requests, want %d", len(messages), requests)
	}
}

// Many clients at once, of all manners: some pipeline, some leave in their body or
// before the answer, some have targets that leave; in the middle of it the edge
// drains. Nobody ever reads a byte of another's, and nothing stays behind.
func TestNothingCrosses(t *testing.T) {
	target := tagged(t)
	e := startEdge(t, newListener(true).forwardTo(t, target.url))
	e.records = nil
	var clients sync.WaitGroup
	var answered atomic.Int64
	for id := range 40 {
		clients.Go(func() {
			for round := range 12 {
				if e.ctx.Err() != nil {
					return
				}
				crossing(t, e, fmt.Sprintf("c%dr%d", id, round), (id+round)%8, &answered)
				if answered.Load() >= 200 {
					e.drain()
				}
			}
		})
	}
	clients.Wait()
	if n := answered.Load(); e.ctx.Err() == nil {
		t.Errorf("only %d requests were answered", n)
	}
	for _, text := range func() []string { _, broken := target.take(); return broken }() {
		t.Errorf("the target read %.200q", text)
	}
}

// crossing is one client's connection.
func crossing(t *testing.T, e *edge, id string, manner int, answered *atomic.Int64) {
	conn, err := dialQuietly(e)
	if err != nil {
		return // drained
	}
	defer conn.Close()
	in := newResponses(conn)
	ask := func(n int, prefix string) (tag string) {
		tag = fmt.Sprintf("%s%sn%d", prefix, id, n)
		fmt.Fprintf(conn, "POST /%s HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n(%s)", tag, len(tag)+2, tag)
		return tag
	}
	expect := func(tag string) bool {
		status, body, err := in.next()
		if err != nil && len(body) == 0 {
			return false // cut, or drained
		}
		if status == 200 && !isTagged(body, tag) && !(err != nil && strings.HasPrefix(strings.Repeat("<"+tag+">", 64), body)) {
			t.Errorf("%s was answered %.200q, %v", tag, body, err)
		}
		if status != 200 && (status < 500 || !strings.HasPrefix(body, "<html>")) {
			t.Errorf("%s was answered %d %.200q", tag, status, body)
		}
		answered.Add(1)
		return err == nil
	}
	switch manner {
	case 0, 1, 2: // in turn
		for n := range 8 {
			if !expect(ask(n, "")) {
				return
			}
		}
	case 3: // all at once
		var tags []string
		for n := range 8 {
			tags = append(tags, ask(n, ""))
		}
		for _, tag := range tags {
			if !expect(tag) {
				return
			}
		}
	case 4: // leaves in its body
		fmt.Fprintf(conn, "POST /%s HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n(%s)", id, id)
		reset(conn)
	case 5: // leaves before the answer
		ask(0, "")
		reset(conn)
	case 6:
		expect(ask(0, "cut"))
	case 7:
		expect(ask(0, "torn"))
	}
}

// dialQuietly dials where the edge may just be gone.
func dialQuietly(e *edge) (conn net.Conn, err error) {
	raw, err := net.Dial("tcp", e.addr)
	if err != nil {
		return nil, err
	}
	secure := clientTLS(raw)
	if err := secure.Handshake(); err != nil {
		raw.Close()
		return nil, err
	}
	return secure, nil
}

// heap is what is in use, after a collection.
func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}
