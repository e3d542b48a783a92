// Package w3c is a request's place in a trace as messages carry it: the fields
// traceparent and tracestate of W3C Trace Context. It knows nothing of spans and
// of where they go.
package w3c

import (
	"encoding/hex"
	"math/rand/v2"
)

// Names of the fields.
const (
	Traceparent = "traceparent"
	Tracestate  = "tracestate"
)

// TraceID names a trace; all zero is none.
type TraceID [16]byte

// SpanID names a span of a trace; all zero is none.
type SpanID [8]byte

// NewTraceID returns a random one. Trace ids are no secret.
func NewTraceID() (id TraceID) {
	for id == (TraceID{}) {
		put(id[:8], rand.Uint64())
		put(id[8:], rand.Uint64())
	}
	return id
}

// NewSpanID returns a random one.
func NewSpanID() (id SpanID) {
	for id == (SpanID{}) {
		put(id[:], rand.Uint64())
	}
	return id
}

func put(to []byte, n uint64) {
	for i := range to {
		to[i] = byte(n >> (8 * i))
	}
}

// String returns 32 hex digits.
func (id TraceID) String() string { return hex.EncodeToString(id[:]) }

// String returns 16 hex digits.
func (id SpanID) String() string { return hex.EncodeToString(id[:]) }

// Context is what a message says of its place. The zero Context is none.
type Context struct {
	Trace   TraceID
	Span    SpanID // of the sender
	Sampled bool   // the sender records the trace
	State   string // tracestate, as it came; empty for none
}

// Span is a request's place as the edge has it.
type Span struct {
	Trace  TraceID
	Parent SpanID // the client's; zero where the trace begins here
	ID     SpanID // the request
	// Target is the way to the target: what the target does is below it.
	Target  SpanID
	Sampled bool
	State   string
}

// lengths of version 00's traceparent: 00-TRACE-SPAN-FLAGS.
const (
	length  = 55
	spanAt  = 36
	flagsAt = 53
)

// Parse reads a traceparent (W3C Trace Context, section 3.2). It is false for one
// that is malformed, has an id of zeros, or is of version ff. Of a higher version
// than 00 it takes what 00 has, as section 4.3 says.
func Parse(traceparent string) (c Context, ok bool) {
	if len(traceparent) < length || traceparent[2] != '-' || traceparent[spanAt-1] != '-' || traceparent[flagsAt-1] != '-' {
		return Context{}, false
	}
	var version, flags [1]byte
	if !digits(version[:], traceparent[:2]) || version[0] == 0xff ||
		!digits(c.Trace[:], traceparent[3:spanAt-1]) || !digits(c.Span[:], traceparent[spanAt:flagsAt-1]) ||
		!digits(flags[:], traceparent[flagsAt:length]) {
		return Context{}, false
	}
	if len(traceparent) > length && (version[0] == 0 || traceparent[length] != '-') {
		return Context{}, false
	}
	if c.Trace == (TraceID{}) || c.Span == (SpanID{}) {
		return Context{}, false
	}
	c.Sampled = flags[0]&1 != 0
	return c, true
}

// digits decodes hex digits, which must be of lower case.
func digits(to []byte, text string) bool {
	for i := range len(text) {
		var n byte
		switch c := text[i]; {
		case '0' <= c && c <= '9':
			n = c - '0'
		case 'a' <= c && c <= 'f':
			n = c - 'a' + 10
		default:
			return false
		}
		to[i/2] = to[i/2]<<4 | n
	}
	return true
}

// AppendTraceparent appends the value for the target.
func (s *Span) AppendTraceparent(dst []byte) []byte {
	dst = hex.AppendEncode(append(dst, "00-"...), s.Trace[:])
	dst = hex.AppendEncode(append(dst, '-'), s.Target[:])
	if s.Sampled {
		return append(dst, "-01"...)
	}
	return append(dst, "-00"...)
}
