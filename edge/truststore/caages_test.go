package truststore

import (
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/loadtest/pki"
)

// TestCAsAreAnnounced at 45, 30, 15, 7 and 1 days before their end, once each, and by
// a new process once more where it stands.
func TestCAsAreAnnounced(t *testing.T) {
	now := time.Now()
	old, young := root(pki.NotAfter(now.Add(60*day))), root(pki.NotAfter(now.Add(1000*day)))
	f := newFixture(t, old, young)
	told := func(s *Store, from, to int) string {
		before := len(f.log.String())
		for at := now.Add(time.Duration(from) * day); !at.After(now.Add(time.Duration(to) * day)); at = at.Add(6 * time.Hour) {
			s.announceCAs(at)
		}
		var all []string
		for line := range strings.Lines(f.log.String()[before:]) {
			_, days, left := strings.Cut(line, "days_left=")
			switch {
			case left && strings.Contains(line, "level=WARN"):
				all = append(all, strings.TrimSpace(days))
			case strings.Contains(line, "level=ERROR") && strings.Contains(line, "CA has expired"):
				all = append(all, "expired")
			default:
				all = append(all, line)
			}
		}
		return strings.Join(all, " ")
	}
	s := f.open()
	for _, tt := range []struct {
		from, to int
		want     string
	}{{0, 14, ""}, {14, 40, "45 30"}, {40, 58, "15 7"}, {58, 100, "1 expired"}, {100, 200, ""}} {
		if got := told(s, tt.from, tt.to); got != tt.want {
			t.Errorf("from day %d to %d: %q, want %q", tt.from, tt.to, got, tt.want)
		}
	}
	s = f.open()
	if got := told(s, 50, 52); got != "15" {
		t.Errorf("by a new process: %q", got)
	}
	f.write("ca.pem", pki.Bundle(young))
	if err := s.Reload(); err != nil {
		t.Fatal(err)
	}
	if got := told(s, 52, 70); got != "" {
		t.Errorf("of a CA that was taken out: %q", got)
	}
}
