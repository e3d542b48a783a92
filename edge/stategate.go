package edge

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sallyport/sallyport/edge/admin"
)

// stateGate is what operators change of an edge passes through it: revocations,
// uploads, bans by hand. It is closed while an upgrade hands over, so that each
// change either is in what the successor reads before it takes the first
// connection, or is refused: none is answered for and in force in the wrong process
// only. The zero stateGate is open.
type stateGate struct {
	mu      sync.Mutex
	under   []*changing
	idle    chan struct{} // closed when the last of under is over; nil: nobody waits
	decided chan struct{} // closed when it is known who serves; nil: the gate is open
	heir    int           // pid of the process that serves instead; 0: none
}

// changing is a change under way.
type changing struct {
	what  string
	since time.Time
}

// change runs do as a change, what it is being for people. While the gate is closed,
// it waits for the outcome, or until ctx is done. The error is an *admin.MovedError
// once another process serves.
func (g *stateGate) change(ctx context.Context, what string, do func() error) error {
	over, err := g.enter(ctx, what)
	if err != nil {
		return err
	}
	defer over()
	return do()
}

// enter is change for who calls over when it is done.
func (g *stateGate) enter(ctx context.Context, what string) (over func(), err error) {
	for {
		g.mu.Lock()
		if err := g.movedLocked(); err != nil {
			g.mu.Unlock()
			return nil, err
		}
		decided := g.decided
		if decided == nil {
			c := &changing{what, time.Now()}
			g.under = append(g.under, c)
			g.mu.Unlock()
			return func() { g.end(c) }, nil
		}
		g.mu.Unlock()
		select {
		case <-decided:
		case <-ctx.Done():
			return nil, fmt.Errorf("%s: nothing is changed while an upgrade hands over: %w", what, context.Cause(ctx))
		}
	}
}

func (g *stateGate) end(c *changing) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.under = slices.DeleteFunc(g.under, func(other *changing) bool { return other == c })
	if len(g.under) == 0 && g.idle != nil {
		close(g.idle)
		g.idle = nil
	}
}

// close lets nothing in any more, and waits for what is under way until ctx is done:
// then it is open again, and the error says what that is.
func (g *stateGate) close(ctx context.Context) error {
	g.mu.Lock()
	g.decided = make(chan struct{})
	if len(g.under) == 0 {
		g.mu.Unlock()
		return nil
	}
	idle := make(chan struct{})
	g.idle = idle
	g.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
	}
	g.mu.Lock()
	var list []string
	for _, c := range g.under {
		list = append(list, fmt.Sprintf("%s (for %s)", c.what, time.Since(c.since).Round(time.Second)))
	}
	g.idle = nil
	g.mu.Unlock()
	if len(list) == 0 { // over in this moment
		return nil
	}
	g.open()
	return fmt.Errorf("a change is under way: %s: upgrade again when it is done", strings.Join(list, ", "))
}

// open lets changes in again: this process goes on.
func (g *stateGate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.decide()
}

// leave refuses all changes from here on: the process of that id serves.
func (g *stateGate) leave(pid int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.heir = pid
	g.decide()
}

func (g *stateGate) decide() {
	if g.decided != nil {
		close(g.decided)
		g.decided = nil
	}
}

// moved is an *admin.MovedError if another process serves.
func (g *stateGate) moved() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.movedLocked()
}

func (g *stateGate) movedLocked() error {
	if g.heir == 0 {
		return nil
	}
	return &admin.MovedError{PID: g.heir}
}

// unlessMoved runs do, which takes no time, unless another process serves; and none
// does before do has returned.
func (g *stateGate) unlessMoved(do func()) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.movedLocked(); err != nil {
		return err
	}
	do()
	return nil
}

// upload is a change that begins when all of its data has come: a client that takes
// its time, or hangs, keeps nobody from upgrading.
type upload struct {
	ctx  context.Context
	gate *stateGate
	what string
	data io.Reader
	over func() // nil: it has not begun
	err  error  // why it must not
}

// Read reads the data. It returns io.EOF only when the gate has let the change in.
func (u *upload) Read(p []byte) (int, error) {
	n, err := u.data.Read(p)
	if err != io.EOF || u.over != nil {
		return n, err
	}
	if u.over, u.err = u.gate.enter(u.ctx, u.what); u.err != nil {
		return n, u.err
	}
	return n, io.EOF
}

// end is called when what was uploaded is in force, or refused.
func (u *upload) end() {
	if u.over != nil {
		u.over()
	}
}
