package edge

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sallyport/sallyport/edge/servercert/pebble"
)

// TestBroughtNamesRaiseNoAlert: a client that nobody knows can bring a name that no CA
// issues for; that is no reason to wake an operator.
func TestBroughtNamesRaiseNoAlert(t *testing.T) {
	c := newCertified(t, pebble.Options{})
	c.authority.Fail(pebble.Failure{Down: true})
	c.serve(`
  - {name: customers, acme: {$CA, on_demand: {allow: ["*.allowed.example"]}}}
  - {name: shop, hosts: [shop.example], acme: {$CA}}`)
	if _, err := c.get(c.as("a.allowed.example")); err == nil {
		t.Fatal("a name is served without a certificate")
	}
	c.until("failed", func() bool {
		return c.statusOf("customers", "a.allowed.example").LastError != "" && c.statusOf("shop", "shop.example").LastError != ""
	})
	samples := make(chan prometheus.Metric, 100)
	c.server.generation.Load().collectCertificates(samples)
	close(samples)
	ends := 0
	for m := range samples {
		if m.Desc() == certEnds {
			ends++
		}
	}
	if ends != 1 {
		t.Errorf("%d entries say when they end, want the one with a host of its own", ends)
	}
	problems := strings.Join((adminView{c.server}).Status().Problems, "\n")
	if strings.Contains(problems, "a.allowed.example") || !strings.Contains(problems, "shop.example: none yet") {
		t.Errorf("status says: %s", problems)
	}
}
