package proxy

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// Each piece of a response reaches the client before the target makes the next,
// the head before the first of them.
func TestResponseStreams(t *testing.T) {
	for _, way := range everyWay {
		for _, length := range []bool{false, true} {
			t.Run(fmt.Sprint(way.name, " length ", length), func(t *testing.T) {
				proceed := make(chan struct{})
				target := startTarget(t, func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Content-Type", "text/event-stream")
					if length {
						w.Header().Set("Content-Length", "15")
					}
					w.WriteHeader(200)
					for i := range 3 {
						w.(http.Flusher).Flush()
						<-proceed
						fmt.Fprintf(w, "ping%d", i)
					}
				})
				e := startEdge(t, newListener(way.secure).forwardTo(t, target))
				resp, err := e.client(way.h2).Get(e.url("/"))
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				for i := range 3 {
					proceed <- struct{}{} // only now may the target go on
					piece := make([]byte, 5)
					if _, err := io.ReadFull(resp.Body, piece); err != nil || string(piece) != fmt.Sprint("ping", i) {
						t.Fatalf("piece %d: %q, %v", i, piece, err)
					}
				}
				if rest, err := io.ReadAll(resp.Body); len(rest) > 0 || err != nil {
					t.Errorf("at the end: %q, %v", rest, err)
				}
			})
		}
	}
}

// Each piece of a request reaches the target before the client makes the next,
// and is answered before: both ways at once.
func TestFullDuplex(t *testing.T) {
	target := rawTarget(t, func(conn net.Conn, r *bufio.Reader) {
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		io.WriteString(conn, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
		piece := make([]byte, 5)
		for {
			if _, err := io.ReadFull(req.Body, piece); err != nil {
				break
			}
			fmt.Fprintf(conn, "5\r\n%s\r\n", bytes.ToUpper(piece))
		}
		io.WriteString(conn, "0\r\n\r\n")
	})
	for _, way := range everyWay {
		for _, length := range []int64{-1, 15} {
			t.Run(fmt.Sprint(way.name, " length ", length), func(t *testing.T) {
				e := startEdge(t, newListener(way.secure).forwardTo(t, target))
				if way.h2 {
					r, w := io.Pipe()
					req, _ := http.NewRequest("POST", e.url("/"), r)
					req.ContentLength = length
					go io.WriteString(w, "ping0")
					resp, err := e.client(true).Do(req)
					if err != nil {
						t.Fatal(err)
					}
					defer resp.Body.Close()
					piece := make([]byte, 5)
					for i := range 3 {
						if _, err := io.ReadFull(resp.Body, piece); err != nil || string(piece) != fmt.Sprint("PING", i) {
							t.Fatalf("piece %d: %q, %v", i, piece, err)
						}
						if i < 2 {
							fmt.Fprintf(w, "ping%d", i+1)
						}
						if i == 1 && length > 0 {
							w.Close() // or the client keeps the last piece back
						}
					}
					w.Close()
					return
				}
				conn := e.dial("http/1.1")
				framing, format := "Transfer-Encoding: chunked", "5\r\nping%d\r\n"
				if length > 0 {
					framing, format = fmt.Sprint("Content-Length: ", length), "ping%d"
				}
				fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: a\r\n%s\r\n\r\n", framing)
				fmt.Fprintf(conn, format, 0)
				resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				piece := make([]byte, 5)
				for i := range 3 {
					if _, err := io.ReadFull(resp.Body, piece); err != nil || string(piece) != fmt.Sprint("PING", i) {
						t.Fatalf("piece %d: %q, %v", i, piece, err)
					}
					if i < 2 {
						fmt.Fprintf(conn, format, i+1)
					}
				}
				if length < 0 {
					io.WriteString(conn, "0\r\n\r\n")
				}
				if _, err := io.ReadAll(resp.Body); err != nil {
					t.Fatal(err)
				}
			})
		}
	}
}

// An answer that does not wait for the body reaches a client that still sends.
func TestEarlyAnswer(t *testing.T) {
	target := rawTarget(t, func(conn net.Conn, r *bufio.Reader) {
		readHead(r)
		io.WriteString(conn, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig")
		io.Copy(io.Discard, r) // or the kernel resets the connection, and the answer may be lost
	})
	for _, way := range everyWay {
		t.Run(way.name, func(t *testing.T) {
			e := startEdge(t, newListener(way.secure).forwardTo(t, target))
			if way.h2 {
				c := dialHTTP2(e)
				c.request(1, false, "POST")
				if status := c.status(1); status != "413" {
					t.Errorf("status %s", status)
				}
				c.conn.Close()
			} else {
				conn := e.dial("http/1.1")
				fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", 1<<30)
				io.WriteString(conn, strings.Repeat("x", 64<<10))
				got, err := io.ReadAll(conn)
				if err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 413 ") || !strings.HasSuffix(string(got), "big") {
					t.Errorf("got %q, %v", got, err)
				}
				conn.Close()
			}
			if r := e.record(); r.ELBStatusCode != 413 {
				t.Errorf("record %+v", r)
			}
			receive(t, e.served, "end of the connection")
		})
	}
}

// The target decides whether a body is sent that waits for 100 Continue.
func TestExpectContinue(t *testing.T) {
	for _, test := range []struct {
		name, first string
		want        int
	}{
		{"asks", "HTTP/1.1 100 Continue\r\n\r\n", 200},
		{"refuses", "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", 401},
	} {
		t.Run(test.name, func(t *testing.T) {
			decide := make(chan struct{})
			target := rawTarget(t, func(conn net.Conn, r *bufio.Reader) {
				if head := readHead(r); !strings.Contains(head, "Expect: 100-continue\r\n") {
					t.Errorf("target got %q", head)
				}
				<-decide
				io.WriteString(conn, test.first)
				if test.want == 200 {
					io.ReadFull(r, make([]byte, 5))
					io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
				}
			})
			e := startEdge(t, newListener(true).forwardTo(t, target))
			conn := e.dial("http/1.1")
			io.WriteString(conn, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
			close(decide)
			r := bufio.NewReader(conn)
			head := readHead(r)
			if test.want == 200 {
				if head != "HTTP/1.1 100 Continue\r\n\r\n" {
					t.Fatalf("got %q", head)
				}
				io.WriteString(conn, "hello")
				head = readHead(r)
			}
			if !strings.HasPrefix(head, fmt.Sprint("HTTP/1.1 ", test.want)) {
				t.Errorf("got %q, want %d", head, test.want)
			}
		})
	}
}

// A 103 comes before the response, without spoiling its head.
func TestEarlyHints(t *testing.T) {
	proceed := make(chan struct{}, 1)
	target := rawTarget(t, func(conn net.Conn, r *bufio.Reader) {
		readHead(r)
		io.WriteString(conn, "HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\nConnection: X-Hop\r\nX-Hop: 1\r\n\r\n")
		<-proceed
		io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
	})
	t.Run("h1", func(t *testing.T) {
		e := startEdge(t, newListener(false).forwardTo(t, target))
		conn := e.dial("http/1.1")
		io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		r := bufio.NewReader(conn)
		if got := readHead(r); got != "HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n" {
			t.Errorf("first %q", got)
		}
		proceed <- struct{}{}
		if got := readHead(r); !strings.HasPrefix(got, "HTTP/1.1 200 OK\r\n") || strings.Contains(got, "Link") {
			t.Errorf("then %q", got)
		}
	})
	t.Run("h2", func(t *testing.T) {
		e := startEdge(t, newListener(true).forwardTo(t, target))
		c := dialHTTP2(e)
		c.request(1, true, "GET")
		if got := c.status(1); got != "103" {
			t.Errorf("first %s", got)
		}
		proceed <- struct{}{}
		if got := c.status(1); got != "200" {
			t.Errorf("then %s", got)
		}
	})
	t.Run("HTTP 1.0", func(t *testing.T) {
		e := startEdge(t, newListener(false).forwardTo(t, target))
		proceed <- struct{}{}
		if got := e.raw("GET / HTTP/1.0\r\nHost: a\r\n\r\n"); strings.Contains(got, "103") || !strings.HasSuffix(got, "ok") {
			t.Errorf("got %q, want no 1xx", got)
		}
	})
}

func TestTrailers(t *testing.T) {
	for _, way := range everyWay {
		for _, announced := range []bool{true, false} {
			t.Run(fmt.Sprint(way.name, " announced ", announced), func(t *testing.T) {
				seen := make(chan http.Header, 1)
				target := startTarget(t, func(w http.ResponseWriter, r *http.Request) {
					if announced {
						w.Header().Set("Trailer", "X-Response-Sum")
					}
					io.Copy(w, r.Body)
					w.(http.Flusher).Flush()
					seen <- r.Trailer
					name := "X-Response-Sum"
					if !announced {
						name = http.TrailerPrefix + name
					}
					w.Header().Set(name, "2")
				})
				e := startEdge(t, newListener(way.secure).forwardTo(t, target))
				r, w := io.Pipe()
				req, _ := http.NewRequest("POST", e.url("/"), r)
				req.Trailer = http.Header{"X-Request-Sum": nil}
				if !way.h2 { // HTTP/2 refuses it
					req.Trailer["Authorization"] = nil
				}
				go func() {
					io.WriteString(w, "hello")
					req.Trailer.Set("X-Request-Sum", "1")
					if !way.h2 {
						req.Trailer.Set("Authorization", "no")
					}
					w.Close()
				}()
				resp, err := e.client(way.h2).Do(req)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				body, err := io.ReadAll(resp.Body)
				if err != nil || string(body) != "hello" {
					t.Errorf("got %q, %v", body, err)
				}
				if got := receive(t, seen, "request"); len(got) != 1 || got.Get("X-Request-Sum") != "1" {
					t.Errorf("target got trailers %v", got)
				}
				if got := resp.Trailer.Get("X-Response-Sum"); got != "2" {
					t.Errorf("client got trailers %v", resp.Trailer)
				}
			})
		}
	}
}

// zeros is a body that nobody holds in memory.
type zeros struct{ left int64 }

func (z *zeros) Read(p []byte) (int, error) {
	if z.left == 0 {
		return 0, io.EOF
	}
	n := min(int64(len(p)), z.left)
	z.left -= n
	return int(n), nil
}

// 100 MB each way take no memory to speak of.
func TestLargeBodies(t *testing.T) {
	const size = 100 << 20
	target := startTarget(t, func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Length", fmt.Sprint(n))
		io.Copy(w, &zeros{left: n})
	})
	for _, way := range everyWay {
		t.Run(way.name, func(t *testing.T) {
			e := startEdge(t, newListener(way.secure).forwardTo(t, target))
			client := e.client(way.h2)
			client.Timeout = 0
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			req, _ := http.NewRequest("POST", e.url("/"), &zeros{left: size})
			req.ContentLength = size
			resp, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			n, err := io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			if n != size || err != nil {
				t.Errorf("got %d bytes, %v", n, err)
			}
			runtime.ReadMemStats(&after)
			// Client and target share the process, and h2 allocates in all three.
			if grown := after.HeapSys - before.HeapSys; int64(grown) > size/4 {
				t.Errorf("heap grew by %d MB", grown>>20)
			}
			if r := e.record(); r.ReceivedBytes < size || r.ReceivedBytes > size+1000 || r.SentBytes < size || r.SentBytes > size+1000 {
				t.Errorf("%d bytes received, %d sent", r.ReceivedBytes, r.SentBytes)
			}
		})
	}
}

// A reader that does not read holds up the writer: the edge keeps little of what
// is between them.
func TestBackPressure(t *testing.T) {
	// What the sockets hold, two of them in each direction, is for the kernel to say.
	bound := 8<<20 + 2*(largest(t, "tcp_rmem")+largest(t, "tcp_wmem"))
	stalled := func(t *testing.T, written *atomic.Int64) {
		t.Helper()
		for last := int64(-1); ; {
			time.Sleep(200 * time.Millisecond) // stalled is: no progress for this long
			now := written.Load()
			if now > bound {
				t.Fatalf("%d bytes on their way to nobody", now)
			}
			if now == last && now > 0 {
				return
			}
			last = now
		}
	}
	piece := make([]byte, 64<<10)
	for _, way := range everyWay {
		t.Run(way.name+" response", func(t *testing.T) {
			var written atomic.Int64
			target := startTarget(t, func(w http.ResponseWriter, r *http.Request) {
				for r.Context().Err() == nil {
					n, err := w.Write(piece)
					if err != nil {
						return
					}
					written.Add(int64(n))
				}
			})
			e := startEdge(t, newListener(way.secure).forwardTo(t, target))
			resp, err := e.client(way.h2).Get(e.url("/"))
			if err != nil {
				t.Fatal(err)
			}
			stalled(t, &written)
			resp.Body.Close()
		})
		t.Run(way.name+" request", func(t *testing.T) {
			var written atomic.Int64
			done := make(chan struct{})
			target := rawTarget(t, func(conn net.Conn, r *bufio.Reader) { readHead(r); <-done })
			e := startEdge(t, newListener(way.secure).forwardTo(t, target))
			r, w := io.Pipe()
			req, _ := http.NewRequest("POST", e.url("/"), r)
			finished := make(chan struct{})
			go func() {
				defer close(finished)
				if resp, err := e.client(way.h2).Do(req); err == nil {
					resp.Body.Close()
				}
			}()
			go func() {
				for {
					n, err := w.Write(piece)
					if err != nil {
						return
					}
					written.Add(int64(n))
				}
			}()
			stalled(t, &written)
			close(done)
			receive(t, finished, "end of the request")
			w.Close()
		})
	}
}

// largest is how much one buffer of a socket may grow to, in bytes.
func largest(t *testing.T, limit string) int64 {
	t.Helper()
	text, err := os.ReadFile("/proc/sys/net/ipv4/" + limit)
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(text)) // least, at first, most
	if len(fields) != 3 {
		t.Fatalf("%s is %q", limit, text)
	}
	most, err := strconv.ParseInt(fields[2], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return most
}
