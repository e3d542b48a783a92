package plugintest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"
	"time"

	"github.com/sallyport/sallyport/edge/pluginhost"
	"github.com/sallyport/sallyport/sdk/frame"
)

// Misbehave has the plugin and its host go through what goes wrong in the field:
// the plugin is killed and stopped while it is asked, and it is told nonsense,
// given up on, and left alone. A plugin that somebody else has started is neither
// killed nor stopped.
func (p *Program) Misbehave(ctx context.Context, f *File) ([]Result, error) {
	var results []Result
	add := func(name string, got string, err error) {
		r := Result{Name: name, Got: got}
		if err != nil {
			r.Failed, r.Got = true, err.Error()
		}
		results = append(results, r)
	}
	if p.Attach == "" {
		got, err := p.struck(ctx, f, syscall.SIGKILL)
		add("crash: killed while it is asked", got, err)
		got, err = p.struck(ctx, f, syscall.SIGSTOP)
		add("hang: stopped while it is asked", got, err)
	}
	got, err := p.slow(ctx, f)
	add("slow: given up, then asked again", got, err)
	for _, g := range garbage {
		add("garbage: "+g.name, "it hung up and ended", p.told(ctx, f, g.bytes))
	}
	add("goodbye: no call will follow", "it ended", p.told(ctx, f, frame.Append(nil, frame.GoAway, 0)))
	add("alone: the edge is gone", "it ended", p.left(ctx, f))
	return results, nil
}

// garbage is what no edge sends.
var garbage = []struct {
	name  string
	bytes []byte
}{
	{"a length of nothing", []byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}},
	{"a length of 4 GiB", []byte{0xFF, 0xFF, 0xFF, 0xFF, 5, 0, 0, 0, 1, 0, 0, 0}},
	{"a type that is none", frame.Append(nil, frame.Type(200), 1)},
	{"flags", []byte{8, 0, 0, 0, 11, 1, 0, 0, 1, 0, 0, 0}},
	{"a field that is cut off", frame.End(append(frame.Begin(nil, frame.Request, 1), 0, 3, 0xFF, 0, 0, 0, 'x'), 0)},
	{"a second CONFIGURE", func() []byte {
		body := frame.ConfigureBody{Protocol: frame.Protocol, MaxFrame: frame.DefaultMax}
		return frame.End(body.Append(frame.Begin(nil, frame.Configure, 0)), 0)
	}()},
}

// told tells a plugin that is ready something after which it must end.
func (p *Program) told(ctx context.Context, f *File, b []byte) error {
	w, err := p.open(ctx, f)
	if err != nil {
		return err
	}
	defer w.close()
	if err := w.configure(f); err != nil {
		return err
	}
	// It may hang up before it has read everything: that is an error here, and well.
	if err := w.send(b); err != nil && !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) {
		return err
	}
	return w.hangsUp()
}

// left closes the socket without a word.
func (p *Program) left(ctx context.Context, f *File) error {
	w, err := p.open(ctx, f)
	if err != nil {
		return err
	}
	defer w.close()
	if err := w.configure(f); err != nil {
		return err
	}
	if half, ok := w.conn.(interface{ CloseWrite() error }); ok {
		err = half.CloseWrite()
	}
	return errors.Join(err, w.hangsUp())
}

// slow gives up calls before the plugin can have answered them, and asks again:
// it must answer that one, and a PING.
func (p *Program) slow(ctx context.Context, f *File) (string, error) {
	w, err := p.open(ctx, f)
	if err != nil {
		return "", err
	}
	defer w.close()
	if err := w.configure(f); err != nil {
		return "", err
	}
	call := map[bool]frame.Type{true: frame.Request, false: frame.Connection}[w.hello.Hooks&(frame.HookRequest|frame.HookShapeRequest) != 0]
	if call == frame.Connection && w.hello.Hooks&frame.HookConnection == 0 {
		call = frame.Response
	}
	const calls = 100
	var b []byte
	for id := uint32(1); id <= calls; id++ {
		b = frame.Append(b, call, id) // with no field: the edge knows nothing of this one
		b = frame.Append(b, frame.Cancel, id)
	}
	b = frame.Append(b, frame.Ping, calls+1)
	b = frame.Append(b, call, calls+2)
	if w.hello.Hooks != frame.HookObserve {
		if err := w.send(b); err != nil {
			return "", err
		}
	} else if err := w.send(frame.Append(nil, frame.Ping, calls+1)); err != nil {
		return "", err
	}
	given, pong, last := 0, false, w.hello.Hooks == frame.HookObserve
	for !pong || !last {
		answer, err := w.next(frame.Verdict, frame.Pong)
		switch {
		case err != nil:
			return "", err
		case answer.Type == frame.Pong && answer.ID == calls+1 && !pong:
			pong = true
		case answer.Type == frame.Verdict && answer.ID == calls+2 && !last:
			last = true
			if _, err := frame.ParseVerdict(answer.Body); err != nil {
				return "", err
			}
		case answer.Type == frame.Verdict && answer.ID <= calls:
			given++
		default:
			return "", fmt.Errorf("%v with id %d, which nobody waits for", answer.Type, answer.ID)
		}
	}
	return fmt.Sprintf("it answered, and %d of %d that were given up", given, calls), nil
}

// struck sends the plugin's process a signal while it is asked. Nothing but the
// verdict that the case has may ever come out, and none; and soon it must be there
// again.
func (p *Program) struck(ctx context.Context, f *File, signal syscall.Signal) (string, error) {
	short := *f
	short.Timeout = min(f.Timeout, 500*time.Millisecond)
	l, err := p.begin(ctx, &short, true)
	if err != nil {
		return "", err
	}
	defer l.close()
	s, err := f.firstAsked(l.status().Hooks)
	if err != nil || s == nil {
		return "not tried: no case of the file asks it anything", err
	}
	var want pluginhost.Decision
	s.ask(l.chain, &want)
	if want.Outcome == pluginhost.Unavailable {
		return "", fmt.Errorf("it gives no verdict on the first case: %s", tell(&want))
	}
	wanted := tell(&want)

	var mu sync.Mutex
	var lies []string
	none, answers := 0, 0
	stop := make(chan struct{})
	var askers sync.WaitGroup
	for range 4 {
		mine, err := f.firstAsked(l.status().Hooks)
		if err != nil {
			close(stop)
			return "", err
		}
		askers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				var d pluginhost.Decision
				mine.ask(l.chain, &d)
				got := tell(&d)
				mu.Lock()
				switch {
				case d.Outcome == pluginhost.Unavailable:
					none++
				case got != wanted:
					lies = append(lies, got)
				default:
					answers++
				}
				mu.Unlock()
				if d.Outcome == pluginhost.Unavailable {
					select { // as a client would, which got 503
					case <-stop:
					case <-time.After(time.Millisecond):
					}
				}
			}
		})
	}
	for under := time.Now(); time.Since(under) < moment && ctx.Err() == nil; time.Sleep(time.Millisecond) {
		mu.Lock()
		busy := answers+len(lies) >= 20
		mu.Unlock()
		if busy {
			break
		}
	}
	before := l.status()
	began := time.Now()
	err = syscall.Kill(before.PID, signal)
	again := time.Duration(0)
	for err == nil && again == 0 {
		switch now := l.status(); {
		case now.PID != 0 && now.PID != before.PID && now.State == pluginhost.Serving:
			again = time.Since(began)
		case time.Since(began) > short.Timeout+2*moment:
			err = fmt.Errorf("it is not there again after %v: %s: %s", time.Since(began).Round(time.Millisecond), now.State, now.Trouble)
		case ctx.Err() != nil:
			err = ctx.Err()
		default:
			time.Sleep(time.Millisecond)
		}
	}
	close(stop)
	askers.Wait()
	if err != nil {
		return "", err
	}
	var last pluginhost.Decision
	if s.ask(l.chain, &last); tell(&last) != wanted {
		return "", fmt.Errorf("started again it says %s, and said %s", tell(&last), wanted)
	}
	if len(lies) > 0 {
		return "", fmt.Errorf("meanwhile the answer was %s, want %s or none", lies[0], wanted)
	}
	return fmt.Sprintf("%d verdicts, %d refused without one, serving again after %v", answers, none, again.Round(time.Millisecond)), nil
}

// firstAsked is the first case that the plugin is asked about and has a verdict on.
func (f *File) firstAsked(hooks []string) (*subject, error) {
	for i := range f.Cases {
		if c := &f.Cases[i]; asked(hooks, c.Hook) && c.Want.Verdict != "none" {
			return c.subject(f.dir)
		}
	}
	return nil, nil
}
