package peers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// patience bounds the end of a child that was asked to end.
const patience = 10 * time.Second

// Where a child's output goes, in its folder.
const (
	stdoutFile = "stdout"
	stderrFile = "stderr"
)

// process is a child, with whatever children it has, in a process group of their
// own: a terminal's interrupt reaches this program alone, which ends them.
type process struct {
	name string
	pid  int
	dir  string // of its output
	done chan struct{}
	err  error // valid once done is closed
}

// startProcess starts a program on a core, with one processor for Go programs.
func startProcess(dir string, c cores, core *int, name string, args ...string) (*process, error) {
	cmd := exec.Command(args[0], args[1:]...)
	for file, stream := range map[string]*io.Writer{stdoutFile: &cmd.Stdout, stderrFile: &cmd.Stderr} {
		f, err := os.Create(filepath.Join(dir, file))
		if err != nil {
			return nil, err
		}
		defer f.Close() // the child has its own
		*stream = f
	}
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	// Pdeathsig ends the child if this process is killed and cannot.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if err := c.on(core, cmd.Start); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	p := &process{name: name, pid: cmd.Process.Pid, dir: dir, done: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// stop ends the child, by force if it must, and returns when it has ended.
func (p *process) stop() {
	select {
	case <-p.done:
	default:
		// Its own end has not been waited for, so the pid is still its.
		_ = syscall.Kill(p.pid, syscall.SIGTERM)
	}
	select {
	case <-p.done:
	case <-time.After(patience):
		_ = syscall.Kill(-p.pid, syscall.SIGKILL)
		<-p.done
	}
}

// said is the end of what the child wrote to its standard error, for an error
// message.
func (p *process) said() string {
	text, err := os.ReadFile(filepath.Join(p.dir, stderrFile))
	if err != nil || len(text) == 0 {
		return ""
	}
	return fmt.Sprintf("\n%s wrote:\n%s", p.name, tail(text))
}

// tail is the end of a program's output.
func tail(text []byte) []byte {
	return bytes.TrimSpace(text[max(0, len(text)-2000):])
}

// awaitListening returns once somebody listens at address.
func (p *process) awaitListening(ctx context.Context, address string) error {
	return p.await(ctx, startFew, func(ctx context.Context) error {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err != nil {
			return err
		}
		return conn.Close()
	})
}

// await tries until it does without an error, and returns. It gives up when the
// child ends, or after some time, and then says how the last try went.
func (p *process) await(ctx context.Context, within time.Duration, try func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		err := try(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("%s ended before it answered: %w%s", p.name, errors.Join(p.err, err), p.said())
		case <-ctx.Done():
			return fmt.Errorf("%s did not answer within %s: %w%s", p.name, within, err, p.said())
		case <-again.C:
		}
	}
}
