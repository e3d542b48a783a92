package edge

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/loadtest/pki"
)

// TestSpanCountsOutliveTracers has reloads change tracing and end it: a counter
// that goes back is one that began anew to whoever draws it.
func TestSpanCountsOutliveTracers(t *testing.T) {
	r := newRig(t)
	c := newCollector(t)
	exported := func() int {
		found := regexp.MustCompile(`sallyport_trace_spans_total\{result="exported"\} (\d+)`).FindStringSubmatch(r.scrape())
		if found == nil {
			return -1
		}
		n, _ := strconv.Atoi(found[1])
		return n
	}
	r.start(verifying())
	if n := exported(); n != -1 {
		t.Errorf("%d spans, although nothing was ever traced", n)
	}
	r.reload(tracing(c, "") + verifying())
	r.try("verify", r.client(nil))
	r.await("counted", func() bool { return exported() > 0 })
	before, tracer := exported(), r.server.generation.Load().tracer
	r.reload(tracing(c, ", service_name: other") + verifying())
	if r.server.generation.Load().tracer == tracer {
		t.Fatal("the tracer is the old one")
	}
	if n := exported(); n < before {
		t.Errorf("%d spans after %d", n, before)
	}
	r.try("verify", r.client(nil))
	r.await("counted on", func() bool { return exported() > before })
	before = exported()
	r.reload(verifying())
	if n := exported(); n < before {
		t.Errorf("%d spans after %d, without tracing", n, before)
	}
}

// TestUntrustedTraceparent has a listener without trust_parent drop what a client
// says of traces, on the way to the target and in the spans.
func TestUntrustedTraceparent(t *testing.T) {
	const id = "4bf92f3577b34da6a3ce929d0e0e4736"
	for name, test := range map[string]struct {
		more string
		kept bool
	}{
		"by default":            {"", false},
		"by the configuration":  {"tracing: {trust_parent: false}", false},
		"trusted, to tell them": {"tracing: {trust_parent: true}", true},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			c := newCollector(t)
			var lines []string
			if test.more != "" {
				lines = []string{test.more}
			}
			r.start(tracing(c, "") + verifying(lines...))
			conn := r.dial("verify", pki.Must(r.ca.Issue()))
			fmt.Fprintf(conn, "GET /mine HTTP/1.1\r\nHost: localhost\r\ntraceparent: 00-%s-00f067aa0ba902b7-01\r\ntracestate: theirs=1\r\n\r\n", id)
			response, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(response.Body)
			text := strings.ToLower(string(body))
			if !strings.Contains(text, "traceparent: 00-") {
				t.Errorf("the target got no traceparent: %s", body)
			}
			if kept := strings.Contains(text, id) && strings.Contains(text, "theirs=1"); kept != test.kept ||
				!kept && (strings.Contains(text, id) || strings.Contains(text, "theirs=1")) {
				t.Errorf("the target got\n%s", body)
			}
			r.await("sent", func() bool { return len(c.named("GET")) == 4 }) // that of dial, too
			theirs := 0
			for _, s := range c.named("GET") {
				if fmt.Sprintf("%x", s.TraceId) == id {
					theirs++
				}
			}
			if (theirs > 0) != test.kept {
				t.Errorf("%d spans in the client's trace", theirs)
			}
		})
	}
}
