package sdktest

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sallyport/sallyport/sdk"
	"github.com/sallyport/sallyport/sdk/frame"
)

// patience is how long a test waits for a plugin before it fails.
const patience = 30 * time.Second

// Plugin is a plugin under test. Its methods fail the test when the plugin does
// not do what it must; all but the last ones may be called from many goroutines of
// the test at once.
type Plugin struct {
	t     testing.TB
	conn  net.Conn
	hello frame.HelloBody
	needs []frame.Need
	max   int

	stopped sync.Once
	ended   chan struct{} // closed when the plugin has ended, and err says how
	err     error
	read    chan struct{} // closed when nobody reads the connection any more

	mu            sync.Mutex
	lastID        uint32
	waiting       map[uint32]chan frame.Frame
	lines         []frame.LogBody
	invalidations []frame.InvalidateBody
	changed       chan struct{} // closed and made anew with each line and invalidation
	readErr       error
}

// Start starts a plugin in this process, on one end of a socketpair, and configures
// it: with a string, []byte or json.RawMessage that is JSON, or with any other
// value as json.Marshal writes it; nil is no configuration. When the test ends the
// plugin is stopped, and must end in peace.
func Start(t testing.TB, plugin sdk.Plugin, config any) *Plugin {
	t.Helper()
	p, err := begin(t, plugin)
	if err == nil {
		err = p.greet(config)
	}
	if err != nil {
		t.Fatalf("start the plugin: %v", err)
	}
	return p
}

// StartError starts a plugin that is to refuse its configuration, and gives the
// error by which it did: what the operator will read.
func StartError(t testing.TB, plugin sdk.Plugin, config any) error {
	t.Helper()
	p, err := begin(t, plugin)
	if err == nil {
		err = p.greet(config)
		p.end()
	}
	if err == nil {
		t.Fatal("the plugin started: want an error")
	}
	return err
}

func begin(t testing.TB, plugin sdk.Plugin) (*Plugin, error) {
	host, theirs, err := socketpair()
	if err != nil {
		return nil, err
	}
	conn, err := net.FileConn(theirs)
	theirs.Close()
	if err != nil {
		return nil, err
	}
	p := newPlugin(t, host)
	go func() {
		defer close(p.ended)
		p.err = sdk.ServeConn(context.Background(), conn, plugin)
	}()
	return p, nil
}

// Run starts a program that is a plugin, in whatever language, and configures it.
// Its environment is PATH and what the edge sets; what it prints is logged.
func Run(t testing.TB, config any, command ...string) *Plugin {
	t.Helper()
	host, theirs, err := socketpair()
	if err != nil {
		t.Fatalf("start the plugin: %v", err)
	}
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "SALLYPORT_PLUGIN_FD=3"}
	cmd.ExtraFiles = []*os.File{theirs} // the first one is 3
	output := &lines{t: t}
	cmd.Stdout, cmd.Stderr = output, output
	err = cmd.Start()
	theirs.Close()
	if err != nil {
		host.Close()
		t.Fatalf("start the plugin: %v", err)
	}
	p := newPlugin(t, host)
	t.Cleanup(func() {
		cmd.Process.Kill() // Nothing, if it ended in peace.
		<-p.ended
	})
	go func() {
		defer close(p.ended)
		p.err = cmd.Wait()
	}()
	if err := p.greet(config); err != nil {
		t.Fatalf("start %q: %v", command, err)
	}
	return p
}

func newPlugin(t testing.TB, conn net.Conn) *Plugin {
	return &Plugin{
		t: t, conn: conn, max: frame.DefaultMax,
		ended: make(chan struct{}), read: make(chan struct{}), changed: make(chan struct{}),
		waiting: make(map[uint32]chan frame.Frame),
	}
}

// socketpair gives the two ends, the plugin's as a file to pass on.
func socketpair() (host net.Conn, theirs *os.File, err error) {
	syscall.ForkLock.RLock()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(fds[0])
		syscall.CloseOnExec(fds[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, nil, fmt.Errorf("make a socketpair: %w", err)
	}
	ours := os.NewFile(uintptr(fds[0]), "host")
	defer ours.Close()
	theirs = os.NewFile(uintptr(fds[1]), "plugin")
	if host, err = net.FileConn(ours); err != nil {
		theirs.Close()
		return nil, nil, fmt.Errorf("make a socketpair: %w", err)
	}
	return host, theirs, nil
}

// greet brings the plugin to where it can be asked.
func (p *Plugin) greet(config any) error {
	p.t.Cleanup(func() {
		p.t.Helper()
		if err := p.Stop(); err != nil {
			p.t.Errorf("the plugin ended: %v", err)
		}
	})
	raw, err := configuration(config)
	if err != nil {
		close(p.read)
		return err
	}
	r := &reading{conn: p.conn, max: frame.DefaultMax}
	p.conn.SetReadDeadline(time.Now().Add(patience))
	if err := p.shakeHands(r, raw); err != nil {
		close(p.read)
		return err
	}
	p.conn.SetReadDeadline(time.Time{})
	go p.receive(r)
	return nil
}

func (p *Plugin) shakeHands(r *reading, config []byte) error {
	f, err := r.next()
	if err != nil {
		return fmt.Errorf("wait for HELLO: %w", err)
	}
	if f.Type != frame.Hello {
		return fmt.Errorf("%v came first: want HELLO", f.Type)
	}
	if p.hello, err = frame.ParseHello(f.Body); err != nil {
		return err
	}
	p.max = p.hello.MaxFrame
	r.max = p.max
	configure := frame.ConfigureBody{Protocol: frame.Protocol, MaxFrame: p.max, Config: config}
	p.write(frame.End(configure.Append(frame.Begin(nil, frame.Configure, 0)), 0))
	for {
		switch f, err = r.next(); {
		case err != nil:
			return fmt.Errorf("wait for CONFIGURED: %w", err)
		case f.Type == frame.Log:
			if err := p.unasked(f); err != nil {
				return err
			}
			continue
		case f.Type != frame.Configured:
			return fmt.Errorf("%v came: want CONFIGURED", f.Type)
		}
		answer, err := frame.ParseConfigured(f.Body)
		switch {
		case err != nil:
			return err
		case answer.Error != "":
			return fmt.Errorf("the plugin refuses its configuration: %s", answer.Error)
		}
		return p.narrow(answer.Needs)
	}
}

// narrow takes what calls shall have: needs, or if that is nil what HELLO says.
func (p *Plugin) narrow(needs []string) error {
	if needs == nil {
		needs = p.hello.Needs
	}
	if !frame.Covers(p.hello.Needs, needs) {
		return fmt.Errorf("the plugin needs %v once it is configured: its HELLO has %v", needs, p.hello.Needs)
	}
	for _, name := range needs {
		need, err := frame.ParseNeed(name)
		if err != nil {
			return err
		}
		p.needs = append(p.needs, need)
	}
	return nil
}

func configuration(config any) ([]byte, error) {
	switch c := config.(type) {
	case nil:
		return nil, nil
	case string:
		return []byte(c), nil
	case []byte:
		return c, nil
	}
	raw, err := json.Marshal(config)
	if err != nil {
		return nil, fmt.Errorf("encode the configuration: %w", err)
	}
	return raw, nil
}

// Stop says that no call will follow, waits for the plugin's end, and gives its
// error: of a program that it did not exit with status 0.
func (p *Plugin) Stop() error {
	p.stopped.Do(func() {
		p.write(frame.Append(nil, frame.GoAway, 0))
		p.await("end after GOAWAY")
		p.conn.SetReadDeadline(time.Now().Add(patience))
		<-p.read // There may be verdicts that nobody has read yet.
		p.conn.Close()
	})
	<-p.ended
	return p.err
}

// end closes the connection without a word, and waits for the plugin.
func (p *Plugin) end() {
	p.stopped.Do(func() {
		p.conn.Close()
		p.await("end when the edge has gone")
		<-p.read
		p.err = nil // That it ended in an error was to be expected.
	})
}

func (p *Plugin) await(what string) {
	select {
	case <-p.ended:
	case <-time.After(patience):
		p.conn.Close()
		p.t.Errorf("the plugin did not %s within %v", what, patience)
	}
}

// lines logs what a program prints.
type lines struct {
	t  testing.TB
	mu sync.Mutex
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.t.Logf("plugin: %s", b)
	return len(b), nil
}
