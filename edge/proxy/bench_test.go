package proxy

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// plainTarget answers every request with two bytes, and allocates nothing for it.
func plainTarget(b testing.TB) string {
	b.Helper()
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { tcp.Close() })
	response := []byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok")
	go func() {
		for {
			conn, err := tcp.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				r := bufio.NewReader(conn)
				for {
					line, err := r.ReadSlice('\n')
					if err != nil {
						return
					}
					if len(line) == 2 {
						if _, err := conn.Write(response); err != nil {
							return
						}
					}
				}
			}()
		}
	}()
	return "http://" + tcp.Addr().String()
}

var benchRequest = []byte("GET / HTTP/1.1\r\nHost: api.example.com\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n")

// ask sends benchRequest and reads the answer, and allocates nothing for it.
func ask(tb testing.TB, conn net.Conn, r *bufio.Reader) {
	if _, err := conn.Write(benchRequest); err != nil {
		tb.Fatal(err)
	}
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			tb.Fatal(err)
		}
		if len(line) == 2 {
			break
		}
	}
	if _, err := r.Discard(2); err != nil {
		tb.Fatal(err)
	}
}

// benchAsk reports the time and the CPU that a request takes, client and target
// included.
func benchAsk(b *testing.B, conn net.Conn) {
	conn.SetDeadline(time.Time{})
	r := bufio.NewReader(conn)
	ask(b, conn, r)
	before := cpu(b)
	b.ReportAllocs()
	for b.Loop() {
		ask(b, conn, r)
	}
	b.ReportMetric(float64((cpu(b)-before).Microseconds())/float64(b.N), "cpu-µs/op")
}

// cpu is what the process has used so far.
func cpu(tb testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// A keep-alive request through the edge and back, identity headers included. What
// the direct way costs is the client's and the target's share of the others; a
// ReverseProxy of net/http, which sets no header and writes no record, stands
// beside.
func BenchmarkKeepAlive(b *testing.B) {
	for _, secure := range []bool{false, true} {
		name := map[bool]string{false: "http", true: "https"}[secure]
		b.Run(name+"/edge", func(b *testing.B) {
			e := startEdge(b, newListener(secure).forwardTo(b, plainTarget(b)))
			e.records = nil // nobody reads them
			benchAsk(b, e.dial("http/1.1"))
		})
		b.Run(name+"/ReverseProxy", func(b *testing.B) {
			to, err := url.Parse(plainTarget(b))
			if err != nil {
				b.Fatal(err)
			}
			transport := &http.Transport{}
			b.Cleanup(transport.CloseIdleConnections)
			s := httptest.NewUnstartedServer(&httputil.ReverseProxy{
				Transport: transport,
				Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(to); r.SetXForwarded() },
			})
			pair, _ := certificate()
			s.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
			if secure {
				s.StartTLS()
			} else {
				s.Start()
			}
			b.Cleanup(s.Close)
			e := &edge{t: b, listener: &Listener{Secure: secure}, addr: s.Listener.Addr().String()}
			benchAsk(b, e.dial("http/1.1"))
		})
	}
	b.Run("direct", func(b *testing.B) {
		conn, err := net.Dial("tcp", strings.TrimPrefix(plainTarget(b), "http://"))
		if err != nil {
			b.Fatal(err)
		}
		defer conn.Close()
		benchAsk(b, conn)
	})
}

// BenchmarkEngine is an answer of the edge's own, over a pipe: no sockets, no
// target.
func BenchmarkEngine(b *testing.B) {
	client, server := net.Pipe()
	s := New(Options{Log: slog.New(slog.DiscardHandler)})
	l := newListener(false)
	l.Action = Action{fixed: &fixedResponse{status: 200, body: []byte("ok"), length: "2"}}
	done := make(chan struct{})
	go func() {
		s.ServeConn(context.Background(), &Conn{Conn: server, Listener: func() *Listener { return l }})
		close(done)
	}()
	benchAsk(b, client)
	client.Close()
	<-done
}

// In the steady state a request takes no memory but what TLS takes.
func TestKeepAliveDoesNotAllocate(t *testing.T) {
	if raced {
		t.Skip("under the race detector sync.Pool forgets at random")
	}
	e := startEdge(t, newListener(false).forwardTo(t, plainTarget(t)))
	e.records = nil
	conn := e.dial("http/1.1")
	r := bufio.NewReader(conn)
	ask(t, conn, r)
	// A collection may empty the pools, and the Date is printed once a second.
	if n := testing.AllocsPerRun(2000, func() { ask(t, conn, r) }); n > 0 {
		t.Errorf("%v allocations per request", n)
	}
}

func BenchmarkHTTP2(b *testing.B) {
	e := startEdge(b, newListener(true).forwardTo(b, plainTarget(b)))
	e.records = nil
	client := e.client(true)
	b.ReportAllocs()
	for b.Loop() {
		resp, err := client.Get(e.url("/"))
		if err != nil {
			b.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
}

// What a connection costs while it is idle after a request, sockets of this
// process on both ends included: heap and stacks. b.N is not used.
func BenchmarkIdleConnections(b *testing.B) {
	const conns = 500
	for _, way := range everyWay {
		b.Run(way.name, func(b *testing.B) {
			for b.Loop() {
				e := startEdge(b, newListener(way.secure).forwardTo(b, plainTarget(b)))
				e.records = nil
				var before, after runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&before)
				for range conns {
					if way.h2 {
						c := dialHTTP2(e)
						c.request(1, true, "GET")
						if status := c.status(1); status != "200" {
							b.Fatalf("status %s", status)
						}
						continue
					}
					conn := e.dial("http/1.1")
					io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
					resp, err := http.ReadResponse(bufio.NewReaderSize(conn, 16), nil)
					if err != nil {
						b.Fatal(err)
					}
					resp.Body.Close()
				}
				runtime.GC()
				runtime.ReadMemStats(&after)
				b.ReportMetric(float64(after.HeapInuse-before.HeapInuse+after.StackInuse-before.StackInuse)/conns, "B/conn")
			}
		})
	}
}
