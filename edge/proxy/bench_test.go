package proxy

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"runtime"
	"testing"
	"time"
)

// plainTarget answers every request with two bytes, and allocates nothing for it.
func plainTarget(b *testing.B) string {
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

// A keep-alive request through the edge and back, TLS in, identity headers
// included. Client and target allocate next to nothing: the figures are the
// edge's.
func BenchmarkHTTP1(b *testing.B) {
	for _, secure := range []bool{false, true} {
		b.Run(map[bool]string{false: "http", true: "https"}[secure], func(b *testing.B) {
			e := startEdge(b, newListener(secure).forwardTo(b, plainTarget(b)))
			e.records = nil // nobody reads them
			conn := e.dial("http/1.1")
			conn.SetDeadline(time.Time{})
			r := bufio.NewReader(conn)
			request := []byte("GET / HTTP/1.1\r\nHost: api.example.com\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n")
			b.ReportAllocs()
			for b.Loop() {
				if _, err := conn.Write(request); err != nil {
					b.Fatal(err)
				}
				for {
					line, err := r.ReadSlice('\n')
					if err != nil {
						b.Fatal(err)
					}
					if len(line) == 2 {
						break
					}
				}
				if _, err := r.Discard(2); err != nil {
					b.Fatal(err)
				}
			}
		})
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
