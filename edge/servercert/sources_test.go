package servercert

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/loadtest/pki"
)

func helloFor(name string) *tls.ClientHelloInfo {
	return &tls.ClientHelloInfo{ServerName: name, SupportedVersions: []uint16{tls.VersionTLS13}, CipherSuites: []uint16{tls.TLS_AES_128_GCM_SHA256},
		SignatureSchemes: []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256, tls.PSSWithSHA256}, SupportedCurves: []tls.CurveID{tls.X25519, tls.CurveP256}}
}

func TestSelfSigned(t *testing.T) {
	dir := t.TempDir()
	cfg := config.Certificate{Name: "dev", Hosts: []string{"dev.example", "*.dev.example"}, SelfSigned: true}
	checked := in(dir)
	checked.ReadOnly = true
	if _, err := Load(cfg, checked); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "state")); err == nil {
		t.Error("a check leaves something on disk")
	}
	c := pki.Must(Load(cfg, in(dir)))
	leaf := c.Leaf()
	if err := leaf.CheckSignatureFrom(leaf); err == nil {
		t.Error("it could sign others") // no CA
	}
	if leaf.VerifyHostname("a.dev.example") != nil || leaf.Issuer.String() != leaf.Subject.String() || !strings.Contains(leaf.Subject.String(), "self-signed for development") {
		t.Errorf("issued to %s by %s for %q", leaf.Subject, leaf.Issuer, leaf.DNSNames)
	}
	if again := pki.Must(Load(cfg, in(dir))); !again.Leaf().Equal(leaf) {
		t.Error("a start makes another one")
	}
	if err := c.Renew(t.Context()); err != nil || c.Leaf().Equal(leaf) {
		t.Errorf("renewed by hand: %v", err)
	}
	cfg.Hosts = cfg.Hosts[:1]
	if other := pki.Must(Load(cfg, in(dir))); other.Leaf().VerifyHostname("a.dev.example") == nil {
		t.Error("it is for hosts that it was for before")
	}
	if s := c.Status(); len(s) != 2 || s[1].Host != "*.dev.example" || s[0].Source != "self-signed" || s[0].NextTry.IsZero() {
		t.Errorf("%+v", s)
	}
}

func TestACMERefuses(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"garbage.pem": "no PEM", "empty.key": " \n", "bad.key": "not base64!"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		field, text string
		acme        config.ACME
	}{
		{"hosts", "want at most 240 characters", config.ACME{}},
		{"acme.ca_file", "no such file", config.ACME{CAFile: "missing.pem"}},
		{"acme.ca_file", "no certificate found", config.ACME{CAFile: "garbage.pem"}},
		{"acme.eab.hmac_file", "no such file", config.ACME{EAB: config.EAB{HMACFile: "missing.key"}}},
		{"acme.eab.hmac_file", "want a key in base64url", config.ACME{EAB: config.EAB{HMACFile: "empty.key"}}},
		{"acme.fallback[0].eab.hmac_file", "want a key in base64url", config.ACME{Fallback: []config.ACMECA{{EAB: config.EAB{HMACFile: "bad.key"}}}}},
	} {
		host := "c.example"
		if test.field == "hosts" {
			host = strings.Repeat("a.", 120) + host
		}
		_, err := Load(config.Certificate{Name: "c", Hosts: []string{host}, ACME: &test.acme}, in(dir))
		var field *FieldError
		if !errors.As(err, &field) || field.Field != test.field || !strings.Contains(err.Error(), test.text) {
			t.Errorf("%v, want one about %s that says %q", err, test.field, test.text)
		}
	}
}

// TestAwaited: a name that is to have a certificate gets no other one in its place.
func TestAwaited(t *testing.T) {
	dir := t.TempDir()
	wild := pki.Must(Load(files(t, dir, "wild", pki.Must(pki.Must(pki.NewRoot()).Issue(pki.Server("*.example.com", "default.example")))), in(dir)))
	waits := pki.Must(Load(config.Certificate{Name: "shop", Hosts: []string{"shop.example.com", "*.shop.example", "late.example"}, ACME: &config.ACME{Directory: "https://127.0.0.1:1/"}}, in(dir)))
	for _, refuse := range []bool{true, false} {
		s := NewSelector([]*Certificate{wild, waits}, refuse)
		if pair, err := s.Pick(helloFor("shop.example.com")); err != nil || pair == nil || pair.Name() != "wild" {
			t.Errorf("a name that a wildcard covers meanwhile: %+v, %v", pair, err)
		}
		for name, want := range map[string]string{"a.shop.example": "*.shop.example", "late.example": "late.example"} {
			pair, err := s.Pick(helloFor(name))
			var unavailable *UnavailableError
			if pair != nil || !errors.As(err, &unavailable) || unavailable.Host != want || unavailable.Certificate != "shop" {
				t.Errorf("%s: %+v, %v", name, pair, err)
			}
			if !s.Serves(name) {
				t.Errorf("%s is not served", name)
			}
		}
		if pair, err := s.Pick(helloFor("b.example.com")); err != nil || pair == nil || pair.Name() != "wild" {
			t.Errorf("another name: %+v, %v", pair, err)
		}
	}
	if pair, err := NewSelector([]*Certificate{waits}, false).Pick(helloFor("")); pair != nil || err == nil {
		t.Errorf("no name, and no certificate at all: %+v, %v", pair, err)
	}
	if len(waits.Current().Certificate) != 0 || waits.Leaf() != nil {
		t.Error("it has a certificate to show to targets")
	}
}

// TestBrokenBundle: a kept certificate that is broken, or for another name, is as
// good as none.
func TestBrokenBundle(t *testing.T) {
	dir := t.TempDir()
	store := Dir(filepath.Join(dir, "state"))
	other := pki.Must(pki.Must(pki.NewRoot()).Issue(pki.Server("other.example")))
	if err := other.WriteFiles(dir, "other"); err != nil {
		t.Fatal(err)
	}
	b := bundle{meta: []byte("{}"), cert: pki.Must(os.ReadFile(filepath.Join(dir, "other.crt"))), key: pki.Must(os.ReadFile(filepath.Join(dir, "other.key")))}
	for want, data := range map[string][]byte{"want a certificate, its key": []byte("half a fi"), "it is for other.example": b.encode()} {
		if err := store.Save("issued/shop/shop.example.pem", data); err != nil {
			t.Fatal(err)
		}
		c := pki.Must(Load(config.Certificate{Name: "shop", Hosts: []string{"shop.example"}, ACME: &config.ACME{Directory: "https://127.0.0.1:1/"}}, in(dir)))
		if c.Leaf() != nil || !strings.Contains(c.LastError(), want) {
			t.Errorf("%q, want %q", c.LastError(), want)
		}
	}
}

func TestDNSCommand(t *testing.T) {
	dir := t.TempDir()
	script := filepath.Join(dir, "hook")
	if err := os.WriteFile(script, []byte("#!/bin/sh\necho \"$@\" >>"+dir+"/calls\necho SECRET=$SECRET\n[ \"$2\" = present ] || { echo no such zone >&2; exit 3; }\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SECRET", "x")
	d := dnsCommand{[]string{script, "zone"}}
	if err := d.run(t.Context(), "present", "_acme-challenge.a.example.", "value; rm -rf /"); err != nil {
		t.Error(err)
	}
	err := d.run(t.Context(), "cleanup", "_acme-challenge.a.example.", "value")
	if err == nil || !strings.Contains(err.Error(), "exit status 3: SECRET=\nno such zone") {
		t.Errorf("%v", err)
	}
	if calls := string(pki.Must(os.ReadFile(filepath.Join(dir, "calls")))); calls != "zone present _acme-challenge.a.example. value; rm -rf /\nzone cleanup _acme-challenge.a.example. value\n" {
		t.Errorf("called with %q", calls)
	}
	err = dnsCommand{[]string{"/bin/sh", "-c", "head -c 1000000 /dev/zero; exit 1"}}.run(t.Context(), "present", "a", "b")
	if err == nil || !strings.Contains(err.Error(), "exit status 1") || len(err.Error()) > 1000 {
		t.Errorf("a command that says much: %.100v", err)
	}
	var said bounded
	for range 3 {
		if n, err := said.Write(make([]byte, maxSaid-1)); n != maxSaid-1 || err != nil || len(said) > maxSaid {
			t.Errorf("%d bytes taken, %v, %d kept", n, err, len(said))
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	begun := time.Now()
	if err := (dnsCommand{[]string{"/bin/sh", "-c", "sleep 600 & sleep 600"}}).run(ctx, "present", "a", "b"); err == nil || time.Since(begun) > 30*time.Second {
		t.Errorf("after %v: %v", time.Since(begun), err)
	}
}

func TestDemand(t *testing.T) {
	status := http.StatusOK
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("key") != "1" || r.FormValue("domain") != "asked.example" {
			t.Errorf("asked %s", r.URL)
		}
		w.Header().Set("Location", "/yes")
		w.WriteHeader(status)
	}))
	defer service.Close()
	d := newDemand(config.OnDemand{Allow: []string{"one.example", "*.two.example"}, Ask: service.URL + "/?key=1", Rate: config.OnDemandRate{Names: 2, Within: config.Duration(time.Minute)}})
	for name, want := range map[string]bool{"one.example": true, "a.two.example": true, "two.example": false, "a.b.two.example": false, "a.one.example": false} {
		if d.allows(name) != want {
			t.Errorf("%s: allowed %v", name, !want)
		}
	}
	for _, test := range []struct {
		status     int
		want       error
		remembered bool
	}{{200, nil, false}, {204, ErrNotAllowed, true}, {302, ErrNotAllowed, true}, {403, ErrNotAllowed, true}, {500, errAskUnavailable, false}, {503, errAskUnavailable, false}} {
		clear(d.refused)
		status = test.status
		err := d.ask(t.Context(), "asked.example")
		if !errors.Is(err, test.want) {
			t.Errorf("status %d: %v", test.status, err)
		}
		now := time.Now()
		if d.wasRefused("asked.example", now) != test.remembered || d.wasRefused("asked.example", now.Add(2*refusalLife)) {
			t.Errorf("status %d: remembered %v", test.status, !test.remembered)
		}
	}
	service.Close()
	clear(d.refused)
	if err := d.ask(t.Context(), "asked.example"); !errors.Is(err, errAskUnavailable) || d.wasRefused("asked.example", time.Now()) {
		t.Errorf("a service that is down: %v", err)
	}
	for i := range maxRefusals + 1 {
		d.remember(fmt.Sprint(i), time.Now())
	}
	if len(d.refused) > maxRefusals {
		t.Errorf("%d refusals are remembered", len(d.refused))
	}
	now := time.Now()
	for i, want := range []bool{true, true, false, true} {
		if at := now.Add([]time.Duration{0, time.Second, 59 * time.Second, time.Minute}[i]); (d.spend(at) == nil) != want {
			t.Errorf("order %d at %v: want %v, as the rate is two in a minute", i, at.Sub(now), want)
		}
	}
	for name, want := range map[string]bool{"a.example": true, "localhost": false, "10.0.0.1": false, "a..b": false, "-a.b": false, "a_b.c": false, "*.b.c": false, strings.Repeat("a.", maxHost/2) + "bc": false, "a.b/c": false, strings.Repeat("a", 64) + ".b": false, "": false} {
		if isServerName(name) != want {
			t.Errorf("%q is a server's name: %v", name, !want)
		}
	}
}

// TestLapses: a name that a client has brought goes when it is of no use any more.
func TestLapses(t *testing.T) {
	now := time.Now()
	pair := func(life time.Duration) *Pair {
		p := &Pair{}
		p.tls.Leaf = lasting(now.Add(-90*day), 90*day+life)
		return p
	}
	for _, test := range []struct {
		what     string
		onDemand bool
		edit     func(*managed)
		want     bool
	}{
		{"expired, of the configuration", false, func(m *managed) { m.pair = pair(-time.Hour) }, false},
		{"expired unwanted", true, func(m *managed) { m.pair = pair(-time.Hour) }, true},
		{"expired and wanted", true, func(m *managed) { m.pair = pair(-time.Hour); m.wanted.Store(true) }, false},
		{"expired, wanted, not allowed", true, func(m *managed) { m.pair = pair(-time.Hour); m.wanted.Store(true); m.refused = true }, true},
		{"unwanted, with an hour left", true, func(m *managed) { m.pair = pair(time.Hour) }, false},
		{"expired unwanted, just issued", true, func(m *managed) { m.pair, m.ordered = pair(-time.Hour), now.Add(-time.Hour) }, false},
		{"refused, without any", true, func(m *managed) { m.failures, m.failure, m.refused = 1, &failure{at: now}, true }, true},
		{"failed just now", true, func(m *managed) { m.failures, m.failure = 1, &failure{at: now} }, false},
		{"failed long ago", true, func(m *managed) { m.failures, m.failure = 1, &failure{at: now.Add(-2 * forgetAfter)} }, true},
	} {
		dir := t.TempDir()
		o := in(dir)
		e := &acmeEntry{certificate: &Certificate{name: "c"}, manager: o.Manager, names: map[string]*managed{}, cfg: &config.ACME{KeyType: config.KeyP256}}
		m := newManaged(e, "a.example", test.onDemand)
		e.names["a.example"] = m
		if !test.onDemand {
			e.hosts = []string{"a.example"}
		}
		if err := o.Manager.store.Save(m.key(".pem"), nil); err != nil {
			t.Fatal(err)
		}
		test.edit(m)
		got := m.lapses(now)
		_, err := o.Manager.store.Load(m.key(".pem"))
		if got != test.want || (e.names["a.example"] == nil) != test.want || (err != nil) != test.want {
			t.Errorf("%s: lets go %v, file: %v", test.what, got, err)
		}
	}
}

// TestCertmagicsLog: what it says at any level is quieter here.
func TestCertmagicsLog(t *testing.T) {
	var log lockedBuffer
	m := NewManager(Dir(t.TempDir()), slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	z := m.zap().With(zap.String("a", "1"))
	z.Info("said", zap.Int("b", 2))
	z.Error("failed", zap.Error(errors.New("why")))
	for _, want := range []string{`level=DEBUG msg=said from=certmagic a=1 b=2`, `level=WARN msg=failed from=certmagic a=1 error=why`} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("want %q in %s", want, log.String())
		}
	}
	quiet := NewManager(Dir(t.TempDir()), slog.New(slog.NewTextHandler(&log, nil))).zap()
	if quiet.Core().Enabled(zap.InfoLevel) || !quiet.Core().Enabled(zap.ErrorLevel) {
		t.Error("the level of the edge's log does not hold")
	}
}

func FuzzChallengeNames(f *testing.F) {
	dir := f.TempDir()
	m := NewManager(Dir(filepath.Join(dir, "store")), slog.New(slog.DiscardHandler))
	if err := os.WriteFile(filepath.Join(dir, "secret"), []byte(`{"since":"2099-01-01T00:00:00Z","challenge":{"token":"secret"}}`), 0o600); err != nil {
		f.Fatal(err)
	}
	for _, name := range []string{"shop.example", "../../../secret", "a/../../../../secret", ".", "..", "a\x00b"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if _, ok := m.HTTP01(name, name); ok {
			t.Errorf("%q is answered", name)
		}
		if m.TLSALPN(name) != nil {
			t.Errorf("%q has a certificate", name)
		}
	})
}
