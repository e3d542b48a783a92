package config

import (
	"fmt"
	"strconv"
)

// Tracing sends OpenTelemetry spans: of connections with their handshake and what
// was decided, and of requests with plugins and target. A trace that is recorded
// costs a little; what a collector does not take in time is dropped and counted,
// and holds nobody up. Off unless it is written.
type Tracing struct {
	// OTLP is where spans go.
	OTLP OTLP `yaml:"otlp"`

	// Sample is which part of the traces that begin here are recorded, from 0 to 1,
	// by their ids, so that edges with the same number record the same traces; or
	// parent, for none. A trace that a trusted client has begun is recorded if the
	// client says so, in either case. Default 0.01.
	Sample Sample `yaml:"sample"`

	// ServiceName is the resource's service.name. Default sallyport.
	ServiceName string `yaml:"service_name"`

	// ClientSubject adds the subject of a client's certificate to the spans of its
	// connections, where it was verified. Default false.
	ClientSubject bool `yaml:"client_subject"`
}

// OTLP is a collector of OpenTelemetry's protocol over HTTP.
type OTLP struct {
	// Endpoint is the collector's URL, http:// or https://. Without a path it is
	// asked at /v1/traces. Needed where tracing is written; default none.
	Endpoint string `yaml:"endpoint"`
	// HeadersFile has fields for the collector's sake, a token say, one NAME: VALUE
	// on a line; it is read at start and at each reload. Default none.
	HeadersFile string `yaml:"headers_file"`
	// CA is a PEM file of the CAs that may vouch for the collector. Default: the
	// system's.
	CA string `yaml:"ca"`
}

// ListenerTracing is what a listener does about traces, where tracing is on.
type ListenerTracing struct {
	// TrustParent takes clients' traceparent and tracestate: their requests belong
	// to their traces, and are recorded if they say so. Without it both are dropped,
	// and each request begins a trace. Default false.
	TrustParent bool `yaml:"trust_parent"`
}

// On says whether tracing is wanted.
func (t *Tracing) On() bool { return t.OTLP.Endpoint != "" }

func (t *Tracing) setDefaults() { *t = Tracing{Sample: 0.01, ServiceName: "sallyport"} }

// Sample is a part of traces, 0 to 1.
type Sample float64

// String returns s as UnmarshalText reads it.
func (s Sample) String() string { return strconv.FormatFloat(float64(s), 'g', -1, 64) }

// MarshalText writes s as UnmarshalText reads it.
func (s Sample) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a number from 0 to 1, or parent, which is 0.
func (s *Sample) UnmarshalText(text []byte) error {
	if string(text) == "parent" {
		*s = 0
		return nil
	}
	n, err := strconv.ParseFloat(string(text), 64)
	if err != nil || !(n >= 0 && n <= 1) {
		return fmt.Errorf("%s: want a number from 0 to 1, or parent", quote(string(text)))
	}
	*s = Sample(n)
	return nil
}
