package pluginhost

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/http1"
	"github.com/sallyport/sallyport/edge/pluginhost/template"
	"github.com/sallyport/sallyport/sdk/frame"
)

// shape is a plugin that is no program: changes of headers made of templates, in
// this process. It is immutable.
type shape struct {
	connection shapeStage // the same for all requests of a connection
	request    shapeStage
	response   shapeStage
	owns       []string
}

// shapeStage is the changes that are made at one hook, in their order.
type shapeStage struct {
	changes []change
	needs   *needs
}

// change is one of them; of a removal there is no value.
type change struct {
	op    http1.EditOp
	name  string
	value *template.Template
}

// newShape compiles the headers of a configuration, or says everything that is
// wrong with them.
func newShape(cfg *config.PluginHeaders) (*shape, error) {
	s := &shape{}
	errs := s.compile(false, cfg.Set, cfg.Add, cfg.Remove)
	r := &cfg.Response
	errs = append(errs, s.compile(true, r.Set, r.Add, r.Remove)...)
	for _, stage := range s.stages() {
		if err := stage.declare(); err != nil {
			errs = append(errs, err)
		}
	}
	return s, errors.Join(errs...)
}

func (s *shape) stages() [hooks]*shapeStage {
	return [hooks]*shapeStage{OnConnection: &s.connection, OnRequest: &s.request, OnResponse: &s.response}
}

// compile takes the changes of a request's or a response's headers: removals first,
// then what is set, then what is added to it.
func (s *shape) compile(ofResponse bool, set, add map[string]string, remove []string) (errs []error) {
	prefix := "header "
	if ofResponse {
		prefix = "response header "
	}
	var replaced []string // by a line, or by none
	take := func(op http1.EditOp, name string, value *template.Template, err error) {
		switch {
		case !frame.IsToken(name) || len(name) > frame.MaxName:
			err = fmt.Errorf("want a header name (RFC 9110, section 5.1) of at most %d bytes", frame.MaxName)
		case err == nil && op != http1.AddField && slices.ContainsFunc(replaced, func(other string) bool { return http1.SameName(other, name) }):
			err = errors.New("set or removed twice: targets may take the names for the same")
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s%s: %w", prefix, name, err))
			return
		}
		if op != http1.AddField {
			replaced = append(replaced, name)
		}
		stage := &s.request
		switch {
		case ofResponse:
			stage = &s.response
		// Nobody else changes what is set, so that it may come first. The other changes
		// are made in this plugin's turn, to what the ones before have made.
		case op == http1.SetField && value.OfConnection():
			stage = &s.connection
		}
		stage.changes = append(stage.changes, change{op: op, name: name, value: value})
		if op == http1.SetField && !ofResponse {
			s.owns = append(s.owns, strings.ToLower(name))
		}
	}
	for _, name := range remove {
		take(http1.RemoveField, name, nil, nil)
	}
	for _, name := range slices.Sorted(maps.Keys(set)) {
		value, err := template.Parse(set[name], ofResponse)
		take(http1.SetField, name, value, err)
	}
	for _, name := range slices.Sorted(maps.Keys(add)) {
		value, err := template.Parse(add[name], ofResponse)
		take(http1.AddField, name, value, err)
	}
	if n := len(set) + len(add) + len(remove); n > frame.MaxEdits {
		errs = append(errs, fmt.Errorf("%d %ss: want at most %d", n, strings.TrimSpace(prefix), frame.MaxEdits))
	}
	return errs
}

// check says which changes the rules do not allow, but for headers that it owns.
func (s *shape) check(r *rules) (errs []error) {
	for h, stage := range s.stages() {
		for _, c := range stage.changes {
			ofRequest := Hook(h) != OnResponse
			if ofRequest && c.op == http1.SetField {
				continue
			}
			if err := r.check(c.name, ofRequest); err != nil {
				errs = append(errs, err)
			}
		}
	}
	return errs
}

// declare collects the fields that the templates need.
func (s *shapeStage) declare() (err error) {
	var names []string
	for _, c := range s.changes {
		if c.value == nil {
			continue
		}
		for _, name := range c.value.Needs() {
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
	s, err := newShape(&p.cfg.Headers)
	if err != nil {
		return err
	}
	p.shape, p.state = s, Serving
	p.known = &frame.HelloBody{Name: p.name, Owns: s.owns, Concurrency: 1}
	for h, stage := range s.stages() {
		if len(stage.changes) > 0 {
			p.hooks |= [hooks]frame.Hooks{OnConnection: frame.HookConnection, OnRequest: frame.HookShapeRequest, OnResponse: frame.HookShapeResponse}[h]
		}
		for _, need := range stage.needs.list {
			if name := need.String(); !slices.Contains(p.known.Needs, name) {
				p.known.Needs = append(p.known.Needs, name)
			}
		}
	}
	return nil
}

// needsJA4 says whether some template has it.
func (s *shape) needsJA4() bool {
	return s.connection.needs.ja4 || s.request.needs.ja4 || s.response.needs.ja4
}

// apply makes the changes of a hook, and counts that as a call. It says no, and
// denies, if a header would have a value that none may have.
func (p *Plugin) apply(h Hook, s *subject, d *Decision) bool {
	began := p.host.clock()
	ok := p.change(h, s, d)
	p.stats.hooks[h].observe(p.host.clock() - began)
	return ok
}

// change is apply without the counting. To leave out a value that no header may
// have, or to mend it, would be to tell the target of somebody else.
func (p *Plugin) change(h Hook, s *subject, d *Decision) bool {
	stage := p.shape.stages()[h]
	k := newCall()
	defer k.release()
	k.compose(stage.needs, types[h], s)
	start := len(d.lines)
	size := 0
	for i := range stage.changes {
		c := &stage.changes[i]
		if c.value == nil {
			d.lines = append(d.lines, http1.Edit{Op: c.op, Name: c.name})
			continue
		}
		value, ok, err := c.value.Append(k.q.room[:0], k.frame[frame.HeaderSize:])
		k.q.room = value[:0]
		if size += len(c.name) + len(value); err == nil && size > frame.MaxEditBytes {
			err = fmt.Errorf("the headers have more than %d bytes", frame.MaxEditBytes)
		}
		if err != nil {
			p.stats.hooks[h].denied.Add(1)
			d.Outcome, d.Plugin, d.Status, d.Edits = Denied, p.name, http.StatusForbidden, nil
			if h == OnResponse {
				d.Status = http.StatusBadGateway // it is not the client's doing
			}
			d.Reason = fmt.Sprintf("header %s: %v", c.name, err)
			return false
		}
		if ok {
			d.lines = append(d.lines, http1.Edit{Op: c.op, Name: c.name, Value: string(value)})
		}
	}
	if made := d.lines[start:len(d.lines):len(d.lines)]; len(made) > 0 {
		d.take(h, s, made)
	}
	return true
}
