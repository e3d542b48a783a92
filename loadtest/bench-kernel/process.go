package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/sallyport/sallyport/loadtest/benchmark"
)

// startProcess starts a program in a namespace, on a core, with a niceness, and in
// a session of its own. What
// it writes to stdout goes to a writer, which is used no more once Done is
// closed; what it writes to stderr goes to a file in dir.
func (e *end) startProcess(dir, name string, nice int, stdout io.Writer, args ...string) (*benchmark.Process, error) {
	log, err := os.Create(filepath.Join(dir, name+".stderr"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	cmd.Stdout, cmd.Stderr = stdout, log
	// Pdeathsig ends the child with the thread that starts it, and so if this
	// process is killed and cannot.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	p, err := benchmark.Start(name, cmd, log.Name(), func(start func() error) error { return e.as(e.core, nice, start) })
	if err != nil {
		return nil, err
	}
	setSessionNice(p.PID, nice)
	return p, nil
}

// setSessionNice sets the niceness of a session's leader for the session. Where
// the kernel schedules sessions as groups (sched_autogroup_enabled), that of a
// thread counts only among those of its own; elsewhere there is no such file.
func setSessionNice(leader, nice int) {
	_ = os.WriteFile(fmt.Sprintf("/proc/%d/autogroup", leader), []byte(strconv.Itoa(nice)), 0)
}
