package proxy

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/edge/config"
)

// clientTLS speaks HTTP/1.1 to an edge in tests.
func clientTLS(conn net.Conn) *tls.Conn {
	_, pool := certificate()
	return tls.Client(conn, &tls.Config{RootCAs: pool, ServerName: "edge.test", NextProtos: []string{"http/1.1"}})
}

// A head that comes byte by byte has the time for a head and no more, however
// steadily it comes; so has each further one on the connection.
func TestSlowHeads(t *testing.T) {
	for _, before := range []string{"", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"} {
		synctest.Test(t, func(t *testing.T) {
			here, there := net.Pipe()
			defer there.Close()
			l := newListener(false)
			l.Action = Action{fixed: &fixedResponse{status: 200}}
			l.Timeouts = config.Timeouts{Idle: config.Duration(time.Minute), RequestHead: config.Duration(10 * time.Second)}
			s := New(Options{Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
			served := make(chan struct{})
			go func() {
				defer close(served)
				s.ServeConn(context.Background(), &Conn{Conn: here, Server: addrPort("192.0.2.2:80"), Client: addrPort("192.0.2.1:1000"), Listener: func() *Listener { return l }})
			}()
			go io.Copy(io.Discard, there)
			if before != "" {
				io.WriteString(there, before)
			}
			began, sent := time.Now(), 0
			for {
				if _, err := there.Write([]byte("GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("x", 100))[sent : sent+1]); err != nil {
					break
				}
				sent++
				time.Sleep(time.Second)
			}
			<-served
			if took := time.Since(began); took < 10*time.Second || took > 12*time.Second {
				t.Errorf("after %q: the connection ended after %v and %d bytes, want 10s", before, took, sent)
			}
		})
	}
}

// Hundreds of clients that begin and do not go on, in heads and in bodies: others
// are served, each gets its due in its time, and the memory for all is bounded.
func TestSlowloris(t *testing.T) {
	const each = 100
	target := startRecorder(t)
	l := newListener(true).forwardTo(t, target.url)
	l.Timeouts = config.Timeouts{Idle: config.Duration(4 * time.Second), RequestHead: config.Duration(4 * time.Second)}
	e := startEdge(t, l)
	before := heap()
	var conns []net.Conn
	for range each {
		for _, text := range []string{
			"G", "GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("x", 12000),
			post + "Content-Length: 100\r\n\r\nbegun", post + "Transfer-Encoding: chunked\r\n\r\n5;x=" + strings.Repeat("x", 100),
		} {
			conn := e.dial("http/1.1")
			send(t, conn, text)
			conns = append(conns, conn)
		}
	}
	if perConn := int64(heap()-before) / (4 * each); perConn > 200<<10 {
		t.Errorf("%d KiB for each slow client, both its ends and its share of targets", perConn>>10)
	}
	if got := e.raw(follows); statuses(got) != "200" {
		t.Errorf("among slow clients: %q", got)
	}
	got := map[string]int{}
	for _, conn := range conns {
		all, _ := io.ReadAll(conn)
		got[statuses(string(all))]++
		conn.Close()
	}
	if got["408"] != 2*each || got[""] != 2*each {
		t.Errorf("slow clients were answered %v, want %d times 408 for bodies and nothing for heads", got, 2*each)
	}
	for range 4*each + 1 {
		receive(t, e.served, "end of a connection")
	}
}

// Clients that do not read: what waits for them is bounded, whatever the target
// sends and however much they ask for.
func TestSlowReaders(t *testing.T) {
	const clients, size = 20, 64 << 20
	l := newListener(true)
	l.Timeouts = config.Timeouts{Idle: config.Duration(4 * time.Second), RequestHead: config.Duration(4 * time.Second)}
	piece := bytes.Repeat([]byte("x"), 64<<10)
	var asked atomic.Int64
	e := startEdge(t, l.forwardTo(t, rawTarget(t, func(conn net.Conn, r *bufio.Reader) {
		readHead(r)
		asked.Add(1)
		fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", size)
		for range size / len(piece) {
			if _, err := conn.Write(piece); err != nil {
				return
			}
		}
	})))
	before := heap()
	for range clients {
		conn := e.dial("http/1.1")
		go io.WriteString(conn, strings.Repeat("GET / HTTP/1.1\r\nHost: a\r\n\r\n", 5000))
	}
	eventually(t, "a request of each client at the target", func() bool { return asked.Load() >= clients })
	if perConn := int64(heap()-before) / clients; perConn > 1<<20 {
		t.Errorf("%d KiB for each client that does not read", perConn>>10)
	}
	for range clients {
		receive(t, e.served, "end of a connection")
		if r := e.record(); r.ErrorReason != ReasonClientIdle && r.ErrorReason != ReasonTargetIdle {
			t.Errorf("record %+v", r)
		}
	}
}
