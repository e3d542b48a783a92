package servercert

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mholt/acmez/v3/acme"
	xocsp "golang.org/x/crypto/ocsp"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/loadtest/pki"
	"github.com/sallyport/sallyport/revocation/ocsp"
)

type responder func(*http.Request) (*http.Response, error)

func (f responder) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func said(status int, body []byte) *http.Response {
	return &http.Response{StatusCode: status, Status: http.StatusText(status), Header: http.Header{"Location": {"http://elsewhere.example/"}}, Body: io.NopCloser(bytes.NewReader(body))}
}

// TestResponderIsLeftAlone: a responder that hands out what is past half its life,
// or that says revoked, or that redirects, is not asked without end, and the log
// says so once.
func TestResponderIsLeftAlone(t *testing.T) {
	for _, test := range []struct {
		what            string
		status          int // of OCSP; -1 redirects
		since, life     time.Duration
		within          time.Duration
		least, most     int
		lines, unstaple string
	}{
		{what: "good, past half", status: xocsp.Good, since: 4 * day, life: 7 * day, within: day, least: 2, most: 3},
		{what: "good, seconds long", status: xocsp.Good, life: 6 * time.Second, within: time.Hour, least: 55, most: 61},
		{what: "good, a day long", status: xocsp.Good, life: day, within: 2 * day, least: 4, most: 5},
		{what: "revoked, past half", status: xocsp.Revoked, since: 4 * day, life: 7 * day, within: day, least: 2, most: 3, lines: "certificate is not good, says its CA"},
		{what: "redirected", status: -1, within: time.Hour, least: 5, most: 10, lines: "OCSP answer not refreshed"},
	} {
		synctest.Test(t, func(t *testing.T) {
			var log lockedBuffer
			m := NewManager(Dir(t.TempDir()), slog.New(slog.NewTextHandler(&log, nil)))
			root := pki.Must(pki.NewRoot())
			asked := 0
			m.responders.Transport = responder(func(r *http.Request) (*http.Response, error) {
				asked++
				if r.URL.Host != "responder.example" {
					t.Errorf("%s: asked %s", test.what, r.URL)
				}
				if test.status < 0 {
					return said(http.StatusTemporaryRedirect, nil), nil
				}
				question := pki.Must(xocsp.ParseRequest(pki.Must(io.ReadAll(r.Body))))
				from := time.Now().UTC().Truncate(time.Second).Add(-test.since)
				return said(http.StatusOK, pki.Must(xocsp.CreateResponse(root.Cert, root.Cert, xocsp.Response{
					Status: test.status, RevokedAt: from, SerialNumber: question.SerialNumber, ThisUpdate: from, NextUpdate: from.Add(test.life), IssuerHash: question.HashAlgorithm,
				}, root.Key))), nil
			})
			leaf := pki.Must(root.Issue(pki.Server("a.example"), pki.OCSPServer("http://responder.example/")))
			pair := &Pair{}
			pair.tls = leaf.TLSCertificate()
			pair.tls.Certificate = [][]byte{leaf.Cert.Raw, root.Cert.Raw}
			pair.tls.Leaf = leaf.Cert
			c := &care{manager: m, certificate: &Certificate{name: "shop"}, key: "issued/shop/a.ocsp"}
			var until time.Time // of what is stapled
			ctx, cancel := context.WithTimeout(t.Context(), test.within)
			defer cancel()
			over := make(chan struct{})
			go func() {
				defer close(over)
				c.run(ctx, func() *Pair {
					if !until.IsZero() && time.Now().After(until.Add(time.Second)) {
						t.Errorf("%s: stapled after its end", test.what)
					}
					return pair
				}, func(_ *Pair, answer []byte) {
					until = time.Time{}
					if answer != nil {
						until = pki.Must(xocsp.ParseResponse(answer, root.Cert)).NextUpdate
					}
				})
			}()
			<-over
			if asked < test.least || asked > test.most {
				t.Errorf("%s: asked %d times within %v, want %d to %d", test.what, asked, test.within, test.least, test.most)
			}
			if got := strings.Count(log.String(), "msg="); got > 1 || test.lines != "" && !strings.Contains(log.String(), test.lines) || test.lines == "" && got > 0 {
				t.Errorf("%s: the log has\n%s", test.what, log.String())
			}
		})
	}
}

// inForce is a name with a certificate, of an entry whose CA counts what it is asked
// and fails; ask decides on names.
func inForce(t *testing.T, onDemand bool, ask http.HandlerFunc) (m *managed, asked *atomic.Int64) {
	t.Helper()
	asked = &atomic.Int64{}
	authority := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		w.WriteHeader(http.StatusBadRequest)
	}))
	t.Cleanup(authority.Close)
	rule := httptest.NewServer(ask)
	t.Cleanup(rule.Close)
	cfg := config.Certificate{Name: "c", ACME: &config.ACME{Directory: authority.URL, KeyType: config.KeyP256,
		OnDemand: &config.OnDemand{Ask: rule.URL, MaxNames: 10, Rate: config.OnDemandRate{Names: 1, Within: config.Duration(time.Hour)}}}}
	c := pki.Must(Load(cfg, in(t.TempDir())))
	e := c.source.(*acmeEntry)
	e.cache = e.newCache()
	t.Cleanup(func() {
		e.cache.Stop()
		e.demand.http.CloseIdleConnections()
		http.DefaultTransport.(*http.Transport).CloseIdleConnections()
		e.authority.cas[0].http.CloseIdleConnections()
	})
	m = newManaged(e, "a.example", onDemand)
	e.names[m.host] = m
	m.pair = &Pair{name: "c"}
	m.pair.tls = pki.Must(pki.Must(pki.NewRoot()).Issue(pki.Server("a.example"))).TLSCertificate()
	m.pair.tls.Leaf = pki.Must(x509.ParseCertificate(m.pair.tls.Certificate[0]))
	return m, asked
}

// TestAskedBeforeEveryOrder: what the rule refuses now is not ordered, whether there
// is a certificate or none; nor what the rate has no room for.
func TestAskedBeforeEveryOrder(t *testing.T) {
	status := http.StatusOK
	m, asked := inForce(t, true, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
	pair := m.pair
	for _, test := range []struct {
		what    string
		pair    *Pair
		status  int
		want    error
		reaches bool
	}{
		{"renewal, refused", pair, http.StatusForbidden, ErrNotAllowed, false},
		{"another try, refused", nil, http.StatusForbidden, ErrNotAllowed, false},
		{"renewal, no answer", pair, http.StatusBadGateway, errAskUnavailable, false},
		{"renewal, allowed", pair, http.StatusOK, nil, true},
	} {
		before := asked.Load()
		m.pair, status = test.pair, test.status
		err := m.try(t.Context())
		if err == nil || test.want != nil && !errors.Is(err, test.want) || (asked.Load() > before) != test.reaches || m.pair != test.pair || m.refused != (test.want == ErrNotAllowed) {
			t.Errorf("%s: %v, CA asked %d times", test.what, err, asked.Load()-before)
		}
	}
	before := asked.Load()
	var limit *limitedError
	if err := m.try(t.Context()); !errors.As(err, &limit) || asked.Load() > before || m.retry.Before(limit.until) {
		t.Errorf("beyond the rate: %v, next try %v", err, m.retry)
	}
	m.permit.Store(true) // the client that has brought it has asked, and paid
	if err := m.try(t.Context()); err == nil || asked.Load() == before || m.permit.Load() {
		t.Errorf("the first order of a name: %v", err)
	}
}

// TestFresh: a fresh certificate stays, whoever wants it replaced.
func TestFresh(t *testing.T) {
	m, _ := inForce(t, false, nil)
	now := time.Now()
	leaf := *m.pair.tls.Leaf
	long := lasting(now.Add(-time.Hour), 90*day)
	past := acme.RenewalInfo{}
	past.SuggestedWindow.Start, past.SuggestedWindow.End = now.Add(-2*time.Hour), now.Add(-time.Hour)
	past.SelectedTime = now.Add(-90 * time.Minute)
	for _, test := range []struct {
		what                string
		life                *x509.Certificate
		window              acme.RenewalInfo
		ordered, forRevoked time.Time
		revoked             bool
		want                time.Time
	}{
		{what: "an old one", life: long, ordered: now.Add(-day), want: renewAt(long)},
		{what: "a window in the past, an old one", life: long, window: past, want: past.SelectedTime},
		{what: "a window in the past, fresh", life: long, window: past, ordered: now, want: now.Add(day)},
		{what: "a clock far ahead", life: lasting(now.Add(-100*day), 90*day), ordered: now, want: now.Add(day)},
		{what: "a clock that was far ahead", life: lasting(now.Add(-100*day), 90*day), ordered: now.Add(365 * day), want: renewAt(lasting(now.Add(-100*day), 90*day))},
		{what: "a short life", life: lasting(now.Add(-time.Minute), 6*time.Hour), window: past, ordered: now, want: now.Add(time.Hour)},
		{what: "revoked", life: long, ordered: now, revoked: true, want: time.Unix(0, 0)},
		{what: "revoked like the one before", life: long, ordered: now, forRevoked: now.Add(-time.Hour), revoked: true, want: now.Add(23 * time.Hour)},
	} {
		one := leaf
		one.NotBefore, one.NotAfter = test.life.NotBefore, test.life.NotAfter
		m.pair.tls.Leaf = &one
		m.window, m.ordered, m.forRevoked = test.window, test.ordered, test.forRevoked
		m.care.about, m.care.answer = m.pair, ocsp.Answer{Status: ocsp.Good}
		if test.revoked {
			m.care.answer.Status = ocsp.Revoked
		}
		if got := m.due(); !got.Equal(test.want) {
			t.Errorf("%s: due %v, want %v", test.what, got, test.want)
		}
	}
}

// TestByHand: several who renew at once share one order, and once a minute is enough.
func TestByHand(t *testing.T) {
	m, _ := inForce(t, false, nil)
	now := time.Now()
	first, err := m.joinByHand(now)
	second, err2 := m.joinByHand(now)
	if err != nil || err2 != nil || first != second {
		t.Errorf("%p, %v, %p, %v", first, err, second, err2)
	}
	m.endByHand(errAskedToWait)
	if <-first.over; first.err != errAskedToWait || m.wantedByHand() != nil {
		t.Errorf("ended with %v", first.err)
	}
	if first, err = m.joinByHand(now); err != nil {
		t.Errorf("after one that failed: %v", err)
	}
	m.endByHand(nil)
	if _, err := m.joinByHand(m.lastByHand.Add(59 * time.Second)); err == nil || !strings.Contains(err.Error(), "want 1m0s between") {
		t.Errorf("again at once: %v", err)
	}
	third, err := m.joinByHand(m.lastByHand.Add(time.Minute))
	if err != nil || third == first {
		t.Errorf("after a minute: %v", err)
	}
	m.release()
	if <-third.over; third.err != errReleased {
		t.Errorf("let go of with %v", third.err)
	}
	if _, err := m.joinByHand(now.Add(time.Hour)); err != errReleased {
		t.Errorf("after it was let go of: %v", err)
	}
}
