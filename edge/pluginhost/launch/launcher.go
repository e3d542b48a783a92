package launch

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
)

// stageArgument makes a launcher's executable the stage.
const stageArgument = "stage"

// ErrByHand is Run's for a process that the edge has not started.
var ErrByHand = errors.New("plugin-run is for the edge to start plugins with, not for people")

// Run is all that the command plugin-run does, given its arguments: the launcher,
// or with the argument "stage" the stage. The process is to end when it returns. An
// error other than ErrByHand is why the program was not started, and the edge has
// been told. The stage, if all goes well, does not return.
func Run(args []string) error {
	switch {
	case os.Getenv(handshake.MagicCookieKey) != handshake.MagicCookieValue:
		return ErrByHand
	case len(args) == 0:
		return runLauncher()
	case len(args) == 1 && args[0] == stageArgument:
		return runStage()
	}
	return fmt.Errorf("%w: arguments %q", ErrByHand, args)
}

// launcher is what the launcher knows.
type launcher struct {
	orders    orders
	notices   *json.Encoder
	stage     net.Conn      // to the stage
	dismissed chan struct{} // closed when the edge wants an end, or is gone
	served    chan struct{} // closed when go-plugin's server has ended
	output    *output
	family    *family
	program   int // its process id
	began     time.Time
}

func runLauncher() error {
	// go-plugin gives the variables os.Stdout and os.Stderr other files soon.
	stderr := os.Stderr
	// A log line to an edge that is no more must not end us before the program; and
	// SIGTERM is for the edge to act on. A handler, other than SIG_IGN, is not
	// inherited.
	signal.Notify(make(chan os.Signal, 1), unix.SIGPIPE, unix.SIGTERM, unix.SIGINT, unix.SIGHUP)
	for fd := dataFD; fd < pinnedFD+pins(); fd++ {
		unix.CloseOnExec(fd)
	}
	inherited := os.NewFile(controlFD, "control")
	control, err := net.FileConn(inherited)
	if err != nil {
		return fmt.Errorf("use the socket of orders: %w", err)
	}
	inherited.Close()
	l := &launcher{notices: json.NewEncoder(control), output: newOutput(stderr), dismissed: make(chan struct{}), served: make(chan struct{})}
	if err = l.prepare(stderr); err == nil {
		err = l.start(control)
	}
	if err != nil {
		l.killAll()
		l.output.finish()
		_ = l.notices.Encode(notice{Refused: err.Error()})
		return err
	}
	l.attend()
	return nil
}

// prepare does what needs no orders: it makes the stage, and serves go-plugin.
func (l *launcher) prepare(stderr *os.File) error {
	// What loses its parent below us becomes our child, to be found and ended.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("become the subreaper: %w", err)
	}
	var theirs *os.File
	var err error
	if l.stage, theirs, err = socketpair(); err != nil {
		return err
	}
	if err := l.startStage(theirs); err != nil {
		return err
	}
	go func() {
		defer close(l.served)
		goplugin.Serve(&goplugin.ServeConfig{
			HandshakeConfig: handshake,
			Plugins:         plugins,
			GRPCServer:      func(o []grpc.ServerOption) *grpc.Server { return grpc.NewServer(o...) },
			Logger:          hclog.New(&hclog.LoggerOptions{Level: hclog.Warn, Output: stderr, JSONFormat: true}),
		})
	}()
	return nil
}

// start waits for the orders, hands them on to the stage, and waits until that has
// become the program.
func (l *launcher) start(control net.Conn) error {
	ordered := make(chan error, 1)
	go func() {
		defer close(l.dismissed)
		err := json.NewDecoder(control).Decode(&l.orders)
		if ordered <- err; err == nil {
			_, _ = io.Copy(io.Discard, control) // until the edge's end of it is no more
		}
	}()
	select {
	case err := <-ordered:
		if err != nil {
			return fmt.Errorf("read orders: %w", err)
		}
	case <-l.served:
		return errors.New("go-plugin's server has ended")
	}
	stage := l.stage
	defer stage.Close()
	l.orders.Launcher = os.Getpid()
	if err := json.NewEncoder(stage).Encode(l.orders); err != nil {
		return fmt.Errorf("give orders to the stage: %w", err)
	}
	go func() {
		<-l.dismissed
		stage.Close() // or a stage that hangs would keep us
	}()
	var v verdict
	for decoder := json.NewDecoder(stage); ; {
		err := decoder.Decode(&v)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("hear from the stage: %w", err)
		}
		if v.Error != "" {
			return errors.New(v.Error)
		}
	}
	if v.Report == nil {
		return errors.New("the stage ended before it had executed the program")
	}
	l.began = time.Now()
	return l.notices.Encode(notice{Started: &started{PID: l.program, Report: v.Report}})
}

// startStage starts it from a thread that stays for as long as we do, since the
// kernel takes the end of that thread for the end of the parent.
func (l *launcher) startStage(control *os.File) error {
	null, err := os.Open(os.DevNull)
	if err != nil {
		return fmt.Errorf("open standard input: %w", err)
	}
	stdout, stderr, err := l.output.pipes()
	if err != nil {
		return err
	}
	data := os.NewFile(dataFD, "data")
	files := []*os.File{null, stdout, stderr, data, control}
	for i := range pins() {
		files = append(files, os.NewFile(uintptr(pinnedFD+i), "pinned"))
	}
	result := make(chan error)
	go func() {
		runtime.LockOSThread()
		p, err := os.StartProcess("/proc/self/exe", append(os.Args[:len(os.Args):len(os.Args)], stageArgument), &os.ProcAttr{
			Dir: "/", Env: os.Environ(), Files: files,
			Sys: &syscall.SysProcAttr{Setpgid: true, Pdeathsig: unix.SIGKILL},
		})
		if err == nil {
			l.program = p.Pid
			_ = p.Release() // the family waits for it
		}
		result <- err
		select {}
	}()
	err = <-result
	for _, f := range files { // or the other ends would never see the program's end
		f.Close()
	}
	if err != nil {
		return fmt.Errorf("start the stage: %w", err)
	}
	l.family = newFamily(l.program)
	return nil
}

// attend waits until the program has ended, or has to.
func (l *launcher) attend() {
	select {
	case <-l.family.firstGone:
	case <-l.served:
	case <-l.dismissed:
	}
	ran := time.Since(l.began)
	l.killAll()
	l.output.finish()
	end := ended{Ran: ran, Said: l.output.lastWords()}
	if status, ok := l.family.firstStatus(); !ok {
		end.Status = -1 // the kernel has not let go of it
	} else if status.Signaled() {
		end.Signal = int(status.Signal())
	} else {
		end.Status = status.ExitStatus()
	}
	_ = l.notices.Encode(notice{Ended: &end})
}

// killAll ends the program and all that descends from it. The cgroup it removes,
// too, since there may be no edge any more to do so.
func (l *launcher) killAll() {
	if l.family == nil {
		return
	}
	if l.orders.Cgroup == "" {
		l.family.kill()
		return
	}
	group := &cgroup{path: l.orders.Cgroup}
	group.kill()
	l.family.kill()
	group.end()
}
