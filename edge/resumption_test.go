package edge

import (
	"crypto/tls"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/edge/connlog"
	"github.com/sallyport/sallyport/edge/reason"
	"github.com/sallyport/sallyport/loadtest/pki"
)

// sessionCache is a client's session cache that offers what it has to everybody: a
// client that means ill takes a session wherever it may help.
type sessionCache struct{ last *tls.ClientSessionState }

func (s *sessionCache) Get(string) (*tls.ClientSessionState, bool) { return s.last, s.last != nil }
func (s *sessionCache) Put(_ string, state *tls.ClientSessionState) {
	if state != nil {
		s.last = state
	}
}

const forResumption = `
trust_stores: {clients: {ca_bundle: {file: ca.pem}, crls: [{file: crl.pem}]}}
listeners:
  verify:
    address: 127.0.0.1:0
    mutual_authentication: {mode: verify, trust_store: clients}
    hosts:
      open.example.com: {mutual_authentication: {mode: off}}
      maybe.example.com: {mutual_authentication: {mode: optional, trust_store: clients}}
      chain.example.com: {mutual_authentication: {mode: passthrough}}
    default_action: {forward: app}
  second:
    address: 127.0.0.2:0
    mutual_authentication: {mode: verify, trust_store: clients}
    default_action: {forward: app}
  never:
    address: 127.0.0.3:0
    session_tickets: off
    mutual_authentication: {mode: verify, trust_store: clients}
    default_action: {forward: app}
`

// TestResumption has a client come back with its session after everything that
// may have changed meanwhile: it is judged as a new one would be, in both
// versions of TLS.
func TestResumption(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, test := range []struct {
			name    string
			sni     string // of the second time; of the first it is localhost
			at      string // the listener of the second time, verify if empty
			change  func(r *rig, leaf *pki.Leaf)
			resumed bool
			want    reason.Code
		}{
			{name: "nothing changed", resumed: true, want: reason.Success},
			// nginx 1.31 lets this one in.
			{name: "revoked by a CRL", want: reason.ClientCertCrlHit, change: func(r *rig, leaf *pki.Leaf) {
				r.write("crl.pem", pki.CRLPEM(pki.Must(r.ca.CRL(pki.Number(two), pki.Revoke(leaf)))))
				r.awaitGeneration(2)
			}},
			{name: "revoked by hand", want: reason.ClientCertCrlHit, change: func(r *rig, leaf *pki.Leaf) {
				must(r.server.generation.Load().stores["clients"].RevokeCertificate(leaf.Cert, "lost", time.Now()))
			}},
			// CVE-2025-68121.
			{name: "its CA removed", want: reason.ClientCertUntrusted, change: func(r *rig, _ *pki.Leaf) {
				r.write("ca.pem", pki.Must(pki.NewRoot()).CertPEM())
				r.awaitGeneration(2)
			}},
			// CVE-2022-21654.
			{name: "the listener turned stricter", want: reason.ClientCertPurposeInvalid, change: func(r *rig, _ *pki.Leaf) {
				r.configure(strings.Replace(forResumption, "{mode: verify, trust_store: clients}", "{mode: verify, trust_store: clients, certificate_rules: strict}", 1))
				if err := r.server.Reload(); err != nil {
					r.t.Fatal(err)
				}
			}},
			{name: "a filter added", want: reason.ClientCertRejected, change: func(r *rig, _ *pki.Leaf) {
				r.configure(strings.Replace(forResumption, "{mode: verify, trust_store: clients}", "{mode: verify, trust_store: clients, identity_filters: {dns: [a.example.com]}}", 1))
				if err := r.server.Reload(); err != nil {
					r.t.Fatal(err)
				}
			}},
			// CVE-2025-23419, GHSA-gv8r-9rw9-9697.
			{name: "to another host", sni: "maybe.example.com", want: reason.Success},
			{name: "to a passthrough host", sni: "chain.example.com", want: reason.Success},
			{name: "to another listener", at: "second", want: reason.Success},
			{name: "to a listener without tickets", at: "never", want: reason.Success},
		} {
			t.Run(tls.VersionName(version)+"/"+test.name, func(t *testing.T) {
				r := newRig(t)
				r.write("crl.pem", pki.CRLPEM(pki.Must(r.ca.CRL())))
				r.start(forResumption)
				leaf := pki.Must(r.ca.Issue(pki.EKU())) // no extended key usage: strict refuses it
				cert := leaf.TLSCertificate()
				cache := &sessionCache{}
				come := func(sni, listener string) connlog.Record {
					conf := r.named(sni, &cert)
					conf.MaxVersion, conf.ClientSessionCache = version, cache
					record, body := r.try(listener, conf)
					if (record.Status == reason.Success) != (body != "") {
						t.Errorf("%s, and the body is %q", record.Status, body)
					}
					return record
				}
				if first := come("localhost", "verify"); first.Status != reason.Success || first.Resumed {
					t.Fatalf("the first time: %s: %s, resumed %v", first.Status, first.Cause, first.Resumed)
				}
				if test.change != nil {
					test.change(r, leaf)
				}
				sni, at := test.sni, test.at
				if sni == "" {
					sni = "localhost"
				}
				if at == "" {
					at = "verify"
				}
				second := come(sni, at)
				if second.Status != test.want || second.Status == reason.Success && second.Resumed != test.resumed {
					t.Errorf("the second time: %s: %s, resumed %v; want %s, resumed %v",
						second.Status, second.Cause, second.Resumed, test.want, test.resumed)
				}
			})
		}
	}
}

// TestSessionFromOpenHost begins a session where nobody is asked who he is, and
// takes it to where everybody is.
func TestSessionFromOpenHost(t *testing.T) {
	r := newRig(t)
	r.write("crl.pem", pki.CRLPEM(pki.Must(r.ca.CRL())))
	r.start(forResumption)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, from := range []string{"open.example.com", "maybe.example.com"} {
			cache := &sessionCache{}
			conf := r.named(from, nil)
			conf.MaxVersion, conf.ClientSessionCache = version, cache
			if record, _ := r.try("verify", conf); record.Status != reason.Success {
				t.Fatalf("at %s: %s", from, record.Status)
			}
			for at, sni := range map[string]string{"verify": "localhost", "second": "localhost"} {
				conf := r.named(sni, nil)
				conf.MaxVersion, conf.ClientSessionCache = version, cache
				if record, body := r.try(at, conf); record.Status != reason.ClientCertMissing || body != "" {
					t.Errorf("%s, from %s to %s: %s, %q", tls.VersionName(version), from, at, record.Status, body)
				}
			}
		}
	}
}

// TestRevokedGainsNoSession has a revoked client try again and again: it gains no
// session that helps, and no memory of ours.
func TestRevokedGainsNoSession(t *testing.T) {
	r := newRig(t)
	revoked := pki.Must(r.ca.Issue())
	r.write("crl.pem", pki.CRLPEM(pki.Must(r.ca.CRL(pki.Revoke(revoked)))))
	r.start(forResumption)
	cert := revoked.TLSCertificate()
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		cache := &sessionCache{}
		for range 50 {
			conf := r.named("localhost", &cert)
			conf.MaxVersion, conf.ClientSessionCache = version, cache
			if record, body := r.try("verify", conf); record.Status != reason.ClientCertCrlHit || body != "" {
				t.Fatalf("%s: %s", tls.VersionName(version), record.Status)
			}
		}
	}
	if n := r.server.tickets.Stats().Sessions; n != 0 {
		t.Errorf("%d sessions are kept for it", n)
	}
}

// awaitGeneration waits for the trust store's.
func (r *rig) awaitGeneration(n uint64) {
	r.t.Helper()
	store := r.server.generation.Load().stores["clients"]
	r.await("in force", func() bool { return store.Generation() >= n })
}
