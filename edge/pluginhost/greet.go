package pluginhost

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/sdk/frame"
)

// start starts a process and makes it ready to be asked: it says who it is, takes
// its configuration, and answers a PING. It is within the start timeout.
// What is prepared is nil for nothing.
func (p *Plugin) start(ctx context.Context, prepared Prepared) (*instance, error) {
	limit := p.cfg.StartTimeout.Std()
	began := time.Now()
	deadline := began.Add(limit)
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	var process Process
	var err error
	switch {
	case p.cfg.Attach != "":
		process, err = attach(ctx, p.socket, limit)
	case prepared != nil:
		process, err = prepared.Start(ctx)
	default:
		process, err = p.host.start(ctx, p.spec)
	}
	if err != nil {
		return nil, err
	}
	i, err := p.greet(ctx, process, deadline)
	if err != nil {
		err = p.explain(process, err)
		process.Kill()
		process.Conn().Close()
		return nil, err
	}
	i.took = time.Since(began)
	return i, nil
}

// explain finds out whether a start has failed because the process ended, which
// is the better answer.
func (p *Plugin) explain(process Process, err error) error {
	const moment = 200 * time.Millisecond // the socket closes before the process has
	select {
	case <-process.Done():
		return fmt.Errorf("%w; %w", err, endOf(process))
	case <-time.After(moment):
		return err
	}
}

func (p *Plugin) greet(ctx context.Context, process Process, deadline time.Time) (*instance, error) {
	conn := process.Conn()
	conn.SetDeadline(deadline)
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })()
	r := &reading{src: conn, buf: make([]byte, 64<<10), longest: frame.DefaultMax}

	f, err := p.expect(r, frame.Hello)
	if err != nil {
		return nil, err
	}
	hello, err := frame.ParseHello(f.Body)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(hello.Protocols, frame.Protocol) {
		return nil, fmt.Errorf("speaks versions %v of the protocol: want %d", hello.Protocols, frame.Protocol)
	}
	if missing := p.wanted &^ hello.Hooks; missing != 0 {
		return nil, fmt.Errorf("implements the hooks %v: want %v too, as configured", hello.Hooks, missing)
	}
	if p.known != nil && !contains(p.known.Owns, hello.Owns) {
		return nil, fmt.Errorf("owns the headers %s now, which clients may have sent: want a reload", strings.Join(hello.Owns, ", "))
	}
	out, err := newOutbox(conn)
	if err != nil {
		return nil, err
	}

	configure := frame.ConfigureBody{Protocol: frame.Protocol, MaxFrame: hello.MaxFrame, Config: []byte(p.cfg.Config)}
	head := frame.Begin(nil, frame.Configure, 0)
	if _, err := conn.Write(frame.End(configure.Append(head), 0)); err != nil {
		return nil, fmt.Errorf("configure: %w", err)
	}
	r.longest = hello.MaxFrame
	if f, err = p.expect(r, frame.Configured); err != nil {
		return nil, fmt.Errorf("configure: %w", err)
	}
	configured, err := frame.ParseConfigured(f.Body)
	if err != nil {
		return nil, err
	}
	if configured.Error != "" {
		return nil, fmt.Errorf("refuses its configuration: %s", configured.Error)
	}
	if configured.Needs != nil {
		if !frame.Covers(hello.Needs, configured.Needs) {
			return nil, fmt.Errorf("%w: CONFIGURED needs %s, which HELLO has not", frame.ErrMalformed, strings.Join(configured.Needs, ", "))
		}
		hello.Needs = configured.Needs
	}
	n, err := newNeeds(hello.Needs)
	if err != nil {
		return nil, err
	}
	if _, err := conn.Write(frame.Append(nil, frame.Ping, 1)); err != nil {
		return nil, fmt.Errorf("ping: %w", err)
	}
	if f, err = p.expect(r, frame.Pong); err != nil {
		return nil, fmt.Errorf("ping: %w", err)
	}
	if f.ID != 1 {
		return nil, fmt.Errorf("%w: PONG with id %d, want 1", frame.ErrMalformed, f.ID)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	conn.SetDeadline(time.Time{})

	i := &instance{
		plugin:  p,
		process: process,
		hello:   hello,
		needs:   n,
		longest: hello.MaxFrame,
		cache:   newCache(p.cfg.Cache.Entries, cacheBytes, n.leaf),
		started: time.Now(),
		out:     out,
		waiting: map[uint32]*call{},
		lastID:  1,
		suspect: make(chan struct{}, 1),
		pongs:   make(chan uint32, 1),
		dead:    make(chan struct{}),
	}
	i.run(r)
	return i, nil
}

// expect returns the next frame of a type. Lines for the log may come before it,
// and what makes no difference yet.
func (p *Plugin) expect(r *reading, want frame.Type) (frame.Frame, error) {
	for {
		f, err := r.next()
		if err != nil {
			return f, fmt.Errorf("wait for %v: %w", want, err)
		}
		switch {
		case f.Type == want:
			return f, nil
		case f.Type == frame.Log && want != frame.Hello:
			body, err := frame.ParseLog(f.Body)
			if err != nil {
				return f, err
			}
			p.log(body)
		case f.Type == frame.Invalidate && want == frame.Pong:
			// There is nothing to forget.
		default:
			return f, fmt.Errorf("%w: %v where %v is due", frame.ErrMalformed, f.Type, want)
		}
	}
}

// contains says whether all of list are in set.
func contains(set, list []string) bool {
	for _, s := range list {
		if !slices.Contains(set, s) {
			return false
		}
	}
	return true
}
