// Package edge is the product: it takes connections from the listeners through
// the TLS handshake and the judging of the client's certificate to the proxy.
// The way of a connection is told from top to bottom in connection.go.
package edge

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/edge/admin"
	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/connlog"
	"github.com/sallyport/sallyport/edge/page"
	"github.com/sallyport/sallyport/edge/pluginhost"
	"github.com/sallyport/sallyport/edge/proxy"
	"github.com/sallyport/sallyport/edge/servercert"
	"github.com/sallyport/sallyport/edge/tickets"
	"github.com/sallyport/sallyport/edge/trace"
)

// Options are what an edge needs besides its configuration.
type Options struct {
	// Log gets what an operator should know. Needed.
	Log *slog.Logger
	// Load reads the configuration again, for Reload. Needed.
	Load func() (*config.Config, config.Problems)
	// Version is what status shows, and MemoryLimit what the process has set itself.
	Version     string
	MemoryLimit admin.MemoryLimit

	// Successor is how to start the program again for an upgrade: from the path
	// given, or from its own if that is empty. nil: it cannot be.
	Successor func(program string) (*exec.Cmd, error)
	// Predecessor is the edge whose place this one takes, from TakeOver. nil: none.
	Predecessor *Predecessor
	// Sockets are listening sockets from the service manager, as files by the names
	// they have there. A listener takes the one with its name, or with its address.
	Sockets []*os.File
	// Manager is told what the service manager wants to know. nil: there is none.
	Manager Manager
}

// Server is an edge. Any number of goroutines may use it.
type Server struct {
	options     Options
	log         *slog.Logger
	started     time.Time
	generation  atomic.Pointer[generation]
	connections registry
	failures    *failures
	history     *page.Recorder
	page        *page.Page
	metrics     *metrics
	proxy       *proxy.Server
	tickets     *tickets.Store // TLS sessions that clients may resume
	managed     *servercert.Manager
	bans        *bans // made by Run
	plugins     *pluginhost.Host
	parting     parting      // target groups
	spans       trace.Counts // of all tracers
	steering    steering

	manager    Manager
	stateLock  *os.File
	given      given
	upgrading  atomic.Bool
	admitting  chan struct{} // closed when connections may be accepted
	handedOver chan *heir    // holds the successor that serves
	gate       stateGate

	sweeps    chan struct{} // asks for a look at the live connections
	drainOnce sync.Once
	draining  chan struct{}
	ready     atomic.Bool

	// mu guards what a reload changes and the end takes down.
	mu          sync.Mutex
	sockets     map[string]*running // by address
	tasks       tasks
	accepting   sync.WaitGroup
	reloadError error
	control     *control
	finishing   bool
}

// running is a socket that accepts.
type running struct {
	*socket
	end  context.CancelFunc // makes its connections finish and end
	done chan struct{}      // closed when the last of them has
}

// New returns an edge under cfg, with every file that cfg names read and
// checked. It opens no sockets and starts nothing. The problems may be warnings
// only; the Server is nil if one is an error.
func New(cfg *config.Config, o Options) (*Server, config.Problems) {
	s := &Server{
		options:  o,
		log:      o.Log,
		started:  time.Now(),
		failures: newFailures(),
		history:  page.NewRecorder(),
		tickets:  tickets.New(tickets.Options{}),
		draining: make(chan struct{}),
		sweeps:   make(chan struct{}, 1),
		sockets:  map[string]*running{},
		manager:  o.Manager,

		admitting:  make(chan struct{}),
		handedOver: make(chan *heir, 1),
	}
	if s.manager == nil {
		s.manager = noManager{}
	}
	s.page = page.New(pageView{s}, s.log, time.Now)
	s.plugins = s.newPlugins(cfg)
	s.metrics = newMetrics(s)
	s.proxy = proxy.New(proxy.Options{Log: o.Log, Access: func(r *proxy.Record) {
		s.metrics.request(r)
		s.logAccess(r)
		s.traceRequest(r)
	}})
	var err error
	if s.stateLock, err = openStateDir(cfg.ResolvePath(cfg.StateDir), o.Predecessor); err != nil {
		return nil, config.Problems{cfg.Problemf("state_dir", "%v", err)}
	}
	if s.given, err = s.givenSockets(); err != nil {
		s.stateLock.Close()
		return nil, config.Problems{cfg.Problemf("listeners", "%v", err)}
	}
	s.managed = servercert.NewManager(certificateStore(cfg), o.Log)
	b := builder{cfg: cfg, log: o.Log, version: o.Version, spans: &s.spans, page: s.page, sweep: s.sweepLater, manager: s.managed}
	first, problems := b.build()
	if problems.Err() != nil {
		s.stateLock.Close()
		return nil, problems
	}
	s.generation.Store(first)
	return s, problems
}

// Check reports everything about cfg that can be decided without opening
// sockets. It runs the code that New and Reload run, and leaves no trace.
func Check(cfg *config.Config) config.Problems {
	b := builder{cfg: cfg, readOnly: true, log: slog.New(slog.DiscardHandler)}
	_, problems := b.build()
	return problems
}

// makeStateDir makes the state directory, and refuses one that others can use.
func makeStateDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make state directory: %w", err)
	}
	return checkPrivate(dir)
}

// Run opens the sockets and serves until ctx is done or Drain is called, or until
// another process has taken over; then it lets connections finish within their
// listener's timeouts.drain, and returns when everything it started has stopped.
func (s *Server) Run(ctx context.Context) error {
	defer s.stateLock.Close()
	err := s.run(ctx)
	if err != nil {
		s.options.Predecessor.Refuse(err)
	}
	return err
}

func (s *Server) run(ctx context.Context) error {
	first := s.generation.Load()
	if err := s.inherit(ctx); err != nil {
		return err
	}
	control, err := s.openControl(first.cfg)
	if err != nil {
		return err
	}
	defer control.stop()
	if s.bans, err = s.openBans(first.cfg); err != nil {
		return err
	}
	defer s.closeBans()
	defer s.closeSteering()

	tasksCtx, stopTasks := context.WithCancel(context.WithoutCancel(ctx))
	defer s.tasks.wait()
	defer stopTasks()
	s.tasks.start(tasksCtx, s.log)
	s.tasks.group.Go(func() { s.sweepConnections(tasksCtx) })
	s.tasks.group.Go(func() { s.keepBans(tasksCtx) })
	s.tasks.group.Go(func() { s.history.Run(tasksCtx) })
	s.tasks.group.Go(func() { s.runPlugins(tasksCtx, first.cfg) })

	s.mu.Lock()
	s.control = control
	err = s.apply(first, nil)
	s.mu.Unlock()
	if err != nil {
		return err
	}
	if err := s.succeed(ctx); err != nil {
		s.finish()
		return err
	}
	close(s.admitting)
	control.start()
	s.ready.Store(true)
	s.begun(tasksCtx)
	s.log.Info("ready", "configuration", first.cfg.Name(), "version", s.options.Version)

	select {
	case <-ctx.Done():
		s.Drain()
	case <-s.draining:
	case h := <-s.handedOver:
		s.handedOver <- h
	}
	s.ready.Store(false)
	if h := s.lastHeir(); h != nil { // also where both came at once
		s.retire(h)
		return nil
	}
	s.manager.Stopping()
	s.finish()
	return nil
}

// Drain makes Run finish its connections and return. It returns at once.
func (s *Server) Drain() {
	s.drainOnce.Do(func() { close(s.draining) })
}

// Alive returns when what every connection needs is to be had, which takes no
// time unless the process hangs.
func (s *Server) Alive() { s.connections.count() }

// finish takes the sockets down and lets their connections end.
func (s *Server) finish() {
	s.mu.Lock()
	s.finishing = true
	s.log.Info("draining", "connections", len(s.connections.all()))
	for address, r := range s.sockets {
		s.take(address, r)
	}
	s.mu.Unlock()
	s.accepting.Wait()
	s.log.Info("drained")
}

// take closes a listening socket and gives its connections until the listener's
// drain timeout. The caller holds mu.
func (s *Server) take(address string, r *running) {
	delete(s.sockets, address)
	r.net.Close()
	mine := func(c *Conn) bool { return c.socket == r.socket }
	r.end() // first: a connection that is not in the registry yet looks for it then
	s.connections.end(connlog.Drained, mine)
	patience := time.AfterFunc(r.policy.Load().cfg.Timeouts.Drain.Std(), func() { s.connections.cut(mine) })
	s.accepting.Go(func() {
		<-r.done
		patience.Stop()
	})
}

// serveOn accepts on a new socket. The caller holds mu.
func (s *Server) serveOn(sock *socket) {
	ctx, end := context.WithCancel(context.Background())
	r := &running{socket: sock, end: end, done: make(chan struct{})}
	s.sockets[sock.address] = r
	go func() {
		defer close(r.done)
		defer end()
		select {
		case <-s.admitting:
		case <-ctx.Done():
			return
		}
		sock.accept(func(raw net.Conn) { s.serve(ctx, sock, raw) })
	}()
}
