package edge

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sallyport/sallyport/edge/admin"
	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/health"
	"github.com/sallyport/sallyport/edge/proxy"
)

var (
	targetsNow  = describe("sallyport_targets", "Targets by their state, as ALB calls it: initial, healthy, unhealthy, unused, draining, unavailable.", "target_group", "state")
	ejectedNow  = describe("sallyport_targets_ejected", "Targets that have no requests for a while as those before failed.", "target_group")
	ejectedAll  = describe("sallyport_target_ejections_total", "Ejections of targets whose requests failed.", "target_group")
	checksMade  = describe("sallyport_target_health_checks_total", "Health checks made, by result: pass, or the reason code of the health-check log.", "target_group", "result")
	targetsOpen = describe("sallyport_target_group_failed_open_total", "Requests that went to targets none of which was healthy, because the configuration says fail_open.", "target_group")
)

// watchTargets has the health of a new group's targets decide who of them has
// requests.
func (b *builder) watchTargets(path string, group *proxy.TargetGroup, cfg config.TargetGroup, conf *tls.Config) {
	o := health.Options{Log: b.log, TLS: conf}
	if b.old != nil {
		o.Previous = b.old.health[group.Name()]
		o.SameTLS = b.old.targetTrust[group.Name()] == b.next.targetTrust[group.Name()]
	}
	h, err := health.New(group.Name(), cfg, o)
	if err != nil {
		b.problem(path+".health_check", "%v", err)
		return
	}
	group.Watch(h)
	b.next.health[group.Name()] = h
}

// forwardsTo says whether any listener forwards to a target group.
func (g *generation) forwardsTo(group string) bool {
	for _, l := range g.cfg.Listeners {
		if l.DefaultAction.Forward == group {
			return true
		}
	}
	return false
}

// healthTasks adds what must run for the targets' health. As with ALB, a group that
// nothing forwards to is not checked.
func (s *Server) healthTasks(g *generation, list map[any]func(context.Context) error) {
	for name, h := range g.health {
		cfg := g.cfg.TargetGroups[name].HealthCheck
		if cfg.On() && g.forwardsTo(name) {
			maps.Copy(list, h.Tasks(s.LogHealthCheck))
		}
	}
}

// healthProblems is what an operator should look at.
func (g *generation) healthProblems() (list []string) {
	for _, name := range slices.Sorted(maps.Keys(g.health)) {
		if !g.forwardsTo(name) {
			continue
		}
		h, unhealthy := g.health[name], 0
		targets := h.Status()
		for _, t := range targets {
			if t.State == health.Unhealthy {
				unhealthy++
			}
		}
		switch {
		case h.FailingOpen():
			list = append(list, fmt.Sprintf("target group %s: no target is healthy: requests go to all of them", name))
		case h.Refusing():
			list = append(list, fmt.Sprintf("target group %s: no target is healthy: requests are refused", name))
		case unhealthy > 0:
			list = append(list, fmt.Sprintf("target group %s: %d of %d targets unhealthy", name, unhealthy, len(targets)))
		}
	}
	return list
}

// parting is the target groups that reloads took out of force and that still have
// requests.
type parting struct {
	mu     sync.Mutex
	groups []partingGroup
}

type partingGroup struct {
	*proxy.TargetGroup
	targets []string
	since   time.Time
}

// add takes up the groups of old that next has not taken over.
func (p *parting) add(old, next *generation, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for name, group := range old.groups {
		if next.groups[name] != group {
			p.groups = append(p.groups, partingGroup{group, old.cfg.TargetGroups[name].Targets, now})
		}
	}
}

type targetKey struct{ group, target string }

type remainder struct {
	requests int
	since    time.Time
}

// left returns which targets still have requests of such groups, and forgets the
// groups that have none.
func (p *parting) left() map[targetKey]remainder {
	p.mu.Lock()
	defer p.mu.Unlock()
	left := map[targetKey]remainder{}
	p.groups = slices.DeleteFunc(p.groups, func(g partingGroup) bool {
		idle := true
		for i, target := range g.targets {
			if n := g.InFlight(i); n > 0 {
				idle = false
				key := targetKey{g.Name(), target}
				left[key] = remainder{left[key].requests + n, g.since}
			}
		}
		return idle
	})
	return left
}

// targets are all that a listener can forward to, and those that were taken out and
// still have requests.
func (s *Server) targets(g *generation) []admin.Target {
	left := s.parting.left()
	list := []admin.Target{}
	for _, name := range slices.Sorted(maps.Keys(g.health)) {
		group, used := g.groups[name], g.forwardsTo(name)
		for i, t := range g.health[name].Status() {
			key := targetKey{name, t.URL}
			shown := admin.Target{
				TargetGroup: name, Target: t.URL, State: string(t.State), Reason: string(t.Reason), Description: t.Description,
				Since: t.Since, EjectedUntil: t.EjectedUntil, Requests: group.InFlight(i) + left[key].requests, LastCheck: shownCheck(t.Last),
			}
			if !used {
				shown.State, shown.Reason, shown.Description = string(health.Unused), string(health.NotInUse), health.NotInUse.Description()
				shown.Since = g.loaded
			}
			delete(left, key)
			list = append(list, shown)
		}
	}
	for _, key := range slices.SortedFunc(maps.Keys(left), func(x, y targetKey) int { return cmp.Compare(x.target, y.target) }) {
		r := left[key]
		list = append(list, admin.Target{
			TargetGroup: key.group, Target: key.target, State: string(health.Draining), Since: r.since, Requests: r.requests,
			Reason: string(health.DeregistrationInProgress), Description: health.DeregistrationInProgress.Description(),
		})
	}
	slices.SortStableFunc(list, func(x, y admin.Target) int { return cmp.Compare(x.TargetGroup, y.TargetGroup) })
	return list
}

func shownCheck(c *health.Check) *admin.HealthCheck {
	if c == nil {
		return nil
	}
	shown := &admin.HealthCheck{Time: c.Time, Latency: c.Latency.Seconds(), Status: "FAIL", ReasonCode: c.Reason, Detail: c.Detail}
	if c.Pass {
		shown.Status = "PASS"
	}
	if c.Answered {
		shown.StatusCode = &c.Code
	}
	return shown
}

// collectHealth sends what is known of targets.
func (s *Server) collectHealth(g *generation, ch chan<- prometheus.Metric) {
	states, ejected := map[targetKey]int{}, map[string]int{}
	for _, t := range s.targets(g) {
		for _, state := range health.States() {
			states[targetKey{t.TargetGroup, string(state)}] += 0 // a series that comes and goes sets off no alert
		}
		states[targetKey{t.TargetGroup, t.State}]++
		if !t.EjectedUntil.IsZero() {
			ejected[t.TargetGroup]++
		}
	}
	for key, n := range states {
		ch <- prometheus.MustNewConstMetric(targetsNow, prometheus.GaugeValue, float64(n), key.group, key.target)
	}
	for name, h := range g.health {
		counts := h.Counts()
		ch <- prometheus.MustNewConstMetric(ejectedNow, prometheus.GaugeValue, float64(ejected[name]), name)
		ch <- prometheus.MustNewConstMetric(ejectedAll, prometheus.CounterValue, float64(counts.Ejections), name)
		ch <- prometheus.MustNewConstMetric(targetsOpen, prometheus.CounterValue, float64(counts.FailedOpen), name)
		for result, n := range counts.Checks {
			ch <- prometheus.MustNewConstMetric(checksMade, prometheus.CounterValue, float64(n), name, result)
		}
	}
}
