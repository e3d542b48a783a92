package edge

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/sallyport/sallyport/edge/connlog"
	"github.com/sallyport/sallyport/edge/proxy"
	"github.com/sallyport/sallyport/edge/reason"
)

// metrics are what Prometheus scrapes. Labels are bounded: names from the
// configuration and closed sets of codes.
type metrics struct {
	registry    *prometheus.Registry
	connections *prometheus.CounterVec
	handshakes  *prometheus.CounterVec
	latency     *prometheus.HistogramVec
	requests    *prometheus.CounterVec
	reloads     *prometheus.CounterVec
	ends        *prometheus.CounterVec
}

func newMetrics(s *Server) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		connections: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sallyport_connections_total", Help: "Connections accepted, by listener.",
		}, []string{"listener"}),
		handshakes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sallyport_handshakes_total", Help: "TLS connections judged, by listener and reason code; Success let the client in.",
		}, []string{"listener", "code"}),
		latency: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "sallyport_handshake_duration_seconds", Help: "Time from accept to the end of a successful handshake, by listener.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5},
		}, []string{"listener"}),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sallyport_requests_total", Help: "Requests answered, by listener and class of status (460 counts as 4xx).",
		}, []string{"listener", "class"}),
		reloads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sallyport_reloads_total", Help: "Reloads of the configuration, by result.",
		}, []string{"result"}),
		ends: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sallyport_connections_ended_total", Help: "Admitted connections that ended, by listener and how.",
		}, []string{"listener", "end"}),
	}
	m.registry.MustRegister(m.connections, m.handshakes, m.latency, m.requests, m.reloads, m.ends,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		&stateCollector{s})
	return m
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

// ended counts an admitted connection that is over.
func (m *metrics) ended(listener string, end connlog.End) {
	m.ends.WithLabelValues(listener, end.String()).Inc()
}

func (m *metrics) request(r *proxy.Record) {
	m.requests.WithLabelValues(r.Listener, strconv.Itoa(r.ELBStatusCode/100)+"xx").Inc()
}

func (m *metrics) reload(err error) {
	if err != nil {
		m.reloads.WithLabelValues("refused").Inc()
		return
	}
	m.reloads.WithLabelValues("done").Inc()
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
	openDesc = prometheus.NewDesc("sallyport_connections_open", "Connections open now, by listener.", []string{"listener"}, nil)
	genDesc  = prometheus.NewDesc("sallyport_configuration_generation", "Counts the configurations put in force.", nil, nil)
	dropDesc = prometheus.NewDesc("sallyport_log_lines_dropped_total", "Log lines lost because the log could not be written, by log.", []string{"log"}, nil)
	openFail = prometheus.NewDesc("sallyport_revocation_failed_open_total", "Certificates let in on an expired CRL because the configuration says allow, by trust store.", []string{"trust_store"}, nil)
	sessions = prometheus.NewDesc("sallyport_tls_sessions", "TLS sessions that clients can resume.", nil, nil)
	tickDesc = prometheus.NewDesc("sallyport_tls_session_tickets_total", "Tickets that clients came with, by what became of them: taken (the session was resumed), unknown, mismatched (another listener, name or policy), aged.", []string{"result"}, nil)
	cacheHit = prometheus.NewDesc("sallyport_chain_cache_lookups_total", "Look-ups of presented chains among those verified before, by trust store and result.", []string{"trust_store", "result"}, nil)
	bansNow  = prometheus.NewDesc("sallyport_bans", "Bans in force, by who made them.", []string{"by"}, nil)
	bansMade = prometheus.NewDesc("sallyport_bans_made_total", "Bans made, by who made them; dry_run counts what policy would have banned.", []string{"by"}, nil)
	bansFull = prometheus.NewDesc("sallyport_bans_not_made_total", "Bans for which there was no room, by where.", []string{"in"}, nil)
	bansKern = prometheus.NewDesc("sallyport_bans_in_kernel", "Bans that the kernel enforces.", nil, nil)
	bansFail = prometheus.NewDesc("sallyport_ban_kernel_errors_total", "Changes of bans that the kernel refused; user space enforces them.", nil, nil)
	xdpSeen  = prometheus.NewDesc("sallyport_xdp_packets_total", "Packets that XDP has judged, by verdict.", []string{"verdict"}, nil)
	storeGen = prometheus.NewDesc("sallyport_trust_store_generation", "Counts the contents a trust store has had in force.", []string{"trust_store"}, nil)
)

func (c *stateCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{openDesc, genDesc, dropDesc, openFail, storeGen, sessions, tickDesc, cacheHit, bansNow, bansMade, bansFull, bansKern, bansFail, xdpSeen} {
		ch <- d
	}
	describePlugins(ch)
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
	for name, store := range g.stores {
		cached := store.CacheStats()
		ch <- prometheus.MustNewConstMetric(cacheHit, prometheus.CounterValue, float64(cached.Hits), name, "hit")
		ch <- prometheus.MustNewConstMetric(cacheHit, prometheus.CounterValue, float64(cached.Misses), name, "miss")
		status := store.Status()
		ch <- prometheus.MustNewConstMetric(openFail, prometheus.CounterValue, float64(status.ExpiredCRLAllowed), name)
		ch <- prometheus.MustNewConstMetric(storeGen, prometheus.GaugeValue, float64(status.Generation), name)
	}
}
