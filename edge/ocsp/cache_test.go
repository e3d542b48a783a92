package ocsp

import (
	"bytes"
	"context"
	"crypto/x509"
	"log/slog"
	"strings"
	"testing"
	"time"

	xocsp "golang.org/x/crypto/ocsp"

	"github.com/sallyport/sallyport/revocation/ocsp"
)

func mustWait(t *testing.T, c *Client, leaf *x509.Certificate, r *responder, want ocsp.Status) {
	t.Helper()
	if a, err := c.Wait(context.Background(), leaf, r.cert); err != nil || a.Status != want {
		t.Fatalf("got %+v, %v", a, err)
	}
}

func (c *Client) has(t *testing.T, leaf *x509.Certificate, r *responder) bool {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.entries[mustID(t, leaf, r.cert)] != nil
}

// TestOthersPushOut only what neither is revoked nor of a client that is in.
func TestOthersPushOut(t *testing.T) {
	var log bytes.Buffer
	o := Options{MaxEntries: 2, MaxRevoked: 2, Log: slog.New(slog.NewTextHandler(&log, nil))}
	bubble(t, o, func(c *Client, r *responder, in *x509.Certificate) {
		more := func(n int, want ocsp.Status) (leaves []*x509.Certificate) {
			for range n {
				pass(time.Nanosecond) // serial numbers are of the time
				leaf := r.issue("other", in.OCSPServer)
				mustWait(t, c, leaf, r, want)
				leaves = append(leaves, leaf)
			}
			return leaves
		}
		mustWait(t, c, in, r, ocsp.Good)
		c.Live(in, r.cert)
		r.set(func(r *responder) { r.status = xocsp.Revoked })
		bad := more(2, ocsp.Revoked)
		r.set(func(r *responder) { r.status = xocsp.Good })
		others := more(5, ocsp.Good)
		for i, leaf := range others {
			if c.has(t, leaf, r) != (i >= 3) {
				t.Errorf("ordinary certificate %d: known %t", i, i < 3)
			}
		}
		if !c.has(t, in, r) || !c.has(t, bad[0], r) || !c.has(t, bad[1], r) || c.Status().Revoked != 2 {
			t.Error("others have pushed out what is live or revoked")
		}
		if log.Len() > 0 {
			t.Errorf("logged %s", log.String())
		}
		r.set(func(r *responder) { r.status = xocsp.Revoked })
		more(2, ocsp.Revoked)
		if c.has(t, bad[0], r) || c.has(t, bad[1], r) || c.Status().Revoked != 2 {
			t.Error("revoked certificates are not bounded")
		}
		if n := strings.Count(log.String(), "more revoked certificates"); n != 1 {
			t.Errorf("told %d times within a minute", n)
		}
		// A client that is gone gives up its place.
		pass(liveFor + 2*renewInterval)
		r.set(func(r *responder) { r.status = xocsp.Good })
		more(2, ocsp.Good)
		if c.has(t, in, r) {
			t.Error("a client that is gone keeps its place")
		}
	})
}

// TestLive asks about who is in, but not while its staple is fresh.
func TestLive(t *testing.T) {
	bubble(t, Options{}, func(c *Client, r *responder, leaf *x509.Certificate) {
		now := time.Now()
		c.Note(leaf, r.cert, ocsp.Answer{Status: ocsp.Good, ThisUpdate: now, NextUpdate: now.Add(time.Hour), Expires: now.Add(time.Hour)})
		live := func(known bool, status ocsp.Status, without time.Time) {
			t.Helper()
			a, is, since := c.Live(leaf, r.cert)
			if is != known || a.Status != status || !since.Equal(without) {
				t.Errorf("after %s: %+v, %t, without since %s; want %v, %t, %s", time.Since(now), a, is, since, status, known, without)
			}
			pass(time.Second)
		}
		live(true, ocsp.Good, time.Time{})
		if _, known := c.Known(leaf, r.cert); known || len(r.asked()) != 0 {
			t.Errorf("a staple is known to others: %t; asked %q", known, r.asked())
		}
		r.set(func(r *responder) { r.http = 500 })
		pass(time.Hour + ocsp.Skew)
		lapsed := time.Now()
		live(false, ocsp.Unknown, lapsed)
		live(false, ocsp.Unknown, lapsed)
		if n := len(r.asked()); n != 2 { // by GET and by POST
			t.Errorf("asked %d times when the staple had lapsed", n)
		}
		r.set(func(r *responder) { r.http, r.status = 0, xocsp.Unknown })
		pass(time.Minute)
		live(false, ocsp.Unknown, lapsed)
		live(true, ocsp.Unknown, lapsed)
		r.set(func(r *responder) { r.status = xocsp.Good })
		pass(30 * time.Second)
		c.mu.Lock()
		c.entries[mustID(t, leaf, r.cert)].answer.Expires = time.Now().Add(-ocsp.Skew)
		c.mu.Unlock()
		pass(time.Second)
		live(false, ocsp.Unknown, time.Now())
		live(true, ocsp.Good, time.Time{})
		// What is found wanting long after the client has gone is of another.
		r.set(func(r *responder) { r.http = 500 })
		pass(3 * time.Hour)
		live(false, ocsp.Unknown, time.Now())
		pass(liveFor + time.Second)
		live(false, ocsp.Unknown, time.Now())
	})
}

// TestAssume keeps what is known under other settings.
func TestAssume(t *testing.T) {
	bubble(t, Options{MaxAge: time.Hour}, func(c *Client, r *responder, leaf *x509.Certificate) {
		r.set(func(r *responder) { r.status, r.reason = xocsp.Revoked, 1 })
		mustWait(t, c, leaf, r, ocsp.Revoked)
		pass(time.Nanosecond)
		good := r.issue("good", leaf.OCSPServer)
		failing := r.named("gone.example")
		r.set(func(r *responder) { r.status, r.endless = xocsp.Good, true })
		mustWait(t, c, good, r, ocsp.Good)
		r.set(func(r *responder) { r.http = 500 })
		if _, err := c.Wait(context.Background(), failing, r.cert); err == nil {
			t.Fatal("no failure")
		}
		asked := len(r.asked())
		next, err := New(Options{MaxAge: 10 * time.Minute, Hosts: func(h string) bool { return h == "gone.example" }})
		if err != nil {
			t.Fatal(err)
		}
		next.settings.http = c.settings.http
		c.Assume(next)
		for cert, want := range map[*x509.Certificate]ocsp.Status{leaf: ocsp.Revoked, good: ocsp.Good} {
			if a, known := c.Lookup(cert, r.cert); !known || a.Status != want {
				t.Errorf("forgot: %+v, %t", a, known)
			}
		}
		if n := len(r.asked()); n != asked {
			t.Errorf("asked %d times more", n-asked)
		}
		r.set(func(r *responder) { r.http, r.endless = 0, false })
		mustWait(t, c, failing, r, ocsp.Good) // without waiting for its turn after the failure
		pass(16 * time.Minute)
		if a, err := c.Wait(context.Background(), good, r.cert); err != errNoResponder {
			t.Errorf("an answer counts longer than the new MaxAge, or its host is asked: %+v, %v", a, err)
		}
		if a, known := c.Lookup(leaf, r.cert); !known || a.Status != ocsp.Revoked {
			t.Errorf("forgot: %+v, %t", a, known)
		}
	})
}
