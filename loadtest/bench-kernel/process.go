package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// patience bounds the end of a process once it was asked to.
const patience = 10 * time.Second

// process is a child, with whatever children it has, in a session of their own: a
// terminal's interrupt reaches this program alone, which ends them.
type process struct {
	name   string
	pid    int
	stderr string // file
	done   chan struct{}
	err    error // valid once done is closed
}

// startProcess starts a program in a namespace, on a core, with a niceness. What
// it writes to stdout goes to a writer, which is used no more once done is
// closed; what it writes to stderr goes to a file in dir.
func (e *end) startProcess(dir, name string, nice int, stdout io.Writer, args ...string) (*process, error) {
	log, err := os.Create(filepath.Join(dir, name+".stderr"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	p := &process{name: name, stderr: log.Name(), done: make(chan struct{})}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	cmd.Stdout, cmd.Stderr = stdout, log
	// Pdeathsig ends the child with the thread that starts it, and so if this
	// process is killed and cannot.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	if err := e.as(e.core, nice, cmd.Start); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	p.pid = cmd.Process.Pid
	setSessionNice(p.pid, nice)
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// setSessionNice sets the niceness of a session's leader for the session. Where
// the kernel schedules sessions as groups (sched_autogroup_enabled), that of a
// thread counts only among those of its own; elsewhere there is no such file.
func setSessionNice(leader, nice int) {
	_ = os.WriteFile(fmt.Sprintf("/proc/%d/autogroup", leader), []byte(strconv.Itoa(nice)), 0)
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
