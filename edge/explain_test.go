package edge

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/reason"
	"github.com/sallyport/sallyport/loadtest/pki"
)

// TestExplainAgreesWithTheHandshake asks for an explanation of every kind of
// certificate, and shows the same to the running edge.
func TestExplainAgreesWithTheHandshake(t *testing.T) {
	r := newRig(t)
	bad := pki.Must(pki.Bad(r.ca))
	var files []string
	for i, crl := range bad.CRLs {
		name := fmt.Sprintf("crl%d.pem", i)
		r.write(name, pki.CRLPEM(crl))
		files = append(files, "{file: "+name+"}")
	}
	r.start("trust_stores: {clients: {ca_bundle: {file: ca.pem}, crls: [" + strings.Join(files, ", ") + "]}}" + `
listeners:
  verify:
    address: 127.0.0.1:0
    mutual_authentication: {mode: verify, trust_store: clients}
    hosts:
      strict.test: {mutual_authentication: {mode: verify, trust_store: clients, certificate_rules: strict}}
      chain.test: {mutual_authentication: {mode: passthrough}}
      maybe.test: {mutual_authentication: {mode: optional, trust_store: clients}}
      open.test: {mutual_authentication: {mode: "off"}}
    default_action: {forward: app}
`)
	cfg, problems := config.Load(filepath.Join(r.dir, "sallyport.yaml"))
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	clients := slices.Concat(bad.Clients, pki.Must(pki.BadIfStrict(r.ca)),
		[]pki.BadClient{{Name: "good", Code: "Success", TLS: pki.Must(r.ca.Issue()).TLSCertificate()}})
	for _, client := range clients {
		for _, sni := range []string{"", "strict.test", "chain.test", "maybe.test", "open.test"} {
			e, err := Explain(cfg, "verify", sni, client.TLS.Certificate, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			conf := r.named(sni, &client.TLS)
			if len(client.TLS.Certificate) == 0 {
				conf = r.named(sni, nil)
			}
			record, _ := r.try("verify", conf)
			want := record.Status
			if want == reason.ClientCertIntentInvalid {
				// Proof of the key is what an explanation takes for granted.
				want = reason.Success
			}
			if e.Code != want || e.Admitted != (want == reason.Success) {
				t.Errorf("%s at %q: explained as %s (%s), and it was %s (%s)", client.Name, sni, e.Code, e.Cause, record.Status, record.Cause)
			}
			if !e.Admitted && (e.Cause != record.Cause && want != reason.ClientCertMaxSizeExceeded) {
				t.Errorf("%s at %q: explained by\n  %s\nand it was\n  %s", client.Name, sni, e.Cause, record.Cause)
			}
			if failed := slices.ContainsFunc(e.Steps, func(s Step) bool { return s.Outcome == "failed" }); failed == e.Admitted {
				t.Errorf("%s at %q: %s with steps %v", client.Name, sni, e.Code, e.Steps)
			}
		}
	}
}

func TestExplainTellsWhatTheTargetIsTold(t *testing.T) {
	r := newRig(t)
	r.start(verifying())
	cfg, _ := config.Load(filepath.Join(r.dir, "sallyport.yaml"))
	good := pki.Must(r.ca.Issue()).TLSCertificate()
	e, err := Explain(cfg, "verify", "", good.Certificate, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	_, body := r.try("verify", r.client(&good))
	for _, h := range e.Headers {
		if !strings.Contains(body, h.Name+": "+h.Value+"\r\n") {
			t.Errorf("explained %s: %s, and the target was told\n%s", h.Name, h.Value, body)
		}
	}
	if len(e.Headers) != 5 || strings.Count(body, "X-Amzn-Mtls-") != 5 {
		t.Errorf("%d headers explained, %d sent", len(e.Headers), strings.Count(body, "X-Amzn-Mtls-"))
	}
	r.configure("trust_stores: {clients: {ca_bundle: {file: ca.pem}}}\n" +
		strings.Replace(verifyListener, "address: 127.0.0.1:0", "address: 127.0.0.1:0\n    unknown_server_name: refuse", 1))
	if err := r.server.Reload(); err != nil {
		t.Fatal(err)
	}
	strict, _ := config.Load(filepath.Join(r.dir, "sallyport.yaml"))
	for _, sni := range []string{"", "localhost", "elsewhere.test"} {
		e, err := Explain(strict, "verify", sni, good.Certificate, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if record, _ := r.try("verify", r.named(sni, &good)); record.Status != e.Code {
			t.Errorf("server name %q: explained as %s, and it was %s", sni, e.Code, record.Status)
		}
	}
	if _, err := Explain(cfg, "nowhere", "", good.Certificate, time.Now()); err == nil || !strings.Contains(err.Error(), "want one of verify") {
		t.Errorf("an unknown listener: %v", err)
	}
}
