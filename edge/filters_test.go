package edge

import (
	"net/url"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/edge/reason"
	"github.com/sallyport/sallyport/loadtest/pki"
)

// TestIdentityFilters has filters judge real handshakes, by host, and change in a
// reload.
func TestIdentityFilters(t *testing.T) {
	r := newRig(t)
	sections := `
trust_stores: {clients: {ca_bundle: {file: ca.pem}}}
listeners:
  verify:
    address: 127.0.0.1:0
    mutual_authentication:
      mode: verify
      trust_store: clients
      identity_filters: {dns: ["*.devices.example.com"]}
    hosts:
      payments.example.com:
        mutual_authentication:
          mode: verify
          trust_store: clients
          identity_filters: {spiffe_id: ["spiffe://example.com/payments/*"]}
    default_action: {forward: app}
`
	r.start(sections)
	device := pki.Must(r.ca.Issue(pki.DNS("a.devices.example.com")))
	payment := pki.Must(r.ca.Issue(pki.URI(must(url.Parse("spiffe://example.com/payments/one")))))
	// CVE-2022-21656: a URI that reads like a DNS name is none.
	sly := pki.Must(r.ca.Issue(pki.URI(must(url.Parse("https://a.devices.example.com/")))))
	for _, test := range []struct {
		name, sni string
		leaf      *pki.Leaf
		want      reason.Code
	}{
		{"device", "localhost", device, reason.Success},
		{"payment", "localhost", payment, reason.ClientCertRejected},
		{"a URI for a DNS name", "localhost", sly, reason.ClientCertRejected},
		{"device", "payments.example.com", device, reason.ClientCertRejected},
		{"payment", "payments.example.com", payment, reason.Success},
	} {
		cert := test.leaf.TLSCertificate()
		if record, _ := r.try("verify", r.named(test.sni, &cert)); record.Status != test.want {
			t.Errorf("%s at %s: %s: %s, want %s", test.name, test.sni, record.Status, record.Cause, test.want)
		}
	}
	live := r.dial("verify", device)
	r.configure(strings.Replace(sections, "*.devices.example.com", "*.things.example.com", 1))
	if err := r.server.Reload(); err != nil {
		t.Fatal(err)
	}
	if text := r.gone(live); !strings.Contains(text, `"end":"PolicyChanged"`) {
		t.Errorf("ended as %s", text)
	}
	cert := device.TLSCertificate()
	if record, _ := r.try("verify", r.client(&cert)); record.Status != reason.ClientCertRejected {
		t.Errorf("after the change: %s", record.Status)
	}
}
