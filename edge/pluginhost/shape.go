package pluginhost

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/edge/http1"
	"github.com/sallyport/sallyport/edge/pluginhost/template"
	"github.com/sallyport/sallyport/sdk/frame"
)

// shape is a plugin that is no program: headers made of templates, in this process.
// It is immutable.
type shape struct {
	connection shapeStage // the same for all requests of a connection
	request    shapeStage
	owns       []string
}

// shapeStage is the headers that are set at one hook.
type shapeStage struct {
	names  []string
	values []*template.Template
	needs  *needs
}

// newShape compiles the headers of a configuration, or says everything that is
// wrong with them.
func newShape(set map[string]string) (*shape, error) {
	s := &shape{}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(set)) {
		value, err := template.Parse(set[name])
		switch {
		case !frame.IsToken(name) || len(name) > frame.MaxName:
			err = fmt.Errorf("want a header name (RFC 9110, section 5.1) of at most %d bytes", frame.MaxName)
		case err == nil && slices.ContainsFunc(s.owns, func(own string) bool { return http1.SameName(own, name) }):
			err = errors.New("set twice: targets may take the names for the same")
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("header %s: %w", name, err))
			continue
		}
		stage := &s.request
		if value.OfConnection() {
			stage = &s.connection
		}
		stage.names, stage.values = append(stage.names, name), append(stage.values, value)
		s.owns = append(s.owns, strings.ToLower(name))
	}
	if len(set) > frame.MaxEdits {
		errs = append(errs, fmt.Errorf("%d headers: want at most %d", len(set), frame.MaxEdits))
	}
	for _, stage := range []*shapeStage{&s.connection, &s.request} {
		if err := stage.declare(); err != nil {
			errs = append(errs, err)
		}
	}
	return s, errors.Join(errs...)
}

// declare collects the fields that the templates need.
func (s *shapeStage) declare() (err error) {
	var names []string
	for _, t := range s.values {
		for _, name := range t.Needs() {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	if len(names) > frame.MaxNeeds {
		return fmt.Errorf("%d fields: want at most %d", len(names), frame.MaxNeeds)
	}
	s.needs, err = newNeeds(names)
	return err
}

// settleShape makes the plugin one of templates.
func (p *Plugin) settleShape() error {
	s, err := newShape(p.cfg.Headers.Set)
	if err != nil {
		return err
	}
	p.shape, p.state = s, Serving
	p.known = &frame.HelloBody{Name: p.name, Owns: s.owns, Concurrency: 1}
	if len(s.connection.names) > 0 {
		p.hooks |= frame.HookConnection
	}
	if len(s.request.names) > 0 {
		p.hooks |= frame.HookShapeRequest
	}
	for _, stage := range []*shapeStage{&s.connection, &s.request} {
		for _, need := range stage.needs.list {
			if name := need.String(); !slices.Contains(p.known.Needs, name) {
				p.known.Needs = append(p.known.Needs, name)
			}
		}
	}
	return nil
}

// needsJA4 says whether some template has it.
func (s *shape) needsJA4() bool { return s.connection.needs.ja4 || s.request.needs.ja4 }

// apply sets the headers of a hook. It says no, and denies, if one would have a
// value that no header may have: to leave it out, or to mend it, would be to tell
// the target of somebody else.
func (p *Plugin) apply(h Hook, s *subject, d *Decision) bool {
	stage := &p.shape.connection
	if h == OnRequest {
		stage = &p.shape.request
	}
	k := newCall()
	defer k.release()
	k.compose(stage.needs, types[h], s)
	start := len(d.lines)
	size := 0
	for i, t := range stage.values {
		value, ok, err := t.Append(k.q.room[:0], k.frame[frame.HeaderSize:])
		k.q.room = value[:0]
		if size += len(stage.names[i]) + len(value); err == nil && size > frame.MaxEditBytes {
			err = fmt.Errorf("the headers have more than %d bytes", frame.MaxEditBytes)
		}
		if err != nil {
			p.stats.hooks[h].denied.Add(1)
			d.Outcome, d.Plugin, d.Status, d.Edits = Denied, p.name, http.StatusForbidden, nil
			d.Reason = fmt.Sprintf("header %s: %v", stage.names[i], err)
			return false
		}
		if ok {
			d.lines = append(d.lines, http1.Edit{Op: http1.SetField, Name: stage.names[i], Value: string(value)})
		}
	}
	if made := d.lines[start:len(d.lines):len(d.lines)]; len(made) > 0 {
		d.take(h, s, made)
	}
	return true
}
