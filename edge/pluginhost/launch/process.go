package launch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"
	"time"

	goplugin "github.com/hashicorp/go-plugin"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health/grpc_health_v1"
)

// KillWithin bounds Kill.
const KillWithin = 2 * time.Second

// launcherEnds is how long the launcher has for ending the program, until it is
// killed itself. A stopped or starved one takes longer.
const launcherEnds = 400 * time.Millisecond

// Process is a program that was started. Its methods are safe for concurrent use.
// Kill must be called in the end, whatever became of it.
type Process struct {
	name     string
	conn     *net.UnixConn
	control  *net.UnixConn
	launcher *launcherProcess
	grpc     *grpc.ClientConn
	dir      *runDir
	account  *account
	cgroup   *cgroup
	work     sync.WaitGroup  // on the control socket
	life     context.Context // of calls to the launcher
	over     context.CancelFunc
	told     chan struct{} // closed when the launcher has said what became of its orders, or has gone
	shaken   chan error    // gets what came of the handshake, once

	mu      sync.Mutex
	refused string
	started started
	end     *ended
	killed  bool

	done chan struct{}
	err  error // once done
}

// Conn is the data socket. Nothing has been read from it or written to it. What the
// program has said before its end can still be read after it; Kill closes it.
func (p *Process) Conn() *net.UnixConn { return p.conn }

// Done is closed when the program has ended and nothing of it is left.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err says how it ended: an *ExitError, or what became of the launcher. It is nil
// until Done is closed, and never after.
func (p *Process) Err() error {
	select {
	case <-p.done:
		return p.err
	default:
		return nil
	}
}

// Pid is the program's process id, which is its process group's too.
func (p *Process) Pid() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.started.PID
}

// Report says what of the sandbox is in force. It does not change.
func (p *Process) Report() SandboxReport {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.started.Report
}

// Healthy asks the launcher for its health, as go-plugin does. It says that the
// launcher answers; whether the program does is for a frame to find out.
func (p *Process) Healthy(ctx context.Context) error {
	p.mu.Lock()
	conn := p.grpc
	p.mu.Unlock()
	reply, err := grpc_health_v1.NewHealthClient(conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: goplugin.GRPCServiceName})
	if err != nil {
		return fmt.Errorf("ask the launcher for its health: %w", err)
	}
	if reply.Status != grpc_health_v1.HealthCheckResponse_SERVING {
		return fmt.Errorf("ask the launcher for its health: it says %v", reply.Status)
	}
	return nil
}

// Kill ends the program with SIGKILL, its process group, its descendants and its
// cgroup too, and closes Conn. It returns when Done is closed, and after KillWithin
// at the latest: then the kernel has yet to end a process in the middle of
// something. Further calls wait likewise.
func (p *Process) Kill() {
	p.mu.Lock()
	p.killed = true
	p.mu.Unlock()
	p.conn.Close()
	// The launcher sees the end of its orders, ends the program and all that comes of
	// it, and tells how that went.
	_ = p.control.CloseWrite()
	patience := time.NewTimer(launcherEnds)
	defer patience.Stop()
	select {
	case <-p.done:
		return
	case <-patience.C:
	}
	p.strike()
	patience.Reset(KillWithin - launcherEnds)
	select {
	case <-p.done:
	case <-patience.C:
	}
}

// strike kills what there is without asking the launcher.
func (p *Process) strike() {
	p.cgroup.kill()
	p.killGroup()
	_ = p.launcher.Kill(context.Background())
}

// killGroup kills the program's process group, unless it is known to have ended:
// its number may be another's then.
func (p *Process) killGroup() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.started.PID > 0 && p.end == nil {
		_ = unix.Kill(-p.started.PID, unix.SIGKILL)
	}
}

// listen takes the launcher's notices until it ends.
func (p *Process) listen() {
	first := sync.OnceFunc(func() { close(p.told) })
	defer first()
	for decoder := json.NewDecoder(p.control); ; {
		var n notice
		if decoder.Decode(&n) != nil {
			return
		}
		p.mu.Lock()
		switch {
		case n.Started != nil:
			p.started = *n.Started
		case n.Ended != nil:
			p.end = n.Ended
		default:
			p.refused = n.Refused
		}
		p.mu.Unlock()
		first()
	}
}

// finish waits for the launcher's end and clears up.
func (p *Process) finish() {
	<-p.launcher.exited
	p.work.Wait()
	p.killGroup() // if the launcher was killed, and could not
	// The last of its output; nobody else has the pipes open.
	patience := time.NewTimer(time.Second)
	defer patience.Stop()
	select {
	case <-p.launcher.drained:
	case <-patience.C:
	}
	p.launcher.stdout.Close()
	p.launcher.stderr.Close()
	p.clear()
	p.mu.Lock()
	p.err = p.howEnded()
	p.mu.Unlock()
	close(p.done)
}

// howEnded is called with the lock held, the launcher having been reaped.
func (p *Process) howEnded() error {
	switch {
	case p.end != nil:
		return &ExitError{Status: p.end.Status, Signal: syscall.Signal(p.end.Signal), Killed: p.killed, Ran: p.end.Ran, LastWords: p.end.Said}
	case p.launcher.status != nil:
		return fmt.Errorf("the launcher ended: %w", p.launcher.status)
	default:
		return errors.New("the launcher ended without a word about the program")
	}
}

// whyNotStarted makes the best of what is known, when all is over.
func (p *Process) whyNotStarted(cause, err error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.refused != "":
		return errors.New(p.refused)
	case cause != nil:
		return cause
	case p.end != nil && p.end.Signal != int(unix.SIGKILL): // which may have been ours
		return p.err
	}
	return err
}

// abandon gives up a launcher that could not be started.
func (p *Process) abandon() {
	p.launcher.abandon()
	p.release()
}

// release gives back what a process holds that was never started.
func (p *Process) release() {
	if p.conn != nil {
		p.conn.Close()
	}
	p.clear()
}

func (p *Process) clear() {
	p.over()
	p.disconnect()
	if p.control != nil {
		p.control.Close()
	}
	p.work.Wait()
	if p.cgroup.end() {
		p.dir.remove()
	} else {
		p.dir.leave()
	}
	p.account.release()
}

func (p *Process) disconnect() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.grpc != nil {
		p.grpc.Close()
	}
}

// ExitError is how a program ended.
type ExitError struct {
	Status    int            // its exit status, if Signal is 0
	Signal    syscall.Signal // that ended it
	Killed    bool           // Kill was called before its end was known
	Ran       time.Duration  // since it was executed
	LastWords string         // the last line on its standard error, at most 256 bytes
}

func (e *ExitError) Error() string {
	text := fmt.Sprintf("program exited with status %d", e.Status)
	if e.Signal != 0 {
		text = fmt.Sprintf("program ended by signal %d (%v)", int(e.Signal), e.Signal)
	}
	text += fmt.Sprintf(" after %v", e.Ran.Round(time.Millisecond))
	if e.LastWords != "" {
		text += fmt.Sprintf("; its last words: %q", e.LastWords)
	}
	return text
}
