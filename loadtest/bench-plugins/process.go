package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// patience bounds the start of a child, and its end when it was asked to end.
const patience = 20 * time.Second

// process is a child, with whatever children it has, in a process group of their
// own: a terminal's interrupt reaches this program alone, which ends them.
type process struct {
	name string
	pid  int
	said string // file
	done chan struct{}
	err  error // valid once done is closed
}

// startProcess starts a program on the cores given, with one processor for Go
// programs. What it writes goes to a file in dir.
func (b *bench) startProcess(cpus *unix.CPUSet, dir, name string, args ...string) (*process, error) {
	said, err := os.Create(filepath.Join(dir, "said"))
	if err != nil {
		return nil, err
	}
	defer said.Close() // the child has its own
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = said, said
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	// Pdeathsig ends the child if this process is killed and cannot.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if err := b.cores.on(cpus, cmd.Start); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	p := &process{name: name, pid: cmd.Process.Pid, said: said.Name(), done: make(chan struct{})}
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

// fault adds the end of what the child wrote to an error.
func (p *process) fault(err error) error {
	text, readErr := os.ReadFile(p.said)
	if err == nil || readErr != nil || len(text) == 0 {
		return err
	}
	return fmt.Errorf("%w\n%s wrote:\n%s", err, p.name, bytes.TrimSpace(text[max(0, len(text)-2000):]))
}

// await tries until it does without an error, and returns. It gives up when the
// child ends, or after some time, and then says how the last try went.
func (p *process) await(ctx context.Context, try func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
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
			return p.fault(fmt.Errorf("%s ended before it answered: %w", p.name, errors.Join(p.err, err)))
		case <-ctx.Done():
			return p.fault(fmt.Errorf("%s did not answer within %s: %w", p.name, patience, err))
		case <-again.C:
		}
	}
}

// freeAddress is a loopback address on which nobody listens.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
