package launch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"time"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/runner"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// handshake is go-plugin's. The version is that of orders and notices; the cookie
// tells a launcher from somebody's plugin-run by hand.
var handshake = goplugin.HandshakeConfig{
	ProtocolVersion:  1,
	MagicCookieKey:   "SALLYPORT_PLUGIN_RUN",
	MagicCookieValue: "c1f6c8a2-launched-by-the-edge",
}

// noService is what the launcher has to offer over gRPC beside what go-plugin
// brings itself: nothing. go-plugin tells by it that it is to be gRPC.
type noService struct {
	goplugin.NetRPCUnsupportedPlugin
}

var _ goplugin.GRPCPlugin = noService{}

func (noService) GRPCServer(*goplugin.GRPCBroker, *grpc.Server) error { return nil }
func (noService) GRPCClient(context.Context, *goplugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, errors.New("the launcher has no service")
}

var plugins = goplugin.PluginSet{"program": noService{}}

// Start runs a program and returns when it has been executed, or has not: when the
// launcher could not be started, the sandbox refused, a checksum is another, the
// exec failed, or ctx or Spec.StartTimeout were over. Then nothing of it is left.
// That the program is well is for its frames to show. ctx is of no consequence once
// Start has returned. It is safe for concurrent use.
func Start(ctx context.Context, spec Spec, o Options) (*Process, error) {
	r, err := Prepare(spec, o)
	if err != nil {
		return nil, err
	}
	return r.Start(ctx)
}

// Prepared is a launcher, with the stage behind it, that waits for its orders: all
// of a start that can be done before it is due. Either Start or Discard must be
// called, once.
type Prepared struct {
	process *Process
	orders  []byte
	timeout time.Duration
}

// Prepare starts a launcher that will run a program when it is told. What is pinned
// has been read when it returns. It does not wait for the launcher.
func Prepare(spec Spec, o Options) (*Prepared, error) {
	r, err := prepare(spec, o)
	if err != nil {
		return nil, fmt.Errorf("start plugin %s: %w", spec.Name, err)
	}
	return r, nil
}

func prepare(spec Spec, o Options) (*Prepared, error) {
	if err := spec.check(); err != nil {
		return nil, err
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	env, err := Environment(spec.Env)
	if err != nil {
		return nil, err
	}
	program, err := openProgram(&spec, env)
	if err != nil {
		return nil, err
	}
	defer program.close()
	if program.node {
		// Node would look for the main file where the link in /proc points to.
		env = set(env, "NODE_PRESERVE_SYMLINKS_MAIN", "NODE_PRESERVE_SYMLINKS_MAIN=1")
	}
	orders := &orders{
		Name: spec.Name, Path: program.path, Args: program.arguments(spec.Command), Env: env, Dir: spec.Dir,
		Pinned: program.pinned != nil, Script: program.script,
		Files: argumentFiles(&spec), Sandbox: spec.Sandbox,
	}
	if program.pinned == nil {
		orders.Files = append(orders.Files, program.path)
	}
	p := &Process{name: spec.Name, done: make(chan struct{}), told: make(chan struct{}), shaken: make(chan error, 1)}
	p.life, p.over = context.WithCancel(context.Background())
	if p.dir, err = newRunDir(o.RunDir); err != nil {
		p.over()
		return nil, err
	}
	if err := p.place(orders, o); err != nil {
		p.release()
		return nil, err
	}
	r := &Prepared{process: p, timeout: spec.StartTimeout}
	if r.orders, err = json.Marshal(orders); err == nil {
		err = p.launch(program.pins(), o)
	}
	if err != nil {
		p.release()
		return nil, err
	}
	return r, nil
}

// Start is the rest of a start; see the function Start.
func (r *Prepared) Start(ctx context.Context) (*Process, error) {
	p := r.process
	ctx, cancel := context.WithTimeoutCause(ctx, r.timeout, fmt.Errorf("not started within %v", r.timeout))
	defer cancel()
	if err := p.start(ctx, r.orders); err != nil {
		return nil, fmt.Errorf("start plugin %s: %w", p.name, err)
	}
	return p, nil
}

// Discard ends a launcher that is not needed any more, and waits until nothing of it
// is left, for KillWithin at the latest.
func (r *Prepared) Discard() {
	p := r.process
	over := false
	select {
	case <-p.launcher.begun:
	case <-p.shaken:
		over = true
	}
	if !p.launcher.running() {
		p.abandon()
		return
	}
	go p.finish()
	p.Kill()
	select {
	case <-p.done:
	default: // in the kernel's hands
		return
	}
	if !over {
		<-p.shaken // soon: there is nobody to shake hands with any more
	}
	p.disconnect()
}

// start gives the launcher its orders, and waits until it has carried them out.
func (p *Process) start(ctx context.Context, orders []byte) error {
	p.work.Go(func() {
		// It fails if the launcher ends first, which is seen elsewhere.
		_, _ = p.control.Write(orders)
	})
	err := p.settled(ctx)
	if !p.launcher.running() {
		p.abandon()
		return err
	}
	go p.finish()
	if err == nil {
		return nil
	}
	p.Kill()
	select {
	case <-p.done:
	default: // in the kernel's hands
		return err
	}
	return p.whyNotStarted(context.Cause(ctx), err)
}

// settled waits until the launcher has shown itself well and the program has been
// executed, or neither will be.
func (p *Process) settled(ctx context.Context) error {
	var err error
	select {
	case err = <-p.shaken:
	case <-ctx.Done():
		select {
		case <-p.launcher.begun: // its end is that of all of go-plugin's waiting
			p.strike()
			<-p.shaken
		case <-p.shaken:
		}
		return context.Cause(ctx) // even if it was well until then
	}
	if err != nil {
		return err
	}
	select {
	case <-p.told:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.refused != "":
		return errors.New(p.refused)
	case p.started.PID == 0:
		return errors.New("the launcher ended without a word about the program")
	}
	return nil
}

// place finds the user and makes the cgroup.
func (p *Process) place(orders *orders, o Options) error {
	var err error
	if p.account, err = resolveUser(orders.Sandbox.User, p.name, p.dir); err != nil {
		return err
	}
	if p.account != nil {
		orders.Own, orders.UID, orders.GID = true, p.account.uid, p.account.gid
	}
	group, in, err := newCgroup(o.Cgroup, p.name, &orders.Sandbox)
	if err != nil {
		orders.CgroupWhyNot = err.Error()
	}
	if group == nil {
		return nil
	}
	p.cgroup, orders.Cgroup = group, group.path
	for _, l := range in {
		orders.CgroupDetail += " " + l.file + "=" + l.value
		orders.MemoryByCgroup = orders.MemoryByCgroup || l.file == "memory.max"
		orders.TasksByCgroup = orders.TasksByCgroup || l.file == "pids.max"
	}
	return p.dir.remember(group.path)
}

// launch starts the launcher, and shakes hands with it in the background.
func (p *Process) launch(pins []*os.File, o Options) error {
	files, err := p.connect(pins)
	if err == nil {
		p.launcher, err = newLauncherProcess(o.Launcher, files)
	}
	if err != nil {
		for _, f := range files {
			f.Close()
		}
		return err
	}
	client := goplugin.NewClient(&goplugin.ClientConfig{
		HandshakeConfig: handshake,
		Plugins:         plugins,
		RunnerFunc: func(_ hclog.Logger, cmd *exec.Cmd, _ string) (runner.Runner, error) {
			p.launcher.cmd.Env = append(cmd.Env, fmt.Sprintf("%s=%d", pinsVariable, len(pins)))
			return p.launcher, nil
		},
		StartTimeout:     time.Hour, // it is killed long before
		AllowedProtocols: []goplugin.Protocol{goplugin.ProtocolGRPC},
		Logger:           &outputLog{log: o.Log.With(slog.String("plugin", p.name))},
		SkipHostEnv:      true,
		UnixSocketConfig: &goplugin.UnixSocketConfig{TempDir: p.dir.path},
	})
	p.work.Go(p.listen)
	go func() { p.shaken <- p.handshake(client) }()
	return nil
}

// handshake starts the launcher, and returns when it has shown itself well.
func (p *Process) handshake(client *goplugin.Client) error {
	addr, err := client.Start()
	if err != nil {
		return err
	}
	// go-plugin's own connection has calls without a deadline, and lives on if the
	// launcher ends at the wrong moment.
	conn, err := grpc.NewClient("passthrough:///launcher",
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, addr.Network(), addr.String())
		}))
	if err != nil {
		return fmt.Errorf("connect to the launcher: %w", err)
	}
	p.mu.Lock()
	p.grpc = conn
	p.mu.Unlock()
	return p.Healthy(p.life)
}

// connect makes the sockets, and returns what the launcher is to inherit from
// descriptor 3 on.
func (p *Process) connect(pins []*os.File) (files []*os.File, err error) {
	var theirs *os.File
	if p.conn, theirs, err = socketpair(); err != nil {
		return files, err
	}
	files = append(files, theirs)
	if p.control, theirs, err = socketpair(); err != nil {
		return files, err
	}
	files = append(files, theirs)
	for _, pin := range pins {
		fd, err := unix.FcntlInt(pin.Fd(), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			return files, fmt.Errorf("duplicate the descriptor of a copy: %w", err)
		}
		files = append(files, os.NewFile(uintptr(fd), "plugin"))
	}
	return files, nil
}

// socketpair returns our end and the other's, which is not non-blocking: a program
// may use it as it likes.
func socketpair() (*net.UnixConn, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make a socket pair: %w", err)
	}
	ours := os.NewFile(uintptr(fds[0]), "ours")
	theirs := os.NewFile(uintptr(fds[1]), "theirs")
	defer ours.Close()
	conn, err := net.FileConn(ours)
	if err != nil {
		theirs.Close()
		return nil, nil, fmt.Errorf("use a socket pair: %w", err)
	}
	return conn.(*net.UnixConn), theirs, nil
}
