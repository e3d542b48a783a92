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
// launcher could not be started, the sandbox refused, the program's checksum is
// another, the exec failed, or ctx or Spec.StartTimeout were over. Then nothing of
// it is left. That the program is well is for its frames to show. ctx is of no
// consequence once Start has returned. It is safe for concurrent use.
func Start(ctx context.Context, spec Spec, o Options) (*Process, error) {
	p, err := start(ctx, spec, o)
	if err != nil {
		return nil, fmt.Errorf("start plugin %s: %w", spec.Name, err)
	}
	return p, nil
}

func start(ctx context.Context, spec Spec, o Options) (*Process, error) {
	if err := spec.check(); err != nil {
		return nil, err
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, spec.StartTimeout, fmt.Errorf("not started within %v", spec.StartTimeout))
	defer cancel()

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
		Name: spec.Name, Path: program.path, Args: spec.Command, Env: env, Dir: spec.Dir,
		Pinned: program.pinned != nil, Script: program.script,
		Files: argumentFiles(spec.Command, spec.Dir), Sandbox: spec.Sandbox,
	}
	if program.pinned == nil {
		orders.Files = append(orders.Files, program.path)
	}
	p := &Process{name: spec.Name, done: make(chan struct{})}
	if p.dir, err = newRunDir(o.RunDir); err != nil {
		return nil, err
	}
	if err := p.place(orders, o); err != nil {
		p.release()
		return nil, err
	}
	if err := p.launch(ctx, orders, program.pinned, o); err != nil {
		return nil, err
	}
	return p, nil
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

// launch starts the launcher, gives it its orders and waits until it has carried
// them out.
func (p *Process) launch(ctx context.Context, orders *orders, pinned *os.File, o Options) error {
	files, err := p.connect(pinned)
	if err != nil {
		p.release()
		return err
	}
	encoded, err := json.Marshal(orders)
	if err == nil {
		p.launcher, err = newLauncherProcess(o.Launcher, files)
	}
	if err != nil {
		for _, f := range files {
			f.Close()
		}
		p.release()
		return err
	}
	client := goplugin.NewClient(&goplugin.ClientConfig{
		HandshakeConfig: handshake,
		Plugins:         plugins,
		RunnerFunc: func(_ hclog.Logger, cmd *exec.Cmd, _ string) (runner.Runner, error) {
			p.launcher.cmd.Env = cmd.Env
			return p.launcher, nil
		},
		StartTimeout:     time.Hour, // ctx is over long before
		AllowedProtocols: []goplugin.Protocol{goplugin.ProtocolGRPC},
		Logger:           &outputLog{log: o.Log.With(slog.String("plugin", p.name))},
		SkipHostEnv:      true,
		UnixSocketConfig: &goplugin.UnixSocketConfig{TempDir: p.dir.path},
	})
	result := make(chan error, 1)
	go func() { result <- p.handshake(ctx, client, encoded) }()
	select {
	case err = <-result:
	case <-ctx.Done():
		select {
		case <-p.launcher.begun: // its end is that of all of go-plugin's waiting
			p.strike()
			<-result
		case <-result:
		}
		err = context.Cause(ctx) // even if it was well until then
	}
	if !p.launcher.running() {
		p.launcher.abandon()
		p.release()
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

// handshake starts the launcher, and returns when it has shown itself well, the
// program then having been executed.
func (p *Process) handshake(ctx context.Context, client *goplugin.Client, orders []byte) error {
	p.work.Go(func() {
		// It fails if the launcher ends first, which is seen elsewhere.
		_, _ = p.control.Write(orders)
	})
	p.work.Go(p.listen)
	addr, err := client.Start()
	if err != nil {
		return err
	}
	// go-plugin's own connection has calls without a deadline, and lives on if the
	// launcher ends at the wrong moment.
	p.grpc, err = grpc.NewClient("passthrough:///launcher",
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, addr.Network(), addr.String())
		}))
	if err != nil {
		return fmt.Errorf("connect to the launcher: %w", err)
	}
	return p.Healthy(ctx)
}

// connect makes the sockets, and returns what the launcher is to inherit from
// descriptor 3 on.
func (p *Process) connect(pinned *os.File) (files []*os.File, err error) {
	defer func() {
		if err != nil {
			for _, f := range files {
				f.Close()
			}
		}
	}()
	var theirs *os.File
	if p.conn, theirs, err = socketpair(); err != nil {
		return files, err
	}
	files = append(files, theirs)
	if p.control, theirs, err = socketpair(); err != nil {
		return files, err
	}
	files = append(files, theirs)
	if pinned == nil {
		return files, nil
	}
	fd, err := unix.FcntlInt(pinned.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return files, fmt.Errorf("duplicate the descriptor of the program's copy: %w", err)
	}
	return append(files, os.NewFile(uintptr(fd), "plugin")), nil
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
