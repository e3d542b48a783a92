package plugintest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/sallyport/sallyport/edge/pluginhost"
	"github.com/sallyport/sallyport/sdk/frame"
)

// wire is a plugin without a host: what is sent to it may be anything.
type wire struct {
	conn    net.Conn
	process pluginhost.Process // nil for one that was attached to
	buf     []byte
	hello   frame.HelloBody
}

// moment is how long a plugin may take for what it should do at once.
const moment = 5 * time.Second

// open starts the plugin, or attaches to it, and reads its HELLO.
func (p *Program) open(ctx context.Context, f *File) (*wire, error) {
	w := &wire{}
	if p.Attach != "" {
		conn, err := (&net.Dialer{Timeout: moment}).DialContext(ctx, "unix", p.Attach)
		if err != nil {
			return nil, fmt.Errorf("attach to %s: %w", p.Attach, err)
		}
		w.conn = conn
	} else {
		cfg, err := p.configuration(f)
		if err != nil {
			return nil, err
		}
		w.process, err = p.Start(ctx, pluginhost.Spec{
			Name: pluginName, Command: p.Command, Env: cfg.Env, Network: cfg.Network, Files: cfg.Files, Tasks: cfg.Sandbox.Tasks, StartTimeout: startTimeout,
		})
		if err != nil {
			return nil, err
		}
		w.conn = w.process.Conn()
	}
	first, err := w.within(startTimeout, frame.Hello)
	if err == nil {
		w.hello, err = frame.ParseHello(first.Body)
	}
	if err != nil {
		err = w.explain(err)
		w.close()
		return nil, err
	}
	return w, nil
}

// explain prefers how the process ended, if it has.
func (w *wire) explain(err error) error {
	if w.process == nil {
		return err
	}
	select {
	case <-w.process.Done():
		return fmt.Errorf("%w; %w", err, w.process.Err())
	case <-time.After(200 * time.Millisecond):
		return err
	}
}

func (w *wire) close() {
	if w.process != nil {
		w.process.Kill()
	}
	w.conn.Close()
}

// configure does what the host does before it asks.
func (w *wire) configure(f *File) error {
	section, err := f.section()
	if err != nil {
		return err
	}
	body := frame.ConfigureBody{Protocol: frame.Protocol, MaxFrame: w.hello.MaxFrame, Config: []byte(section)}
	if err := w.send(frame.End(body.Append(frame.Begin(nil, frame.Configure, 0)), 0)); err != nil {
		return err
	}
	answer, err := w.next(frame.Configured)
	if err != nil {
		return err
	}
	configured, err := frame.ParseConfigured(answer.Body)
	if err == nil && configured.Error != "" {
		err = fmt.Errorf("refuses its configuration: %s", configured.Error)
	}
	return err
}

func (w *wire) send(b []byte) error {
	w.conn.SetWriteDeadline(time.Now().Add(moment))
	_, err := w.conn.Write(b)
	return err
}

// next reads the next frame that is one of the wanted, past lines for the log and
// invalidations.
func (w *wire) next(wanted ...frame.Type) (frame.Frame, error) {
	return w.within(moment, wanted...)
}

// within is next for what may take longer than a moment.
func (w *wire) within(d time.Duration, wanted ...frame.Type) (frame.Frame, error) {
	w.conn.SetReadDeadline(time.Now().Add(d))
	room := make([]byte, 64<<10)
	for {
		f, n, err := frame.Parse(w.buf, frame.HardMax)
		switch {
		case err != nil:
			return f, err
		case n > 0:
			w.buf = slices.Clone(w.buf[n:])
			if slices.Contains(wanted, f.Type) {
				return f, nil
			}
			if f.Type != frame.Log && f.Type != frame.Invalidate {
				return f, fmt.Errorf("%v where %v is due", f.Type, wanted)
			}
			continue
		}
		read, err := w.conn.Read(room)
		w.buf = append(w.buf, room[:read]...)
		if err != nil {
			return f, fmt.Errorf("wait for %v: %w", wanted, err)
		}
	}
}

// hangsUp waits until the plugin has closed the socket, whatever it says before,
// and its process has ended.
func (w *wire) hangsUp() error {
	w.conn.SetReadDeadline(time.Now().Add(moment))
	room := make([]byte, 64<<10)
	for {
		if _, err := w.conn.Read(room); err != nil {
			var slow net.Error
			if errors.As(err, &slow) && slow.Timeout() {
				return fmt.Errorf("the socket is still open after %v", moment)
			}
			break
		}
	}
	if w.process == nil {
		return nil
	}
	select {
	case <-w.process.Done():
		return nil
	case <-time.After(moment):
		return fmt.Errorf("the process is still there after %v", moment)
	}
}
