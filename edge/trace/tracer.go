// Package trace records traces and sends them to a collector of OpenTelemetry by
// OTLP over HTTP. A span is handed over when it is over, as what it is; there is
// no span in the making, so that what is not recorded costs two random numbers.
//
// Whoever hands spans over never waits: what the collector does not take in time
// is dropped and counted.
package trace

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"golang.org/x/net/http/httpguts"

	"github.com/sallyport/sallyport/edge/trace/w3c"
)

// Options are what a Tracer needs.
type Options struct {
	// Endpoint is the collector's URL; without a path, /v1/traces is meant.
	Endpoint string
	// Headers are lines of NAME: VALUE that the collector gets; nil for none.
	Headers []byte
	// CA are the CAs in PEM that may vouch for the collector; nil for the system's.
	CA []byte
	// Sample is which part of the traces that begin here are recorded, 0 to 1.
	Sample float64
	// Service and Version are the resource's service.name and service.version.
	Service, Version string
	// Counts are counted on; nil for ones of the Tracer's own. Tracers that follow
	// each other share them, since a counter must never go back.
	Counts *Counts
	// Log gets what an operator should know. Needed.
	Log *slog.Logger
}

// Tracer records traces. Its methods may be called concurrently.
type Tracer struct {
	endpoint  string
	id        [sha256.Size]byte
	threshold uint64
	log       *slog.Logger
	resource  resource
	client    otlptrace.Client
	answers   *answers
	transport *http.Transport
	last      time.Duration // for what is left at the end; lastTime but in tests

	queue   chan []Span
	counts  *Counts
	trouble atomic.Pointer[string]
}

// Counts are counters of spans. The zero Counts are ready; they may be used
// concurrently.
type Counts struct{ exported, dropped, failed atomic.Uint64 }

// Stats returns the counts of now.
func (c *Counts) Stats() Stats {
	return Stats{c.exported.Load(), c.dropped.Load(), c.failed.Load()}
}

// Stats are counts of spans since the Counts began.
type Stats struct {
	Exported uint64 // taken by the collector
	Dropped  uint64 // there were too many for it
	Failed   uint64 // it refused them, or could not be reached
}

// Bounds of what waits for the collector, and of its time.
const (
	queueLength = 2048 // traces, of some three spans each
	batchSize   = 512  // spans that are sent at once
	batchTime   = 2 * time.Second
	sendTime    = 10 * time.Second
	lastTime    = 2 * time.Second
)

// New returns a Tracer; it starts nothing. An error is one of the options.
func New(o Options) (*Tracer, error) {
	u, err := url.Parse(o.Endpoint)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, &FieldError{"endpoint", fmt.Errorf("%q: want http:// or https:// with a host", o.Endpoint)}
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = "/v1/traces"
	}
	headers, err := parseHeaders(o.Headers)
	if err != nil {
		return nil, &FieldError{"headers_file", err}
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if o.CA != nil {
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(o.CA) {
			return nil, &FieldError{"ca", fmt.Errorf("no certificate found: want a PEM file of CA certificates")}
		}
	}
	if o.Counts == nil {
		o.Counts = &Counts{}
	}
	t := &Tracer{
		endpoint:  u.String(),
		id:        digest(o),
		threshold: threshold(o.Sample),
		log:       o.Log,
		resource:  resourceOf(o.Service, o.Version),
		last:      lastTime,
		counts:    o.Counts,
		queue:     make(chan []Span, queueLength),
		transport: &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			DialContext:         (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
			TLSClientConfig:     conf,
			TLSHandshakeTimeout: 5 * time.Second,
			ForceAttemptHTTP2:   true,
			MaxIdleConns:        2,
			IdleConnTimeout:     time.Minute,
		},
	}
	t.answers = &answers{transport: t.transport}
	// Everything is said here, so that no variable of the environment says it.
	t.client = otlptracehttp.NewClient(
		otlptracehttp.WithEndpointURL(t.endpoint),
		otlptracehttp.WithHeaders(headers),
		otlptracehttp.WithEncoding(otlptracehttp.EncodingProtobuf),
		otlptracehttp.WithTLSClientConfig(nil), // the transport below has one
		otlptracehttp.WithCompression(otlptracehttp.GzipCompression),
		otlptracehttp.WithTimeout(sendTime),
		otlptracehttp.WithRetry(otlptracehttp.RetryConfig{Enabled: true, InitialInterval: 500 * time.Millisecond, MaxInterval: 3 * time.Second, MaxElapsedTime: sendTime}),
		otlptracehttp.WithHTTPClient(&http.Client{
			Transport: t.answers,
			Timeout:   sendTime,
			// Spans, and the token in their header, go where the operator said.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}),
	)
	return t, t.client.Start(context.Background())
}

// FieldError is an error of one option, by its key in the configuration.
type FieldError struct {
	Field string
	Err   error
}

func (e *FieldError) Error() string { return e.Field + ": " + e.Err.Error() }

func (e *FieldError) Unwrap() error { return e.Err }

// parseHeaders reads lines of NAME: VALUE. An error never has a value in it.
func parseHeaders(text []byte) (map[string]string, error) {
	headers := map[string]string{}
	n := 0
	for line := range bytes.Lines(text) {
		n++
		line := strings.TrimSpace(string(line))
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		if !ok || !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) {
			return nil, fmt.Errorf("line %d: want NAME: VALUE", n)
		}
		name = http.CanonicalHeaderKey(name)
		if _, twice := headers[name]; twice {
			return nil, fmt.Errorf("line %d: %s is there already", n, name)
		}
		headers[name] = value
	}
	return headers, nil
}

// threshold is below which the numbers in the ids of recorded traces are.
func threshold(sample float64) uint64 {
	switch {
	case sample >= 1:
		return math.MaxUint64
	case sample > 0:
		return uint64(sample * (1 << 63))
	}
	return 0
}

func digest(o Options) [sha256.Size]byte {
	return sha256.Sum256(fmt.Appendf(nil, "%q %q %q %v %q %q", o.Endpoint, o.Headers, o.CA, o.Sample, o.Service, o.Version))
}

// ID is the same for Tracers that were made by the same options.
func (t *Tracer) ID() [sha256.Size]byte { return t.id }

// Samples says whether a trace that begins here is recorded. Its id decides, as
// OpenTelemetry's TraceIDRatioBased does.
func (t *Tracer) Samples(id w3c.TraceID) bool {
	var n uint64
	for _, b := range id[8:] {
		n = n<<8 | uint64(b)
	}
	return n>>1 < t.threshold
}

// Begin returns a request's place: below parent, which then says whether it is
// recorded, or as the first of a trace, if parent is the zero Context.
func (t *Tracer) Begin(parent w3c.Context) w3c.Span {
	s := w3c.Span{ID: w3c.NewSpanID(), Target: w3c.NewSpanID()}
	if parent.Trace == (w3c.TraceID{}) {
		s.Trace = w3c.NewTraceID()
		s.Sampled = t.Samples(s.Trace)
		return s
	}
	s.Trace, s.Parent, s.Sampled, s.State = parent.Trace, parent.Span, parent.Sampled, parent.State
	return s
}

// Export hands the spans of a trace over, and the slice with them. It never waits.
func (t *Tracer) Export(spans []Span) {
	select {
	case t.queue <- spans:
	default:
		t.counts.dropped.Add(uint64(len(spans)))
	}
}

// Stats returns the counts of now.
func (t *Tracer) Stats() Stats { return t.counts.Stats() }

// Trouble is why the collector has not taken the last spans, "" if it has.
func (t *Tracer) Trouble() string {
	if text := t.trouble.Load(); text != nil {
		return *text
	}
	return ""
}
