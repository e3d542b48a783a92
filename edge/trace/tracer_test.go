package trace

import (
	"compress/gzip"
	"context"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"github.com/sallyport/sallyport/edge/trace/w3c"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 30 * time.Second

// collector takes spans as one of OpenTelemetry's does.
type collector struct {
	*httptest.Server
	mu       sync.Mutex
	requests []*http.Request
	sent     []*collectorpb.ExportTraceServiceRequest
	answer   func(http.ResponseWriter, *http.Request) // in the place of taking them, if not nil
}

func newCollector(t *testing.T, secure bool) *collector {
	t.Helper()
	c := &collector{}
	c.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.mu.Lock()
		answer := c.answer
		c.mu.Unlock()
		if answer != nil {
			answer(w, r)
			return
		}
		body, err := gzip.NewReader(r.Body)
		if err != nil {
			t.Errorf("not compressed: %v", err)
			return
		}
		text, _ := io.ReadAll(body)
		message := &collectorpb.ExportTraceServiceRequest{}
		if err := proto.Unmarshal(text, message); err != nil || r.Header.Get("Content-Type") != "application/x-protobuf" {
			t.Errorf("%s: %v", r.Header.Get("Content-Type"), err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.requests, c.sent = append(c.requests, r), append(c.sent, message)
	}))
	if secure {
		c.StartTLS()
	} else {
		c.Start()
	}
	t.Cleanup(c.Close)
	return c
}

// set changes how the collector answers.
func (c *collector) set(answer func(http.ResponseWriter, *http.Request)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answer = answer
}

// spans are those that were taken.
func (c *collector) spans() (list []*tracepb.Span) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, message := range c.sent {
		for _, r := range message.ResourceSpans {
			for _, s := range r.ScopeSpans {
				list = append(list, s.Spans...)
			}
		}
	}
	return list
}

func (c *collector) ca() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate().Raw})
}

// start gives what is left at the end the time that a busy machine takes for it.
func start(t *testing.T, o Options) (tracer *Tracer, end func()) {
	t.Helper()
	return startWith(t, o, patience)
}

func startWith(t *testing.T, o Options, last time.Duration) (tracer *Tracer, end func()) {
	t.Helper()
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	tracer, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	tracer.last = last
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- tracer.Run(ctx) }()
	return tracer, sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for over := time.Now().Add(patience); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(over) {
			t.Fatalf("not %s within %s", what, patience)
		}
	}
}

func one(tracer *Tracer, name string) Span {
	s := tracer.Begin(w3c.Context{})
	now := time.Now()
	return Span{Trace: s.Trace, ID: s.ID, Name: name, Begin: now.Add(-time.Second), End: now}
}

func TestExport(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "X-Environment=1") // has no say
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
	c := newCollector(t, true)
	tracer, end := start(t, Options{Endpoint: c.URL, CA: c.ca(), Headers: []byte("# the token\nauthorization: Bearer secret\n\nX-Tenant: a:b\n"),
		Sample: 1, Service: "edge", Version: "v1"})
	span := one(tracer, "GET")
	span.Parent, span.State, span.Kind, span.Failed = w3c.NewSpanID(), "a=1", Server, true
	span.LinkTrace, span.LinkSpan = w3c.NewTraceID(), w3c.NewSpanID()
	span.Text("url.path", "/")
	span.Text("none", "")
	span.Number("http.response.status_code", 200)
	span.Flag("tls.resumed", true)
	tracer.Export([]Span{span, one(tracer, "other")})
	end() // which sends what is left
	spans := c.spans()
	if len(spans) != 2 || tracer.Stats() != (Stats{Exported: 2}) || tracer.Trouble() != "" {
		t.Fatalf("%d spans, %+v, %s", len(spans), tracer.Stats(), tracer.Trouble())
	}
	got := spans[0]
	if string(got.TraceId) != string(span.Trace[:]) || string(got.SpanId) != string(span.ID[:]) || string(got.ParentSpanId) != string(span.Parent[:]) ||
		got.TraceState != "a=1" || got.Kind != tracepb.Span_SPAN_KIND_SERVER || got.Status.Code != tracepb.Status_STATUS_CODE_ERROR ||
		got.EndTimeUnixNano-got.StartTimeUnixNano != uint64(time.Second) || string(got.Links[0].TraceId) != string(span.LinkTrace[:]) {
		t.Errorf("got %v", got)
	}
	if a := got.Attributes; len(a) != 3 || a[0].Value.GetStringValue() != "/" || a[1].Value.GetIntValue() != 200 || !a[2].Value.GetBoolValue() {
		t.Errorf("attributes %v", a)
	}
	if len(spans[1].ParentSpanId) != 0 || len(spans[1].Links) != 0 || spans[1].Status != nil {
		t.Errorf("a first span: %v", spans[1])
	}
	r := c.requests[0]
	if r.URL.Path != "/v1/traces" || r.Header.Get("Authorization") != "Bearer secret" || r.Header.Get("X-Tenant") != "a:b" || r.Header.Get("X-Environment") != "" {
		t.Errorf("asked for %s with %v", r.URL, r.Header)
	}
	resource := map[string]string{}
	for _, a := range c.sent[0].ResourceSpans[0].Resource.Attributes {
		resource[a.Key] = a.Value.GetStringValue()
	}
	if resource["service.name"] != "edge" || resource["service.version"] != "v1" {
		t.Errorf("resource %v", resource)
	}
}

// A collector that one cannot trust gets nothing, nor does one that it points to.
func TestCollectorsThatGetNothing(t *testing.T) {
	other := newCollector(t, false)
	for name, test := range map[string]struct {
		ca     func(*collector) []byte
		answer func(http.ResponseWriter, *http.Request)
		want   string
	}{
		"an unknown CA": {func(*collector) []byte { return nil }, nil, "x509: certificate signed by unknown authority"},
		"a redirect": {(*collector).ca, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
		}, "307"},
		"a refusal": {(*collector).ca, func(w http.ResponseWriter, r *http.Request) { http.Error(w, "no such token", http.StatusUnauthorized) }, "no such token"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCollector(t, true)
			c.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
			c.set(test.answer)
			tracer, end := start(t, Options{Endpoint: c.URL, CA: test.ca(c), Sample: 1})
			tracer.Export([]Span{one(tracer, "a"), one(tracer, "b")})
			end()
			if s := tracer.Stats(); s != (Stats{Failed: 2}) || !strings.Contains(tracer.Trouble(), test.want) {
				t.Errorf("%+v, %s; want %s", s, tracer.Trouble(), test.want)
			}
			if len(c.spans())+len(other.spans()) > 0 {
				t.Error("spans were taken")
			}
		})
	}
}

// A collector that stalls holds nobody up: spans are dropped, and counted. Then it
// takes them again.
func TestStalledCollector(t *testing.T) {
	c := newCollector(t, false)
	release, stalled := make(chan struct{}), make(chan struct{}, 100)
	c.set(func(w http.ResponseWriter, r *http.Request) {
		stalled <- struct{}{}
		<-release
		http.Error(w, "too late", http.StatusBadRequest)
	})
	tracer, end := start(t, Options{Endpoint: c.URL, Sample: 1})
	defer end()
	const all = 3 * queueLength
	for range batchSize {
		tracer.Export([]Span{one(tracer, "a")})
	}
	<-stalled
	begun := time.Now()
	for range all {
		tracer.Export([]Span{one(tracer, "b")})
	}
	if took := time.Since(begun); took > patience {
		t.Errorf("handing over took %s", took)
	}
	if s := tracer.Stats(); s.Dropped < all-queueLength-batchSize {
		t.Errorf("%+v", s)
	}
	c.set(nil)
	close(release)
	await(t, "taken again", func() bool { return tracer.Stats().Exported > 0 && tracer.Trouble() == "" })
	end()
	s := tracer.Stats()
	if s.Exported+s.Dropped+s.Failed != all+batchSize || s.Exported != uint64(len(c.spans())) || s.Failed == 0 {
		t.Errorf("%+v of %d; the collector has %d", s, all+batchSize, len(c.spans()))
	}
}

// At the end a collector that never answers is left.
func TestEndsInTime(t *testing.T) {
	c := newCollector(t, false)
	release := make(chan struct{})
	c.set(func(http.ResponseWriter, *http.Request) { <-release })
	tracer, end := startWith(t, Options{Endpoint: c.URL, Sample: 1}, lastTime)
	tracer.Export([]Span{one(tracer, "a")})
	begun := time.Now()
	end()
	if took := time.Since(begun); took < lastTime || took > patience {
		t.Errorf("ended after %s", took)
	}
	if s := tracer.Stats(); s != (Stats{Failed: 1}) {
		t.Errorf("%+v", s)
	}
	close(release)
}

// What clients choose is made harmless: a collector would refuse the whole batch.
func TestHostileText(t *testing.T) {
	for text, want := range map[string]string{
		"a\xffb":                       "a\uFFFDb",
		strings.Repeat("x", maxText):   strings.Repeat("x", maxText),
		strings.Repeat("x", maxText+1): strings.Repeat("x", maxText-3) + "...",
		"\x00\r\n":                     "\x00\r\n",
	} {
		if got := safe(text); got != want {
			t.Errorf("%.20q: %.40q", text, got)
		}
	}
	hostile := strings.Repeat("\xff\xfeé", maxText)
	if got := safe(hostile); len(got) > maxText || !strings.HasSuffix(got, "...") {
		t.Errorf("%d bytes, %.40q", len(got), got)
	}
	c := newCollector(t, false)
	tracer, end := start(t, Options{Endpoint: c.URL, Sample: 1})
	span := one(tracer, "GET")
	span.Text("url.path", hostile)
	span.Text("user_agent.original", hostile[1:])
	span.End = span.Begin.Add(-time.Hour)
	tracer.Export([]Span{span})
	end()
	if spans := c.spans(); len(spans) != 1 || spans[0].EndTimeUnixNano != spans[0].StartTimeUnixNano {
		t.Errorf("%+v: %s", tracer.Stats(), tracer.Trouble())
	}
}

func TestSampling(t *testing.T) {
	count := func(sample float64, parent w3c.Context) (n int) {
		tracer, err := New(Options{Endpoint: "http://127.0.0.1:1", Sample: sample})
		if err != nil {
			t.Fatal(err)
		}
		for range 10_000 {
			if s := tracer.Begin(parent); s.Sampled {
				n++
			}
		}
		return n
	}
	for sample, within := range map[float64][2]int{0: {0, 0}, 0.25: {2200, 2800}, 1: {10_000, 10_000}} {
		if n := count(sample, w3c.Context{}); n < within[0] || n > within[1] {
			t.Errorf("%v: %d of 10000", sample, n)
		}
	}
	parent := w3c.Context{Trace: w3c.NewTraceID(), Span: w3c.NewSpanID()}
	if n := count(1, parent); n != 0 {
		t.Errorf("%d of a trace that its parent does not record", n)
	}
	parent.Sampled = true
	if n := count(0, parent); n != 10_000 {
		t.Errorf("%d of a trace that its parent records", n)
	}
}

func TestOptionsThatAreRefused(t *testing.T) {
	for field, o := range map[string]Options{
		"endpoint":     {Endpoint: "collector:4318"},
		"headers_file": {Endpoint: "http://a", Headers: []byte("X-A: 1\nsecret\n")},
		"ca":           {Endpoint: "https://a", CA: []byte{}},
	} {
		_, err := New(o)
		var wrong *FieldError
		if !errors.As(err, &wrong) || wrong.Field != field || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", field, err)
		}
	}
	for text, want := range map[string]string{
		"a b: 1": "line 1: want NAME: VALUE", "\n: 1": "line 2: want NAME: VALUE", "a: \x01": "line 1: want NAME: VALUE",
		"a: 1\nA: 2": "line 2: A is there already",
	} {
		if _, err := parseHeaders([]byte(text)); err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

func FuzzHeaders(f *testing.F) {
	f.Add([]byte("a: b\n# c\nd: e:f"))
	f.Fuzz(func(t *testing.T, text []byte) {
		headers, err := parseHeaders(text)
		if err != nil && headers != nil {
			t.Errorf("%q: %v and %v", text, headers, err)
		}
		for name, value := range headers {
			if strings.ContainsAny(name+value, "\r\n\x00") {
				t.Errorf("%q: %q: %q", text, name, value)
			}
		}
	})
}

func BenchmarkBegin(b *testing.B) {
	tracer, err := New(Options{Endpoint: "http://127.0.0.1:1", Sample: 0.01})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		tracer.Begin(w3c.Context{})
	}
}
