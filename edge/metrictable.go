package edge

import (
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sallyport/sallyport/edge/truststore"
)

// metricDoc is a metric as docs/metrics.md has it.
type metricDoc struct {
	name, kind, help string
	labels           []string
	desc             *prometheus.Desc // nil if it is kept as things happen
}

// described are all metrics of the edge, in the order of their declaration.
var described []metricDoc

// declare declares a metric. Its kind is in its name, by the conventions of
// Prometheus.
func declare(name, help string, labels []string) metricDoc {
	kind := "gauge"
	switch {
	case strings.HasSuffix(name, "_total"):
		kind = "counter"
	case strings.HasSuffix(name, "_duration_seconds"):
		kind = "histogram"
	}
	return metricDoc{name: name, kind: kind, help: help, labels: labels}
}

// describe declares a metric that is read at the time of a scrape.
func describe(name, help string, labels ...string) *prometheus.Desc {
	doc := declare(name, help, labels)
	doc.desc = prometheus.NewDesc(name, help, labels, nil)
	described = append(described, doc)
	return doc.desc
}

// kept declares a metric that is counted as things happen.
func kept(name, help string, labels ...string) metricDoc {
	doc := declare(name, help, labels)
	described = append(described, doc)
	return doc
}

func (d metricDoc) counter() *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: d.name, Help: d.help}, d.labels)
}

// histogram is of seconds.
func (d metricDoc) histogram(buckets ...float64) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: d.name, Help: d.help, Buckets: buckets}, d.labels)
}

// requestBuckets are the bounds of times of requests, in seconds.
var requestBuckets = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}

// checkBuckets are the bounds of times of checks of a certificate, in seconds: from a
// look-up in memory to an OCSP answer.
var checkBuckets = []float64{1e-6, 2.5e-6, 5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, .001, .0025, .005, .01, .025, .1, .5, 2.5}

// seconds is a time as Prometheus has them; the zero time is 0.
func seconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}

// collectTrust sends how fresh what a trust store holds is. Where several lists
// of one issuer and kind are in force, by scope, the most urgent counts.
func collectTrust(ch chan<- prometheus.Metric, status *truststore.Status) {
	send := func(desc *prometheus.Desc, kind prometheus.ValueType, n float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(desc, kind, n, append([]string{status.Name}, labels...)...)
	}
	send(storeErr, prometheus.GaugeValue, float64(len(status.Errors)))
	if len(status.CAs) > 0 {
		ends := status.CAs[0].NotAfter
		for _, ca := range status.CAs {
			if ca.NotAfter.Before(ends) {
				ends = ca.NotAfter
			}
		}
		send(caEnds, prometheus.GaugeValue, seconds(ends))
		each := map[string]time.Time{}
		for _, ca := range status.CAs {
			subject := strings.ToValidUTF8(ca.Subject, "\uFFFD") // or there is no scrape
			if known, twice := each[subject]; !twice || ca.NotAfter.Before(known) {
				each[subject] = ca.NotAfter
			}
		}
		for subject, ends := range each {
			send(eachCA, prometheus.GaugeValue, seconds(ends), subject)
		}
	}
	type series struct{ issuer, kind string }
	type sum struct {
		issued, next time.Time
		entries      int
		falsePos     uint64
		falseRate    float64
	}
	now := time.Now()
	sums := map[series]*sum{}
	for _, crl := range status.CRLs {
		key := series{crl.Issuer, "complete"}
		if crl.Delta {
			key.kind = "delta"
		}
		one := sums[key]
		if one == nil {
			one = &sum{issued: crl.ThisUpdate, next: crl.NextUpdate}
			sums[key] = one
		}
		if crl.NextUpdate.Before(one.next) {
			one.issued, one.next = crl.ThisUpdate, crl.NextUpdate
		}
		one.entries += crl.Entries
		one.falsePos += crl.FalsePositives
		one.falseRate = max(one.falseRate, crl.FalsePositiveRate)
	}
	for key, one := range sums {
		send(crlIssue, prometheus.GaugeValue, seconds(one.issued), key.issuer, key.kind)
		send(crlNext, prometheus.GaugeValue, seconds(one.next), key.issuer, key.kind)
		send(crlSize, prometheus.GaugeValue, float64(one.entries), key.issuer, key.kind)
		send(crlFalse, prometheus.CounterValue, float64(one.falsePos), key.issuer, key.kind)
		send(crlFPRate, prometheus.GaugeValue, one.falseRate, key.issuer, key.kind)
		if one.next.After(one.issued) {
			send(crlUsed, prometheus.GaugeValue, max(0, now.Sub(one.issued).Seconds()/one.next.Sub(one.issued).Seconds()), key.issuer, key.kind)
		}
	}
}
