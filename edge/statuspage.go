package edge

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/edge/admin"
	"github.com/sallyport/sallyport/edge/ban"
	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/page"
)

// What the status page shows at most.
const (
	failingShown = 20
	bansShown    = 100
)

// pageView is the edge as its status page sees it.
type pageView struct{ s *Server }

var _ page.Edge = pageView{}

// Unban takes what the command line takes, and nothing so wide that is not forced:
// a form can be sent with any network in it, and the button says one ban.
func (v pageView) Unban(ctx context.Context, p netip.Prefix, force bool) (int, error) {
	if err := admin.CheckNetwork(p); err != nil {
		return 0, err
	}
	if v.Wide(p) && !force {
		return 0, fmt.Errorf("unban %s: want the box at its button ticked, or sallyport unban, for all bans of so many addresses", p)
	}
	return adminBans(v).Unban(ctx, p)
}

func (pageView) Wide(p netip.Prefix) bool { return admin.WideNetwork(p) != nil }

func (v pageView) Snapshot() page.Snapshot {
	s := v.s
	g := s.generation.Load()
	status := adminView(v).Status()
	snapshot := page.Snapshot{
		Name:     g.loadBalancer,
		Version:  status.Version,
		State:    string(status.State),
		Started:  status.Started,
		Problems: status.Problems,
		History:  s.history.History(),
		Failing:  s.failures.worst(failingShown),
	}
	if status.ReloadError != "" {
		snapshot.Problems = append(snapshot.Problems, "reload refused: "+status.ReloadError)
	}
	for _, l := range status.Listeners {
		snapshot.Listeners = append(snapshot.Listeners, page.Listener{
			Name: l.Name, Address: l.Address, Mode: l.Mode, TrustStore: l.TrustStore, Connections: l.Connections,
		})
	}
	if g.cfg.Ban.Mode != config.BanOff {
		v.bans(&snapshot)
	}
	for _, name := range slices.Sorted(maps.Keys(g.stores)) {
		snapshot.TrustStores = append(snapshot.TrustStores, trustStoreOnPage(g, name))
	}
	snapshot.Certificates = certificatesOnPage(g)
	for _, p := range s.plugins.Status() {
		shown := page.Plugin{Name: p.Name, State: string(p.State), Why: p.Trouble, Restarts: p.Restarts}
		for _, hook := range p.Stats {
			shown.Calls += hook.Calls + hook.Cached
			for _, n := range hook.Failed {
				shown.Failures += n
			}
		}
		snapshot.Plugins = append(snapshot.Plugins, shown)
	}
	for _, t := range status.Targets {
		snapshot.Targets = append(snapshot.Targets, targetOnPage(t))
	}
	return snapshot
}

// targetOnPage says of an unhealthy target what its last check found.
func targetOnPage(t admin.Target) page.Target {
	shown := page.Target{Group: t.TargetGroup, Address: t.Target, State: t.State, Since: t.Since, Requests: t.Requests}
	if t.Reason != "" {
		shown.Reason = t.Reason + ": " + t.Description
	}
	if t.LastCheck != nil && t.LastCheck.Detail != "" {
		shown.Reason = strings.TrimPrefix(shown.Reason+"; last check: "+t.LastCheck.Detail, "; ")
	}
	if !t.EjectedUntil.IsZero() {
		shown.Reason = strings.TrimPrefix(shown.Reason+"; ejected: its requests failed", "; ")
	}
	return shown
}

// bans adds the latest bans. There may be a million: only those shown are kept.
func (v pageView) bans(snapshot *page.Snapshot) {
	b := v.s.bans
	stats := b.keeper.Stats()
	snapshot.BanDatapath = b.datapath.name()
	snapshot.BansInForce = int(stats.InForce.Policy + stats.InForce.Hand + stats.InForce.DryRun)
	var latest []ban.Ban
	newer := func(x, y ban.Ban) int { return y.Since.Compare(x.Since) }
	var oldest time.Time // that can still be among the latest
	for one := range b.keeper.All() {
		if one.Since.Before(oldest) {
			continue
		}
		latest = append(latest, one)
		if len(latest) == 2*bansShown {
			slices.SortFunc(latest, newer)
			latest = latest[:bansShown]
			oldest = latest[bansShown-1].Since
		}
	}
	slices.SortFunc(latest, newer)
	for _, one := range latest[:min(len(latest), bansShown)] {
		why := one.Why
		if one.Reason != 0 {
			why = strings.TrimPrefix(why+", "+one.Reason.String(), ", ")
		}
		packets := b.droppedFor(one)
		snapshot.Bans = append(snapshot.Bans, page.Ban{
			Prefix: one.Prefix, Why: why, By: string(one.By), Since: one.Since, Until: one.Until, Packets: packets, DryRun: one.DryRun,
		})
	}
}

// droppedFor is how many packets the kernel has dropped for one ban: for a few
// bans of many this is cheaper than to read them all.
func (b *bans) droppedFor(one ban.Ban) uint64 {
	if b.datapath.filter.Load() == nil || !one.Direct {
		return 0
	}
	entry, there, err := b.datapath.filter.Load().Lookup(one.Prefix.Addr())
	if err != nil || !there || entry.Prefix != one.Prefix {
		return 0
	}
	return entry.Packets
}

func trustStoreOnPage(g *generation, name string) page.TrustStore {
	status := g.stores[name].Status()
	shown := page.TrustStore{Name: name, Generation: status.Generation}
	for _, ca := range status.CAs {
		shown.CAs = append(shown.CAs, page.Dated{Name: ca.Subject, NotAfter: ca.NotAfter})
	}
	for _, crl := range status.CRLs {
		shown.CRLs = append(shown.CRLs, page.CRL{
			Issuer: crl.Issuer, Number: crl.Number, Entries: crl.Entries, ThisUpdate: crl.ThisUpdate, NextUpdate: crl.NextUpdate,
		})
	}
	for _, from := range status.Sources {
		shown.Sources = append(shown.Sources, page.Source{URL: from.URL, LastSuccess: from.LastSuccess, Next: from.NextAttempt, Error: from.LastError})
	}
	for _, field := range slices.Sorted(maps.Keys(status.Errors)) {
		shown.Errors = append(shown.Errors, fmt.Sprintf("%s: %s", field, status.Errors[field]))
	}
	return shown
}

// worst lists the addresses that failed most among the failures kept.
func (f *failures) worst(n int) []page.Failing {
	type count struct {
		page.Failing
		codes map[string]int
	}
	by := map[netip.Addr]*count{}
	for _, r := range f.last.Last(failuresKept) { // the newest first
		addr := r.Client.Addr()
		one := by[addr]
		if one == nil {
			one = &count{page.Failing{Address: addr, Last: r.Time, Subject: r.LeafSubject}, map[string]int{}}
			by[addr] = one
		}
		one.Failures++
		one.codes[r.Status.String()]++
	}
	list := slices.SortedFunc(maps.Values(by), func(x, y *count) int {
		return cmp.Or(y.Failures-x.Failures, y.Last.Compare(x.Last))
	})
	var failing []page.Failing
	for _, one := range list[:min(n, len(list))] {
		one.Codes = slices.SortedFunc(maps.Keys(one.codes), func(x, y string) int {
			return cmp.Or(one.codes[y]-one.codes[x], strings.Compare(x, y))
		})
		failing = append(failing, one.Failing)
	}
	return failing
}
