package pluginhost

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// Spec is a process to start.
type Spec struct {
	Name         string
	Command      []string
	Dir          string            // that its relative names are taken from
	SHA256       string            // of the program, in hex; empty for any
	Pinned       map[string]string // the same of arguments, by the argument
	Env          map[string]string
	User         string // empty for the edge's own
	Network      bool
	Files        []string // to read beside Dir
	Write        []string // to change
	Memory       int64    // bytes; 0 for no bound
	CPU          float64  // processors; 0 for no bound
	Tasks        int      // processes and threads; 0 for no bound
	Require      bool     // refuse to start with less of a sandbox than is asked for
	StartTimeout time.Duration
}

// Process is a plugin's, from its start to its end.
type Process interface {
	// Conn is the socket on which the plugin speaks frames. Nothing was read of it.
	Conn() *net.UnixConn
	// Done is closed when the process is no more.
	Done() <-chan struct{}
	// Err says how it ended, once Done is closed.
	Err() error
	// Kill ends the process and all that it has started, and returns soon.
	Kill()
	// Pid is 0 for one that somebody else has started.
	Pid() int
	// Report says what of the sandbox is in force.
	Report() []Protection
}

// Protection is one part of a sandbox.
type Protection struct {
	Name    string `json:"name"`
	InForce bool   `json:"in_force"`
	Detail  string `json:"detail,omitempty"` // what it is, or why it is not in force
}

// Starter starts a process. It returns within spec.StartTimeout.
type Starter func(ctx context.Context, spec Spec) (Process, error)

// Preparer does what can be done of a start before it is due. It does not wait.
type Preparer func(spec Spec) (Prepared, error)

// Prepared is a start that is due any time. One of its methods must be called, once.
type Prepared interface {
	Start(ctx context.Context) (Process, error) // as a Starter does
	Discard()                                   // and returns soon
}

// attached is a plugin that listens itself.
type attached struct {
	conn *net.UnixConn
	once sync.Once
	done chan struct{}
}

func attach(ctx context.Context, path string, timeout time.Duration) (Process, error) {
	d := net.Dialer{Timeout: timeout}
	conn, err := d.DialContext(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("attach to %s: %w", path, err)
	}
	return &attached{conn: conn.(*net.UnixConn), done: make(chan struct{})}, nil
}

var errDetached = errors.New("detached")

func (a *attached) Conn() *net.UnixConn   { return a.conn }
func (a *attached) Done() <-chan struct{} { return a.done }
func (a *attached) Err() error            { return errDetached }
func (a *attached) Pid() int              { return 0 }
func (a *attached) Report() []Protection  { return nil }

func (a *attached) Kill() {
	a.once.Do(func() {
		a.conn.Close()
		close(a.done)
	})
}
