package accesslog

import (
	"encoding/hex"
	"time"

	"github.com/sallyport/sallyport/edge/jsonline"
	"github.com/sallyport/sallyport/edge/trace/w3c"
)

// Trace is a request's place in a trace, and what only its spans tell.
type Trace struct {
	w3c.Span
	// Verdicts are what plugins have said, in their order, where Sampled.
	Verdicts []Verdict
}

// Verdict is what one plugin has said, and when it was asked.
type Verdict struct {
	Plugin  string
	Hook    string // connection, request or response
	Outcome string // allow, deny, or unavailable
	Begun   time.Time
	Took    time.Duration
}

// trace appends the ids by which collectors know the request. ALB's trace_id is
// another one.
func trace(o jsonline.Object, t *Trace) jsonline.Object {
	if t == nil {
		return o
	}
	o = append(hex.AppendEncode(append(o.Name("otel_trace_id"), '"'), t.Trace[:]), '"')
	o = append(hex.AppendEncode(append(o.Name("otel_span_id"), '"'), t.ID[:]), '"')
	return o.Flag("otel_sampled", t.Sampled)
}
