package ocsp

import (
	"context"
	"crypto/x509"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	xocsp "golang.org/x/crypto/ocsp"

	"github.com/sallyport/sallyport/revocation/ocsp"
)

// direct hands requests to the responder without sockets.
type direct struct{ *responder }

func (d direct) RoundTrip(request *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	inner := httptest.NewRequestWithContext(request.Context(), request.Method, request.URL.String(), request.Body)
	d.ServeHTTP(w, inner)
	return w.Result(), nil
}

// bubble runs a Client against a responder, with time that is passed in.
func bubble(t *testing.T, o Options, do func(c *Client, r *responder, leaf *x509.Certificate)) {
	synctest.Test(t, func(t *testing.T) {
		r := newResponder(t)
		leaf := r.issue("leaf", []string{"http://ocsp.example"})
		c, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		c.settings.http = &http.Client{Transport: direct{r}}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- c.Run(ctx) }()
		do(c, r, leaf)
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// TestRenew: an answer asked for lately never runs out, one that nobody asks for
// does.
func TestRenew(t *testing.T) {
	bubble(t, Options{KeepFresh: 3 * time.Hour}, func(c *Client, r *responder, leaf *x509.Certificate) {
		if _, err := c.Wait(context.Background(), leaf, r.cert); err != nil {
			t.Fatal(err)
		}
		pass(25 * time.Minute)
		if n := len(r.asked()); n != 1 {
			t.Errorf("asked %d times within 25 minutes of an hour", n)
		}
		pass(22 * time.Minute)
		if n := len(r.asked()); n != 2 {
			t.Errorf("asked %d times within 47 minutes of an hour", n)
		}
		pass(40 * time.Minute)
		if a, known := c.Lookup(leaf, r.cert); !known || a.Status != ocsp.Good {
			t.Errorf("after 87 minutes: %+v, %t", a, known)
		}
		pass(6 * time.Hour)
		n := len(r.asked())
		pass(6 * time.Hour)
		if m := len(r.asked()); m != n || c.Status().Entries != 0 {
			t.Errorf("asked %d times for nobody, %d entries", m-n, c.Status().Entries)
		}
	})
}

// TestNegativeCache: failures are remembered, longer each time.
func TestNegativeCache(t *testing.T) {
	bubble(t, Options{}, func(c *Client, r *responder, leaf *x509.Certificate) {
		r.set(func(r *responder) { r.http = 503 })
		for range 3600 {
			c.Lookup(leaf, r.cert)
			pass(time.Second)
		}
		// By GET and by POST at 0, 10, 30, 70, 150, 310, 630 s and every 600 s.
		if n := len(r.asked()); n != 2*11 {
			t.Errorf("asked %d times in an hour", n)
		}
		r.set(func(r *responder) { r.http = 0 })
		pass(10 * time.Minute)
		if a, err := c.Wait(context.Background(), leaf, r.cert); err != nil || a.Status != ocsp.Good {
			t.Errorf("got %+v, %v", a, err)
		}
	})
}

// TestWhatIsKnownStays through failures, for as long as it counts.
func TestWhatIsKnownStays(t *testing.T) {
	for name, tt := range map[string]struct {
		status, reason int
		stays          bool
	}{
		"good":    {xocsp.Good, 0, false},
		"on hold": {xocsp.Revoked, 6, false},
		"revoked": {xocsp.Revoked, 1, true},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, Options{KeepFresh: 24 * time.Hour}, func(c *Client, r *responder, leaf *x509.Certificate) {
				r.set(func(r *responder) { r.status, r.reason = tt.status, tt.reason })
				if _, err := c.Wait(context.Background(), leaf, r.cert); err != nil {
					t.Fatal(err)
				}
				r.set(func(r *responder) { r.http = 500 })
				pass(62 * time.Minute)
				if _, known := c.Lookup(leaf, r.cert); !known {
					t.Error("forgotten within its time")
				}
				pass(10 * time.Minute)
				if a, known := c.Lookup(leaf, r.cert); known != tt.stays {
					t.Errorf("known after its time: %+v, %t", a, known)
				}
			})
		})
	}
}

// TestReplay: an older answer does not take a newer one's place.
func TestReplay(t *testing.T) {
	bubble(t, Options{}, func(c *Client, r *responder, leaf *x509.Certificate) {
		r.set(func(r *responder) { r.status, r.validity = xocsp.Revoked, 4*time.Hour })
		if _, err := c.Wait(context.Background(), leaf, r.cert); err != nil {
			t.Fatal(err)
		}
		r.set(func(r *responder) { r.status, r.age, r.validity = xocsp.Good, 10*time.Hour, 100*time.Hour })
		for range 5 {
			pass(50 * time.Minute)
			if a, known := c.Lookup(leaf, r.cert); !known || a.Status != ocsp.Revoked {
				t.Fatalf("got %+v, %t", a, known)
			}
		}
		var older *olderError
		e := c.entries[mustID(t, leaf, r.cert)]
		if !errors.As(e.err, &older) || c.Status().Failures == 0 {
			t.Errorf("error is %v", e.err)
		}
		// A newer one does.
		r.set(func(r *responder) { r.age = 0 })
		pass(11 * time.Minute)
		c.Lookup(leaf, r.cert)
		synctest.Wait()
		if a, known := c.Lookup(leaf, r.cert); !known || a.Status != ocsp.Good {
			t.Errorf("got %+v, %t", a, known)
		}
	})
}

func mustID(t *testing.T, leaf, issuer *x509.Certificate) string {
	t.Helper()
	q, err := ocsp.NewQuestion(leaf, issuer)
	if err != nil {
		t.Fatal(err)
	}
	return q.ID()
}
