package benchmark

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/sallyport/sallyport/loadtest/port"
)

// patience bounds the end of a process once it was asked to.
const patience = 10 * time.Second

// Process is a child, with whatever children it has, in a process group of their
// own: a terminal's interrupt reaches this program alone, which ends them.
type Process struct {
	Name    string
	PID     int
	Started time.Time
	Done    chan struct{} // closed when it has ended
	Err     error         // how; valid once Done is closed

	said string // file
}

// Start starts a command by calling start with cmd.Start: on the core, or in the
// namespace, that the caller sees to. What the command writes goes where the
// caller says; said is the file with the part of it that belongs into an error
// message. A command without SysProcAttr gets what fits most.
func Start(name string, cmd *exec.Cmd, said string, start func(func() error) error) (*Process, error) {
	if cmd.SysProcAttr == nil {
		// Pdeathsig ends the child if this process is killed and cannot.
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	}
	p := &Process{Name: name, Started: time.Now(), Done: make(chan struct{}), said: said}
	if err := start(cmd.Start); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	p.PID = cmd.Process.Pid
	go func() {
		p.Err = cmd.Wait()
		close(p.Done)
	}()
	return p, nil
}

// Stop ends the child, by force if it must, and returns when it has ended.
func (p *Process) Stop() {
	select {
	case <-p.Done:
	default:
		// Its own end has not been waited for, so the pid is still its.
		_ = syscall.Kill(p.PID, syscall.SIGTERM)
	}
	select {
	case <-p.Done:
	case <-time.After(patience):
		_ = syscall.Kill(-p.PID, syscall.SIGKILL)
		<-p.Done
	}
}

// Said is the end of what the child wrote, for an error message; empty where it
// wrote nothing.
func (p *Process) Said() string {
	text, err := os.ReadFile(p.said)
	if err != nil || len(text) == 0 {
		return ""
	}
	return fmt.Sprintf("\n%s wrote:\n%s", p.Name, bytes.TrimSpace(text[max(0, len(text)-2000):]))
}

// Await tries again and again until it does without an error, and returns. It
// gives up when the child ends, or after some time, and then says how the last
// try went and what the child wrote.
func (p *Process) Await(ctx context.Context, within, every time.Duration, try func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	again := time.NewTicker(every)
	defer again.Stop()
	for {
		err := try(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.Done:
			return fmt.Errorf("%s ended before it answered: %w%s", p.Name, errors.Join(p.Err, err), p.Said())
		case <-ctx.Done():
			return fmt.Errorf("%s did not answer within %s: %w%s", p.Name, within, err, p.Said())
		case <-again.C:
		}
	}
}

// FreeAddress is a port of a host's address on which nobody listens. It is kept for
// this process until that ends.
func FreeAddress(host string) (string, error) {
	address, _, err := port.ReserveAddress(host)
	return address, err
}
