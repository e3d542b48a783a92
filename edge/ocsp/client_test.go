package ocsp

import (
	"context"
	"crypto/x509"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	xocsp "golang.org/x/crypto/ocsp"

	"github.com/sallyport/sallyport/revocation/ocsp"
)

// runClient makes a Client and runs it to the end of the test.
func runClient(t *testing.T, o Options) *Client {
	t.Helper()
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	return c
}

// patient is long enough for anything that is not to time out.
func patient(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestLookup(t *testing.T) {
	for name, tt := range map[string]struct {
		status, reason int
		want           ocsp.Status
	}{
		"good":    {xocsp.Good, 0, ocsp.Good},
		"revoked": {xocsp.Revoked, 1, ocsp.Revoked},
		"unknown": {xocsp.Unknown, 0, ocsp.Unknown},
	} {
		t.Run(name, func(t *testing.T) {
			r := newResponder(t)
			r.status, r.reason = tt.status, tt.reason
			leaf, _ := r.serve(t)
			c := runClient(t, Options{Network: here})
			if a, known := c.Lookup(leaf, r.cert); known || a != (ocsp.Answer{}) {
				t.Errorf("knew %+v at once", a)
			}
			a, err := c.Wait(patient(t), leaf, r.cert)
			if err != nil || a.Status != tt.want || int(a.Reason) != tt.reason {
				t.Fatalf("got %+v, %v", a, err)
			}
			if b, known := c.Lookup(leaf, r.cert); !known || b.Status != tt.want {
				t.Errorf("then knew %+v, %t", b, known)
			}
			if asked := r.asked(); len(asked) != 1 || !strings.HasPrefix(asked[0], "GET ") || strings.ContainsAny(asked[0][4:], "/+=") {
				t.Errorf("asked %q", asked)
			}
			if s := c.Status(); s.Entries != 1 || s.Asked != 1 || s.Failures != 0 || s.Hits == 0 || s.Misses == 0 {
				t.Errorf("status is %+v", s)
			}
		})
	}
}

// TestOneFlight: a hundred who wait cost one question.
func TestOneFlight(t *testing.T) {
	r := newResponder(t)
	r.hold = make(chan struct{})
	leaf, _ := r.serve(t)
	c := runClient(t, Options{Network: here})
	ctx := patient(t)
	var waiting sync.WaitGroup
	for range 100 {
		waiting.Go(func() {
			if a, err := c.Wait(ctx, leaf, r.cert); err != nil || a.Status != ocsp.Good {
				t.Errorf("got %+v, %v", a, err)
			}
		})
	}
	close(r.hold)
	waiting.Wait()
	if asked := r.asked(); len(asked) != 1 {
		t.Errorf("asked %d times", len(asked))
	}
}

// TestWaitIsBounded: a responder that hangs costs no more than the context.
func TestWaitIsBounded(t *testing.T) {
	r := newResponder(t)
	r.hold = make(chan struct{})
	leaf, _ := r.serve(t)
	c := runClient(t, Options{Network: here})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if a, err := c.Wait(ctx, leaf, r.cert); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, errWaiting) || a != (ocsp.Answer{}) {
		t.Errorf("got %+v, %v", a, err)
	}
	close(r.hold) // the question went on, and its answer is there for the next
	if a, err := c.Wait(patient(t), leaf, r.cert); err != nil || a.Status != ocsp.Good {
		t.Errorf("got %+v, %v", a, err)
	}
}

func TestFailures(t *testing.T) {
	for name, tt := range map[string]struct {
		change  func(*responder)
		options func(*Options)
		urls    []string
		want    string
	}{
		"HTTP 500":        {change: func(r *responder) { r.http = 500 }, want: "500"},
		"another CA":      {change: func(r *responder) { r.key = newResponder(r.t).key }, want: "issuer's key"},
		"out of date":     {change: func(r *responder) { r.age = 3 * time.Hour }, want: "out of date"},
		"nonce ignored":   {options: func(o *Options) { o.Nonce = true }, want: "no nonce"},
		"private address": {options: func(o *Options) { o.Network.Allow = nil }, want: "loopback"},
		"host not wanted": {options: func(o *Options) { o.Hosts = func(h string) bool { return h != "127.0.0.1" } }, want: "names no OCSP responder"},
		"no responder":    {urls: []string{}, want: "names no OCSP responder"},
		"no URL":          {urls: []string{"ldap://x/", "http://u:p@127.0.0.1/"}, want: "names no OCSP responder"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newResponder(t)
			leaf, _ := r.serve(t)
			if tt.urls != nil {
				leaf = r.issue("leaf", tt.urls)
			}
			o := Options{Network: here}
			if tt.options != nil {
				tt.options(&o)
			}
			if tt.change != nil {
				r.set(tt.change)
			}
			c := runClient(t, o)
			for range 3 { // the second and third time from memory
				a, err := c.Wait(patient(t), leaf, r.cert)
				if err == nil || a != (ocsp.Answer{}) || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("got %+v, %v, want an error with %q", a, err, tt.want)
				}
			}
			if asked := c.Status().Asked; asked > 1 {
				t.Errorf("asked %d times", asked)
			}
		})
	}
}

func TestPOST(t *testing.T) {
	r := newResponder(t)
	leaf, base := r.serve(t)
	for name, tt := range map[string]struct {
		refusal string
		leaf    *x509.Certificate
		want    []string
	}{
		"GET not taken": {"GET", leaf, []string{"GET", "POST"}},
		"query in URL":  {"", r.issue("leaf", []string{base + "/?a=b"}), []string{"POST"}},
	} {
		r.set(func(r *responder) { r.refusal, r.requests = tt.refusal, nil })
		c := runClient(t, Options{Network: here})
		if a, err := c.Wait(patient(t), tt.leaf, r.cert); err != nil || a.Status != ocsp.Good {
			t.Errorf("%s: got %+v, %v", name, a, err)
		}
		var methods []string
		for _, request := range r.asked() {
			methods = append(methods, strings.Fields(request)[0])
		}
		if strings.Join(methods, " ") != strings.Join(tt.want, " ") {
			t.Errorf("%s: asked by %q, want %q", name, methods, tt.want)
		}
	}
}

// TestSecondResponder: where the first does not answer, the next is asked.
func TestSecondResponder(t *testing.T) {
	r := newResponder(t)
	_, base := r.serve(t)
	leaf := r.issue("leaf", []string{"ldap://x/", "http://127.0.0.1:1/", base, "http://127.0.0.1:2/"})
	c := runClient(t, Options{Network: here})
	if a, err := c.Wait(patient(t), leaf, r.cert); err != nil || a.Status != ocsp.Good {
		t.Errorf("got %+v, %v", a, err)
	}
	// A configured one is asked alone, and about certificates that name none.
	c = runClient(t, Options{Network: here, Responder: base})
	if a, err := c.Wait(patient(t), r.issue("leaf", nil), r.cert); err != nil || a.Status != ocsp.Good {
		t.Errorf("got %+v, %v", a, err)
	}
}

func TestMaxEntries(t *testing.T) {
	r := newResponder(t)
	_, base := r.serve(t)
	c := runClient(t, Options{Network: here, MaxEntries: 2})
	var leaves []*x509.Certificate
	for range 3 {
		leaf := r.issue("leaf", []string{base})
		leaves = append(leaves, leaf)
		if _, err := c.Wait(patient(t), leaf, r.cert); err != nil {
			t.Fatal(err)
		}
	}
	if n := c.Status().Entries; n != 2 {
		t.Errorf("%d entries", n)
	}
	for i, want := range []bool{2: true, 1: true, 0: false} {
		if _, known := c.Lookup(leaves[2-i], r.cert); known != []bool{true, true, false}[i] {
			t.Errorf("leaf %d known: %t, want %t", 2-i, known, want)
		}
	}
}

// TestStopped: nobody waits for a Client that does not run.
func TestStopped(t *testing.T) {
	r := newResponder(t)
	leaf, _ := r.serve(t)
	c, err := New(Options{Network: here})
	if err != nil {
		t.Fatal(err)
	}
	if _, known := c.Lookup(leaf, r.cert); known {
		t.Error("known before it ran")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Run(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, err := c.Wait(patient(t), leaf, r.cert); !errors.Is(err, errStopped) {
		t.Errorf("got %v", err)
	}
	if err := c.Run(ctx); !errors.Is(err, errRan) {
		t.Errorf("ran twice: %v", err)
	}
}

func TestOptions(t *testing.T) {
	for _, o := range []Options{{Responder: "ldap://x/"}, {Responder: "%"}, {MaxEntries: -1}, {Timeout: -1}, {MinBackoff: time.Hour, MaxBackoff: time.Minute}} {
		if _, err := New(o); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
	c, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Wait(t.Context(), nil, nil); err == nil {
		t.Error("waited for nothing")
	}
}

// TestKnown asks nobody about what nobody has looked up, and renews what was.
func TestKnown(t *testing.T) {
	r := newResponder(t)
	leaf, _ := r.serve(t)
	c := runClient(t, Options{Network: here})
	if a, known := c.Known(leaf, r.cert); known || a != (ocsp.Answer{}) || c.Status().Entries != 0 {
		t.Errorf("knew %+v, %t; %d entries", a, known, c.Status().Entries)
	}
	if _, err := c.Wait(patient(t), leaf, r.cert); err != nil {
		t.Fatal(err)
	}
	if a, known := c.Known(leaf, r.cert); !known || a.Status != ocsp.Good {
		t.Errorf("then knew %+v, %t", a, known)
	}
	if n := len(r.asked()); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

// TestRevokedIsTold calls the hook once for a certificate, and for no other answer.
func TestRevokedIsTold(t *testing.T) {
	r := newResponder(t)
	leaf, _ := r.serve(t)
	told := make(chan struct{}, 8)
	c := runClient(t, Options{Network: here, Revoked: func() { told <- struct{}{} }})
	if _, err := c.Wait(patient(t), leaf, r.cert); err != nil {
		t.Fatal(err)
	}
	r.set(func(r *responder) { r.status = xocsp.Revoked })
	_, base := r.serve(t)
	if _, err := c.Wait(patient(t), r.issue("other", []string{base + "/"}), r.cert); err != nil {
		t.Fatal(err)
	}
	select {
	case <-told:
	case <-patient(t).Done():
		t.Fatal("nobody was told")
	}
	if n := len(told); n != 0 {
		t.Errorf("told %d times more", n)
	}
}
