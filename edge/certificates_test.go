package edge

import (
	"bufio"
	"bytes"
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/reason"
	"github.com/sallyport/sallyport/edge/servercert"
	"github.com/sallyport/sallyport/edge/servercert/pebble"
	"github.com/sallyport/sallyport/loadtest/pki"
	"github.com/sallyport/sallyport/loadtest/port"
)

// slow is how long a test waits for what takes a CA.
const slow = 60 * time.Second

// certified is an edge whose certificates a CA issues.
type certified struct {
	*rig
	authority *pebble.CA
	https     int
	http      int
	log       *safeBuffer
	stop      func()
}

// safeBuffer is a log that a test reads while it is written.
type safeBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func newCertified(t *testing.T, o pebble.Options) *certified {
	t.Helper()
	t.Parallel()
	reserved := func() int {
		number, release, err := port.Reserve()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(release)
		return number
	}
	c := &certified{rig: newRig(t), https: reserved(), http: reserved(), log: &safeBuffer{}}
	o.TLSPort, o.HTTPPort = c.https, c.http
	authority, err := pebble.Start(t.TempDir(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the edge's log:\n%s\nthe CA's:\n%s", c.log, authority.Log())
		}
		authority.Close()
	})
	c.authority = authority
	return c
}

// serve runs an edge with a listener that asks for certificates and a plain one;
// entries are the certificates section, in which $CA stands for what every acme
// section has. A second call ends the edge before and keeps its state.
func (c *certified) serve(entries string, more ...string) {
	c.t.Helper()
	if c.stop != nil {
		c.stop()
	}
	ca := fmt.Sprintf("directory: %q, ca_file: %q, profile: default", c.authority.Directory, c.authority.CAFile)
	c.write("sallyport.yaml", []byte(fmt.Sprintf(`
state_dir: state
admin: {socket: run/admin.sock}
logs: {connection: {file: connection.log, format: json}}
target_groups: {app: {targets: [%q]}}
trust_stores: {clients: {ca_bundle: {file: ca.pem}}}
listeners:
  verify:
    address: "127.0.0.1:%d"
    unknown_server_name: refuse
    limits: {handshake_timeout: 30s}
    mutual_authentication: {mode: verify, trust_store: clients}
    default_action: {forward: app}
  plain:
    address: "127.0.0.1:%d"
    protocol: http
    default_action: {redirect: {protocol: HTTPS, port: "443", status_code: HTTP_301}}
certificates:
%s
`, c.target.URL, c.https, c.http, strings.ReplaceAll(entries, "$CA", ca))+strings.Join(more, "\n")))
	load := func() (*config.Config, config.Problems) { return config.Load(filepath.Join(c.dir, "sallyport.yaml")) }
	cfg, problems := load()
	if err := problems.Err(); err != nil {
		c.t.Fatal(err)
	}
	server, problems := New(cfg, Options{Log: slog.New(slog.NewTextHandler(c.log, &slog.HandlerOptions{Level: slog.LevelDebug})), Load: load})
	if err := problems.Err(); err != nil {
		c.t.Fatal(err)
	}
	c.server = server
	ended := make(chan error, 1)
	ctx, cancel := context.WithCancel(context.Background())
	go func() { ended <- server.Run(ctx) }()
	c.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			c.t.Errorf("edge ended: %v", err)
		}
	})
	c.t.Cleanup(c.stop)
	c.await("ready", func() bool { return server.ready.Load() })
}

// until waits longer than await.
func (c *certified) until(what string, holds func() bool) {
	c.t.Helper()
	for over := time.Now().Add(slow); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(over) {
			c.t.Fatalf("not %s within %s", what, slow)
		}
	}
}

func (c *certified) statusOf(name, host string) servercert.Status {
	c.t.Helper()
	for _, raw := range (adminView{c.server}).Certificates(name) {
		var s servercert.Status
		if err := json.Unmarshal(raw, &s); err != nil {
			c.t.Fatal(err)
		}
		if s.Host == host {
			return s
		}
	}
	return servercert.Status{}
}

func (c *certified) issued(name, host string) func() bool {
	return func() bool { return !c.statusOf(name, host).NotAfter.IsZero() }
}

// as is a client of the trust store that asks for a name, and believes the CA.
func (c *certified) as(name string) *tls.Config {
	c.t.Helper()
	cert := pki.Must(c.ca.Issue()).TLSCertificate()
	return &tls.Config{RootCAs: pki.Must(c.authority.Roots()), ServerName: name, GetClientCertificate: pki.PresentAlways(cert)}
}

// get makes a request on a connection of its own.
func (c *certified) get(conf *tls.Config) (tls.ConnectionState, error) {
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: slow}, "tcp", fmt.Sprintf("127.0.0.1:%d", c.https), conf)
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(slow))
	fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", conf.ServerName)
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return tls.ConnectionState{}, err
	}
	io.Copy(io.Discard, response.Body)
	if response.StatusCode != http.StatusOK {
		return tls.ConnectionState{}, fmt.Errorf("status %d", response.StatusCode)
	}
	return conn.ConnectionState(), nil
}

func (c *certified) renew(name string) error {
	entry, ok := adminView{c.server}.Renewer(name)
	if !ok {
		c.t.Fatalf("no entry %s", name)
	}
	ctx, cancel := context.WithTimeout(c.t.Context(), slow)
	defer cancel()
	return entry.Renew(ctx)
}

// TestIssuance has a CA issue by TLS-ALPN-01 on the listener that asks every client
// for a certificate, and by HTTP-01 on the plain one; then takes the CA away.
func TestIssuance(t *testing.T) {
	c := newCertified(t, pebble.Options{})
	c.authority.Fail(pebble.Failure{Down: true})
	entries := `
  - {name: shop, hosts: [shop.example, www.shop.example], acme: {$CA, email: ops@example.com}}
  - {name: shop-rsa, hosts: [shop.example], acme: {$CA, key_type: rsa-2048, challenges: [http-01]}}
  - {name: second, hosts: [second.example], acme: {directory: "https://127.0.0.1:1/dir", challenges: [http-01], fallback: [{$CA}]}}`
	c.serve(entries)

	// The CA cannot be reached: the edge runs, and says so.
	c.until("failed", func() bool { return c.statusOf("shop", "shop.example").LastError != "" })
	_, err := c.get(c.as("shop.example"))
	if err == nil {
		t.Error("a client got in without a certificate of the edge's")
	}
	c.await("logged", func() bool {
		for _, r := range c.records(noAddr) {
			if r.Status == reason.ServerCertUnavailable && strings.Contains(r.Cause, `certificate shop has none for "shop.example" yet: order from https://`) {
				return true
			}
		}
		return false
	})
	if problems := strings.Join((adminView{c.server}).Status().Problems, "\n"); !strings.Contains(problems, "certificate shop for shop.example: none yet: order from ") {
		t.Errorf("status says: %s", problems)
	}

	c.authority.Fail(pebble.Failure{})
	for _, name := range []string{"shop", "shop-rsa", "second"} {
		if err := c.renew(name); err != nil {
			t.Fatal(err)
		}
	}
	state, err := c.get(c.as("shop.example"))
	if err != nil {
		t.Fatal(err)
	}
	if got := state.PeerCertificates[0].PublicKeyAlgorithm; got != x509.ECDSA {
		t.Errorf("a client that can do both is shown %v, want the entry listed first", got)
	}
	old := c.as("shop.example")
	old.MaxVersion, old.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}
	if state, err = c.get(old); err != nil || state.PeerCertificates[0].PublicKeyAlgorithm != x509.RSA {
		t.Errorf("a client that can do RSA only: %v, %v", err, state.PeerCertificates)
	}
	for _, name := range []string{"www.shop.example", "second.example"} {
		if _, err := c.get(c.as(name)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if s := c.statusOf("second", "second.example"); s.CA != c.authority.Directory || s.LastError != "" || s.Key != "ecdsa-p256" {
		t.Errorf("second: %+v", s)
	}

	// A start serves what is on disk, with no CA to be had; so does a renewal that fails.
	c.authority.Fail(pebble.Failure{Down: true})
	before := c.statusOf("shop", "shop.example")
	c.serve(entries)
	if _, err := c.get(c.as("shop.example")); err != nil {
		t.Errorf("after a start without the CA: %v", err)
	}
	if s := c.statusOf("shop", "shop.example"); s.Serial != before.Serial || before.Serial == "" {
		t.Errorf("serial %q before the start, %q after", before.Serial, s.Serial)
	}
	c.authority.Fail(pebble.Failure{RateLimited: time.Hour})
	if err := c.renew("shop-rsa"); err == nil || !strings.Contains(err.Error(), "rateLimited") {
		t.Errorf("renewed by a CA that limits us: %v", err)
	}
	s := c.statusOf("shop-rsa", "shop.example")
	if wait := time.Until(s.NextTry); wait < 50*time.Minute || wait > 61*time.Minute || s.NotAfter.IsZero() {
		t.Errorf("next try in %v: want the hour that the CA asks for; %+v", wait, s)
	}
	if _, err := c.get(old); err != nil {
		t.Errorf("after a renewal that failed: %v", err)
	}
}

// TestOnDemand: names that clients bring, if the rule has them; a CA is never asked
// for others.
func TestOnDemand(t *testing.T) {
	c := newCertified(t, pebble.Options{})
	asked := make(chan string, 100)
	rule := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		domain := r.FormValue("domain")
		asked <- domain
		if !strings.HasPrefix(domain, "good") {
			http.Error(w, "no", http.StatusForbidden)
		}
	})}
	l := pki.Must(net.Listen("tcp", "127.0.0.1:0"))
	go rule.Serve(l)
	t.Cleanup(func() { rule.Close() })
	entries := fmt.Sprintf(`
  - {name: customers, acme: {$CA, on_demand: {allow: ["*.allowed.example"], ask: "http://%s/ask", rate: {names: 4, within: 1h}}}}`, l.Addr())
	c.serve(entries)
	var wait sync.WaitGroup
	for range 5 { // one order, however many come
		wait.Go(func() {
			if _, err := c.get(c.as("a.allowed.example")); err != nil {
				t.Errorf("a name on the list: %v", err)
			}
		})
	}
	wait.Wait()
	if _, err := c.get(c.as("good.example")); err != nil {
		t.Errorf("a name that the service allows: %v", err)
	}
	for _, name := range []string{"bad.example", "deep.a.allowed.example", "allowed.example", "bad.example"} {
		if _, err := c.get(c.as(name)); err == nil {
			t.Errorf("%s is served", name)
		}
	}
	if got, want := c.authority.Orders(), []string{"a.allowed.example", "good.example"}; !slices.Equal(got, want) {
		t.Errorf("the CA was asked for %q, want %q", got, want)
	}
	close(asked)
	times := map[string]int{}
	for name := range asked {
		times[name]++
	}
	if times["a.allowed.example"] != 0 || times["good.example"] != 1 || times["bad.example"] != 1 {
		t.Errorf("the service was asked: %v", times)
	}

	// After a start they are there without a CA, and without the service.
	c.authority.Fail(pebble.Failure{Down: true})
	rule.Close()
	c.serve(entries)
	for _, name := range []string{"a.allowed.example", "good.example"} {
		if _, err := c.get(c.as(name)); err != nil {
			t.Errorf("%s after a start: %v", name, err)
		}
	}
}

// TestRenewalUnderLoad: a certificate that lasts thirty seconds is renewed, and not
// one connection fails.
func TestRenewalUnderLoad(t *testing.T) {
	const life = 30 * time.Second
	wanted := 2
	if os.Getenv("SALLYPORT_SOAK") != "" {
		wanted = 5
	}
	c := newCertified(t, pebble.Options{Profiles: map[string]time.Duration{"short": life}})
	// Pebble's window for so short a life reaches from its beginning to its end.
	c.authority.Fail(pebble.Failure{NoWindow: true})
	c.serve(fmt.Sprintf(`
  - {name: shop, hosts: [shop.example], acme: {directory: %q, ca_file: %q, profile: short}}`, c.authority.Directory, c.authority.CAFile))
	c.until("issued", c.issued("shop", "shop.example"))
	client := c.as("shop.example")
	serials := map[string]int{}
	for over := time.Now().Add(slow + 5*life); len(serials) < wanted; {
		state, err := c.get(client)
		if err != nil {
			t.Fatalf("after %d connections: %v", len(serials), err)
		}
		serials[state.PeerCertificates[0].SerialNumber.String()]++
		if time.Now().After(over) {
			t.Fatalf("serials seen: %v, want %d", serials, wanted)
		}
	}
	if stats := c.server.generation.Load().certificates["shop"].Stats(); stats.Failed > 0 || stats.Renewed < uint64(wanted-1) {
		t.Errorf("%+v", stats)
	}
}

// TestRenewalWindow: a CA that wants its certificate replaced gets its wish, and is
// told which one it was.
func TestRenewalWindow(t *testing.T) {
	c := newCertified(t, pebble.Options{})
	entries := "\n  - {name: shop, hosts: [shop.example], acme: {$CA}}"
	c.serve(entries)
	c.until("issued", c.issued("shop", "shop.example"))
	before := c.statusOf("shop", "shop.example")
	state, err := c.get(c.as("shop.example"))
	if err != nil {
		t.Fatal(err)
	}
	if wait := time.Until(before.NextTry); wait < 50*24*time.Hour || wait > 70*24*time.Hour {
		t.Errorf("the next try is in %v, want a third of 90 days before the end", wait)
	}
	if err := c.authority.SetRenewalWindow(state.PeerCertificates[0], time.Now().Add(-time.Hour), time.Now().Add(-time.Minute)); err != nil {
		t.Fatal(err)
	}
	// It is too fresh for that, unless it was issued days ago.
	c.stop()
	kept := filepath.Join(c.dir, "state/certificates/issued/shop/shop.example.pem")
	text := pki.Must(os.ReadFile(kept))
	ordered := regexp.MustCompile("(?m)^Ordered: .*$")
	if !ordered.Match(text) {
		t.Fatalf("when it was issued is not kept:\n%s", text)
	}
	text = ordered.ReplaceAll(text, []byte("Ordered: "+time.Now().Add(-48*time.Hour).UTC().Format(time.RFC3339)))
	if err := os.WriteFile(kept, text, 0o600); err != nil {
		t.Fatal(err)
	}
	c.serve(entries) // a start asks; while it runs, an edge asks as often as the CA says
	c.until("renewed", func() bool { return c.statusOf("shop", "shop.example").Serial != before.Serial })
	if !strings.Contains(c.authority.Log(), "is a replacement of") {
		t.Error("the CA was not told which certificate is replaced")
	}
	if !strings.Contains(c.log.String(), "CA wants the certificate to be renewed early") {
		t.Error("the edge does not say so")
	}
}

// TestStaple: an OCSP answer is there with the first handshake after it has come,
// and a fresh one follows; a certificate that the CA has revoked is replaced.
func TestStaple(t *testing.T) {
	var mu sync.Mutex
	status := ocsp.Good
	var issuer *x509.Certificate
	var key crypto.Signer
	responder := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		request, err := ocsp.ParseRequest(body)
		mu.Lock()
		defer mu.Unlock()
		if err != nil || issuer == nil {
			w.Write(ocsp.TryLaterErrorResponse)
			return
		}
		now := time.Now().UTC().Truncate(time.Second)
		answer := ocsp.Response{Status: status, SerialNumber: request.SerialNumber, ThisUpdate: now, NextUpdate: now.Add(6 * time.Hour), IssuerHash: request.HashAlgorithm}
		if status == ocsp.Revoked {
			answer.RevokedAt, status = now, ocsp.Good // the next one is good again
		}
		signed, err := ocsp.CreateResponse(issuer, issuer, answer, key)
		if err != nil {
			t.Error(err)
		}
		w.Write(signed)
	}))
	t.Cleanup(responder.Close)
	c := newCertified(t, pebble.Options{OCSP: responder.URL})
	const entries = "\n  - {name: shop, hosts: [shop.example], acme: {$CA}}"
	c.serve(entries)
	c.until("issued", c.issued("shop", "shop.example"))
	state, err := c.get(c.as("shop.example"))
	if err != nil {
		t.Fatal(err)
	}
	if len(state.OCSPResponse) > 0 {
		t.Error("an answer is stapled before there is one")
	}
	signer := pki.Must(c.authority.IntermediateKey()).(crypto.Signer)
	mu.Lock()
	issuer, key = state.PeerCertificates[1], signer
	mu.Unlock()

	stapled := false
	c.until("stapled", func() bool {
		state, err := c.get(c.as("shop.example"))
		if err != nil {
			t.Fatal(err)
		}
		if len(state.OCSPResponse) > 0 {
			answer, err := ocsp.ParseResponseForCert(state.OCSPResponse, state.PeerCertificates[0], state.PeerCertificates[1])
			if err != nil || answer.Status != ocsp.Good {
				t.Fatalf("stapled: %+v, %v", answer, err)
			}
			if time.Now().After(answer.NextUpdate) {
				t.Errorf("stapled after its time: %v", answer.NextUpdate)
			}
			stapled = true
		}
		return stapled
	})
	if s := c.statusOf("shop", "shop.example"); s.Staple == nil || s.Staple.Status != "good" {
		t.Errorf("status: %+v", s.Staple)
	}

	before := c.statusOf("shop", "shop.example").Serial
	mu.Lock()
	status = ocsp.Revoked
	mu.Unlock()
	// A start without the kept answer asks; while it runs, an edge asks half-way.
	c.stop()
	if err := os.Remove(filepath.Join(c.dir, "state/certificates/issued/shop/shop.example.ocsp")); err != nil {
		t.Fatal(err)
	}
	c.serve(entries)
	c.until("replaced", func() bool { return c.statusOf("shop", "shop.example").Serial != before })
	if !strings.Contains(c.log.String(), "certificate is not good, says its CA") {
		t.Error("nobody was told of the revocation")
	}
}
