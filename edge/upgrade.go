package edge

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"time"

	"github.com/sallyport/sallyport/edge/admin"
	"github.com/sallyport/sallyport/edge/handoff"
)

// DefaultUpgradeTimeout is how long a new process may take to be ready.
const DefaultUpgradeTimeout = 2 * time.Minute

// answerTime bounds what is said to another process without waiting for it.
const answerTime = 2 * time.Second

// Upgrade starts the program anew, from the same path or from r.Program, and hands
// over to that process: its listening sockets with the connections that wait on
// them, TLS sessions, bans. The new process reads its configuration as at a start.
// When Upgrade returns without an error, it serves, and this one takes no more
// connections, lets those it has come to their end within timeouts.drain, and Run
// returns. With an error, whatever became of the new process, this one goes on as
// if nothing had happened. Only one upgrade at a time; a reload meanwhile is
// refused.
func (s *Server) Upgrade(ctx context.Context, r admin.UpgradeRequest) (admin.Upgraded, error) {
	done, err := s.upgrade(ctx, r)
	if done.Reloaded {
		return done, err
	}
	s.metrics.upgrade(err)
	if err != nil {
		s.log.Error("upgrade failed", "cause", err)
		if !errors.Is(err, errToldToEnd) {
			err = fmt.Errorf("the old process goes on:\n%w", err)
		}
		return done, fmt.Errorf("upgrade: %w", err)
	}
	return done, nil
}

// errToldToEnd ends an upgrade, and this process after it.
var errToldToEnd = errors.New("this edge was told to end")

func (s *Server) upgrade(ctx context.Context, r admin.UpgradeRequest) (done admin.Upgraded, err error) {
	if s.options.Successor == nil {
		return done, errors.New("this edge is part of another program, and cannot be started by itself")
	}
	cmd, err := s.options.Successor(r.Program)
	if err != nil {
		return done, err
	}
	if r.IfNew && runs(cmd.Path) {
		done.Reloaded = true
		return done, s.Reload()
	}
	if err := s.beginUpgrade(); err != nil {
		return done, err
	}
	defer s.upgrading.Store(false)
	timeout := r.Timeout.Std()
	if timeout <= 0 {
		timeout = DefaultUpgradeTimeout
	}
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("the new process is not ready within %s", timeout))
	defer cancel()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	go func() {
		select {
		case <-s.draining:
			stop(errToldToEnd)
		case <-ctx.Done():
		}
	}()

	h, err := s.startHeir(cmd)
	if err != nil {
		return done, err
	}
	if err := h.handOver(ctx); err != nil {
		err = h.giveUp(err)
		if h.settled {
			err = errors.Join(err, s.reclaim())
		}
		s.gate.open() // only now: the successor is gone, and everything is this process's
		return done, err
	}
	h.cmd.Process.Release()
	<-h.left // so that whoever asks next asks the successor
	return admin.Upgraded{PID: h.pid, Program: h.program}, nil
}

// runs says whether the program at path is the one that this process runs.
func runs(path string) bool {
	ours, err := os.Stat("/proc/self/exe")
	there, thereErr := os.Stat(path)
	return err == nil && thereErr == nil && os.SameFile(ours, there)
}

// beginUpgrade waits for a reload that is under way.
func (s *Server) beginUpgrade() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.gate.moved(); err != nil {
		return err
	}
	if !s.ready.Load() {
		return errors.New("this edge is not ready, or drains")
	}
	if !s.upgrading.CompareAndSwap(false, true) {
		return errors.New("another upgrade is under way")
	}
	return nil
}

// reclaim takes back what a successor may have taken that is gone.
func (s *Server) reclaim() error {
	var errs []error
	for _, h := range s.heirlooms() {
		errs = append(errs, h.reclaim())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	errs = append(errs, sign(s.stateLock))
	errs = append(errs, s.configureBans(s.generation.Load().cfg, s.listening()))
	return errors.Join(errs...)
}

// heir is the process that is to take this one's place.
type heir struct {
	s       *Server
	cmd     *exec.Cmd
	conn    *handoff.Conn
	pid     int
	program string // its version
	taken   []handoff.SocketBody
	settled bool
	mark    uint64                // of the TLS sessions that it has
	scores  bool                  // it takes those of addresses that are not banned
	told    *handoff.DrainingBody // what drains, as it knows
	left    chan struct{}         // closed when this process takes no more calls
}

// startHeir starts the process, with one end of a connection to this one.
func (s *Server) startHeir(cmd *exec.Cmd) (*heir, error) {
	conn, theirs, err := handoff.Pair()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.Env = append(slices.Clone(cmd.Env), handoff.Env+"=3") // behind standard error
	if err := cmd.Start(); err != nil {
		conn.Close()
		return nil, fmt.Errorf("start the new process: %w", err)
	}
	s.log.Info("upgrade: new process started", "pid", cmd.Process.Pid, "program", cmd.Path)
	return &heir{s: s, cmd: cmd, conn: conn, left: make(chan struct{})}, nil
}

// giveUp ends the new process, and adds how that ended to err.
func (h *heir) giveUp(err error) error {
	defer h.conn.Close()           // last: one that was told Go takes the end of it for ours, and serves
	if errors.Is(err, errGaveUp) { // and is about to end, and to say more about it
		late := time.AfterFunc(answerTime, func() { h.cmd.Process.Kill() })
		defer late.Stop()
		h.cmd.Wait()
		return err
	}
	h.cmd.Process.Kill()
	h.cmd.Wait() // its error is the state
	return fmt.Errorf("%w (the new process: %v)", err, h.cmd.ProcessState)
}

// errGaveUp marks what the new process has said itself.
var errGaveUp = errors.New("the new process gave up")

// expect is for the answer to a step; that the new process gives up is one.
func (h *heir) expect(ctx context.Context, kind handoff.Kind) (handoff.Message, error) {
	m, err := h.conn.Expect(ctx, kind)
	if err != nil && m.Kind == handoff.Failed {
		err = fmt.Errorf("%w: %w", errGaveUp, err)
	}
	return m, err
}

// handOver goes through the steps; handoff's documentation has their order. When
// it returns nil, the new process serves.
func (h *heir) handOver(ctx context.Context) error {
	s := h.s
	m, err := h.expect(ctx, handoff.Hello)
	if err != nil {
		return err
	}
	var hello handoff.HelloBody
	if err := m.Decode(&hello); err != nil {
		return err
	}
	h.pid, h.program, h.scores = hello.PID, hello.Program, hello.Scores
	if hello.Protocol != handoff.Version {
		return fmt.Errorf("the new program (%s) hands over by version %d of the protocol, this one by %d: want a restart", hello.Program, hello.Protocol, handoff.Version)
	}
	if h.pid != h.cmd.Process.Pid {
		return fmt.Errorf("process %d answers: want %d, which was started", h.pid, h.cmd.Process.Pid)
	}
	if err := h.give(ctx); err != nil {
		return err
	}
	if _, err := h.expect(ctx, handoff.Prepared); err != nil {
		return err
	}

	h.settled = true
	for _, heirloom := range s.heirlooms() {
		if err := heirloom.settle(); err != nil {
			return err
		}
	}
	if err := h.giveSessions(ctx); err != nil {
		return err
	}
	if err := h.conn.Send(ctx, handoff.Settled, nil, -1); err != nil {
		return err
	}
	if m, err = h.expect(ctx, handoff.Ready); err != nil {
		return err
	}
	var ready handoff.ReadyBody
	if err := m.Decode(&ready); err != nil {
		return err
	}
	h.taken = ready.Taken

	if err := s.holdChanges(ctx); err != nil {
		return err
	}
	for _, heirloom := range s.heirlooms() {
		heirloom.leave()
	}
	if err := errors.Join(h.giveSessions(ctx), h.giveBans(ctx)); err != nil {
		return err
	}
	if err := h.conn.Send(ctx, handoff.Go, nil, -1); err != nil {
		return err
	}
	// Whoever asked for it may go away now; the end of the edge may not come between.
	last, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), timeLeft(ctx), context.DeadlineExceeded)
	defer cancel()
	if _, err := h.expect(last, handoff.Serving); err != nil {
		return err
	}
	return s.commit(h)
}

// commit makes Run end this process. If that is on its way already, the successor
// is to follow.
func (s *Server) commit(h *heir) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.finishing {
		s.gate.leave(h.pid) // before anybody looks whether a drain was asked for
		s.handedOver <- h
		return nil
	}
	defer h.conn.Close()
	defer close(h.left)
	if err := h.say(handoff.Drain); err != nil {
		return err
	}
	s.gate.leave(h.pid)
	return nil
}

// lastHeir is who serves instead of this process, nil for nobody; from here on it
// stays so.
func (s *Server) lastHeir() *heir {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finishing = true
	select {
	case h := <-s.handedOver:
		return h
	default:
		return nil
	}
}

// holdChanges has every change that was answered for on disk, where the successor
// reads it when it is told Go, and holds up others until it is known who serves.
func (s *Server) holdChanges(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	if err := s.gate.close(ctx); err != nil {
		return err
	}
	// Saves what could not be saved, and would be forgotten: a revocation on a disk
	// that was full.
	return s.reloadState()
}

// timeLeft is at least some seconds: what waits is a process that has everything.
func timeLeft(ctx context.Context) time.Duration {
	deadline, _ := ctx.Deadline()
	return max(time.Until(deadline), 10*time.Second)
}

// give gives the lock on the state directory and all listening sockets.
func (h *heir) give(ctx context.Context) error {
	s := h.s
	raw, err := s.stateLock.SyscallConn()
	if err != nil {
		return err
	}
	controlErr := raw.Control(func(fd uintptr) { err = h.conn.Send(ctx, handoff.Lock, nil, int(fd)) })
	if err = errors.Join(err, controlErr); err != nil {
		return err
	}
	give := func(role handoff.Role, address string, l net.Listener) error {
		return descriptor(l, func(fd int) error {
			return h.conn.Send(ctx, handoff.Socket, handoff.SocketBody{Role: role, Address: address}, fd)
		})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for address, r := range s.sockets {
		if err := give(handoff.Listener, address, r.net); err != nil {
			return err
		}
	}
	if err := give(handoff.Admin, s.control.adminAddress, s.control.socket); err != nil {
		return err
	}
	if s.control.tcp != nil {
		if err := give(handoff.Metrics, s.control.metricsAddress, s.control.tcp); err != nil {
			return err
		}
	}
	body := handoff.GivenBody{Tenant: cmp.Or(tenant(s.generation.Load(), nil), s.options.Predecessor.tenant())}
	return h.conn.Send(ctx, handoff.Given, body, -1)
}

// giveSessions gives the TLS sessions kept since the last time.
func (h *heir) giveSessions(ctx context.Context) error {
	mark, err := h.s.tickets.Export(h.mark, func(piece []byte) error {
		return h.conn.Send(ctx, handoff.Sessions, piece, -1)
	})
	h.mark = mark
	return err
}

// giveBans gives the changes of bans since the last time.
func (h *heir) giveBans(ctx context.Context) error {
	for {
		list := h.s.bans.keeper.Changes()
		if len(list) == 0 {
			return nil
		}
		for part := range slices.Chunk(list, bansAtOnce) {
			if err := h.conn.Send(ctx, handoff.Bans, part, -1); err != nil {
				return err
			}
		}
	}
}

// bansAtOnce fit into a message: a line of the file has at most 4 KiB, of which
// JSON may make a little more.
const bansAtOnce = 12

// has says whether the successor has taken over a socket.
func (h *heir) has(role handoff.Role, address string) bool {
	return slices.Contains(h.taken, handoff.SocketBody{Role: role, Address: address})
}
