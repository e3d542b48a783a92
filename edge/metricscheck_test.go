package edge

import (
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/edge/reason"
	"github.com/sallyport/sallyport/edge/truststore"
	"github.com/sallyport/sallyport/loadtest/pki"
)

// scraped is what Prometheus would get.
func (r *rig) scraped() string {
	answer := httptest.NewRecorder()
	r.server.metrics.handler().ServeHTTP(answer, httptest.NewRequest("GET", "/metrics", nil))
	return answer.Body.String()
}

// TestCheckMetrics has a client come, come again and be revoked, and a stranger:
// each counts where it should, and the CAs' dates are there.
func TestCheckMetrics(t *testing.T) {
	r := newRig(t)
	r.start(verifying("session_tickets: off"))
	stranger := pki.Must(pki.Must(pki.NewRoot()).Issue()).TLSCertificate()
	r.try("verify", r.client(&stranger))
	r.try("verify", r.client(nil))
	text := r.scraped()
	const verify, revocation = "sallyport_verify_duration_seconds_count", "sallyport_revocation_duration_seconds_count"
	if !strings.Contains(text, verify+`{chain="built",trust_store="clients"} `) || strings.Contains(text, revocation) {
		t.Errorf("strangers: %s", linesWith(text, "duration_seconds_count"))
	}
	good := pki.Must(r.ca.Issue()).TLSCertificate()
	for range 2 {
		if record, _ := r.try("verify", r.client(&good)); record.Status != reason.Success {
			t.Fatalf("%s: %s", record.Status, record.Cause)
		}
	}
	text = r.scraped()
	for _, want := range []string{verify + `{chain="cached",trust_store="clients"} 1`, revocation + `{trust_store="clients"} 2`,
		`sallyport_ca_expiry_timestamp_seconds{ca="` + r.ca.Cert.Subject.String() + `",trust_store="clients"} `} {
		if !strings.Contains(text, want) {
			t.Errorf("want %s in\n%s", want, linesWith(text, "duration_seconds_count")+linesWith(text, "ca_expiry"))
		}
	}
}

// linesWith are those that have a word in them.
func linesWith(text, word string) (found string) {
	for line := range strings.Lines(text) {
		if strings.Contains(line, word) {
			found += line
		}
	}
	return found
}

// A returning client's handshake takes no memory for its being measured.
func TestCheckMetricsDoNotAllocate(t *testing.T) {
	m := newMetrics(&Server{log: slog.New(slog.DiscardHandler)})
	took := &truststore.Took{Chain: time.Microsecond, Revocation: time.Microsecond, Cached: true}
	if n := testing.AllocsPerRun(100, func() { m.checked("clients", took) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkCheckMetrics(b *testing.B) {
	m := newMetrics(&Server{log: slog.New(slog.DiscardHandler)})
	took := &truststore.Took{Chain: time.Microsecond, Revocation: time.Microsecond, Cached: true}
	b.ReportAllocs()
	for b.Loop() {
		m.checked("clients", took)
	}
}
