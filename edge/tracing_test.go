package edge

import (
	"bufio"
	"compress/gzip"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/proxy"
	"github.com/sallyport/sallyport/edge/reason"
	"github.com/sallyport/sallyport/loadtest/pki"
	"github.com/sallyport/sallyport/sdk"
)

// collector takes spans by OTLP.
type collector struct {
	*httptest.Server
	mu    sync.Mutex
	spans []*tracepb.Span
	text  string // all that came, for what must not be in it
}

func newCollector(t *testing.T) *collector {
	t.Helper()
	c := &collector{}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := gzip.NewReader(r.Body)
		if err != nil {
			t.Errorf("%v", err)
			return
		}
		text, _ := io.ReadAll(body)
		message := &collectorpb.ExportTraceServiceRequest{}
		if err := proto.Unmarshal(text, message); err != nil {
			t.Errorf("%v", err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.text += string(text)
		for _, s := range message.ResourceSpans[0].ScopeSpans {
			c.spans = append(c.spans, s.Spans...)
		}
	}))
	t.Cleanup(c.Close)
	return c
}

// named are the spans of that name that have come.
func (c *collector) named(name string) (list []*tracepb.Span) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.spans {
		if s.Name == name {
			list = append(list, s)
		}
	}
	return list
}

// span waits for the one span of that name.
func (r *rig) span(c *collector, name string) *tracepb.Span {
	r.t.Helper()
	r.await("sent: "+name, func() bool { return len(c.named(name)) > 0 })
	list := c.named(name)
	if len(list) > 1 {
		r.t.Errorf("%d spans named %s", len(list), name)
	}
	return list[0]
}

// attributes are a span's.
func attributes(s *tracepb.Span) map[string]string {
	m := map[string]string{}
	for _, a := range s.Attributes {
		switch {
		case a.Value.GetStringValue() != "":
			m[a.Key] = a.Value.GetStringValue()
		case a.Value.GetIntValue() != 0:
			m[a.Key] = fmt.Sprint(a.Value.GetIntValue())
		default:
			m[a.Key] = fmt.Sprint(a.Value.GetBoolValue())
		}
	}
	return m
}

// want holds some of a span's attributes against what they should be.
func want(t *testing.T, s *tracepb.Span, attrs map[string]string) {
	t.Helper()
	got := attributes(s)
	for key, value := range attrs {
		if got[key] != value {
			t.Errorf("%s: %s is %q, want %q; all: %v", s.Name, key, got[key], value, got)
		}
	}
}

// tracing is the section, and an access log.
func tracing(c *collector, more string) string {
	return fmt.Sprintf("tracing: {otlp: {endpoint: %q}, sample: 1%s}\n", c.URL, more)
}

// accessLine is the last of the access log.
func (r *rig) accessLine() (line map[string]any) {
	r.t.Helper()
	r.await("logged", func() bool {
		text, _ := os.ReadFile(filepath.Join(r.dir, "access.log"))
		lines := strings.Split(strings.TrimSpace(string(text)), "\n")
		line = nil
		return json.Unmarshal([]byte(lines[len(lines)-1]), &line) == nil
	})
	return line
}

// TestTraces follows a connection and its request through the spans of both, their
// ids into the logs and to the target.
func TestTraces(t *testing.T) {
	r := newRig(t)
	c := newCollector(t)
	r.listen("p", &scripted{})
	sections := "plugins: {p: {attach: p.sock, hooks: [connection, request], timeout: 20s}}\n"
	r.start(sections + tracing(c, "") + verifying("plugins: [p]"))
	leaf := pki.Must(r.ca.Issue(pki.CommonName("secret-subject"))).TLSCertificate()
	record, body := r.try("verify", r.client(&leaf))
	if record.Status != reason.Success {
		t.Fatalf("%s: %s", record.Status, record.Cause)
	}
	connection := r.span(c, "connection")
	if id := hex.EncodeToString(connection.TraceId); record.TraceID != "TID_"+id || record.Trace.String() != id || len(connection.ParentSpanId) != 0 {
		t.Errorf("connection %s is in trace %s, its log says %s", record.TraceID, id, record.Trace)
	}
	want(t, connection, map[string]string{"sallyport.reason": "Success", "sallyport.listener": "verify", "sallyport.mode": "verify",
		"sallyport.trust_store": "clients", "client.address": "127.0.0.1", "server.address": "localhost", "tls.client.subject": ""})
	shake := r.span(c, "tls handshake")
	want(t, shake, map[string]string{"tls.protocol.version": "1.3", "tls.established": "true", "tls.resumed": "false"})
	verify, revocation := r.span(c, "verify client certificate"), r.span(c, "look up revocation")
	want(t, verify, map[string]string{"sallyport.chain_cached": "false", "sallyport.presented_certificates": "1"})
	for child, parent := range map[*tracepb.Span]*tracepb.Span{shake: connection, verify: shake, revocation: shake} {
		if string(child.ParentSpanId) != string(parent.SpanId) || string(child.TraceId) != string(connection.TraceId) ||
			child.StartTimeUnixNano < parent.StartTimeUnixNano || child.EndTimeUnixNano > parent.EndTimeUnixNano {
			t.Errorf("%s is not in %s:\n%v\n%v", child.Name, parent.Name, child, parent)
		}
	}

	r.await("sent: request", func() bool { return len(c.named("GET")) == 2 && len(c.named("plugin p")) == 2 })
	request, target := c.named("GET")[0], c.named("GET")[1]
	if string(target.ParentSpanId) != string(request.SpanId) || request.Kind != tracepb.Span_SPAN_KIND_SERVER || target.Kind != tracepb.Span_SPAN_KIND_CLIENT {
		t.Errorf("request %v\ntarget %v", request, target)
	}
	if len(request.Links) != 1 || string(request.Links[0].SpanId) != string(connection.SpanId) {
		t.Errorf("the request is not linked to its connection: %v", request.Links)
	}
	for i, parent := range []*tracepb.Span{connection, request} {
		verdict := c.named("plugin p")[i]
		want(t, verdict, map[string]string{"sallyport.hook": []string{"connection", "request"}[i], "sallyport.verdict": "allow"})
		if string(verdict.ParentSpanId) != string(parent.SpanId) {
			t.Errorf("verdict %d is not below %s", i, parent.Name)
		}
	}
	want(t, request, map[string]string{"http.request.method": "GET", "url.scheme": "https", "url.path": "/", "http.response.status_code": "200",
		"network.protocol.version": "1.1", "server.address": "localhost", "sallyport.target_group": "app", "sallyport.conn_trace_id": record.TraceID})
	want(t, target, map[string]string{"http.response.status_code": "200", "server.address": "127.0.0.1"})
	traceparent := fmt.Sprintf("Traceparent: 00-%x-%x-01\r\n", request.TraceId, target.SpanId)
	if !strings.Contains(body, traceparent) {
		t.Errorf("the target got\n%swant %s", body, traceparent)
	}
	if strings.Contains(c.text, "secret-subject") {
		t.Error("a client's subject was sent")
	}
}

// TestTracesOfTrustedClients has the client's trace continued where the listener
// says so, the subject sent where the configuration does, and ids in the access log.
func TestTracesOfTrustedClients(t *testing.T) {
	r := newRig(t)
	c := newCollector(t)
	text := strings.Replace(tracing(c, ", client_subject: true"), "sample: 1", "sample: parent", 1)
	r.start(text + verifying("tracing: {trust_parent: true}"))
	r.reloadLogs(text + verifying("tracing: {trust_parent: true}"))
	conn := r.dial("verify", pki.Must(r.ca.Issue()))
	answers := bufio.NewReader(conn)
	const id, span = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	for _, flags := range []string{"00", "01"} {
		fmt.Fprintf(conn, "GET /a?token=secret HTTP/1.1\r\nHost: localhost\r\ntraceparent: 00-%s-%s-%s\r\n\r\n", id, span, flags)
		response, err := http.ReadResponse(answers, nil)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, response.Body)
	}
	r.await("sent", func() bool { return len(c.named("GET")) == 2 }) // the second's two
	for _, s := range c.named("GET") {
		if hex.EncodeToString(s.TraceId) != id {
			t.Errorf("trace %x", s.TraceId)
		}
	}
	request := c.named("GET")[0]
	if hex.EncodeToString(request.ParentSpanId) != span || attributes(request)["url.path"] != "/a" || len(request.Links) != 0 {
		t.Errorf("got %v", request)
	}
	if n := len(c.named("connection")); n != 0 {
		t.Errorf("%d connections, although none is to be recorded", n)
	}
	if strings.Contains(c.text, "token=secret") {
		t.Error("a query was sent")
	}
	if line := r.accessLine(); line["otel_trace_id"] != id || line["otel_span_id"] != hex.EncodeToString(request.SpanId) || line["otel_sampled"] != true {
		t.Errorf("access log: %v", line)
	}
}

// reloadLogs puts these sections in force, with an access log.
func (r *rig) reloadLogs(sections string) {
	r.t.Helper()
	r.configure(sections)
	name := filepath.Join(r.dir, "sallyport.yaml")
	text, err := os.ReadFile(name)
	if err != nil {
		r.t.Fatal(err)
	}
	r.write("sallyport.yaml", []byte(strings.Replace(string(text), "logs: {", "logs: {access: {file: access.log}, ", 1)))
	if err := r.server.Reload(); err != nil {
		r.t.Fatal(err)
	}
}

// TestTracesOfRefusals has a client refused by the edge, and a request by a plugin;
// a reload keeps the tracer, or ends it.
func TestTracesOfRefusals(t *testing.T) {
	r := newRig(t)
	c := newCollector(t)
	r.listen("p", &scripted{request: func(sdk.Request) sdk.Verdict { return sdk.Deny(403, "no") }})
	sections := attached("p", "request") + tracing(c, ", client_subject: true") + verifying("plugins: [p]")
	r.start(sections)
	tracer := r.server.generation.Load().tracer
	r.reload(sections)
	if r.server.generation.Load().tracer != tracer {
		t.Error("a reload that changes nothing makes a new tracer")
	}
	if record, _ := r.try("verify", r.client(nil)); record.Status != reason.ClientCertMissing {
		t.Fatalf("got %s", record.Status)
	}
	want(t, r.span(c, "connection"), map[string]string{"sallyport.reason": "ClientCertMissing", "error.type": "ClientCertMissing"})
	leaf := pki.Must(r.ca.Issue(pki.CommonName("shown"))).TLSCertificate()
	r.try("verify", r.client(&leaf))
	r.await("both", func() bool { return len(c.named("connection")) == 2 })
	want(t, c.named("connection")[1], map[string]string{"tls.client.subject": "CN=shown"})
	want(t, r.span(c, "plugin p"), map[string]string{"sallyport.verdict": "deny", "sallyport.hook": "request"})
	want(t, r.span(c, "GET"), map[string]string{"http.response.status_code": "403", "sallyport.error_reason": proxy.ReasonPluginDenied})
	r.reload(attached("p", "request") + verifying("plugins: [p]"))
	if r.server.generation.Load().tracer != nil {
		t.Error("tracing is off, and still there")
	}
	if record, body := r.try("verify", r.client(&leaf)); record.Trace.String() != strings.Repeat("0", 32) || strings.Contains(body, "Traceparent") {
		t.Errorf("traced although it is off: %s, %s", record.Trace, body)
	}
}

// What is wrong with the files of the section is told with its key.
func TestTracingFiles(t *testing.T) {
	r := newRig(t)
	r.write("headers", []byte("no colon\n"))
	for otlp, key := range map[string]string{
		`endpoint: "http://127.0.0.1:1", headers_file: headers`: "tracing.otlp.headers_file: line 1: want NAME: VALUE",
		`endpoint: "http://127.0.0.1:1", headers_file: absent`:  "tracing.otlp.headers_file: open ",
		`endpoint: "https://127.0.0.1:1", ca: headers`:          "tracing.otlp.ca: no certificate found",
	} {
		r.configure("tracing: {otlp: {" + otlp + "}}\n" + verifying())
		cfg, _ := config.Load(filepath.Join(r.dir, "sallyport.yaml"))
		if problems := Check(cfg); !strings.Contains(fmt.Sprint(problems), key) {
			t.Errorf("%s: %v, want %s", otlp, problems, key)
		}
	}
}

func TestPathOf(t *testing.T) {
	for target, want := range map[string]string{
		"/": "/", "/a?b": "/a", "/a?b?c://d": "/a", "http://h/a?b": "/a", "http://h?b": "/", "*": "*", "/a://b/c": "/a://b/c",
	} {
		if got := pathOf(target); got != want {
			t.Errorf("%s: %s, want %s", target, got, want)
		}
	}
}
