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
)

// patience bounds the start of a child, and its end once it was asked to.
const patience = 10 * time.Second

// process is a child, with whatever children it has, in a process group of their
// own: a terminal's interrupt reaches this program alone, which ends them.
type process struct {
	name   string
	pid    int
	stderr string // file
	done   chan struct{}
	err    error // valid once done is closed
}

// startProcess starts a program on a core, with one processor for Go programs.
// What it writes goes to a file in dir.
func startProcess(dir string, c cores, core *int, name string, args ...string) (*process, error) {
	log, err := os.Create(filepath.Join(dir, name+".stderr"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	cmd.Stdout, cmd.Stderr = log, log
	// Pdeathsig ends the child if this process is killed and cannot.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if err := c.on(core, cmd.Start); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	p := &process{name: name, pid: cmd.Process.Pid, stderr: log.Name(), done: make(chan struct{})}
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

// said is the end of what the child wrote, for an error message.
func (p *process) said() string {
	text, err := os.ReadFile(p.stderr)
	if err != nil || len(text) == 0 {
		return ""
	}
	if len(text) > 2000 {
		text = text[len(text)-2000:]
	}
	return fmt.Sprintf("\n%s wrote:\n%s", p.name, bytes.TrimSpace(text))
}

// awaitListening returns once somebody listens at address, with an error if the
// child ends before that.
func (p *process) awaitListening(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		var dialer net.Dialer
		conn, err := dialer.DialContext(ctx, "tcp", address)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-p.done:
			return fmt.Errorf("%s ended before it listened: %w%s", p.name, errors.Join(p.err, err), p.said())
		case <-ctx.Done():
			return fmt.Errorf("%s does not listen at %s: %w%s", p.name, address, err, p.said())
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
