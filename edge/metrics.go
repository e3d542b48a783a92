package edge

import (
	"maps"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/sallyport/sallyport/edge/connlog"
	"github.com/sallyport/sallyport/edge/proxy"
	"github.com/sallyport/sallyport/edge/reason"
	"github.com/sallyport/sallyport/edge/trace"
	"github.com/sallyport/sallyport/edge/truststore"
)

// metrics are what Prometheus scrapes. Labels are bounded: names from the
// configuration and closed sets of codes.
type metrics struct {
	registry    *prometheus.Registry
	connections *prometheus.CounterVec
	handshakes  *prometheus.CounterVec
	latency     *prometheus.HistogramVec
	requests    *prometheus.CounterVec
	failures    *prometheus.CounterVec // of requests
	reloads     *prometheus.CounterVec
	upgrades    *prometheus.CounterVec // that failed
	ends        *prometheus.CounterVec
	floods      *prometheus.CounterVec
	durations   *prometheus.HistogramVec
	targets     *prometheus.HistogramVec
	verifying   *prometheus.HistogramVec
	revocation  *prometheus.HistogramVec

	byRequest atomic.Pointer[requestMetrics]
}

// requestMetrics are those of requests that have counted: to find them by their
// labels costs a hundredth of a request. Immutable.
type requestMetrics map[requestKey]requestMetric

type requestKey struct {
	listener, group string
	class           int
	reason          string // "" for a request that went well
}

type requestMetric struct {
	count, failed      prometheus.Counter // failed is nil for those that went well
	duration, inTarget prometheus.Observer
}

var (
	connectionsTotal = kept("sallyport_connections_total", "Connections accepted, by listener.", "listener")
	handshakesTotal  = kept("sallyport_handshakes_total",
		"TLS connections judged, by listener and reason code; Success let the client in.", "listener", "code")
	handshakeDuration = kept("sallyport_handshake_duration_seconds", "Time from accept to the end of a successful handshake, by listener.", "listener")
	requestsTotal     = kept("sallyport_requests_total", "Requests answered, by listener and class of status (460 counts as 4xx).", "listener", "class")
	requestFailures   = kept("sallyport_request_failures_total",
		"Requests that the edge answered for itself or that ended in the middle, by listener and by why: the access log's error_reason.", "listener", "reason")
	requestDuration = kept("sallyport_request_duration_seconds",
		"Time that a request forwarded to a target took, from its first byte to the last of its answer, by listener.", "listener")
	targetDuration = kept("sallyport_target_duration_seconds",
		"Time from a request's going to a target to the head of its answer, by target group.", "target_group")
	verifyDuration = kept("sallyport_verify_duration_seconds",
		"Time to build and judge the paths of a client's certificate, by trust store and whether they were in the cache.", "trust_store", "chain")
	revocationDuration = kept("sallyport_revocation_duration_seconds",
		"Time to look up whether a client's certificate or a CA above it is revoked, waiting for OCSP answers included, by trust store.", "trust_store")
	endsTotal    = kept("sallyport_connections_ended_total", "Admitted connections that ended, by listener and how.", "listener", "end")
	floodsTotal  = kept("sallyport_client_floods_total", "Connections cut off because their clients flooded HTTP/2, by listener.", "listener")
	reloadsTotal = kept("sallyport_reloads_total", "Reloads of the configuration, by result.", "result")
	upgradeFails = kept("sallyport_upgrades_failed_total", "Upgrades after which the process that was to be replaced went on.")
)

func newMetrics(s *Server) *metrics {
	m := &metrics{
		registry:    prometheus.NewRegistry(),
		connections: connectionsTotal.counter(),
		handshakes:  handshakesTotal.counter(),
		latency:     handshakeDuration.histogram(.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5),
		requests:    requestsTotal.counter(),
		failures:    requestFailures.counter(),
		reloads:     reloadsTotal.counter(),
		upgrades:    upgradeFails.counter(),
		ends:        endsTotal.counter(),
		floods:      floodsTotal.counter(),
		durations:   requestDuration.histogram(requestBuckets...),
		targets:     targetDuration.histogram(requestBuckets...),
		verifying:   verifyDuration.histogram(checkBuckets...),
		revocation:  revocationDuration.histogram(checkBuckets...),
	}
	m.upgrades.WithLabelValues() // 0 is worth showing
	m.reloads.WithLabelValues("done")
	m.reloads.WithLabelValues("refused")
	m.registry.MustRegister(m.connections, m.handshakes, m.latency, m.requests, m.failures, m.reloads, m.upgrades, m.ends, m.floods, m.durations, m.targets, m.verifying, m.revocation,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		&stateCollector{s})
	return m
}

// expect has the counters that alerts are about show 0 for these listeners. One that
// begins with 1 has not increased for Prometheus, which would miss what happens once.
func (m *metrics) expect(listeners []string) {
	for _, name := range listeners {
		for _, code := range []reason.Code{
			reason.InternalError, reason.UnmappedConnectionError, reason.TrustStoreUnavailable,
			reason.ClientCertCrlProcessingError, reason.ClientCertOcspProcessingError,
		} {
			m.handshakes.WithLabelValues(name, code.String())
		}
		m.floods.WithLabelValues(name)
	}
}

// connection counts a connection on which the verdict has fallen.
func (m *metrics) connection(listener string, code reason.Code, secure bool, handshake time.Duration) {
	m.connections.WithLabelValues(listener).Inc()
	if !secure && code == reason.Success {
		return // a plain listener judges nobody
	}
	m.handshakes.WithLabelValues(listener, code.String()).Inc()
	if code == reason.Success {
		m.latency.WithLabelValues(listener).Observe(handshake.Seconds())
	}
}

// checked counts how long it took to judge a client's certificate.
func (m *metrics) checked(trustStore string, took *truststore.Took) {
	chain := "built"
	if took.Cached {
		chain = "cached"
	}
	m.verifying.WithLabelValues(trustStore, chain).Observe(took.Chain.Seconds())
	if took.Revocation > 0 {
		m.revocation.WithLabelValues(trustStore).Observe(took.Revocation.Seconds())
	}
}

// ended counts an admitted connection that is over.
func (m *metrics) ended(listener string, end connlog.End) {
	m.ends.WithLabelValues(listener, end.String()).Inc()
}

func (m *metrics) request(r *proxy.Record) {
	one := m.of(requestKey{r.Listener, r.TargetGroup, r.ELBStatusCode / 100, r.ErrorReason})
	one.count.Inc()
	if one.failed != nil {
		one.failed.Inc()
	}
	if r.RequestProcessing >= 0 && r.TargetProcessing >= 0 && r.ResponseProcessing >= 0 {
		one.duration.Observe((r.RequestProcessing + r.TargetProcessing + r.ResponseProcessing).Seconds())
		one.inTarget.Observe(r.TargetProcessing.Seconds())
	}
}

func (m *metrics) of(key requestKey) requestMetric {
	if known := m.byRequest.Load(); known != nil {
		if one, ok := (*known)[key]; ok {
			return one
		}
	}
	one := requestMetric{
		count: m.requests.WithLabelValues(key.listener, strconv.Itoa(key.class)+"xx"), duration: m.durations.WithLabelValues(key.listener), inTarget: noTarget,
	}
	if key.reason != "" {
		one.failed = m.failures.WithLabelValues(key.listener, key.reason)
	}
	if key.group != "" {
		one.inTarget = m.targets.WithLabelValues(key.group)
	}
	for {
		known := m.byRequest.Load()
		more := requestMetrics{}
		if known != nil {
			more = maps.Clone(*known)
		}
		more[key] = one
		if m.byRequest.CompareAndSwap(known, &more) {
			return one
		}
	}
}

// noTarget takes the times of requests that no target group has.
var noTarget = prometheus.ObserverFunc(func(float64) {})

func (m *metrics) reload(err error) {
	if err != nil {
		m.reloads.WithLabelValues("refused").Inc()
		return
	}
	m.reloads.WithLabelValues("done").Inc()
}

func (m *metrics) upgrade(err error) {
	if err != nil {
		m.upgrades.WithLabelValues().Inc()
	}
}

// handler serves /metrics and nothing else.
func (m *metrics) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
	return mux
}

// stateCollector reads what is kept elsewhere at the time of a scrape.
type stateCollector struct{ server *Server }

var (
	openDesc = describe("sallyport_connections_open", "Connections open now, by listener.", "listener")
	genDesc  = describe("sallyport_configuration_generation", "Counts the configurations put in force.")
	dropDesc = describe("sallyport_log_lines_dropped_total", "Log lines lost because the log could not be written, by log.", "log")
	openFail = describe("sallyport_revocation_failed_open_total", "Certificates let in on an expired CRL because the configuration says allow, by trust store.", "trust_store")
	sessions = describe("sallyport_tls_sessions", "TLS sessions that clients can resume.")
	tickDesc = describe("sallyport_tls_session_tickets_total", "Tickets that clients came with, by what became of them: taken (the session was resumed), unknown, mismatched (another listener, name or policy), aged.", "result")
	cacheHit = describe("sallyport_chain_cache_lookups_total", "Look-ups of presented chains among those verified before, by trust store and result.", "trust_store", "result")
	bansNow  = describe("sallyport_bans", "Bans in force, by who made them.", "by")
	bansMade = describe("sallyport_bans_made_total", "Bans made, by who made them; dry_run counts what policy would have banned.", "by")
	bansFull = describe("sallyport_bans_not_made_total", "Bans for which there was no room, by where.", "in")
	bansKern = describe("sallyport_bans_in_kernel", "Bans that the kernel knows of: it drops their packets, or in a dry run counts them.")
	bansFail = describe("sallyport_ban_kernel_errors_total", "Changes of bans that the kernel refused; user space enforces them.")
	xdpSeen  = describe("sallyport_xdp_packets_total", "Packets that XDP has judged, by verdict.", "verdict")
	xdpLost  = describe("sallyport_xdp_events_lost_total", "Sampled packets that sallyport bans --watch was not shown: there were too many, or nobody watched.")
	xdpThere = describe("sallyport_xdp_attached", "Whether XDP is attached to an interface (0 or 1); without, the banned are turned away in user space there.", "interface")
	xdpAgain = describe("sallyport_xdp_attached_again_total", "Times that XDP was attached again to an interface that was made anew, or that had lost it.")
	steerCnt = describe("sallyport_steering_attempts_total", "Connection attempts to prefixes and port ranges, by listener, destination and result: steered, no_socket or failed (both refused).", "listener", "destination", "result")
	storeGen = describe("sallyport_trust_store_generation", "Counts the contents a trust store has had in force.", "trust_store")
	storeErr = describe("sallyport_trust_store_files_refused", "Files of a trust store that were refused when last read; what they held before is in force.", "trust_store")
	caEnds   = describe("sallyport_trust_store_ca_expiry_timestamp_seconds", "The earliest notAfter of a trust store's CAs.", "trust_store")
	crlIssue = describe("sallyport_crl_this_update_timestamp_seconds", "When a CRL in force was issued.", "trust_store", "issuer", "kind")
	crlNext  = describe("sallyport_crl_next_update_timestamp_seconds", "When the CRL after the one in force was promised for; 0 if it was not.", "trust_store", "issuer", "kind")
	crlSize  = describe("sallyport_crl_entries", "Certificates on a CRL in force.", "trust_store", "issuer", "kind")
	crlFalse = describe("sallyport_crl_filter_false_positives_total", "Look-ups that the filter of a CRL could not settle, which cost a second look and no wrong answer.", "trust_store", "issuer", "kind")
	eachCA   = describe("sallyport_ca_expiry_timestamp_seconds", "The notAfter of a CA of a trust store, by its subject; of several with one subject the earliest.", "trust_store", "ca")
	spansCnt = describe("sallyport_trace_spans_total", "Spans of traces, by what became of them: exported, dropped (there were too many), failed (the collector did not take them).", "result")
	certEnds = describe("sallyport_certificate_expiry_timestamp_seconds", "The earliest notAfter of an entry of certificates, which the edge shows to its clients; 0 while one of its hosts has none yet. Names of on_demand count once they have one, and without any name there is no sample.", "certificate")
	certFail = describe("sallyport_certificate_hosts_failing", "Hosts of an entry of certificates whose last issuance, renewal or reload has failed.", "certificate")
	certNew  = describe("sallyport_certificate_issuances_total", "Certificates asked for, by entry and result: obtained, renewed, failed.", "certificate", "result")
	certAsk  = describe("sallyport_certificate_demands_total", "Server names that clients brought to an entry with on_demand, by result: allowed (a CA is asked), refused (none is), limited (by rate or max_names).", "certificate", "result")
	certOCSP = describe("sallyport_certificate_staples_total", "OCSP answers asked for to staple, by entry and result: stapled, failed.", "certificate", "result")
)

// Describe tells of everything that any collector of the edge sends.
func (c *stateCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range described {
		if d.desc != nil {
			ch <- d.desc
		}
	}
}

func (c *stateCollector) Collect(ch chan<- prometheus.Metric) {
	g := c.server.generation.Load()
	open := map[string]int{}
	for name := range g.policies {
		open[name] = 0
	}
	for _, conn := range c.server.connections.all() {
		open[conn.policy.name]++
	}
	for listener, n := range open {
		ch <- prometheus.MustNewConstMetric(openDesc, prometheus.GaugeValue, float64(n), listener)
	}
	ch <- prometheus.MustNewConstMetric(genDesc, prometheus.GaugeValue, float64(g.number))
	for _, sink := range g.logs.all() {
		ch <- prometheus.MustNewConstMetric(dropDesc, prometheus.CounterValue, float64(sink.file.Dropped()), sink.name)
	}
	tickets := c.server.tickets.Stats()
	ch <- prometheus.MustNewConstMetric(sessions, prometheus.GaugeValue, float64(tickets.Sessions))
	for result, n := range map[string]uint64{"taken": tickets.Taken, "unknown": tickets.Unknown, "mismatched": tickets.Mismatched, "aged": tickets.Aged} {
		ch <- prometheus.MustNewConstMetric(tickDesc, prometheus.CounterValue, float64(n), result)
	}
	c.server.bans.collect(ch)
	c.server.collectPlugins(ch)
	c.server.collectHealth(g, ch)
	c.server.steering.collect(ch)
	g.collectCertificates(ch)
	if stats := c.server.spans.Stats(); g.tracer != nil || stats != (trace.Stats{}) {
		for result, n := range map[string]uint64{"exported": stats.Exported, "dropped": stats.Dropped, "failed": stats.Failed} {
			ch <- prometheus.MustNewConstMetric(spansCnt, prometheus.CounterValue, float64(n), result)
		}
	}
	for name, store := range g.stores {
		cached := store.CacheStats()
		ch <- prometheus.MustNewConstMetric(cacheHit, prometheus.CounterValue, float64(cached.Hits), name, "hit")
		ch <- prometheus.MustNewConstMetric(cacheHit, prometheus.CounterValue, float64(cached.Misses), name, "miss")
		status := store.Status()
		ch <- prometheus.MustNewConstMetric(openFail, prometheus.CounterValue, float64(status.ExpiredCRLAllowed), name)
		ch <- prometheus.MustNewConstMetric(storeGen, prometheus.GaugeValue, float64(status.Generation), name)
		collectTrust(ch, &status)
		collectFreshness(ch, &status, g.responders[name])
	}
}
