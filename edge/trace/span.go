package trace

import (
	"strings"
	"time"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/sallyport/sallyport/edge/trace/w3c"
)

// Kind is a span's role.
type Kind uint8

const (
	Internal Kind = iota // a step of the edge's own
	Server               // a client's request, or its connection
	Client               // the way to a target
)

// Span is a step of a trace that is over.
type Span struct {
	Trace      w3c.TraceID
	ID, Parent w3c.SpanID // Parent is zero for a trace's first
	State      string     // tracestate
	Name       string
	Kind       Kind
	Begin, End time.Time
	Attributes []Attribute
	Failed     bool

	// A span of another trace that this one has to do with; zero for none.
	LinkTrace w3c.TraceID
	LinkSpan  w3c.SpanID
}

// Attribute is a fact of a span.
type Attribute struct {
	key   string
	value *commonpb.AnyValue
}

// maxText bounds an attribute, in bytes: a client chooses many of them, and a
// queue is full of them.
const maxText = 1024

// safe returns a copy of text that a collector takes: UTF-8, and no longer than
// maxText, the last bytes being "..." where it was longer.
func safe(text string) string {
	cut := len(text) > maxText
	if cut {
		text = text[:maxText-len("...")]
	}
	clean := strings.ToValidUTF8(text, "\uFFFD")
	if len(clean) > maxText { // each bad byte has become three
		clean, cut = strings.ToValidUTF8(clean[:maxText-len("...")], ""), true
	}
	if cut {
		return clean + "..."
	}
	return strings.Clone(clean)
}

// Text adds a text to s, of which it keeps a copy; nothing if it is empty.
func (s *Span) Text(key, text string) {
	if text != "" {
		s.Attributes = append(s.Attributes, Attribute{key, &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: safe(text)}}})
	}
}

// Number adds a number to s.
func (s *Span) Number(key string, n int64) {
	s.Attributes = append(s.Attributes, Attribute{key, &commonpb.AnyValue{Value: &commonpb.AnyValue_IntValue{IntValue: n}}})
}

// Flag adds a yes or no to s.
func (s *Span) Flag(key string, is bool) {
	s.Attributes = append(s.Attributes, Attribute{key, &commonpb.AnyValue{Value: &commonpb.AnyValue_BoolValue{BoolValue: is}}})
}

// message is s as OTLP has it.
func (s *Span) message() *tracepb.Span {
	m := &tracepb.Span{
		TraceId:           s.Trace[:],
		SpanId:            s.ID[:],
		TraceState:        s.State,
		Name:              s.Name,
		Kind:              [...]tracepb.Span_SpanKind{tracepb.Span_SPAN_KIND_INTERNAL, tracepb.Span_SPAN_KIND_SERVER, tracepb.Span_SPAN_KIND_CLIENT}[s.Kind],
		StartTimeUnixNano: uint64(s.Begin.UnixNano()),
		EndTimeUnixNano:   uint64(s.End.UnixNano()),
		Flags:             1, // sampled: no other is sent
		Attributes:        make([]*commonpb.KeyValue, len(s.Attributes)),
	}
	if s.End.Before(s.Begin) { // a clock was set
		m.EndTimeUnixNano = m.StartTimeUnixNano
	}
	if s.Parent != (w3c.SpanID{}) {
		m.ParentSpanId = s.Parent[:]
	}
	for i, a := range s.Attributes {
		m.Attributes[i] = &commonpb.KeyValue{Key: a.key, Value: a.value}
	}
	if s.Failed {
		m.Status = &tracepb.Status{Code: tracepb.Status_STATUS_CODE_ERROR}
	}
	if s.LinkTrace != (w3c.TraceID{}) {
		m.Links = []*tracepb.Span_Link{{TraceId: s.LinkTrace[:], SpanId: s.LinkSpan[:], Flags: 1}}
	}
	return m
}
