package pluginhost

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/http1"
	"github.com/sallyport/sallyport/sdk/frame"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what should happen at once.
const patience = 25 * time.Second

// fake is a plugin in this process, at the other end of a real socket: what it
// does is up to the test.
type fake struct {
	hello frame.HelloBody
	// answer is called for each call, with its frame; the default allows.
	answer func(p *peer, f frame.Frame)
	// refuse is what CONFIGURED says.
	refuse string
	// narrow is what it needs once it is configured; nil for what HELLO says.
	narrow []string
	// deaf does not read at all after the start.
	deaf atomic.Bool
	// notPing leaves PINGs unanswered, but that of the start.
	notPing atomic.Bool

	mu     sync.Mutex
	starts int
	config string
	last   *peer
}

// peer is the plugin's end of one process.
type peer struct {
	fake *fake
	conn net.Conn
	done chan struct{}
	once sync.Once
	err  error
	host *net.UnixConn

	mu  sync.Mutex
	got []frame.Frame // all but calls and PINGs
}

func (p *peer) Conn() *net.UnixConn   { return p.host }
func (p *peer) Done() <-chan struct{} { return p.done }
func (p *peer) Err() error            { return p.err }
func (p *peer) Pid() int              { return 4711 }
func (p *peer) Report() []Protection  { return []Protection{{Name: "seccomp", InForce: true}} }
func (p *peer) Kill()                 { p.exit(errors.New("killed")) }

func (p *peer) exit(err error) {
	p.once.Do(func() {
		p.err = err
		p.conn.Close()
		close(p.done)
	})
}

func (p *peer) send(b []byte) { p.conn.Write(b) }

// verdict sends one for a call.
func (p *peer) verdict(id uint32, v frame.VerdictBody) {
	p.send(frame.End(v.Append(frame.Begin(nil, frame.Verdict, id)), 0))
}

func allow(p *peer, f frame.Frame) {
	p.verdict(f.ID, frame.VerdictBody{Decision: frame.Allow})
}

// start is a Starter.
func (f *fake) start(_ context.Context, spec Spec) (Process, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.starts++
	if spec.Command[0] == "missing" {
		return nil, errors.New("no such program")
	}
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	var ends [2]net.Conn
	for i, fd := range fds {
		file := os.NewFile(uintptr(fd), "pair")
		if ends[i], err = net.FileConn(file); err != nil {
			return nil, err
		}
		file.Close()
	}
	p := &peer{fake: f, conn: ends[1], host: ends[0].(*net.UnixConn), done: make(chan struct{})}
	f.last = p
	go p.serve()
	return p, nil
}

func (f *fake) peer() *peer {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.last
}

func (f *fake) started() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.starts
}

func (p *peer) serve() {
	defer p.exit(errors.New("exit status 3"))
	hello := p.fake.hello
	if hello.Protocols == nil {
		hello.Protocols = []uint32{frame.Protocol}
	}
	if hello.Concurrency == 0 {
		hello.Concurrency = 1
	}
	if hello.MaxFrame == 0 {
		hello.MaxFrame = frame.DefaultMax
	}
	p.send(frame.End(hello.Append(frame.Begin(nil, frame.Hello, 0)), 0))
	buf, w := make([]byte, 2<<20), 0
	pinged := false
	for {
		n, err := p.conn.Read(buf[w:])
		w += n
		if err != nil {
			return
		}
		r := 0
		for {
			f, n, err := frame.Parse(buf[r:w], frame.HardMax)
			if err != nil {
				panic(fmt.Sprintf("the host sent: %v", err))
			}
			if n == 0 {
				break
			}
			r += n
			f.Body = bytes.Clone(f.Body)
			switch {
			case f.Type == frame.Configure:
				body, err := frame.ParseConfigure(f.Body)
				if err != nil {
					panic(err)
				}
				p.fake.mu.Lock()
				p.fake.config = string(body.Config)
				p.fake.mu.Unlock()
				configured := frame.ConfiguredBody{Error: p.fake.refuse, Needs: p.fake.narrow}
				p.send(frame.End(configured.Append(frame.Begin(nil, frame.Configured, 0)), 0))
			case f.Type == frame.Ping:
				if !pinged || !p.fake.notPing.Load() {
					p.send(frame.Append(nil, frame.Pong, f.ID))
				}
				pinged = true
			case f.Type.Call():
				if p.fake.answer == nil {
					allow(p, f)
				} else {
					p.fake.answer(p, f)
				}
			default:
				p.mu.Lock()
				p.got = append(p.got, f)
				p.mu.Unlock()
				if f.Type == frame.GoAway {
					return
				}
			}
		}
		w = copy(buf, buf[r:w])
		for pinged && p.fake.deaf.Load() {
			select {
			case <-p.done:
				return
			case <-time.After(time.Millisecond):
			}
		}
	}
}

// saw says whether a frame of this type has come.
func (p *peer) saw(t frame.Type) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, f := range p.got {
		if f.Type == t {
			return true
		}
	}
	return false
}

// rig is a Host with fakes for plugins, by name.
type rig struct {
	t     testing.TB
	host  *Host
	fakes map[string]*fake
	chain *Chain
	log   *lines
}

// pluginConfig is what the configuration makes of an empty section.
func pluginConfig(change func(*config.Plugin)) config.Plugin {
	cfg, problems := config.Parse("test.yaml", []byte("plugins: {p: {command: [p]}}"), "/etc")
	if cfg == nil {
		panic(problems)
	}
	p := cfg.Plugins["p"]
	p.Timeout = config.Duration(5 * time.Second) // but for who tests it, machines are slow
	if change != nil {
		change(&p)
	}
	return p
}

// newRig returns a host whose only chain is of these plugins.
func newRig(t testing.TB, fakes map[string]*fake) *rig {
	t.Helper()
	r := &rig{t: t, fakes: fakes, log: &lines{}}
	handler := slog.NewTextHandler(r.log, nil)
	r.host = New(Options{Log: slog.New(handler), Start: func(ctx context.Context, spec Spec) (Process, error) {
		return fakes[spec.Name].start(ctx, spec)
	}})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); r.host.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return r
}

// lines is a log that is read while it is written.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// configure puts plugins in force, in a chain in the order of names.
func (r *rig) configure(plugins map[string]config.Plugin, names ...string) error {
	next, err := r.host.Prepare(context.Background(), &config.Config{Plugins: plugins}, []string{"X-Client-Subject"})
	if err != nil {
		return err
	}
	r.chain = next.Chain(names)
	next.Commit()
	return nil
}

// one puts a single fake in force, which asks at all hooks that it has.
func one(t testing.TB, f *fake, change func(*config.Plugin)) *rig {
	t.Helper()
	if f.hello.Name == "" {
		f.hello.Name = "fake"
	}
	if f.hello.Hooks == 0 {
		f.hello.Hooks = frame.HookConnection | frame.HookRequest
	}
	r := newRig(t, map[string]*fake{"p": f})
	if err := r.configure(map[string]config.Plugin{"p": pluginConfig(change)}, "p"); err != nil {
		t.Fatal(err)
	}
	return r
}

// connection is one whose client nobody has verified.
func connection() *Connection {
	return &Connection{
		ID: "TID_1", Client: netip.MustParseAddrPort("192.0.2.1:1234"), Server: netip.MustParseAddrPort("192.0.2.2:443"),
		Listener: "public", ServerName: "example.com", ALPN: "h2", TLSVersion: "TLSv1.3", CipherSuite: "TLS_AES_128_GCM_SHA256",
	}
}

type passAll struct{}

func (passAll) Passes(*http1.Field) bool { return true }

// get is a request for a path with header lines of name and value.
func get(path string, header ...string) *Request {
	head := &http1.Request{Method: "GET", Target: path, Path: path, Host: "example.com", Major: 1, Minor: 1}
	for i := 0; i < len(header); i += 2 {
		head.Fields = append(head.Fields, http1.Field{Name: header[i], Value: header[i+1], Kind: http1.KindOf(header[i])})
	}
	return &Request{Head: head, Secure: true, Passed: passAll{}}
}

// ask asks the chain about a request.
func (r *rig) ask(c *Connection, req *Request) *Decision {
	r.t.Helper()
	d := &Decision{}
	if !r.chain.Enter() {
		r.t.Fatal("the chain is closed")
	}
	defer r.chain.Leave()
	r.chain.Request(c, req, nil, d)
	return d
}

// await waits until a condition holds.
func (r *rig) await(what string, holds func() bool) {
	r.t.Helper()
	for over := time.Now().Add(patience); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(over) {
			r.t.Fatalf("not %s within %v; the log:\n%s", what, patience, r.log)
		}
	}
}

func (r *rig) wants(d *Decision, outcome Outcome, failure Failure) {
	r.t.Helper()
	if d.Outcome != outcome || d.Failure != failure {
		r.t.Fatalf("got outcome %d, failure %q; want outcome %d, failure %q", d.Outcome, d.Failure, outcome, failure)
	}
}

// fields are those of a frame's body, as TAG=VALUE.
func fields(f frame.Frame) []string {
	var list []string
	it := f.Fields()
	for tag, value, ok := it.Next(); ok; tag, value, ok = it.Next() {
		list = append(list, fmt.Sprintf("%v=%s", tag, value))
	}
	return list
}

// oneBench is the chain of a single fake.
func oneBench(b *testing.B, f *fake) *Chain {
	return one(b, f, nil).chain
}
