package pluginhost

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"unsafe"

	"github.com/sallyport/sallyport/edge/http1"
	"github.com/sallyport/sallyport/sdk/frame"
)

// reading is a buffer for frames.
type reading struct {
	src     io.Reader
	buf     []byte
	r, w    int
	longest int
}

var errHungUp = errors.New("the plugin closed its socket")

// next returns the next frame, which is good until the next call.
func (r *reading) next() (frame.Frame, error) {
	for {
		f, n, err := frame.Parse(r.buf[r.r:r.w], r.longest)
		if err != nil {
			return frame.Frame{}, err
		}
		if n > 0 {
			if !f.Type.FromPlugin() {
				return frame.Frame{}, fmt.Errorf("%w: %v is not a plugin's to send", frame.ErrMalformed, f.Type)
			}
			r.r += n
			return f, nil
		}
		if r.r > 0 {
			r.w = copy(r.buf, r.buf[r.r:r.w])
			r.r = 0
		}
		if r.w == len(r.buf) {
			r.buf = append(r.buf, make([]byte, max(len(r.buf), 4<<10))...)
		}
		read, err := r.src.Read(r.buf[r.w:])
		r.w += read
		if read == 0 && err != nil {
			if errors.Is(err, io.EOF) {
				return frame.Frame{}, errHungUp
			}
			return frame.Frame{}, fmt.Errorf("read from plugin: %w", err)
		}
	}
}

// read takes what the plugin sends until that ends, and says why.
func (i *instance) read(r *reading) error {
	for {
		f, err := r.next()
		if err != nil {
			return err
		}
		if err := i.take(f); err != nil {
			return err
		}
	}
}

func (i *instance) take(f frame.Frame) error {
	switch f.Type {
	case frame.Verdict:
		return i.answer(f)
	case frame.Pong:
		i.alive.Add(1)
		if f.ID == 0 || !i.pinged.CompareAndSwap(f.ID, 0) {
			return fmt.Errorf("%w: PONG with id %d, which no PING has", frame.ErrMalformed, f.ID)
		}
		i.pongs <- f.ID
		return nil
	case frame.Invalidate:
		body, err := frame.ParseInvalidate(f.Body)
		if err != nil {
			return err
		}
		i.invalidate(body)
		return nil
	case frame.Log:
		body, err := frame.ParseLog(f.Body)
		if err != nil {
			return err
		}
		i.plugin.log(body)
		return nil
	}
	return fmt.Errorf("%w: %v after the start", frame.ErrMalformed, f.Type)
}

// answer gives a verdict to who waits for it. One with a value that it must not
// have costs that call only: such values often come from the client, who could end
// the plugin for everybody otherwise. The error is for what makes the rest of the
// stream doubtful.
func (i *instance) answer(f frame.Frame) error {
	body, wrong := frame.ParseVerdict(f.Body)
	if wrong != nil {
		if err := wellFormed(f); err != nil {
			return err
		}
	}
	i.alive.Add(1)
	o := i.out
	o.mu.Lock()
	k := i.waiting[f.ID]
	if k == nil {
		known := i.given.take(f.ID)
		closed := o.closed
		o.mu.Unlock()
		if known || closed {
			return nil
		}
		return fmt.Errorf("%w: %w, id %d", frame.ErrMalformed, errLies, f.ID)
	}
	delete(i.waiting, f.ID)
	o.mu.Unlock()
	if wrong == nil {
		k.verdict, wrong = i.judge(body, k.q.hook, len(f.Body))
	}
	if wrong != nil {
		k.failure = Malformed
		i.plugin.complain(Malformed, wrong)
	}
	k.answered <- struct{}{}
	return nil
}

// wellFormed says whether a body is fields to its end.
func wellFormed(f frame.Frame) error {
	fields := f.Fields()
	for {
		if _, _, ok := fields.Next(); !ok {
			return fields.Err()
		}
	}
}

// judge takes a verdict for what it is allowed to be. Its body had so many bytes.
func (i *instance) judge(body frame.VerdictBody, hook Hook, size int) (*verdict, error) {
	if body.Decision == frame.Allow && len(body.Edits) == 0 && body.TTL == 0 && body.Ban == 0 {
		return plainAllow, nil
	}
	mask, ok := i.needs.mask(body.Depends)
	if !ok {
		return nil, fmt.Errorf("depends on %v: want fields that the plugin has declared", body.Depends)
	}
	v := &verdict{
		allow:  body.Decision == frame.Allow,
		status: body.Status,
		reason: body.Reason,
		ban:    body.Ban,
		ttl:    body.TTL,
		mask:   mask,
		size:   size + len(body.Edits)*int(unsafe.Sizeof(http1.Edit{})),
	}
	if n := len(body.Edits); n > 0 {
		v.edits = make([]http1.Edit, n)
		rules := i.plugin.rules.Load()
		ofRequest := v.allow && hook != OnResponse
		for j, e := range body.Edits {
			if err := rules.check(e.Name, ofRequest); err != nil {
				return nil, err
			}
			v.edits[j] = http1.Edit{Op: editOps[e.Op], Name: e.Name, Value: e.Value}
		}
	}
	if v.ttl > 0 {
		i.lasting.Store(true)
	}
	return v, nil
}

var editOps = [...]http1.EditOp{frame.SetHeader: http1.SetField, frame.AddHeader: http1.AddField, frame.RemoveHeader: http1.RemoveField}

// invalidate forgets verdicts, and has those on open connections asked for again.
func (i *instance) invalidate(body frame.InvalidateBody) {
	leaf := &body.Leaf
	if !body.One {
		leaf = nil
	}
	if i.cache != nil {
		i.cache.forget(leaf)
	}
	i.plugin.version.Add(1)
}

// log passes a plugin's line on.
func (p *Plugin) log(body frame.LogBody) {
	if !p.chatter.allow(p.host.clock()) {
		p.stats.logDropped.Add(1)
		return
	}
	attrs := make([]slog.Attr, 0, len(body.Attrs)+2)
	attrs = append(attrs, slog.String("plugin", p.name), slog.String("text", body.Message))
	for _, a := range body.Attrs {
		attrs = append(attrs, slog.String("plugin_"+a.Key, a.Value))
	}
	level := slog.LevelInfo
	switch body.Level {
	case frame.Debug:
		level = slog.LevelDebug
	case frame.Warn:
		level = slog.LevelWarn
	case frame.Error:
		level = slog.LevelError
	}
	p.host.log.LogAttrs(p.host.ctx(), level, "plugin says", attrs...)
}
