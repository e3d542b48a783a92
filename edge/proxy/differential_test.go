package proxy

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/http1"
	"github.com/sallyport/sallyport/edge/identity"
)

// script is a client's connection in memory: what the client says is there from
// the beginning, in pieces, and then its end.
type script struct {
	mu    sync.Mutex
	in    []byte
	piece int
	out   bytes.Buffer
	torn  bool // reset, not closed
}

func (c *script) Read(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.in) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), c.piece)], c.in)
	c.in = c.in[n:]
	return n, nil
}

func (c *script) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out.Write(p)
}

func (c *script) SetLinger(int) error              { c.torn = true; return nil }
func (c *script) Close() error                     { return nil }
func (c *script) LocalAddr() net.Addr              { return nil }
func (c *script) RemoteAddr() net.Addr             { return nil }
func (c *script) SetDeadline(time.Time) error      { return nil }
func (c *script) SetReadDeadline(time.Time) error  { return nil }
func (c *script) SetWriteDeadline(time.Time) error { return nil }

// got is a request as the target read it by the grammar, and its bytes.
type got struct {
	message wireMessage
	wire    string
}

// recorder is a target that reads by the grammar, and tells what it has read.
type recorder struct {
	url    string
	answer func(m *wireMessage) (text string, end bool)
	talk   func(net.Conn) // serve; or another protocol

	mu       sync.Mutex
	open     int // connections
	accepted int
	messages []got
	streams  []streamed
	broken   []string // what cannot be read by the grammar
}

// startRecorder starts a target that serves until the test ends.
func startRecorder(t testing.TB) *recorder {
	t.Helper()
	r := &recorder{answer: func(*wireMessage) (string, bool) { return "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false }}
	r.talk = r.serve
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			conn, err := tcp.Accept()
			if err != nil {
				return
			}
			r.count(1)
			conns.Go(func() {
				defer r.count(-1)
				defer conn.Close()
				r.talker()(conn)
			})
		}
	})
	t.Cleanup(func() { tcp.Close(); conns.Wait() })
	r.url = "http://" + tcp.Addr().String()
	return r
}

func (r *recorder) serve(conn net.Conn) {
	var text string
	buf := make([]byte, 64<<10)
	expects := true
	for {
		n, err := conn.Read(buf)
		text += string(buf[:n])
		for text != "" {
			m, rest, end := strict.read(text, nil, false)
			if end == incomplete {
				head, _, whole := strings.Cut(text, "\r\n\r\n")
				if whole && expects && strings.Contains(strings.ToLower(head), "\r\nexpect: 100-continue") {
					expects = false
					io.WriteString(conn, "HTTP/1.1 100 Continue\r\n\r\n")
				}
				break
			}
			expects = true
			r.mu.Lock()
			if end == malformed {
				r.broken = append(r.broken, text)
				r.mu.Unlock()
				return
			}
			r.messages = append(r.messages, got{m, text[:len(text)-len(rest)]})
			answer, over := r.answer(&m)
			r.mu.Unlock()
			io.WriteString(conn, answer)
			if over {
				return
			}
			text = rest
		}
		if err != nil {
			return
		}
	}
}

func (r *recorder) talker() func(net.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.talk
}

func (r *recorder) count(n int) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open += n
	r.accepted += max(0, n)
	return r.open
}

// take returns what was read since the last take.
func (r *recorder) take() (messages []got, broken []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	messages, broken = r.messages, r.broken
	r.messages, r.broken = nil, nil
	return messages, broken
}

func (r *recorder) takeStreams() (streams []streamed, broken []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	streams, broken = r.streams, r.broken
	r.streams, r.broken = nil, nil
	return streams, broken
}

// sent is a request as the engine believes to have sent it.
type sent struct {
	method, target, host string
	fields               []http1.Field
	length               int64
	record               Record
}

// probe is an engine between a script and a recorder.
type probe struct {
	target   *recorder
	server   *Server
	listener *Listener
	version  config.ProtocolVersion
	requests []sent
}

func newProbe(t testing.TB) *probe {
	p := &probe{target: startRecorder(t), listener: newListener(true)}
	p.regroup(t)
	t.Cleanup(func() { p.listener.Action.group.Close() })
	var last sent
	p.listener.Respond = func(r *http1.Request, _ *http1.Response) {
		last = sent{method: strings.Clone(r.Method), target: string(r.AppendTarget(nil)), host: strings.Clone(r.Host), length: r.Length}
		for _, f := range r.Fields {
			last.fields = append(last.fields, http1.Field{Name: strings.Clone(f.Name), Value: strings.Clone(f.Value), Kind: f.Kind})
		}
	}
	p.server = New(Options{
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Access: func(r *Record) {
			last.record = *r
			last.record.Method, last.record.Host, last.record.URI, last.record.UserAgent, last.record.TraceID = "", "", "", "", ""
			p.requests = append(p.requests, last)
			last = sent{}
		},
	})
	return p
}

// regroup begins with new connections to the target. It returns when the target has
// seen the end of all others: what it reads from here on was sent after.
func (p *probe) regroup(t testing.TB) {
	if g := p.listener.Action.group; g != nil {
		g.Close()
		// The target takes connections in turn: once it has had this one, it has all.
		conn, err := net.Dial("tcp", strings.TrimPrefix(p.target.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		conn.Read(make([]byte, 1))
		conn.Close()
		for over := time.Now().Add(patience); p.target.count(0) > 0; time.Sleep(time.Millisecond) {
			if time.Now().After(over) {
				t.Fatal("connections to the target stay open")
			}
		}
		p.target.take()
	}
	g, err := NewTargetGroup("app", config.TargetGroup{
		Targets: []string{p.target.url}, ProtocolVersion: p.version,
		Timeouts: config.TargetTimeouts{
			Connect: config.Duration(10 * time.Second), Response: config.Duration(10 * time.Second), Idle: config.Duration(time.Minute),
		},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	p.listener.Action = Action{group: g}
}

// aborted says whether a request was given up because its client's end was seen:
// then the target may yet read of it.
func aborted(requests []sent) bool {
	for i := range requests {
		if r := &requests[i].record; r.Target != "" && r.TargetStatusCode == 0 {
			return true
		}
	}
	return false
}

// run has the engine serve what a client says, in pieces, and returns its requests.
func (p *probe) run(text []byte, piece int, mode http1.Mode) (*script, []sent) {
	p.listener.Desync = mode
	p.requests = nil
	conn := &script{in: bytes.Clone(text), piece: max(1, piece)}
	p.server.ServeConn(context.Background(), &Conn{
		Conn: conn, TraceID: "TID_00000000000000000000000000000001",
		Client: addrPort("192.0.2.1:1000"), Server: addrPort("192.0.2.2:443"),
		TLSVersion: "TLSv1.3", CipherSuite: "TLS_AES_128_GCM_SHA256",
		Listener: func() *Listener { return p.listener },
		Identity: func(*identity.Headers) []identity.Field { return identityBlock },
	})
	return conn, p.requests
}
