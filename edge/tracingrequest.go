package edge

import (
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport/sallyport/edge/proxy"
	"github.com/sallyport/sallyport/edge/trace"
)

// traceRequest hands over the spans of a request that is over.
func (s *Server) traceRequest(r *proxy.Record) {
	if r.Trace == nil || !r.Trace.Sampled {
		return
	}
	tracer := s.generation.Load().tracer
	if tracer == nil {
		return // a reload has just turned it off
	}
	request := requestSpan(r)
	if id, first := connectionTrace(r.ConnTraceID); tracer.Samples(id) {
		request.LinkTrace, request.LinkSpan = id, first
	}
	spans := append(make([]trace.Span, 0, 2+len(r.Trace.Verdicts)), request)
	spans = appendVerdicts(spans, r.Trace.Trace, r.Trace.ID, r.Trace.Verdicts)
	if r.Target != "" {
		spans = append(spans, targetSpan(r))
	}
	tracer.Export(spans)
}

// requestSpan is the request as the client sees it, by OpenTelemetry's semantic
// conventions for HTTP servers; but without the query, which may be secret.
func requestSpan(r *proxy.Record) trace.Span {
	t := r.Trace
	method, known := methodOf(r)
	span := trace.Span{
		Trace: t.Trace, ID: t.ID, Parent: t.Parent, State: strings.Clone(t.State),
		Name: method, Kind: trace.Server, Begin: r.Created, End: r.Time,
		Failed: r.ELBStatusCode >= 500,
	}
	if !known {
		span.Name = "HTTP"
		span.Text("http.request.method_original", r.Method)
	}
	span.Text("http.request.method", method)
	span.Text("url.scheme", r.Scheme)
	span.Text("url.path", pathOf(r.URI))
	host, port := r.Host, int64(r.Port)
	if name, text, err := net.SplitHostPort(r.Host); err == nil {
		host = name
		if n, err := strconv.ParseUint(text, 10, 16); err == nil {
			port = int64(n)
		}
	}
	span.Text("server.address", host)
	span.Number("server.port", port)
	span.Text("client.address", r.Client.Addr().String())
	span.Number("client.port", int64(r.Client.Port()))
	span.Text("network.protocol.name", "http")
	span.Text("network.protocol.version", strings.TrimSuffix(strings.TrimPrefix(r.Proto, "HTTP/"), ".0"))
	span.Text("user_agent.original", r.UserAgent)
	if r.ELBStatusCode > 0 {
		span.Number("http.response.status_code", int64(r.ELBStatusCode))
	}
	if span.Failed {
		if r.ErrorReason != "" {
			span.Text("error.type", r.ErrorReason)
		} else {
			span.Text("error.type", strconv.Itoa(r.ELBStatusCode))
		}
	}
	span.Text("sallyport.listener", r.Listener)
	span.Text("sallyport.target_group", r.TargetGroup)
	span.Text("sallyport.conn_trace_id", r.ConnTraceID)
	span.Text("sallyport.amzn_trace_id", r.TraceID)
	span.Text("sallyport.error_reason", r.ErrorReason)
	return span
}

// targetSpan is the request as its target has it: from when it was sent to the end
// of the answer. Of one that was not sent it is the whole time, in which a target
// was looked for.
func targetSpan(r *proxy.Record) trace.Span {
	t := r.Trace
	method, known := methodOf(r)
	span := trace.Span{
		Trace: t.Trace, ID: t.Target, Parent: t.ID, State: strings.Clone(t.State),
		Name: method, Kind: trace.Client, Begin: r.Created, End: r.Time,
		Failed: r.TargetStatusCode == 0 || r.TargetStatusCode >= 400,
	}
	if !known {
		span.Name = "HTTP"
	}
	if r.RequestProcessing > 0 {
		span.Begin = r.Created.Add(r.RequestProcessing)
	}
	if r.TargetProcessing >= 0 && r.ResponseProcessing >= 0 {
		span.End = span.Begin.Add(r.TargetProcessing + r.ResponseProcessing)
	}
	span.Text("http.request.method", method)
	if host, port, err := net.SplitHostPort(r.Target); err == nil {
		span.Text("server.address", host)
		if n, err := strconv.ParseUint(port, 10, 16); err == nil {
			span.Number("server.port", int64(n))
		}
	}
	span.Text("url.path", pathOf(r.URI))
	if r.TargetStatusCode > 0 {
		span.Number("http.response.status_code", int64(r.TargetStatusCode))
		if r.TargetProcessing >= 0 {
			span.Number("sallyport.time_to_first_byte_us", int64(r.TargetProcessing/time.Microsecond))
		}
	}
	switch {
	case !span.Failed:
	case r.TargetStatusCode == 0 && r.ErrorReason != "":
		span.Text("error.type", r.ErrorReason)
	case r.TargetStatusCode == 0:
		span.Text("error.type", "_OTHER")
	default:
		span.Text("error.type", strconv.Itoa(r.TargetStatusCode))
	}
	span.Text("sallyport.target_group", r.TargetGroup)
	return span
}

// methodOf is the method by the conventions: whoever makes up methods makes up no
// names of spans.
func methodOf(r *proxy.Record) (method string, known bool) {
	switch r.Method {
	case http.MethodGet, http.MethodPost, http.MethodHead, http.MethodPut, http.MethodDelete, http.MethodPatch, http.MethodOptions,
		http.MethodTrace, http.MethodConnect:
		return strings.Clone(r.Method), true
	}
	return "_OTHER", false
}

// pathOf is the path of a target as it was sent, in origin or in absolute form.
func pathOf(target string) string {
	target, _, _ = strings.Cut(target, "?")
	if !strings.HasPrefix(target, "/") {
		if _, rest, ok := strings.Cut(target, "://"); ok {
			if i := strings.IndexByte(rest, '/'); i >= 0 {
				return rest[i:]
			}
			return "/"
		}
	}
	return target
}
