package proxy

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/edge/accesslog"
	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/http1"
	"github.com/sallyport/sallyport/edge/trace/w3c"
)

// tracer records what it is asked to.
type tracer struct{ sampled bool }

func (t tracer) Begin(parent w3c.Context) w3c.Span {
	s := w3c.Span{Trace: parent.Trace, Parent: parent.Span, ID: w3c.NewSpanID(), Target: w3c.NewSpanID(), Sampled: parent.Sampled, State: parent.State}
	if s.Trace == (w3c.TraceID{}) {
		s.Trace, s.Sampled = w3c.NewTraceID(), t.sampled
	}
	return s
}

const (
	parentTrace = "4bf92f3577b34da6a3ce929d0e0e4736"
	parentSpan  = "00f067aa0ba902b7"
	parent      = "00-" + parentTrace + "-" + parentSpan + "-01"
)

// What a target is told of a trace, by both protocols: without a Tracer what the
// client says, with one what the edge says, and nothing but that.
func TestTraceContext(t *testing.T) {
	seen := make(chan http.Header, 1)
	handler := func(w http.ResponseWriter, r *http.Request) { seen <- r.Header }
	for name, group := range map[string]*TargetGroup{
		"http1": newGroup(t, startTarget(t, handler)),
		"http2": group2(t, config.HTTP2, nil, startTarget2(t, handler)),
	} {
		for _, test := range []struct {
			name           string
			traced, trusts bool
			sent           http.Header
			continued      bool
			state          []string
		}{
			{"off", false, false, http.Header{"Traceparent": {parent}, "Tracestate": {"a=1", "b=2"}}, true, []string{"a=1", "b=2"}},
			{"distrusted", true, false, http.Header{"Traceparent": {parent}, "Tracestate": {"a=1"}}, false, nil},
			{"trusted", true, true, http.Header{"Traceparent": {parent}, "Tracestate": {"a=1", "b=2"}}, true, []string{"a=1,b=2"}},
			{"trusted without", true, true, http.Header{"Tracestate": {"a=1"}}, false, nil},
			{"twice", true, true, http.Header{"Traceparent": {parent, parent}, "Tracestate": {"a=1"}}, false, nil},
			{"malformed", true, true, http.Header{"Traceparent": {parent + "-"}, "Tracestate": {"a=1"}}, false, nil},
			{"malformed state", true, true, http.Header{"Traceparent": {parent}, "Tracestate": {"A=1"}}, true, nil},
			{"listed in Connection", true, true, http.Header{"Traceparent": {parent}, "Tracestate": {"a=1"}, "Connection": {"traceparent"}}, false, nil},
		} {
			t.Run(name+"/"+test.name, func(t *testing.T) {
				l := newListener(true)
				l.Action = Action{group: group}
				if test.traced {
					l.Tracer, l.TrustParent = tracer{}, test.trusts
				}
				e := startEdge(t, l)
				request, _ := http.NewRequest("GET", e.url("/"), nil)
				request.Header = test.sent
				response, err := e.client(false).Do(request)
				if err != nil {
					t.Fatal(err)
				}
				response.Body.Close()
				got, record := receive(t, seen, "request"), e.record()
				if diff := cmp.Diff(test.state, got["Tracestate"]); diff != "" {
					t.Errorf("tracestate (-want +got):\n%s", diff)
				}
				if amzn := got.Get("X-Amzn-Trace-Id"); !strings.HasPrefix(amzn, "Root=1-") || amzn != record.TraceID {
					t.Errorf("X-Amzn-Trace-Id %q, in the record %q", amzn, record.TraceID)
				}
				if !test.traced {
					if got.Get("Traceparent") != parent || record.Trace != nil {
						t.Errorf("without a tracer: %q, %v", got["Traceparent"], record.Trace)
					}
					return
				}
				place := record.Trace
				if place == nil || len(got["Traceparent"]) != 1 || got.Get("Traceparent") != string(place.AppendTraceparent(nil)) {
					t.Fatalf("the target got %q, the record has %v", got["Traceparent"], place)
				}
				if place.ID == place.Target || (place.Trace.String() == parentTrace) != test.continued ||
					(place.Parent.String() == parentSpan) != test.continued || place.Sampled != test.continued {
					t.Errorf("continued: want %v, got %+v", test.continued, place)
				}
			})
		}
	}
}

// A trailer is no way around.
func TestTraceContextInTrailer(t *testing.T) {
	seen := make(chan string, 1)
	l := newListener(false).forwardTo(t, rawTarget(t, func(conn net.Conn, r *bufio.Reader) {
		var all strings.Builder
		for !strings.HasSuffix(all.String(), "\r\n0\r\n\r\n") {
			line, err := r.ReadString('\n')
			if all.WriteString(line); err != nil {
				break
			}
		}
		seen <- all.String()
		fmt.Fprint(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	}))
	l.Tracer = tracer{}
	e := startEdge(t, l)
	e.raw("POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\nTrailer: traceparent\r\n\r\n1\r\nx\r\n0\r\nTraceparent: " + parent + "\r\n\r\n")
	if got := receive(t, seen, "request"); strings.Contains(got, parentTrace) || strings.Count(strings.ToLower(got), "traceparent") != 1 {
		t.Errorf("the target got\n%s", got)
	}
}

// A refusal has its place too, and what its Judge noted.
func TestTraceOfRefusal(t *testing.T) {
	l := newListener(false).forwardTo(t, startTarget(t, func(http.ResponseWriter, *http.Request) { t.Error("reached") }))
	l.Tracer, l.Judged = tracer{sampled: true}, true
	e := startEdge(t, l, noting{})
	e.raw("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	record := e.record()
	if record.Trace == nil || !record.Trace.Sampled || len(record.Trace.Verdicts) != 1 || record.Trace.Verdicts[0].Plugin != "p" || record.ELBStatusCode != 503 {
		t.Errorf("got %d, %+v", record.ELBStatusCode, record.Trace)
	}
}

// noting is a Judge that refuses.
type noting struct{ Judge }

func (noting) Request(j *Judged) {
	if j.Traced() {
		j.Note(accesslog.Verdict{Plugin: "p", Outcome: "deny"})
	}
}
func (noting) Answered(*Judged, *http1.Response) {}
func (noting) Over(*Judged)                      {}

// A request takes no memory for its place in a trace that is not recorded.
func TestTracingDoesNotAllocate(t *testing.T) {
	if raced {
		t.Skip("under the race detector sync.Pool forgets at random")
	}
	l := newListener(false).forwardTo(t, plainTarget(t))
	l.Tracer = tracer{}
	e := startEdge(t, l)
	e.records = nil
	conn := e.dial("http/1.1")
	r := bufio.NewReader(conn)
	ask(t, conn, r)
	if n := testing.AllocsPerRun(2000, func() { ask(t, conn, r) }); n > 0 {
		t.Errorf("%v allocations per request", n)
	}
}

// BenchmarkTracing is a keep-alive request without a Tracer, and with one that does
// not record it.
func BenchmarkTracing(b *testing.B) {
	for _, name := range []string{"off", "unsampled"} {
		b.Run(name, func(b *testing.B) {
			l := newListener(false).forwardTo(b, plainTarget(b))
			if name != "off" {
				l.Tracer = tracer{}
			}
			e := startEdge(b, l)
			e.records = nil
			benchAsk(b, e.dial("http/1.1"))
		})
	}
}
