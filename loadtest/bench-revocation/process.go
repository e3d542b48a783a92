package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// runMeasured runs a child that measures, and returns what it found and how long
// it was from its start until it had answered.
func runMeasured(ctx context.Context, program string, args ...string) (*measurement, time.Duration, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, 0, err
	}
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, 0, err
	}
	lines := bufio.NewReader(out)
	first, readErr := lines.ReadString('\n')
	until := time.Since(start)
	var second []byte
	if readErr == nil {
		second, readErr = lines.ReadBytes('\n')
	}
	if err := cmd.Wait(); err != nil {
		return nil, 0, fmt.Errorf("%w: %s", err, bytes.TrimSpace(stderr.Bytes()))
	}
	if readErr != nil || first != answered+"\n" {
		return nil, 0, fmt.Errorf("it wrote %q and %q: want %q and a measurement", first, second, answered)
	}
	m, err := parseMeasurement(second)
	return m, until, err
}

// patience bounds how long a server may take to its first answer.
const patience = 5 * time.Minute

// process is a server, with whatever children it has, in a process group of their
// own: a terminal's interrupt reaches this program alone, which ends them.
type process struct {
	name    string
	pid     int
	started time.Time
	stderr  string // file
	done    chan struct{}
	err     error // valid once done is closed
}

// startProcess starts a server. What it writes goes to a file in dir.
func startProcess(dir, name string, args ...string) (*process, error) {
	log, err := os.Create(filepath.Join(dir, name+".stderr"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = log, log
	// Pdeathsig ends the server if this process is killed and cannot.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	p := &process{name: name, started: time.Now(), stderr: log.Name(), done: make(chan struct{})}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	p.pid = cmd.Process.Pid
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// stop ends the server, by force if it must, and returns when it has ended.
func (p *process) stop() {
	select {
	case <-p.done:
	default:
		// Its own end has not been waited for, so the pid is still its.
		_ = syscall.Kill(p.pid, syscall.SIGTERM)
	}
	select {
	case <-p.done:
	case <-time.After(10 * time.Second):
		_ = syscall.Kill(-p.pid, syscall.SIGKILL)
		<-p.done
	}
}

// said is the end of what the server wrote, for an error message.
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

// awaitAnswer returns how long it was from the start of the server until it had
// answered the client, with an error if it ends before that.
func (p *process) awaitAnswer(ctx context.Context, ask func(context.Context) error) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	again := time.NewTicker(time.Millisecond)
	defer again.Stop()
	for {
		err := ask(ctx)
		if err == nil {
			return time.Since(p.started), nil
		}
		select {
		case <-p.done:
			return 0, fmt.Errorf("%s ended before it answered: %w%s", p.name, errors.Join(p.err, err), p.said())
		case <-ctx.Done():
			return 0, fmt.Errorf("%s does not answer: %w%s", p.name, err, p.said())
		case <-again.C:
		}
	}
}
