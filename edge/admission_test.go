package edge

import (
	"crypto/tls"
	"fmt"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/edge/reason"
	"github.com/sallyport/sallyport/loadtest/pki"
)

const verifyListener = `
listeners:
  verify:
    address: 127.0.0.1:0
    mutual_authentication: {mode: verify, trust_store: clients}
    default_action: {forward: app}
`

// TestEveryCertificateCode shows every kind of bad certificate to a real edge,
// in both versions of TLS: none comes in, and each is refused for its own
// reason.
func TestEveryCertificateCode(t *testing.T) {
	r := newRig(t)
	bad := pki.Must(pki.Bad(r.ca))
	var files []string
	for i, crl := range bad.CRLs {
		name := fmt.Sprintf("crl%d.pem", i)
		r.write(name, pki.CRLPEM(crl))
		files = append(files, "{file: "+name+"}")
	}
	r.start("trust_stores: {clients: {ca_bundle: {file: ca.pem}, crls: [" + strings.Join(files, ", ") + "]}}\n" + verifyListener)

	reached := map[reason.Code]bool{}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, client := range bad.Clients {
			t.Run(tls.VersionName(version)+"/"+client.Name, func(t *testing.T) {
				r := r.within(t)
				conf := r.client(&client.TLS)
				if len(client.TLS.Certificate) == 0 {
					conf = r.client(nil)
				}
				conf.MaxVersion = version
				record, body := r.try("verify", conf)
				if record.Status.String() != client.Code {
					t.Errorf("got %s (%s), want %s", record.Status, record.Cause, client.Code)
				}
				if body != "" || record.Authenticated {
					t.Errorf("let in: authenticated %v, body %q", record.Authenticated, body)
				}
				reached[record.Status] = true
			})
		}
	}
	for _, code := range []reason.Code{
		reason.ClientCertMissing, reason.ClientCertMaxSizeExceeded, reason.ClientCertMaxChainDepthExceeded,
		reason.ClientCertInvalid, reason.ClientCertTypeUnsupported, reason.ClientCertUntrusted,
		reason.ClientCertIncompatible, reason.ClientCertNotYetValid, reason.ClientCertExpired,
		reason.ClientCertPurposeInvalid, reason.ClientCertCrlHit, reason.ClientCertCrlProcessingError,
		reason.ClientCertIntentInvalid,
	} {
		if !reached[code] {
			t.Errorf("no client reached %s", code)
		}
	}
	if n := len(r.server.failures.last.Last(1000)); n != 2*len(bad.Clients) {
		t.Errorf("%d failures kept, want one for each of %d clients", n, 2*len(bad.Clients))
	}
}

func (r *rig) within(t *testing.T) *rig {
	inner := *r
	inner.t = t
	return &inner
}

func TestStrictRules(t *testing.T) {
	r := newRig(t)
	r.start(`
trust_stores: {clients: {ca_bundle: {file: ca.pem}}}
listeners:
  alb:
    address: 127.0.0.1:0
    mutual_authentication: {mode: verify, trust_store: clients}
    default_action: {forward: app}
  strict:
    address: 127.0.0.2:0
    mutual_authentication: {mode: verify, trust_store: clients, certificate_rules: strict}
    default_action: {forward: app}
`)
	for _, client := range pki.Must(pki.BadIfStrict(r.ca)) {
		t.Run(client.Name, func(t *testing.T) {
			r := r.within(t)
			if record, body := r.try("alb", r.client(&client.TLS)); record.Status != reason.Success || body == "" {
				t.Errorf("under alb: %s: %s", record.Status, record.Cause)
			}
			if record, body := r.try("strict", r.client(&client.TLS)); record.Status.String() != client.Code || body != "" {
				t.Errorf("under strict: %s: %s, want %s", record.Status, record.Cause, client.Code)
			}
		})
	}
	good := pki.Must(r.ca.Issue()).TLSCertificate()
	if record, _ := r.try("strict", r.client(&good)); record.Status != reason.Success {
		t.Errorf("a good client under strict: %s: %s", record.Status, record.Cause)
	}
}

// TestOnlyTheLeafIsAnIdentity presents chains that hold somebody else's
// certificate too (CVE-2023-2422 and its kind): the identity is the leaf's whose
// key was proved, or nobody's.
func TestOnlyTheLeafIsAnIdentity(t *testing.T) {
	r := newRig(t)
	r.start(verifying())
	mine := pki.Must(r.ca.Issue(pki.CommonName("mine")))
	victim := pki.Must(r.ca.Issue(pki.CommonName("victim")))
	stranger := pki.Must(pki.SelfSigned(pki.CommonName("stranger")))

	show := func(leaf *pki.Leaf, more ...*pki.Leaf) (reason.Code, string) {
		cert := leaf.TLSCertificate()
		for _, l := range more {
			cert.Certificate = append(cert.Certificate, l.DER)
		}
		record, body := r.try("verify", r.client(&cert))
		return record.Status, body
	}
	if code, body := show(mine, victim); code != reason.Success || !strings.Contains(body, "Subject: CN=mine") || strings.Contains(body, "victim") {
		t.Errorf("own leaf, then another's: %s\n%s", code, body)
	}
	if code, body := show(stranger, victim); code != reason.ClientCertUntrusted || body != "" {
		t.Errorf("stranger's leaf, then a valid one: %s\n%s", code, body)
	}
	if code, body := show(victim.WithKey(mine.Key), mine); code != reason.ClientCertIntentInvalid || body != "" {
		t.Errorf("victim's leaf without its key: %s\n%s", code, body)
	}
}

func TestPassthrough(t *testing.T) {
	r := newRig(t)
	r.start(`
listeners:
  passthrough:
    address: 127.0.0.1:0
    mutual_authentication: {mode: passthrough}
    default_action: {forward: app}
`)
	for name, leaf := range map[string]*pki.Leaf{
		"self-signed": pki.Must(pki.SelfSigned()),
		"v1":          pki.Must(r.ca.Issue(pki.V1())),
		"of a CA":     pki.Must(pki.Must(r.ca.NewIntermediate()).Issue()),
	} {
		cert := leaf.TLSCertificate()
		record, body := r.try("passthrough", r.client(&cert))
		blocks := strings.Count(body, "-----END%20CERTIFICATE-----%0A")
		if record.Status != reason.Success || !strings.Contains(body, "X-Amzn-Mtls-Clientcert: ") || blocks != len(cert.Certificate) {
			t.Errorf("%s: %s: %s, %d certificates in\n%s", name, record.Status, record.Cause, blocks, body)
		}
		if strings.Contains(body, "X-Amzn-Mtls-Clientcert-") {
			t.Errorf("%s: passthrough vouches for something:\n%s", name, body)
		}
	}
	stolen := pki.Must(r.ca.Issue())
	cert := stolen.WithKey(pki.Must(pki.NewKey(pki.P256))).TLSCertificate()
	if record, _ := r.try("passthrough", r.client(&cert)); record.Status != reason.ClientCertIntentInvalid {
		t.Errorf("somebody else's certificate: %s", record.Status)
	}
	if record, _ := r.try("passthrough", r.client(nil)); record.Status != reason.ClientCertMissing {
		t.Errorf("no certificate: %s", record.Status)
	}
}

// TestHTTP2NeedsItsSuites has clients offer h2 with suites that HTTP/2 forbids:
// they get HTTP/1.1, not a connection that ends with INADEQUATE_SECURITY.
func TestHTTP2NeedsItsSuites(t *testing.T) {
	r := newRig(t)
	r.start(verifying("security_policy: ELBSecurityPolicy-TLS13-1-2-Ext2-2021-06"))
	good := pki.Must(r.ca.Issue()).TLSCertificate()
	for suite, want := range map[uint16]string{
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256: "h2",
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA:    "http/1.1",
	} {
		conf := r.client(&good)
		conf.MaxVersion, conf.CipherSuites = tls.VersionTLS12, []uint16{suite}
		conf.NextProtos = []string{"h2", "http/1.1"}
		conn, err := tls.Dial("tcp", r.address("verify"), conf)
		if err != nil {
			t.Fatal(err)
		}
		if got := conn.ConnectionState().NegotiatedProtocol; got != want {
			t.Errorf("%s: %q, want %q", tls.CipherSuiteName(suite), got, want)
		}
		conn.Close()
	}
}

func TestAdvertiseCANames(t *testing.T) {
	r := newRig(t)
	r.start(`
trust_stores: {clients: {ca_bundle: {file: ca.pem}}}
listeners:
  quiet:
    address: 127.0.0.1:0
    mutual_authentication: {mode: verify, trust_store: clients}
    default_action: {forward: app}
  told:
    address: 127.0.0.2:0
    mutual_authentication: {mode: verify, trust_store: clients, advertise_trust_store_ca_names: on}
    default_action: {forward: app}
`)
	for listener, want := range map[string][]string{"quiet": nil, "told": {string(r.ca.Cert.RawSubject)}} {
		var got []string
		conf := r.client(nil)
		conf.GetClientCertificate = func(info *tls.CertificateRequestInfo) (*tls.Certificate, error) {
			for _, name := range info.AcceptableCAs {
				got = append(got, string(name))
			}
			return &tls.Certificate{}, nil
		}
		r.try(listener, conf)
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: told of %q, want %q", listener, got, want)
		}
	}
}
