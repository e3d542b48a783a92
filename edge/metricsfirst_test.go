package edge

import (
	"errors"
	"log/slog"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/edge/reason"
)

// TestFirstFailureIsSeen: alerts ask by increase whether something has happened, and
// that does not see a counter's first sample.
func TestFirstFailureIsSeen(t *testing.T) {
	r := newRig(t)
	r.start(verifying(""))
	text := r.scraped()
	for _, want := range []string{
		`sallyport_handshakes_total{code="InternalError",listener="verify"} 0`, `sallyport_client_floods_total{listener="verify"} 0`,
		`sallyport_reloads_total{result="refused"} 0`, "sallyport_upgrades_failed_total 0",
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("want %s in\n%s", want, linesWith(text, "_total"))
		}
	}
	r.server.metrics.reload(errors.New("no"))
	r.server.metrics.connection("verify", reason.InternalError, true, 0)
	for _, want := range []string{`sallyport_reloads_total{result="refused"} 1`, `sallyport_handshakes_total{code="InternalError",listener="verify"} 1`} {
		if text := r.scraped(); !strings.Contains(text, want+"\n") {
			t.Errorf("want %s in\n%s", want, linesWith(text, "_total"))
		}
	}
}

// TestAlertsOnCodesBeginWithZero: a code that the rules name is among those.
func TestAlertsOnCodesBeginWithZero(t *testing.T) {
	text, err := os.ReadFile("../docs/prometheus/alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	m := newMetrics(&Server{log: slog.New(slog.DiscardHandler)})
	m.expect([]string{"public"})
	named := regexp.MustCompile(`sallyport_handshakes_total\{code=~"([^"]*)"`).FindAllStringSubmatch(string(text), -1)
	if len(named) == 0 {
		t.Fatal("no rule names codes")
	}
	for _, match := range named {
		for _, code := range strings.Split(match[1], "|") {
			if deleted := m.handshakes.DeleteLabelValues("public", code); !deleted {
				t.Errorf("the rules name %s, which does not begin with 0", code)
			}
		}
	}
}
