package sdk

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/sdk/frame"
)

// capabilities are a plugin taken apart: what it says of itself, and what it can.
type capabilities struct {
	plugin     Plugin
	manifest   Manifest
	hello      frame.HelloBody
	declared   declared
	connection ConnectionAuthorizer
	request    RequestAuthorizer
	shape      RequestShaper
	response   ResponseShaper
	observe    Observer
}

// examine asks a plugin for its manifest, and refuses what the edge would refuse.
func examine(plugin Plugin) (*capabilities, error) {
	c := &capabilities{plugin: plugin, manifest: plugin.Manifest()}
	m := &c.manifest
	c.hello = frame.HelloBody{
		Protocols: []uint32{frame.Protocol},
		Name:      m.Name, Version: m.Version, Owns: m.Owns,
		Concurrency: max(m.Concurrency, 1), MaxFrame: m.MaxFrame,
	}
	if m.MaxFrame == 0 {
		c.hello.MaxFrame = frame.DefaultMax
	}
	for _, f := range m.Needs {
		c.hello.Needs = append(c.hello.Needs, string(f))
	}
	c.hello.Needs = withVerified(c.hello.Needs)
	var hook bool
	offer := func(h frame.Hooks) { c.hello.Hooks |= h }
	if c.connection, hook = plugin.(ConnectionAuthorizer); hook {
		offer(frame.HookConnection)
	}
	if c.request, hook = plugin.(RequestAuthorizer); hook {
		offer(frame.HookRequest)
	}
	if c.shape, hook = plugin.(RequestShaper); hook {
		offer(frame.HookShapeRequest)
	}
	if c.response, hook = plugin.(ResponseShaper); hook {
		offer(frame.HookShapeResponse)
	}
	if c.observe, hook = plugin.(Observer); hook {
		offer(frame.HookObserve)
	}
	if c.hello.Hooks == 0 {
		return nil, fmt.Errorf("plugin %q (%T) has no hook: want a method such as AuthorizeRequest(context.Context, sdk.Request) sdk.Verdict", m.Name, plugin)
	}
	var err error
	if c.hello, err = frame.ParseHello(c.hello.Append(nil)); err != nil {
		reason := strings.TrimPrefix(err.Error(), frame.ErrMalformed.Error()+": ")
		return nil, fmt.Errorf("manifest of plugin %q: %s", m.Name, reason)
	}
	c.declared = newDeclared(c.hello.Needs)
	return c, nil
}

// withVerified adds cert.verified to fields of the certificate: the methods of Peer
// look at it.
func withVerified(needs []string) []string {
	isCertificate := func(name string) bool { tag, ok := frame.FieldTag(name); return ok && ofCertificate(tag) }
	if slices.ContainsFunc(needs, isCertificate) && !slices.Contains(needs, string(CertVerified)) {
		needs = append(needs, string(CertVerified))
	}
	return needs
}

// session is a plugin at work on one connection.
type session struct {
	*capabilities
	conn         net.Conn
	in           *reader
	out          *writer
	base         context.Context
	log          *slog.Logger
	certificates certificates
}

// grace is how long hooks may go on that do not heed the end of their context.
const grace = time.Second

// ServeConn is [Serve] on a connection that the caller has, for tests and for
// plugins that are a part of another program. It returns nil when the host has
// said that no call will follow, and every verdict is written; otherwise why not:
// ErrHostGone, what ctx says, that Configure or Run has failed, or that the host
// sent what is no frame. It closes conn, and returns when all that it has started
// has stopped; a hook that goes on for a second after its context has ended is left
// behind, if it is not one of those that are called in order.
func ServeConn(ctx context.Context, conn net.Conn, plugin Plugin) error {
	return serveConn(ctx, conn, plugin, func(*slog.Logger) {})
}

func serveConn(ctx context.Context, conn net.Conn, plugin Plugin, announce func(*slog.Logger)) error {
	defer conn.Close()
	c, err := examine(plugin)
	if err != nil {
		return err
	}
	s := &session{capabilities: c, conn: conn, in: newReader(conn, frame.DefaultMax), out: &writer{conn: conn}}
	s.log = slog.New(&logHandler{out: s.out, level: c.manifest.LogLevel})
	announce(s.log)
	base, cancel := context.WithCancel(context.WithValue(ctx, loggerKey{}, s.log))
	s.base = base
	defer cancel()
	defer context.AfterFunc(ctx, func() { conn.Close() })()

	if err = s.greet(); err == nil {
		running := s.background()
		if s.hello.Concurrency == 1 {
			err = s.inOrder()
		} else {
			err = s.concurrently(cancel)
		}
		cancel()
		if failure := patiently(running); failure != nil {
			err = failure
		}
	}
	s.out.flush()
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// greet says HELLO, and answers CONFIGURE.
func (s *session) greet() error {
	s.out.frame(frame.Hello, &s.hello)
	s.out.flush()
	f, err := s.await()
	if err != nil {
		return err
	}
	if f.Type != frame.Configure {
		return unexpected(f)
	}
	c, err := frame.ParseConfigure(f.Body)
	if err != nil {
		return err
	}
	var answer frame.ConfiguredBody
	if err = s.configure(c); err == nil {
		answer.Needs, err = s.narrow()
	}
	if err != nil {
		answer.Needs = nil
		answer.Error = printable(err.Error(), frame.MaxError)
		if answer.Error == "" {
			answer.Error = "not ready"
		}
	}
	s.in.max = c.MaxFrame
	s.out.frame(frame.Configured, &answer)
	s.out.flush()
	if err != nil {
		return fmt.Errorf("configure: %w", err)
	}
	return nil
}

func (s *session) configure(c frame.ConfigureBody) (err error) {
	defer func() {
		if p := recover(); p != nil {
			s.logPanic("Configure", p)
			err = fmt.Errorf("plugin panicked: %v", p)
		}
	}()
	if c.Protocol != frame.Protocol {
		return fmt.Errorf("protocol %d: want %d", c.Protocol, frame.Protocol)
	}
	if c.MaxFrame > s.hello.MaxFrame {
		return fmt.Errorf("frames of %d bytes: want at most %d", c.MaxFrame, s.hello.MaxFrame)
	}
	configurer, ok := s.plugin.(Configurer)
	if config := Config(slices.Clone(c.Config)); ok {
		return configurer.Configure(config)
	} else if !config.empty() {
		return errors.New("the plugin takes no configuration")
	}
	return nil
}

// narrow asks a Narrower for its needs. Nil are those of the manifest.
func (s *session) narrow() (needs []string, err error) {
	narrower, ok := s.plugin.(Narrower)
	if !ok {
		return nil, nil
	}
	defer func() {
		if p := recover(); p != nil {
			s.logPanic("Needs", p)
			err = fmt.Errorf("plugin panicked: %v", p)
		}
	}()
	needs = []string{}
	for _, f := range narrower.Needs() {
		need, err := frame.ParseNeed(string(f))
		if err != nil {
			return nil, fmt.Errorf("needs the field %q, which there is not", f)
		}
		needs = append(needs, need.String())
	}
	needs = withVerified(needs)
	slices.Sort(needs)
	needs = slices.Compact(needs)
	if !frame.Covers(s.hello.Needs, needs) || len(needs) > frame.MaxNeeds {
		return nil, fmt.Errorf("needs %s: want at most %d, all of the manifest", strings.Join(needs, ", "), frame.MaxNeeds)
	}
	s.declared = newDeclared(needs)
	return needs, nil
}

// await reads the one frame that must come next.
func (s *session) await() (frame.Frame, error) {
	for {
		if f, ok, err := s.in.next(); ok || err != nil {
			return f, err
		}
		if err := s.in.fill(); err != nil {
			return frame.Frame{}, err
		}
	}
}

func unexpected(f frame.Frame) error {
	return fmt.Errorf("%w: %v is not expected here", frame.ErrMalformed, f.Type)
}

// background starts what runs beside the hooks. What comes out of the channel when
// it has returned is why the session ends, if it is the reason.
func (s *session) background() <-chan error {
	done := make(chan error, 1)
	runner, ok := s.plugin.(Runner)
	if !ok {
		done <- nil
		return done
	}
	go func() {
		err := s.runBackground(runner)
		if err == nil || s.base.Err() != nil {
			done <- nil
			return
		}
		s.log.Error("plugin ends", "error", err)
		done <- fmt.Errorf("run: %w", err)
		s.conn.Close()
	}()
	return done
}

func (s *session) runBackground(runner Runner) (err error) {
	defer func() {
		if p := recover(); p != nil {
			s.logPanic("Run", p)
			err = fmt.Errorf("plugin panicked: %v", p)
		}
	}()
	return runner.Run(s.base, &Host{s.out})
}

// patiently waits for an outcome, but no longer than the grace.
func patiently(done <-chan error) error {
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case err := <-done:
		return err
	case <-timer.C:
		return nil
	}
}

func (s *session) logPanic(what string, p any) {
	stack := debug.Stack()
	const enough = 4 << 10
	s.log.Error("plugin panicked", "hook", what, "panic", fmt.Sprint(p), "stack", string(stack[:min(len(stack), enough)]))
}
