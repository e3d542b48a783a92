package proxy

import (
	"github.com/sallyport/sallyport/edge/accesslog"
	"github.com/sallyport/sallyport/edge/http1"
	"github.com/sallyport/sallyport/edge/trace/w3c"
)

// Tracer gives requests their places in traces. It may be called concurrently.
type Tracer interface {
	// Begin returns the place of a request whose client's is parent; of one whose
	// client has none, or is not trusted with it, the zero Context.
	Begin(parent w3c.Context) w3c.Span
}

// trace gives the request its place in a trace, where the listener has a Tracer.
func (x *exchange) trace() {
	l := x.listener
	if l.Tracer == nil {
		return
	}
	var parent w3c.Context
	if l.TrustParent {
		parent = x.parent()
	}
	x.traced = accesslog.Trace{Span: l.Tracer.Begin(parent)}
	x.record.Trace = &x.traced
}

// parent is the client's place. One that is malformed or there twice is none (W3C
// Trace Context, section 3.2), and then its tracestate does not count either.
func (x *exchange) parent() (c w3c.Context) {
	fields := x.req.Fields
	there := 0
	for i := range fields {
		if f := &fields[i]; f.Kind == http1.Other && http1.EqualFold(f.Name, w3c.Traceparent) && !x.hopByHop(f) {
			c, _ = w3c.Parse(f.Value)
			there++
		}
	}
	if there != 1 || c.Trace == (w3c.TraceID{}) {
		return w3c.Context{}
	}
	for i := range fields {
		f := &fields[i]
		if f.Kind != http1.Other || !http1.EqualFold(f.Name, w3c.Tracestate) || x.hopByHop(f) {
			continue
		}
		if c.State == "" {
			c.State = f.Value
		} else {
			c.State += "," + f.Value
		}
	}
	if !w3c.ValidState(c.State) {
		c.State = ""
	}
	return c
}

// hopByHop says whether the client has listed a field in Connection.
func (x *exchange) hopByHop(f *http1.Field) bool {
	return x.about.listed && listed(x.req.Fields, f.Name)
}

// replacesTrace says whether a field of the client's is one that the edge says
// itself.
func (x *exchange) replacesTrace(name string) bool {
	return x.record.Trace != nil && (http1.EqualFold(name, w3c.Traceparent) || http1.EqualFold(name, w3c.Tracestate))
}

// appendTrace appends the request's place as its target gets it.
func (x *exchange) appendTrace(dst []byte) []byte {
	t := x.record.Trace
	if t == nil {
		return dst
	}
	dst = append(t.AppendTraceparent(append(dst, w3c.Traceparent+": "...)), "\r\n"...)
	if t.State != "" {
		dst = appendField(dst, w3c.Tracestate, t.State)
	}
	return dst
}

// Traced says whether the request's trace is recorded: then Note is of use.
func (j *Judged) Traced() bool { t := j.x.record.Trace; return t != nil && t.Sampled }

// Note adds a verdict to the request's trace.
func (j *Judged) Note(v accesslog.Verdict) {
	if t := j.x.record.Trace; t != nil {
		t.Verdicts = append(t.Verdicts, v)
	}
}
