package edge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/sallyport/sallyport/edge/admin"
	"github.com/sallyport/sallyport/edge/ban"
	"github.com/sallyport/sallyport/edge/handoff"
)

// Predecessor is the edge in another process whose place this one is to take. A
// nil Predecessor is none.
type Predecessor struct {
	conn    *handoff.Conn
	pid     int
	manager Manager
	lock    *os.File // on its state directory; nil once taken
	sockets given

	given    handoff.GivenBody
	bans     banMail                              // that it is to be told
	serving  bool                                 // it has been told that this process serves
	draining atomic.Pointer[handoff.DrainingBody] // what it still has
	gone     chan struct{}                        // closed when it has ended
}

// TakeOver looks whether this process was started by an edge to take its place,
// and then gets its sockets. It returns nil if not.
func TakeOver(ctx context.Context, version string, m Manager) (*Predecessor, error) {
	conn, err := handoff.Inherited()
	if conn == nil || err != nil {
		return nil, err
	}
	if m == nil {
		m = noManager{}
	}
	p := &Predecessor{conn: conn, pid: os.Getppid(), manager: m, gone: make(chan struct{})}
	if err := p.receive(ctx, version); err != nil {
		p.Refuse(err)
		return nil, fmt.Errorf("take over from process %d: %w", p.pid, err)
	}
	return p, nil
}

func (p *Predecessor) receive(ctx context.Context, version string) error {
	hello := handoff.HelloBody{Protocol: handoff.Version, PID: os.Getpid(), Program: version, Scores: true}
	if err := p.conn.Send(ctx, handoff.Hello, hello, -1); err != nil {
		return err
	}
	p.manager.Stage(StageStarted)
	for {
		m, err := p.conn.Receive(ctx)
		switch {
		case errors.Is(err, io.EOF):
			return errors.New("it has ended, or will not hand over")
		case err != nil:
			return err
		case m.Kind == handoff.Given && m.File == nil:
			p.manager.Stage(StageSockets)
			if len(m.Body) == 0 { // an earlier version's
				return nil
			}
			return m.Decode(&p.given)
		case m.Kind == handoff.Lock && m.File != nil && p.lock == nil:
			p.lock = m.File
		case m.Kind == handoff.Socket && m.File != nil:
			s := &givenSocket{file: m.File}
			p.sockets = append(p.sockets, s)
			if err := m.Decode(&s.SocketBody); err != nil {
				return err
			}
		default:
			if m.File != nil {
				m.File.Close()
			}
			return fmt.Errorf("got %v, want sockets", m.Kind)
		}
	}
}

// takeLock returns the predecessor's lock if it is the one at path.
func (p *Predecessor) takeLock(path string) *os.File {
	if p == nil || p.lock == nil {
		return nil
	}
	has, err := p.lock.Stat()
	want, wantErr := os.Stat(path)
	if err != nil || wantErr != nil || !os.SameFile(has, want) {
		return nil
	}
	lock := p.lock
	p.lock = nil
	return lock
}

// Refuse tells the predecessor to go on, and why, unless this process serves
// already. It lets go of everything it was given.
func (p *Predecessor) Refuse(cause error) {
	if p == nil || p.serving {
		return
	}
	text := cause.Error()
	if most := handoff.MaxBody / 8; len(text) > most { // JSON may make six bytes of one
		text = text[:most]
	}
	ctx, cancel := context.WithTimeout(context.Background(), answerTime)
	defer cancel()
	p.conn.Send(ctx, handoff.Failed, handoff.FailedBody{Cause: text}, -1) // the end of the connection says enough
	p.conn.Close()
	if p.lock != nil {
		p.lock.Close()
	}
	for _, s := range p.sockets {
		s.file.Close()
	}
}

// inherit gets the sessions, when the predecessor has everything on disk.
func (s *Server) inherit(ctx context.Context) error {
	p := s.options.Predecessor
	if p == nil {
		return nil
	}
	s.manager.Stage(StagePrepared)
	if err := p.conn.Send(ctx, handoff.Prepared, nil, -1); err != nil {
		return err
	}
	if err := s.takeIn(ctx, handoff.Settled); err != nil {
		return err
	}
	s.manager.Stage(StageSettled)
	return nil
}

// takeIn takes in what the predecessor tells until it says so.
func (s *Server) takeIn(ctx context.Context, until handoff.Kind) error {
	for {
		m, err := s.options.Predecessor.conn.Receive(ctx)
		if errors.Is(err, io.EOF) {
			return errors.New("the predecessor has ended, or will not hand over")
		}
		if err != nil {
			return err
		}
		if m.Kind == until && m.File == nil {
			return nil
		}
		if err := s.takeOne(&m); err != nil {
			return err
		}
	}
}

// takeOne takes in a message that may come at any time.
func (s *Server) takeOne(m *handoff.Message) error {
	if m.File != nil {
		m.File.Close()
		return fmt.Errorf("got %v with a descriptor", m.Kind)
	}
	switch m.Kind {
	case handoff.Sessions:
		_, err := s.tickets.Import(m.Body)
		return err
	case handoff.Bans:
		var list []ban.Change
		if err := m.Decode(&list); err != nil {
			return err
		}
		return s.takeBans(list)
	case handoff.Draining:
		var body handoff.DrainingBody
		if err := m.Decode(&body); err != nil {
			return err
		}
		s.options.Predecessor.draining.Store(&body)
		return nil
	case handoff.Scores:
		var told ban.Scores
		if err := m.Decode(&told); err != nil {
			return err
		}
		return s.bans.keeper.AddScores(told)
	case handoff.Drain:
		s.Drain()
		return nil
	}
	return fmt.Errorf("got %v out of order", m.Kind)
}

// succeed tells the predecessor that everything is open, waits for its word, and
// says that this process serves.
func (s *Server) succeed(ctx context.Context) error {
	p := s.options.Predecessor
	if p != nil {
		s.manager.Stage(StageOpened)
		ready := handoff.ReadyBody{Taken: s.given.takenOver()}
		if err := p.conn.Send(ctx, handoff.Ready, ready, -1); err != nil {
			return err
		}
		s.manager.Stage(StageReady)
		if err := s.takeIn(ctx, handoff.Go); err != nil {
			return err
		}
		s.manager.Stage(StageGo)
		if err := sign(s.stateLock); err != nil {
			return fmt.Errorf("sign the lock: %w", err)
		}
		// What the watchers would learn in a moment only, and the predecessor refuses
		// already, must not be admitted in between.
		if err := s.reloadState(); err != nil {
			return err
		}
	}
	for _, h := range s.heirlooms() {
		if err := h.takeOver(); err != nil {
			return err
		}
	}
	if p == nil {
		return nil
	}
	// A predecessor that gives up on this process kills it before it closes the
	// connection. So if that is closed and this process lives, nobody else serves.
	err := p.conn.Send(ctx, handoff.Serving, nil, -1)
	switch {
	case errors.Is(err, unix.EPIPE), errors.Is(err, unix.ECONNRESET):
		s.log.Warn("predecessor ended after it had handed over; this process goes on", "pid_before", p.pid)
	case err != nil:
		return err
	}
	p.serving = true
	return nil
}

// reloadState reads anew what the predecessor has written for trust stores.
func (s *Server) reloadState() error {
	var errs []error
	for name, store := range s.generation.Load().stores {
		if err := store.ReloadState(); err != nil {
			errs = append(errs, fmt.Errorf("trust store %q: read its state anew: %w", name, err))
		}
	}
	return errors.Join(errs...)
}

// begun is called when this process accepts. It tells the service manager, as
// soon as that listens to this process, and follows the predecessor until it has
// ended.
func (s *Server) begun(ctx context.Context) {
	p := s.options.Predecessor
	ready := func() {
		s.given.close(s.log, s.manager)
		s.manager.Ready()
		s.mu.Lock()
		defer s.mu.Unlock()
		s.keepSockets()
	}
	if p == nil {
		ready()
		return
	}
	s.log.Info("took over", "pid_before", p.pid)
	s.tasks.group.Go(func() {
		defer close(p.gone)
		defer p.conn.Close()
		defer s.tellBans(ctx, p)()
		told := false
		for {
			m, err := p.conn.Receive(ctx)
			if err == nil && m.Kind == handoff.Left && !told {
				told = true
				p.bans.open(&m)
				ready()
				s.takeKept()
				continue
			}
			if err == nil {
				err = s.takeOne(&m)
			}
			if err == nil {
				continue
			}
			if !told && ctx.Err() == nil {
				ready()
			}
			s.takeKept() // of orders that the predecessor has waited for
			if !errors.Is(err, io.EOF) && ctx.Err() == nil {
				s.log.Error("predecessor not followed to its end; sessions and bans it still makes are lost", "pid_before", p.pid, "cause", err)
			}
			return
		}
	})
}

// takeKept puts in force what the predecessor was asked to renew by hand and this
// process has not read: it would not look before a renewal is due.
func (s *Server) takeKept() {
	for _, certificate := range s.generation.Load().certificates {
		certificate.TakeKept()
	}
}

// status is what an operator may want to know of a predecessor that drains.
func (p *Predecessor) status() *admin.Predecessor {
	if p == nil {
		return nil
	}
	select {
	case <-p.gone:
		return nil
	default:
	}
	status := &admin.Predecessor{PID: p.pid}
	if body := p.draining.Load(); body != nil {
		status.Connections = body.Connections
		for _, e := range body.Earlier {
			status.Earlier = append(status.Earlier, admin.Predecessor{PID: e.PID, Connections: e.Connections})
		}
	}
	return status
}
