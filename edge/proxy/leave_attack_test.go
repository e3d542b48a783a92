package proxy

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// A target that resets or ends the connection at each byte of its response: the
// client never takes a part for the whole, and the next request is answered by
// another connection.
func TestTargetLeavesAtEveryByte(t *testing.T) {
	for _, version := range []string{"1.1", "1.0"} {
		for _, text := range []string{
			"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
			"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n\r\n",
			"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
		} {
			for _, byReset := range []bool{false, true} {
				leaveAt := make(chan int, 1)
				e := startEdge(t, newListener(true).forwardTo(t, rawTarget(t, func(conn net.Conn, r *bufio.Reader) {
					for head := readHead(r); head != ""; head = readHead(r) {
						if !strings.HasPrefix(head, "GET /leave") {
							io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
							continue
						}
						n := <-leaveAt
						io.WriteString(conn, text[:n])
						if byReset {
							reset(conn)
						}
						return
					}
				})))
				for n := range len(text) {
					leaveAt <- n
					conn := e.dial("http/1.1")
					send(t, conn, "GET /leave HTTP/"+version+"\r\nHost: a\r\nConnection: close\r\n\r\n")
					all, err := io.ReadAll(conn)
					m, _, end := final(&strict, string(all), "GET", version == "1.0")
					// Up to here the target has said no whole response.
					if ours := end == complete && m.start[1] == "502"; err == nil && end == complete && !ours {
						t.Errorf("HTTP/%s, %d of %q: the client reads %q as whole", version, n, text, all)
					}
					conn.Close()
					if got := e.raw(follows); !strings.HasSuffix(got, "ok") {
						t.Errorf("%d of %q: the next request is answered %q", n, text, got)
					}
				}
			}
		}
	}
}

// A client that resets or ends the connection at each byte of its request: the
// target gets no request that the client has not sent to its end.
func TestClientLeavesAtEveryByte(t *testing.T) {
	target := startRecorder(t)
	e := startEdge(t, newListener(true).forwardTo(t, target.url))
	for _, text := range []string{
		"POST /leave HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
		"POST /leave HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n\r\n",
	} {
		for n := 1; n < len(text); n++ {
			for _, byReset := range []bool{false, true} {
				conn := e.dial("http/1.1")
				send(t, conn, text[:n])
				if byReset {
					reset(conn)
				} else {
					conn.Close()
				}
				receive(t, e.served, "end of the connection")
			}
		}
		e.raw(follows)
		messages, broken := target.take()
		if len(messages) != 1 || messages[0].message.start[1] != "/next" || len(broken) > 0 {
			t.Errorf("%q: the target got %d requests, %q", text, len(messages), broken)
		}
	}
}

// A drain while clients are busy: what has begun is answered to its end, and then
// the connection ends.
func TestDrainUnderLoad(t *testing.T) {
	const clients = 30
	release := make(chan struct{})
	target := startTarget(t, holdUntil(release))
	e := startEdge(t, newListener(true).forwardTo(t, target))
	type end struct {
		got string
		err error
	}
	ends := make(chan end, clients)
	for range clients {
		conn := e.dial("http/1.1")
		send(t, conn, strings.Repeat("GET / HTTP/1.1\r\nHost: a\r\n\r\n", 50))
		go func() {
			all, err := io.ReadAll(conn)
			ends <- end{string(all), err}
		}()
	}
	for range clients { // one answer each, so that all are busy with another
		release <- struct{}{}
	}
	for range clients {
		receive(t, e.open, "connection").End()
	}
	close(release)
	for range clients {
		got := receive(t, ends, "end of a client")
		whole := strings.Count(got.got, "HTTP/1.1 200 OK\r\n")
		if got.err != nil || strings.Count(got.got, "whole answer.") != whole || whole == 0 || whole == 50 {
			t.Errorf("%d answers, %v: %.300q", whole, got.err, got.got)
		}
		receive(t, e.served, "end of a connection")
	}
}

// holdUntil answers a request for each thing received.
func holdUntil(release <-chan struct{}) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		<-release
		io.WriteString(w, "whole answer.")
	}
}
