package servercert

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mholt/acmez/v3/acme"
)

func lasting(from time.Time, life time.Duration) *x509.Certificate {
	return &x509.Certificate{NotBefore: from, NotAfter: from.Add(life)}
}

const day = 24 * time.Hour

func TestRenewAt(t *testing.T) {
	from := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, test := range []struct{ life, want time.Duration }{
		{90 * day, 60 * day},
		{10 * day, 10 * day * 2 / 3},
		{6 * day, 3 * day},
		{30 * time.Second, 15 * time.Second},
	} {
		if got := renewAt(lasting(from, test.life)).Sub(from); got != test.want {
			t.Errorf("a life of %v is renewed after %v, want %v", test.life, got, test.want)
		}
	}
}

func TestBackoff(t *testing.T) {
	for _, refused := range []bool{true, false} {
		before := time.Duration(0)
		for n := 1; n < 20; n++ {
			wait := backoff(n, refused)
			if wait < before*8/10 {
				t.Errorf("after %d failures %v, less than before: %v", n, wait, before)
			}
			before = wait
		}
		if before < 25*time.Minute || before > 7*time.Hour {
			t.Errorf("at last %v", before)
		}
	}
	if wait := retryIn(9, true, lasting(time.Now(), 6*day)); wait > 6*time.Hour*11/10 {
		t.Errorf("a certificate of six days is tried for again in %v", wait)
	}
	if wait := retryIn(9, true, lasting(time.Now(), 10*time.Second)); wait != time.Second {
		t.Errorf("a certificate of ten seconds is tried for again in %v", wait)
	}
}

func TestRetryTime(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"": -1, "x": -1, "-5": -1, "1.5": -1, "99999999999": -1,
		"0": 0, "120": 2 * time.Minute, "999999": day,
		"Thu, 01 Jan 2026 01:00:00 GMT": time.Hour, "Wed, 31 Dec 2025 01:00:00 GMT": -1, "Sat, 01 Jan 2028 01:00:00 GMT": day,
	} {
		got := retryTime(text, now)
		if want < 0 != got.IsZero() || want >= 0 && got.Sub(now) != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}

func FuzzRetryTime(f *testing.F) {
	f.Add("120")
	f.Add("Thu, 01 Jan 2026 01:00:00 GMT")
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, text string) {
		if at := retryTime(text, now); !at.IsZero() && (at.Before(now) || at.After(now.Add(maxRetryAfter))) {
			t.Errorf("%q: %v", text, at)
		}
	})
}

// TestWaitFor: one CA that may be asked at once is reason enough to try.
func TestWaitFor(t *testing.T) {
	soon, late := time.Now().Add(time.Minute), time.Now().Add(time.Hour)
	refusal := acme.Problem{Type: "urn:ietf:params:acme:error:rateLimited", Status: 429}
	down := errors.New("connection refused")
	failed := func(at time.Time, err error) error { return &orderError{"https://ca", "http-01", at, err} }
	for _, test := range []struct {
		what    string
		err     error
		refused bool
		want    time.Time
	}{
		{"one that is down", errors.Join(failed(time.Time{}, down)), false, time.Time{}},
		{"one that limits", errors.Join(failed(late, refusal)), true, late},
		{"one that is down, one that limits", errors.Join(failed(time.Time{}, down), failed(late, refusal)), true, time.Time{}},
		{"two that limit", errors.Join(failed(late, refusal), failed(soon, errAskedToWait)), true, soon},
		{"no CA at all", errors.New("disk full"), false, time.Time{}},
	} {
		if refused, at := waitFor(fmt.Errorf("order: %w", test.err)); refused != test.refused || !at.Equal(test.want) {
			t.Errorf("%s: %v, %v, want %v, %v", test.what, refused, at, test.refused, test.want)
		}
	}
}

// TestReminders: an operator is told at 45, 30, 15, 7 and 1 days, once each, and of
// the end.
func TestReminders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		m := NewManager(Dir(t.TempDir()), slog.New(slog.NewTextHandler(&log, nil)))
		c := &care{manager: m, certificate: &Certificate{name: "shop"}, host: "a.example"}
		pair := &Pair{}
		pair.tls.Leaf = lasting(time.Now(), 60*day)
		for end := pair.tls.Leaf.NotAfter.Add(2 * day); time.Now().Before(end); {
			next := c.step(t.Context(), pair, nil)
			if !next.After(time.Now()) {
				t.Fatalf("the next look is at %v, and it is %v", next, time.Now())
			}
			time.Sleep(time.Until(next))
		}
		var told []string
		for line := range strings.Lines(log.String()) {
			what := "expired"
			if _, days, ok := strings.Cut(line, "days_left="); ok {
				what = strings.TrimSpace(days)
			}
			told = append(told, what)
		}
		if got := strings.Join(told, " "); got != "45 30 15 7 1 expired" {
			t.Errorf("told at %s:\n%s", got, log.String())
		}
	})
}

// TestRemindersOfWhatIsRenewed: a certificate that is renewed by itself is worth a
// warning only when that has not happened.
func TestRemindersOfWhatIsRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		m := NewManager(Dir(t.TempDir()), slog.New(slog.NewTextHandler(&log, nil)))
		c := &care{manager: m, certificate: &Certificate{name: "shop"}, planned: true}
		pair := &Pair{}
		pair.tls.Leaf = lasting(time.Now(), 90*day) // renewed with 30 days left
		for range 200 {
			time.Sleep(time.Until(c.step(t.Context(), pair, nil)))
		}
		for days, level := range map[string]string{"45": "INFO", "30": "INFO", "15": "WARN", "7": "WARN", "1": "WARN"} {
			want := "level=" + level
			found := false
			for line := range strings.Lines(log.String()) {
				if strings.Contains(line, "days_left="+days+"\n") {
					found = strings.Contains(line, want)
				}
			}
			if !found {
				t.Errorf("%s days: want %s in\n%s", days, want, log.String())
			}
		}
	})
}
