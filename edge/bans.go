package edge

import (
	"context"
	"crypto/sha256"
	"fmt"
	"iter"
	"log/slog"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sallyport/sallyport/bpf"
	"github.com/sallyport/sallyport/edge/admin"
	"github.com/sallyport/sallyport/edge/ban"
	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/connlog"
	"github.com/sallyport/sallyport/edge/reason"
)

// bans is who is turned away for what it did, or because a person says so: the
// keeper decides, and datapath drops in the kernel what it can.
type bans struct {
	keeper   *ban.Keeper
	datapath *datapath
	ended    *batches      // of the connections of the banned
	ours     chan struct{} // closed when this process is the one that keeps them
	mode     bpf.Mode      // of the kernel, before an upgrade that may fail
}

// openBans makes the bans of an edge that starts under cfg. It is an error if
// they must be in the kernel and cannot be.
func (s *Server) openBans(cfg *config.Config) (*bans, error) {
	path, err := openDatapath(cfg)
	if err != nil {
		return nil, err
	}
	if path.filter.Load() == nil && cfg.Ban.Mode != config.BanOff {
		level := slog.LevelInfo
		if wantsXDP(&cfg.Ban) {
			level = slog.LevelWarn
		}
		s.log.Log(context.Background(), level, "bans are enforced in user space", "why", path.why)
	}
	ended := newBatches(s.endBanned)
	options := ban.Options{
		Config: cfg.Ban,
		Exempt: proxyNetworks(cfg),
		Dir:    cfg.ResolvePath(cfg.StateDir),
		OnBan: func(b ban.Ban) {
			ended.ask()
			s.options.Predecessor.mustKnow(b.Prefix)
		},
		Log: s.log,
	}
	if path.filter.Load() != nil {
		options.Kernel = path
	}
	keeper, err := ban.New(options)
	if err != nil {
		path.close()
		return nil, err
	}
	return &bans{keeper: keeper, datapath: path, ended: ended, ours: make(chan struct{})}, nil
}

// wantsXDP says whether a configuration names interfaces for XDP: to do without is
// something to tell then, though datapath auto allows it.
func wantsXDP(cfg *config.Ban) bool {
	return cfg.Mode != config.BanOff && cfg.Datapath != config.DatapathUserspace && len(cfg.Interfaces) > 0
}

// toLookAt lists what an operator should know of them under a configuration.
func (b *bans) toLookAt(cfg *config.Ban) []string {
	if b.datapath.filter.Load() != nil || !wantsXDP(cfg) {
		return nil
	}
	return []string{fmt.Sprintf("bans: in user space, and not in XDP on %s, until a restart: %s", strings.Join(cfg.Interfaces, ", "), b.datapath.why)}
}

// configureBans puts cfg in force, for the addresses that the edge listens on.
func (s *Server) configureBans(cfg *config.Config, addresses []netip.AddrPort) error {
	b := s.bans
	b.keeper.Reconfigure(cfg.Ban, proxyNetworks(cfg))
	b.ended.ask() // a ban may be in force again that was not for a while
	return b.datapath.setScope(addresses)
}

// proxyNetworks are those from which PROXY protocol headers are taken: to ban a
// proxy would be to ban everybody behind it.
func proxyNetworks(cfg *config.Config) []netip.Prefix {
	var networks []netip.Prefix
	for _, l := range cfg.Listeners {
		for _, n := range l.ProxyProtocol.From {
			networks = append(networks, n.Prefix())
		}
	}
	return networks
}

// refuseBanned refuses a client whose address is banned, as it is known so far.
func (s *Server) refuseBanned(c *Conn) *reason.Error {
	b, banned := s.bans.keeper.Banned(c.client.Addr())
	if !banned {
		return nil
	}
	until := "until it is lifted"
	if !b.Until.IsZero() {
		until = "until " + b.Until.UTC().Format(time.RFC3339)
	}
	return reason.Errorf(reason.Banned, "%s is banned %s, by %s", b.Prefix, until, b.By)
}

// observe tells the outcome of a connection's admission.
func (s *Server) observe(c *Conn) {
	o := ban.Observation{
		Addr:     c.client.Addr(),
		Direct:   !c.peer.IsValid(),
		Code:     c.outcome,
		Greeted:  c.hello.ja4 != "",
		Verified: onVerifiedPath(c.outcome) && (c.judgement.Load() == nil || c.verified != nil),
	}
	if c.outcome == reason.Success && c.verified != nil {
		o.Certificate = sha256.Sum256(c.presented[0].Raw)
	}
	s.bans.keeper.Observe(o)
}

// onVerifiedPath says whether a code is given only to a certificate with a path
// to an anchor whose signatures verify: its client was let in once, or could
// have been.
func onVerifiedPath(code reason.Code) bool {
	switch code {
	case reason.ClientCertNotYetValid, reason.ClientCertExpired, reason.ClientCertPurposeInvalid,
		reason.ClientCertRejected, reason.ClientCertCrlHit, reason.ClientCertOcspDenied:
		return true
	}
	return false
}

// endBanned ends the connections that bans have left open: those whose packets the
// kernel drops would hang. A handshake ends at once, as one that hangs keeps the
// place of somebody else's. Exempt addresses within a banned network stay. It looks
// at all connections, once for however many bans were made meanwhile.
func (s *Server) endBanned() {
	for _, c := range s.connections.all() {
		addr, admitted := addrPort(c.wire.RemoteAddr()).Addr(), c.admitted.Load()
		if admitted {
			addr = c.client.Addr() // whom a proxy named
		}
		if b, banned := s.bans.keeper.Banned(addr); banned {
			c.endSoon(connlog.Banned, fmt.Sprintf("%s was banned", b.Prefix))
			if !admitted {
				c.wire.Close()
			}
		}
	}
}

// Bans is the bans as the admin API sees them.
func (v adminView) Bans() admin.Bans { return adminBans(v) }

type adminBans struct{ s *Server }

func (a adminBans) Ban(ctx context.Context, r admin.BanRequest) (made admin.Ban, err error) {
	if wide := admin.WideNetwork(r.Prefix); wide != nil && !r.Force {
		return admin.Ban{}, wide
	}
	err = a.s.gate.change(ctx, fmt.Sprintf("ban of %s", r.Prefix), func() error {
		b, err := a.s.bans.keeper.Ban(r.Prefix, r.For.Std(), r.Why, ban.ByAdmin)
		made = adminBan(b)
		return err
	})
	return made, err
}

func (a adminBans) Unban(ctx context.Context, p netip.Prefix) (lifted int, err error) {
	err = a.s.gate.change(ctx, fmt.Sprintf("unban of %s", p), func() (err error) {
		lifted, err = a.s.bans.keeper.Unban(p)
		return err
	})
	return lifted, err
}

// All adds to each ban what the kernel has dropped for it.
func (a adminBans) All() iter.Seq[admin.Ban] { return a.all }

func (a adminBans) all(yield func(admin.Ban) bool) {
	b := a.s.bans
	dropped, err := b.datapath.drops()
	if err != nil {
		a.s.log.Warn("bans are listed without what was dropped", "cause", err)
	}
	for kept := range b.keeper.All() {
		entry := adminBan(kept)
		if kept.Direct { // another ban of the same network may have been in the kernel
			entry.Packets, entry.Bytes = dropped[kept.Prefix].packets, dropped[kept.Prefix].bytes
		}
		if !yield(entry) {
			return
		}
	}
}

func (a adminBans) Watch(ctx context.Context, each func(admin.DroppedPacket) error) error {
	return a.s.bans.datapath.watch(ctx, each)
}

func adminBan(b ban.Ban) admin.Ban {
	return admin.Ban{
		Prefix: b.Prefix, Since: b.Since, Until: b.Until, Reason: reasonName(b.Reason), Why: b.Why, By: b.By,
		Repeat: b.Repeat, Score: b.Score, Direct: b.Direct, DryRun: b.DryRun,
	}
}

// reasonName is that of a ban, empty for one by hand.
func reasonName(code reason.Code) string {
	if code == 0 {
		return ""
	}
	return code.String()
}

// status is what an operator should know of them.
func (b *bans) status() *admin.BanStatus {
	stats, interfaces := b.keeper.Stats(), b.datapath.interfaces()
	return &admin.BanStatus{
		Mode:       string(stats.Mode),
		Datapath:   b.datapath.name(),
		Why:        b.datapath.why,
		Interfaces: interfaces,
		Degraded:   slices.ContainsFunc(interfaces, func(i admin.BanInterface) bool { return i.Problem != "" }),
		InForce:    stats.InForce.Policy + stats.InForce.Hand,
		InKernel:   stats.InKernel,
		Pending:    stats.Pending,
	}
}

// collect reads the counters for a scrape.
func (b *bans) collect(ch chan<- prometheus.Metric) {
	stats := b.keeper.Stats()
	send := func(desc *prometheus.Desc, kind prometheus.ValueType, n float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(desc, kind, n, labels...)
	}
	for by, n := range map[string][2]uint64{
		"policy":  {stats.InForce.Policy, stats.Made.Policy},
		"hand":    {stats.InForce.Hand, stats.Made.Hand},
		"dry_run": {stats.InForce.DryRun, stats.Made.DryRun},
	} {
		send(bansNow, prometheus.GaugeValue, float64(n[0]), by)
		send(bansMade, prometheus.CounterValue, float64(n[1]), by)
	}
	send(bansFull, prometheus.CounterValue, float64(stats.Full), "user space")
	send(bansFull, prometheus.CounterValue, float64(stats.KernelFull), "kernel")
	send(bansKern, prometheus.GaugeValue, float64(stats.InKernel))
	send(bansFail, prometheus.CounterValue, float64(stats.KernelErrors))
	counters, inKernel := b.datapath.counters()
	if !inKernel {
		return
	}
	for verdict, n := range counters.Verdicts {
		send(xdpSeen, prometheus.CounterValue, float64(n.Packets), verdict.String())
	}
	send(xdpLost, prometheus.CounterValue, float64(counters.EventsLost))
	send(xdpAgain, prometheus.CounterValue, float64(b.datapath.again.Load()))
	for _, i := range b.datapath.filter.Load().Status() {
		attached := 1.0
		if i.Problem != "" {
			attached = 0
		}
		send(xdpThere, prometheus.GaugeValue, attached, i.Interface)
	}
}

// bans checks what of the section can be checked without the kernel.
func (b *builder) bans() {
	if b.cfg.Ban.Mode == config.BanOff {
		return
	}
	// Whatever the datapath: it is that of the start, which a reload may not show.
	if n := len(ban.Exempt(b.cfg.Ban, proxyNetworks(b.cfg))); n > bpf.MaxExempt {
		b.problem("ban.exempt", "%d networks are exempt, with %d that are built in and those in proxy_protocol.from: want at most %d, as many as XDP has room for",
			n, len(ban.Exempt(config.Ban{}, nil)), bpf.MaxExempt)
	}
	if b.cfg.Ban.Datapath == config.DatapathUserspace {
		return
	}
	for i, name := range b.cfg.Ban.Interfaces {
		if err := checkInterface(name); err != nil {
			path := fmt.Sprintf("ban.interfaces[%d]", i)
			if b.cfg.Ban.Datapath == config.DatapathXDP {
				b.problem(path, "%v", err)
			} else {
				b.warning(path, "%v", err)
			}
		}
	}
}

// pinDirectory is where the kernel's part outlives the process: one for each
// state directory, so that one edge never takes another's over.
func pinDirectory(root string, cfg *config.Config) string {
	return filepath.Join(root, stateName(cfg.ResolvePath(cfg.StateDir)))
}

// keepBans runs the keeper, and what goes with it, until ctx is done, once the bans
// are this process's.
func (s *Server) keepBans(ctx context.Context) {
	select {
	case <-s.bans.ours:
	case <-ctx.Done():
		return
	}
	var others sync.WaitGroup
	defer others.Wait()
	others.Go(func() { s.bans.ended.run(ctx) })
	others.Go(func() { s.bans.datapath.keepAttached(ctx, s.log) })
	if err := s.bans.keeper.Run(ctx); err != nil {
		s.log.Error("bans not saved", "cause", err)
	}
}

func (s *Server) closeBans() {
	if err := s.bans.datapath.close(); err != nil {
		s.log.Error("XDP not detached", "cause", err)
	}
}

// listening are the addresses that the edge listens on. The caller holds mu.
func (s *Server) listening() []netip.AddrPort {
	var list []netip.AddrPort
	for _, r := range s.sockets {
		if r.owns.Load() == nil {
			list = append(list, addrPort(r.net.Addr()))
		}
	}
	return append(list, s.steeredTo()...)
}
