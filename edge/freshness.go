package edge

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/fetch"
	"github.com/sallyport/sallyport/edge/filewatch"
	"github.com/sallyport/sallyport/edge/ocsp"
	"github.com/sallyport/sallyport/edge/truststore"
)

// fetchNetwork is how a trust store's URLs and responders are reached.
func fetchNetwork(cfg config.Fetch, resolve func(string) string) (fetch.Network, error) {
	network := fetch.Network{}
	for _, allowed := range cfg.Allow {
		network.Allow = append(network.Allow, netip.Prefix(allowed))
	}
	if cfg.CA == "" {
		return network, nil
	}
	fail := func(err error) (fetch.Network, error) {
		return network, &truststore.FieldError{Field: "revocation.fetch.ca", Err: err}
	}
	data, err := filewatch.ReadFile(resolve(cfg.CA), maxSmallFile)
	if err != nil {
		return fail(err)
	}
	network.Roots = x509.NewCertPool()
	if !network.Roots.AppendCertsFromPEM(data) {
		return fail(fmt.Errorf("%q: no certificate found: want a PEM file of CA certificates", cfg.CA))
	}
	return network, nil
}

// newResponder makes who asks about a store's certificates; nil where nobody
// does.
func (b *builder) newResponder(name, dir string, cfg config.Revocation, network fetch.Network) (*ocsp.Client, error) {
	if !cfg.OCSP.Asks() {
		return nil, nil
	}
	client, err := ocsp.New(ocsp.Options{
		Network:   network,
		Dir:       filepath.Join(dir, "ocsp"),
		Responder: cfg.OCSPResponder,
		Hosts:     func(host string) bool { return config.MatchHost(cfg.OCSPHosts, host) },
		MaxAge:    cfg.OCSPMaxAge.Std(),
		Revoked:   b.sweep,
		Log:       b.log.With("trust_store", name),
	})
	if err != nil {
		return nil, &truststore.FieldError{Field: "revocation.ocsp", Err: err}
	}
	return client, nil
}

// freshen adds to a store's options what keeps it fresh. One that is only read
// asks nobody. Who asks for a store of the same name goes on, with what is known:
// a certificate that a responder has called revoked could otherwise come back with
// an older staple.
func (b *builder) freshen(name string, cfg config.Revocation, o *truststore.Options) error {
	network, err := fetchNetwork(cfg.Fetch, b.cfg.ResolvePath)
	client, failed := b.newResponder(name, o.Dir, cfg, network)
	if err = errors.Join(err, failed); err != nil {
		return err
	}
	o.Network = network
	if client == nil || o.ReadOnly {
		return nil
	}
	if b.old != nil && b.old.responders[name] != nil {
		settings := client
		client = b.old.responders[name]
		b.next.assumed = append(b.next.assumed, func() { client.Assume(settings) })
	}
	b.next.responders[name] = client
	o.Responder = client
	return nil
}

var (
	sourceGood = describe("sallyport_crl_source_last_success_timestamp_seconds", "When a URL of CRLs was last fetched, or had nothing new; 0 for never.", "trust_store", "source")
	sourceNext = describe("sallyport_crl_source_next_attempt_timestamp_seconds", "When a URL of CRLs will be asked next.", "trust_store", "source")
	sourceRow  = describe("sallyport_crl_source_failures", "Failures to fetch a URL of CRLs, or to take what came, since it last went well.", "trust_store", "source")
	sourceFail = describe("sallyport_crl_source_failures_total", "Failures to fetch a URL of CRLs, or to take what came.", "trust_store", "source")
	crlUsed    = describe("sallyport_crl_validity_used_ratio", "Which part of the time to its nextUpdate a CRL in force has used up; 1 and more is expired.", "trust_store", "issuer", "kind")
	crlFPRate  = describe("sallyport_crl_filter_false_positive_ratio", "Which part of unlisted certificates the filter of a CRL cannot settle, as measured when it was loaded; about 0.004.", "trust_store", "issuer", "kind")
	crlShrunk  = describe("sallyport_crl_shrunk_total", "CRLs taken that had lost more than a fifth of their entries.", "trust_store")
	crlOlder   = describe("sallyport_crl_older_refused_total", "CRLs refused because they were older than those before: a lower number or an earlier thisUpdate.", "trust_store")
	unknownCRL = describe("sallyport_revocation_unknown_total", "Certificates in handshakes for which no CRL could answer, whether they were let in or not.", "trust_store")
	ocspLooks  = describe("sallyport_ocsp_lookups_total", "Look-ups of OCSP answers, by trust store and result: hit, miss.", "trust_store", "result")
	ocspAsked  = describe("sallyport_ocsp_questions_total", "Questions to OCSP responders, by trust store and result: answered, failed, dropped (too many were waiting, or its host had failed of late).", "trust_store", "result")
	ocspStaple = describe("sallyport_ocsp_staples_total", "OCSP responses that clients sent along, by trust store and result: taken, refused.", "trust_store", "result")
	ocspOpen   = describe("sallyport_ocsp_failed_open_total", "Certificates let in without an OCSP answer because the configuration says ocsp_soft_fail, by trust store.", "trust_store")
	ocspStrang = describe("sallyport_ocsp_unknown_total", "Certificates refused because their OCSP responder does not know them, by trust store.", "trust_store")
)

// collectFreshness sends how a store's sources and responders do.
func collectFreshness(ch chan<- prometheus.Metric, status *truststore.Status, responder *ocsp.Client) {
	send := func(desc *prometheus.Desc, kind prometheus.ValueType, n float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(desc, kind, n, append([]string{status.Name}, labels...)...)
	}
	for _, from := range status.Sources {
		send(sourceGood, prometheus.GaugeValue, seconds(from.LastSuccess), from.URL)
		send(sourceNext, prometheus.GaugeValue, seconds(from.NextAttempt), from.URL)
		send(sourceRow, prometheus.GaugeValue, float64(from.Failures), from.URL)
		send(sourceFail, prometheus.CounterValue, float64(from.Failed), from.URL)
	}
	send(crlShrunk, prometheus.CounterValue, float64(status.Shrunk))
	send(crlOlder, prometheus.CounterValue, float64(status.WentBack))
	send(unknownCRL, prometheus.CounterValue, float64(status.Unknown))
	if status.OCSP == nil {
		return
	}
	send(ocspStaple, prometheus.CounterValue, float64(status.OCSP.Staples), "taken")
	send(ocspStaple, prometheus.CounterValue, float64(status.OCSP.StaplesFailed), "refused")
	send(ocspOpen, prometheus.CounterValue, float64(status.OCSP.SoftFailed))
	send(ocspStrang, prometheus.CounterValue, float64(status.OCSP.Unknown))
	if responder == nil {
		return
	}
	asked := responder.Status()
	send(ocspLooks, prometheus.CounterValue, float64(asked.Hits), "hit")
	send(ocspLooks, prometheus.CounterValue, float64(asked.Misses), "miss")
	send(ocspAsked, prometheus.CounterValue, float64(asked.Asked-asked.Failures), "answered")
	send(ocspAsked, prometheus.CounterValue, float64(asked.Failures), "failed")
	send(ocspAsked, prometheus.CounterValue, float64(asked.Dropped), "dropped")
}
