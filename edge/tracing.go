package edge

import (
	"encoding/hex"
	"errors"
	"strings"
	"time"

	"github.com/sallyport/sallyport/edge/accesslog"
	"github.com/sallyport/sallyport/edge/filewatch"
	"github.com/sallyport/sallyport/edge/identity"
	"github.com/sallyport/sallyport/edge/pluginhost"
	"github.com/sallyport/sallyport/edge/reason"
	"github.com/sallyport/sallyport/edge/trace"
	"github.com/sallyport/sallyport/edge/trace/w3c"
	"github.com/sallyport/sallyport/edge/truststore"
)

// tracing makes the generation's tracer. One that is as the one in force is that
// one, with what waits in it.
func (b *builder) tracing() {
	cfg := b.cfg.Tracing
	if !cfg.On() {
		return
	}
	const path = "tracing.otlp."
	read := func(key, name string) []byte {
		if name == "" {
			return nil
		}
		data, err := filewatch.ReadFile(b.cfg.ResolvePath(name), maxSmallFile)
		if err != nil {
			b.problem(path+key, "%v", err)
		}
		return append([]byte{}, data...) // not nil, whatever is in it
	}
	tracer, err := trace.New(trace.Options{
		Endpoint: cfg.OTLP.Endpoint,
		Headers:  read("headers_file", cfg.OTLP.HeadersFile),
		CA:       read("ca", cfg.OTLP.CA),
		Sample:   float64(cfg.Sample),
		Service:  cfg.ServiceName,
		Version:  b.version,
		Counts:   b.spans,
		Log:      b.log,
	})
	var field *trace.FieldError
	switch {
	case errors.As(err, &field):
		if b.complete() { // a file that could not be read has been reported
			b.problem(path+field.Field, "%v", field.Err)
		}
		return
	case err != nil:
		b.problem("tracing", "%v", err)
		return
	}
	if b.old != nil && b.old.tracer != nil && b.old.tracer.ID() == tracer.ID() {
		tracer = b.old.tracer
	}
	b.next.tracer = tracer
}

// connectionTrace is the trace that a connection's spans are in, and the first of
// them: what its requests, which are in traces of their own, link to. A trace id of
// ALB's is as long as one of W3C's, so it is that.
func connectionTrace(traceID string) (id w3c.TraceID, span w3c.SpanID) {
	hex.Decode(id[:], []byte(strings.TrimPrefix(traceID, "TID_")))
	copy(span[:], id[:])
	return id, span
}

// checked is when and how a client's certificate was judged.
type checked struct {
	begun time.Time
	took  truststore.Took
}

// traces says whether the connection's trace is recorded.
func (s *Server) traces(c *Conn) bool {
	tracer := s.generation.Load().tracer
	if tracer == nil {
		return false
	}
	id, _ := connectionTrace(c.traceID)
	return tracer.Samples(id)
}

// noted notes what plugins say, in list.
func noted(list *[]accesslog.Verdict) func(string, pluginhost.Hook, pluginhost.Outcome, time.Time, time.Duration) {
	return func(plugin string, h pluginhost.Hook, o pluginhost.Outcome, begun time.Time, took time.Duration) {
		*list = append(*list, accesslog.Verdict{Plugin: plugin, Hook: h.String(), Outcome: o.String(), Begun: begun, Took: took})
	}
}

// traceConnection hands over the spans of a connection on which the verdict has
// fallen.
func (s *Server) traceConnection(c *Conn) {
	g := s.generation.Load()
	if g.tracer == nil {
		return
	}
	id, first := connectionTrace(c.traceID)
	if !g.tracer.Samples(id) {
		return
	}
	now := time.Now()
	root := trace.Span{Trace: id, ID: first, Name: "connection", Begin: c.accepted, End: now, Failed: c.outcome != reason.Success}
	root.Text("sallyport.conn_trace_id", c.traceID)
	root.Text("sallyport.listener", c.policy.name)
	root.Text("sallyport.reason", c.outcome.String())
	root.Text("sallyport.mode", string(c.mode()))
	if c.admission != nil {
		root.Text("sallyport.trust_store", c.admission.mutual.TrustStore)
	}
	root.Text("client.address", c.client.Addr().String())
	root.Number("client.port", int64(c.client.Port()))
	if c.peer.IsValid() {
		root.Text("network.peer.address", c.peer.Addr().String())
		root.Number("network.peer.port", int64(c.peer.Port()))
	}
	root.Text("network.local.address", c.server.Addr().String())
	root.Number("network.local.port", int64(c.server.Port()))
	root.Text("server.address", c.hello.serverName)
	if root.Failed {
		root.Text("error.type", c.outcome.String())
	}
	if g.cfg.Tracing.ClientSubject {
		if c.verified != nil {
			root.Text("tls.client.subject", identity.Subject(c.verified.Path[0]))
		}
		root.Text("sallyport.cause", c.cause) // which names certificates, too
	}
	spans := append(make([]trace.Span, 0, 4+len(c.verdicts)), root)
	if c.tls != nil && c.handshake > 0 {
		spans = c.appendHandshake(spans)
	}
	g.tracer.Export(appendVerdicts(spans, id, first, c.verdicts))
	c.verdicts = nil
}

// appendHandshake appends the spans of the handshake, and of the parts of it that
// take time.
func (c *Conn) appendHandshake(spans []trace.Span) []trace.Span {
	id, parent := connectionTrace(c.traceID)
	shake := trace.Span{Trace: id, Parent: parent, ID: w3c.NewSpanID(), Name: "tls handshake", Begin: c.accepted, End: c.accepted.Add(c.handshake)}
	state := c.tls.ConnectionState()
	if version, suite := tlsNames(&state); version != "" {
		shake.Text("tls.protocol.name", "tls")
		shake.Text("tls.protocol.version", strings.TrimPrefix(version, "TLSv"))
		shake.Text("tls.cipher", suite)
	}
	shake.Text("tls.next_protocol", state.NegotiatedProtocol)
	shake.Flag("tls.established", state.HandshakeComplete)
	shake.Flag("tls.resumed", state.DidResume)
	spans = append(spans, shake)
	if c.checked.begun.IsZero() {
		return spans
	}
	built := c.checked.begun.Add(c.checked.took.Chain)
	chain := trace.Span{Trace: id, Parent: shake.ID, ID: w3c.NewSpanID(), Name: "verify client certificate", Begin: c.checked.begun, End: built}
	chain.Flag("sallyport.chain_cached", c.checked.took.Cached)
	chain.Number("sallyport.presented_certificates", int64(len(c.presented)))
	spans = append(spans, chain)
	if took := c.checked.took.Revocation; took > 0 {
		spans = append(spans, trace.Span{Trace: id, Parent: shake.ID, ID: w3c.NewSpanID(), Name: "look up revocation", Begin: built, End: built.Add(took)})
	}
	return spans
}

// appendVerdicts appends the spans of what plugins have said.
func appendVerdicts(spans []trace.Span, id w3c.TraceID, parent w3c.SpanID, verdicts []accesslog.Verdict) []trace.Span {
	for _, v := range verdicts {
		span := trace.Span{Trace: id, Parent: parent, ID: w3c.NewSpanID(), Name: "plugin " + v.Plugin, Begin: v.Begun, End: v.Begun.Add(v.Took)}
		span.Text("sallyport.plugin", v.Plugin)
		span.Text("sallyport.hook", v.Hook)
		span.Text("sallyport.verdict", v.Outcome)
		if v.Outcome == pluginhost.Unavailable.String() {
			span.Failed = true
			span.Text("error.type", "unavailable")
		}
		spans = append(spans, span)
	}
	return spans
}
