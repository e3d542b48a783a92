package launch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"syscall"

	"github.com/hashicorp/go-plugin/runner"
)

// launcherProcess starts and kills the launcher for go-plugin. Its own way of doing
// so hands the edge's standard input on, starts from any thread, and kills one
// process.
type launcherProcess struct {
	cmd            *exec.Cmd
	stdout, stderr *os.File // our ends of its pipes
	files          []*os.File
	pid            int
	begun          chan struct{} // closed when it has been started, or could not be
	exited         chan struct{} // closed when it has been reaped
	drained        chan struct{} // closed when go-plugin has read all of its output
	status         error         // of exec.Cmd.Wait, once exited
}

var _ runner.Runner = (*launcherProcess)(nil)

// newLauncherProcess prepares the command, whose environment go-plugin has yet to
// give, to inherit files from descriptor 3 on. The files are its own if it returns
// no error.
func newLauncherProcess(command []string, files []*os.File) (*launcherProcess, error) {
	l := &launcherProcess{begun: make(chan struct{}), exited: make(chan struct{}), drained: make(chan struct{})}
	if len(command) == 0 {
		// This very file, even when a newer one has been put in its place; under the
		// name that we were called by.
		l.cmd = &exec.Cmd{Path: "/proc/self/exe", Args: []string{os.Args[0], "plugin-run"}}
	} else {
		l.cmd = exec.Command(command[0], command[1:]...)
	}
	l.cmd.Dir = "/"
	l.cmd.ExtraFiles = files
	l.cmd.SysProcAttr = &syscall.SysProcAttr{
		Setsid: true, // no terminal, nor its signals; a process group of its own too
		// It ends by itself when the edge does, and must, to end the program's
		// descendants. The signal is to wake it should it have been stopped.
		Pdeathsig: syscall.SIGCONT,
	}
	var err error
	var out, errs *os.File
	if l.stdout, out, err = os.Pipe(); err != nil {
		return nil, fmt.Errorf("make a pipe: %w", err)
	}
	if l.stderr, errs, err = os.Pipe(); err != nil {
		l.stdout.Close()
		out.Close()
		return nil, fmt.Errorf("make a pipe: %w", err)
	}
	l.cmd.Stdout, l.cmd.Stderr = out, errs
	l.files = append(slices.Clone(files), out, errs)
	return l, nil
}

// Start keeps the thread that it starts from for as long as the launcher runs:
// the parent whose death counts is a thread.
func (l *launcherProcess) Start(context.Context) error {
	var err error
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err = l.cmd.Start()
		if err == nil {
			l.pid = l.cmd.Process.Pid
		}
		l.closeFiles()
		close(l.begun)
		if err == nil {
			l.status = l.cmd.Wait()
			close(l.exited)
		}
	}()
	<-l.begun
	if err != nil {
		return fmt.Errorf("start the launcher: %w", err)
	}
	return nil
}

// running tells whether it has been started, ever.
func (l *launcherProcess) running() bool {
	select {
	case <-l.begun:
		return l.pid != 0
	default:
		return false
	}
}

// abandon is for one that was never started, nor will be.
func (l *launcherProcess) abandon() {
	l.closeFiles()
	l.stdout.Close()
	l.stderr.Close()
}

// closeFiles leaves the inherited files to the launcher: their other ends would
// see no end while we have them too.
func (l *launcherProcess) closeFiles() {
	for _, f := range l.files {
		f.Close()
	}
	l.files = nil
}

// Kill is for go-plugin and for us. It kills the launcher and by that, through the
// kernel, the program. It is nothing if the launcher has gone.
func (l *launcherProcess) Kill(context.Context) error {
	if !l.running() {
		return nil
	}
	if err := l.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill the launcher: %w", err)
	}
	return nil
}

// Wait is called by go-plugin, when it has read all output.
func (l *launcherProcess) Wait(context.Context) error {
	close(l.drained)
	<-l.exited
	return l.status
}

func (l *launcherProcess) Stdout() io.ReadCloser           { return l.stdout }
func (l *launcherProcess) Stderr() io.ReadCloser           { return l.stderr }
func (l *launcherProcess) Name() string                    { return l.cmd.Path }
func (l *launcherProcess) Diagnose(context.Context) string { return "" }

func (l *launcherProcess) ID() string {
	if l.pid == 0 {
		return ""
	}
	return strconv.Itoa(l.pid)
}

func (l *launcherProcess) PluginToHost(network, addr string) (string, string, error) {
	return network, addr, nil
}

func (l *launcherProcess) HostToPlugin(network, addr string) (string, string, error) {
	return network, addr, nil
}
