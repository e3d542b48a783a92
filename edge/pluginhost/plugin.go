package pluginhost

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/sdk/frame"
)

// Plugin is one plugin under one configuration, over the starts of its process. A
// reload that changes either makes a new one.
type Plugin struct {
	host *Host
	name string
	cfg  config.Plugin
	spec Spec
	// socket is what to attach to; empty to start spec.
	socket string
	files  []file // that its command names, as they were
	shape  *shape // of a plugin that is no program: it has no process, and is not supervised
	stats  *stats

	wanted frame.Hooks      // by the configuration; 0 for all
	hooks  frame.Hooks      // in use
	known  *frame.HelloBody // of the first start

	rules   atomic.Pointer[rules]
	current atomic.Pointer[instance] // the last one; it may be dead
	// version counts what ends the verdicts on open connections: INVALIDATEs, starts of
	// another process, and changes of the rules about headers.
	version atomic.Uint64
	chatter limiter
	loud    [failures + 1]limiter

	cancel context.CancelFunc // ends the supervision
	again  chan struct{}      // starts a process now that waits for its time
	over   chan struct{}      // closed when the supervision has ended

	mu       sync.Mutex
	state    State
	trouble  string // why it last ended, or was not started
	restarts uint64
	next     time.Time // the next start
}

// State is what a plugin is doing.
type State string

const (
	Serving  State = "serving"
	Broken   State = "not asked" // its breaker is open
	Waiting  State = "restarting"
	Degraded State = "degraded" // ends again and again
	Leaving  State = "leaving"
)

// supervise keeps a process running until ctx is done.
func (p *Plugin) supervise(ctx context.Context) {
	defer close(p.over)
	var wait backoff
	for {
		i := p.current.Load()
		select {
		case <-ctx.Done():
			p.set(Leaving, "")
			i.dismiss()
			return
		case <-i.dead:
		}
		i.wait()
		select {
		case <-p.again: // of a time when there was nothing to start
		default:
		}
		err, lived := i.why(), time.Since(i.started)
		p.host.log.Error("plugin ended", "plugin", p.name, "cause", err, "lived", lived.Round(time.Millisecond).String())
		for ; ; lived = 0 {
			prepared, due := p.pause(ctx, &wait, lived, err)
			if !due {
				return
			}
			next, failed := p.start(ctx, prepared)
			if failed == nil {
				p.current.Store(next)
				p.version.Add(1) // after that: who sees it asks the new process
				p.set(Serving, "")
				p.host.log.Info("plugin started again", "plugin", p.name, "pid", next.process.Pid(), "took", next.took.Round(time.Millisecond).String())
				break
			}
			if ctx.Err() == nil {
				p.host.log.Error("plugin not started", "plugin", p.name, "cause", failed)
			}
			err = failed
		}
	}
}

// why is the cause of an instance's end: that of its process, where that came
// first.
func (i *instance) why() error {
	select {
	case <-i.process.Done():
		if errors.Is(i.cause, errHungUp) {
			return endOf(i.process)
		}
	default:
	}
	return i.cause
}

// prepareTime is how long before a start is due it is prepared.
const prepareTime = time.Second

// pause waits for the time of the next start, and prepares it. It says no if there
// is none. What is prepared is nil for nothing.
func (p *Plugin) pause(ctx context.Context, b *backoff, lived time.Duration, cause error) (prepared Prepared, due bool) {
	wait, degraded := shortWait, false
	if lived > 0 || !isShortage(cause) {
		wait, degraded = b.next(p.host.clock(), lived, rand.Float64())
	}
	state := Waiting
	if degraded {
		state = Degraded
		p.host.log.Error("plugin degraded: it ends again and again", "plugin", p.name, "next_start", wait.Round(time.Millisecond).String())
	}
	p.set(state, cause.Error())
	at := time.Now().Add(wait)
	p.mu.Lock()
	p.next = at
	p.restarts++
	p.mu.Unlock()
	p.stats.restarts.Add(1)
	due, hurried := p.until(ctx, at.Add(-prepareTime))
	if due && p.host.prepare != nil && p.cfg.Attach == "" {
		var err error
		if prepared, err = p.host.prepare(p.spec); err != nil {
			prepared = nil // the start will say what is wrong
		}
	}
	if due && !hurried {
		due, hurried = p.until(ctx, at)
	}
	if !due {
		p.set(Leaving, "")
		if prepared != nil {
			prepared.Discard()
		}
		return nil, false
	}
	if hurried {
		*b = backoff{}
	}
	return prepared, true
}

// until waits for a time, or for somebody who cannot: then it is hurried. It says no
// if ctx ends first.
func (p *Plugin) until(ctx context.Context, at time.Time) (due, hurried bool) {
	timer := time.NewTimer(time.Until(at))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false, false
	case <-timer.C:
		return true, false
	case <-p.again:
		return true, true
	}
}

func (p *Plugin) set(s State, trouble string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state = s
	if trouble != "" {
		p.trouble = trouble
	}
}

// hurry starts a process that waits for its time.
func (p *Plugin) hurry() {
	select {
	case p.again <- struct{}{}:
	default:
	}
}

var errDismissed = errors.New("dismissed")

// leaveTime is how long a process has to end by itself, behind its last answers.
const leaveTime = time.Second

// dismiss lets a process answer what it was asked, and then end.
func (i *instance) dismiss() {
	o := i.out
	o.mu.Lock()
	i.leaving = true
	patience := leaveTime
	if len(i.waiting) > 0 {
		patience += i.plugin.cfg.Timeout.Std()
	}
	i.tell(frame.GoAway, 0)
	select {
	case <-i.dead:
	case <-time.After(patience):
	}
	i.stop(errDismissed)
	i.wait()
}

// complain says that there was no verdict, once in a while for each failure.
func (p *Plugin) complain(f Failure, cause error) {
	if !p.loud[f].allow(p.host.clock()) {
		return
	}
	attrs := []any{"plugin", p.name, "failure", f.String()}
	if cause != nil {
		attrs = append(attrs, "cause", cause)
	}
	p.host.log.Warn("no verdict from plugin", attrs...)
}

// failOpen notes that something passes without a verdict, as the configuration
// says.
func (p *Plugin) failOpen(h Hook, f Failure) {
	n := p.stats.hooks[h].allowed.Add(1)
	if p.loud[failures].allow(p.host.clock()) {
		p.host.log.Error("LET IN WITHOUT A VERDICT, as on_error is allow", "plugin", p.name, "hook", h.String(), "failure", f.String(), "so_far", n)
	}
}

// limiter lets something happen ten times at once, and once in a second.
type limiter struct {
	mu     sync.Mutex
	tokens float64
	last   time.Duration
	used   bool
}

func (l *limiter) allow(now time.Duration) bool {
	const most, rate = 10, 1
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.used {
		l.tokens, l.used = most, true
	}
	l.tokens = min(most, l.tokens+(now-l.last).Seconds()*rate)
	l.last = now
	if l.tokens < 1 {
		return false
	}
	l.tokens--
	return true
}

// asks says whether the plugin is asked at this hook.
func (p *Plugin) asks(h Hook) bool {
	switch h {
	case OnConnection:
		return p.hooks&frame.HookConnection != 0
	case OnRequest:
		return p.hooks&(frame.HookRequest|frame.HookShapeRequest) != 0
	}
	return p.hooks&frame.HookShapeResponse != 0
}

// hooksOf are those that a configuration names.
func hooksOf(cfg config.Plugin) (set frame.Hooks) {
	for _, name := range cfg.Hooks {
		hook, _ := frame.ParseHook(string(name))
		set |= hook
	}
	return set
}

// settle takes what a first start has shown.
func (p *Plugin) settle(i *instance) {
	hello := i.hello
	p.known = &hello
	p.hooks = p.wanted
	if p.hooks == 0 {
		p.hooks = hello.Hooks
	}
	slices.Sort(p.known.Owns)
	p.current.Store(i)
	p.state = Serving
	p.host.log.Info("plugin started", "plugin", p.name, "name", hello.Name, "version", hello.Version, "pid", i.process.Pid(), slog.String("hooks", p.hooks.String()))
}
