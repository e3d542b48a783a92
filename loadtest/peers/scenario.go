package peers

import (
	"crypto/tls"
	"fmt"
	"strings"
	"syscall"
	"time"

	"github.com/sallyport/sallyport/loadtest"
)

// scenario is one way to load a server, and the figure that comes of it.
type scenario struct {
	name string
	unit string // of the figure, of which less is better
	// plan is the load, but for what every scenario has in common.
	plan func(b *bench, p *loadtest.Plan)
	// figure is what a window came to.
	figure func(r *loadtest.Result) float64
	// cpu says that the figure is CPU time, so that a window has to cost some.
	cpu bool
	// many says that the issuing CA's CRL has size.many entries.
	many bool
	// fresh says that no client comes twice.
	fresh bool
	// What it takes, so that servers that do not do it are left out.
	crl, resume, http2 bool
}

// size is how long windows are, and what is bounded by memory or descriptors.
type size struct {
	warmUp, length time.Duration
	newClients     int
	idle           int // connections
	many           int // entries of the long CRL
}

var (
	fullSize  = size{warmUp: 500 * time.Millisecond, length: 2 * time.Second, newClients: 6000, idle: 2000, many: manyEntries}
	quickSize = size{warmUp: 150 * time.Millisecond, length: 500 * time.Millisecond, newClients: 1500, idle: 400, many: manyEntries}
)

// fit lowers what descriptors do not suffice for. A server may need two for
// a connection, and some to spare.
func (s *size) fit() error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("read the limit of open files: %w", err)
	}
	s.idle = int(min(uint64(s.idle), limit.Cur/4))
	return nil
}

const microseconds = "µs CPU"

// fixedRate is of requests, a second.
const fixedRate = 2000

// scenarios are all there are, in the order of reports.
var scenarios = []*scenario{
	{
		name: "full handshake, returning client", unit: microseconds, cpu: true, figure: cpuPerUnit,
		plan: func(b *bench, p *loadtest.Plan) { handshakes(p, b.authority.good) },
	},
	{
		name: "full handshake, new client", unit: microseconds, cpu: true, fresh: true, figure: cpuPerUnit,
		plan: func(b *bench, p *loadtest.Plan) { handshakes(p, b.newClients...) },
	},
	{
		name: "resumed handshake", unit: microseconds, cpu: true, figure: cpuPerUnit, resume: true,
		plan: func(b *bench, p *loadtest.Plan) {
			p.Scenario = loadtest.Resume
		},
	},
	{
		name: "refused, no certificate", unit: microseconds, cpu: true, figure: cpuPerUnit,
		plan: func(b *bench, p *loadtest.Plan) {
			p.ExpectRefusal = true
			handshakes(p)
		},
	},
	{
		name: "refused, revoked", unit: microseconds, cpu: true, figure: cpuPerUnit, crl: true,
		plan: func(b *bench, p *loadtest.Plan) {
			p.ExpectRefusal = true
			handshakes(p, b.authority.revoked)
		},
	},
	{
		name: "keep-alive HTTP/1.1 request", unit: microseconds, cpu: true, figure: cpuPerUnit,
		plan: func(b *bench, p *loadtest.Plan) {
			p.Scenario, p.Connections = loadtest.Request, 32
		},
	},
	{
		name: "HTTP/2 request", unit: microseconds, cpu: true, figure: cpuPerUnit, http2: true,
		plan: func(b *bench, p *loadtest.Plan) {
			p.Scenario, p.Protocol, p.Connections, p.Streams = loadtest.Request, loadtest.HTTP2, 4, 8
		},
	},
	{
		name: "gigabyte", unit: "ms CPU", cpu: true, figure: cpuPerGigabyte,
		plan: func(b *bench, p *loadtest.Plan) {
			p.Scenario, p.Connections, p.Target = loadtest.Download, 4, strings.TrimSuffix(p.Target, plainPath)+megabytePath
		},
	},
	{
		name: "idle connection memory", unit: "KiB RSS", figure: memoryPerConnection,
		plan: func(b *bench, p *loadtest.Plan) {
			p.Scenario, p.Connections = loadtest.Idle, b.size.idle
		},
	},
	{
		name: "p99 at fixed rate", unit: "µs", figure: latencyP99,
		plan: func(b *bench, p *loadtest.Plan) {
			p.Scenario, p.Connections, p.Pace.Rate = loadtest.Request, 16, fixedRate
		},
	},
	{
		name: "full handshake, CRL of 1M", unit: microseconds, cpu: true, figure: cpuPerUnit, crl: true, many: true,
		plan: func(b *bench, p *loadtest.Plan) { handshakes(p, b.authority.good) },
	},
}

func handshakes(p *loadtest.Plan, clients ...tls.Certificate) {
	p.Scenario, p.Clients = loadtest.Handshake, clients
}

func cpuPerUnit(r *loadtest.Result) float64 {
	return micro(r.Server.User+r.Server.System) / float64(r.Units.Done+r.Units.Refused)
}

func cpuPerGigabyte(r *loadtest.Result) float64 {
	return micro(r.Server.User+r.Server.System) / 1e3 / (float64(r.Units.BytesIn) / 1e9)
}

func memoryPerConnection(r *loadtest.Result) float64 {
	return float64(r.Server.RSSAfter-r.Server.RSSBefore) / 1024 / float64(r.Units.Done)
}

func latencyP99(r *loadtest.Result) float64 { return micro(r.Latency.P99) }

func micro(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }
