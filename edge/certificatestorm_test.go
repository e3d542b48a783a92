package edge

import (
	"crypto"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"github.com/sallyport/sallyport/edge/servercert/pebble"
	"github.com/sallyport/sallyport/loadtest/pki"
)

// attempts is how many orders the CA has had, over restarts of the edge.
func (c *certified) attempts() int { return len(c.authority.Orders()) }

// TestNoStorm: a CA whose windows are always past, and whose responder calls every
// certificate revoked, has one order more, and no further one for a restart.
func TestNoStorm(t *testing.T) {
	var mu sync.Mutex
	var issuer *x509.Certificate
	var key crypto.Signer
	answers := 0
	responder := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		request, err := ocsp.ParseRequest(body)
		mu.Lock()
		defer mu.Unlock()
		if err != nil || issuer == nil {
			w.Write(ocsp.TryLaterErrorResponse)
			return
		}
		answers++
		now := time.Now().UTC().Truncate(time.Second)
		signed, err := ocsp.CreateResponse(issuer, issuer, ocsp.Response{Status: ocsp.Revoked, SerialNumber: request.SerialNumber,
			RevokedAt: now, ThisUpdate: now, NextUpdate: now.Add(time.Minute), IssuerHash: request.HashAlgorithm}, key)
		if err != nil {
			t.Error(err)
		}
		w.Write(signed)
	}))
	t.Cleanup(responder.Close)
	c := newCertified(t, pebble.Options{OCSP: responder.URL})
	c.authority.Fail(pebble.Failure{PastWindow: true})
	const entries = "\n  - {name: shop, hosts: [shop.example], acme: {$CA}}"
	c.serve(entries)
	c.until("issued", c.issued("shop", "shop.example"))
	state, err := c.get(c.as("shop.example"))
	if err != nil {
		t.Fatal(err)
	}
	signer := pki.Must(c.authority.IntermediateKey()).(crypto.Signer)
	mu.Lock()
	issuer, key = state.PeerCertificates[1], signer
	mu.Unlock()
	first := state.PeerCertificates[0].SerialNumber.Text(16)
	c.until("replaced, since it is revoked", func() bool { return c.statusOf("shop", "shop.example").Serial != first })
	said := func() int {
		mu.Lock()
		defer mu.Unlock()
		return answers
	}
	for range 2 {
		before := said()
		c.serve(entries)
		c.until("told that the new one is revoked, too", func() bool { return said() > before })
	}
	watch(t, 3*time.Second, func() bool { return c.attempts() == 2 }, func() string { return fmt.Sprintf("%d orders", c.attempts()) })
	if n := c.authority.WindowsAsked(); n < 2 || n > 6 {
		t.Errorf("asked %d times for a window, want it with each order, and once for each certificate and start", n)
	}
}

// TestNoStormOfShortLives is the same where a floor of a day would be too long: a
// sixth of a minute is not.
func TestNoStormOfShortLives(t *testing.T) {
	if os.Getenv("SALLYPORT_SOAK") == "" {
		t.Skip("a minute long: SALLYPORT_SOAK=1, as make soak sets it, runs it")
	}
	const life = time.Minute
	c := newCertified(t, pebble.Options{Profiles: map[string]time.Duration{"short": life}})
	c.authority.Fail(pebble.Failure{PastWindow: true})
	c.serve(fmt.Sprintf("\n  - {name: shop, hosts: [shop.example], acme: {directory: %q, ca_file: %q, profile: short}}", c.authority.Directory, c.authority.CAFile))
	c.until("issued", c.issued("shop", "shop.example"))
	begun := time.Now()
	watch(t, life, func() bool { return c.attempts() <= 2+int(time.Since(begun)/(life/6)) }, func() string { return fmt.Sprintf("%d orders in %v", c.attempts(), time.Since(begun)) })
	if n := c.attempts(); n < 3 {
		t.Errorf("%d orders in %v: the CA's wish was not heard", n, life)
	}
}

// watch fails when a condition ceases to hold within a time.
func watch(t *testing.T, within time.Duration, holds func() bool, otherwise func() string) {
	t.Helper()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for over := time.After(within); ; {
		if !holds() {
			t.Fatal(otherwise())
		}
		select {
		case <-over:
			return
		case <-ticker.C:
		}
	}
}
