package edge

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/edge/admin"
	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/identity"
	"github.com/sallyport/sallyport/edge/reason"
)

// adminView is the edge as the admin API sees it.
type adminView struct{ s *Server }

var _ admin.Edge = adminView{}

func (v adminView) Reload() error { return v.s.Reload() }

// Drain is refused once a successor serves, which would not hear of it.
func (v adminView) Drain() error { return v.s.gate.unlessMoved(v.s.Drain) }

func (v adminView) Upgrade(ctx context.Context, r admin.UpgradeRequest) (admin.Upgraded, error) {
	return v.s.Upgrade(ctx, r)
}

func (v adminView) Status() admin.Status {
	s := v.s
	g := s.generation.Load()
	status := admin.Status{
		State:         admin.Starting,
		Version:       s.options.Version,
		PID:           os.Getpid(),
		Started:       s.started,
		Configuration: g.cfg.Name(),
		Generation:    g.number,
		LoadedAt:      g.loaded,
		MemoryLimit:   s.options.MemoryLimit,
		Predecessor:   s.options.Predecessor.status(),
		Rights:        rights(g.cfg),
		Listeners:     []admin.Listener{},
	}
	select {
	case <-s.draining:
		status.State = admin.Draining
		return status // the rest is being taken down
	default:
		if s.ready.Load() {
			status.State = admin.Ready
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reloadError != nil {
		status.ReloadError = s.reloadError.Error()
	}
	for _, address := range slices.Sorted(maps.Keys(s.sockets)) {
		sock := s.sockets[address]
		p := sock.policy.Load()
		status.Listeners = append(status.Listeners, admin.Listener{
			Name:        p.name,
			Address:     s.listensOn(sock.socket),
			Protocol:    string(p.cfg.Protocol),
			Mode:        string(p.cfg.MutualAuthentication.Mode),
			TrustStore:  p.cfg.MutualAuthentication.TrustStore,
			Connections: sock.counts.now(),
		})
	}
	status.Targets = s.targets(g)
	status.Problems = append(g.watch(), s.pluginsToLookAt()...)
	status.Steering = s.steering.status()
	if st := status.Steering; st != nil && st.Problem != "" {
		status.Problems = append(status.Problems, "steering: "+st.Problem)
	}
	if s.bans != nil && g.cfg.Ban.Mode != config.BanOff {
		status.Bans = s.bans.status()
		status.Problems = append(status.Problems, s.bans.toLookAt(&g.cfg.Ban)...)
	}
	return status
}

// watch lists what an operator should look at.
func (g *generation) watch() []string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(g.stores)) {
		status := g.stores[name].Status()
		for _, text := range status.Warnings {
			list = append(list, fmt.Sprintf("trust store %s: %s", name, text))
		}
		for _, field := range slices.Sorted(maps.Keys(status.Errors)) {
			list = append(list, fmt.Sprintf("trust store %s: %s refused, its old content stays: %s", name, field, status.Errors[field]))
		}
	}
	list = append(list, g.certificatesToLookAt(time.Now())...)
	list = append(list, g.healthProblems()...)
	if g.tracer != nil && g.tracer.Trouble() != "" {
		list = append(list, "tracing: spans are lost: "+g.tracer.Trouble())
	}
	for _, sink := range g.logs.all() {
		if n := sink.file.Dropped(); n > 0 {
			list = append(list, fmt.Sprintf("log %s: %d lines dropped", sink.file.Name(), n))
		}
	}
	return list
}

func (v adminView) Connections() []admin.Connection {
	list := []admin.Connection{}
	for _, c := range v.s.connections.all() {
		list = append(list, c.describe())
	}
	return list
}

// describe is the connection for people. It may be called while the connection
// goes its way: what the handshake found is read only once its outcome is out.
func (c *Conn) describe() admin.Connection {
	d := admin.Connection{
		TraceID:  c.traceID,
		Accepted: c.accepted,
		Listener: c.policy.name,
		Client:   c.wire.RemoteAddr().String(),
		State:    "handshake",
		Requests: c.requests(),
		Received: c.wire.received.Load(),
		Sent:     c.wire.sent.Load(),
	}
	if !c.admitted.Load() {
		return d
	}
	d.Client, d.State = c.client.String(), "open"
	if c.ending.Load() != nil {
		d.State = "ending"
	}
	d.ServerName = c.hello.serverName
	if c.tls != nil {
		state := c.tls.ConnectionState()
		d.TLS, _ = tlsNames(&state)
	}
	if len(c.presented) > 0 {
		d.Subject = identity.Subject(c.presented[0])
		d.Serial = identity.Serial(c.presented[0])
	}
	return d
}

func (v adminView) TrustStores() []json.RawMessage {
	list := []json.RawMessage{}
	stores := v.s.generation.Load().stores
	for _, name := range slices.Sorted(maps.Keys(stores)) {
		if text, err := json.Marshal(stores[name].Status()); err == nil {
			list = append(list, text)
		}
	}
	return list
}

// isOurs says whether a failure is the edge's own, not the client's.
func isOurs(code reason.Code) bool {
	return code == reason.UnmappedConnectionError || code == reason.InternalError
}

// unchangeable reports what of a configuration applies at start only and differs.
func unchangeable(old *generation, cfg *config.Config) error {
	var problems config.Problems
	for _, f := range []struct{ path, was, is string }{
		{"state_dir", old.cfg.StateDir, cfg.StateDir},
		{"admin.socket", old.cfg.Admin.Socket, cfg.Admin.Socket},
		{"admin.metrics", old.cfg.Admin.Metrics, cfg.Admin.Metrics},
		{"user", old.cfg.User, cfg.User},
		{"ban.datapath", string(old.cfg.Ban.Datapath), string(cfg.Ban.Datapath)},
		{"ban.interfaces", strings.Join(old.cfg.Ban.Interfaces, " "), strings.Join(cfg.Ban.Interfaces, " ")},
		{"ban.ipv6_prefix", fmt.Sprint(old.cfg.Ban.IPv6Prefix), fmt.Sprint(cfg.Ban.IPv6Prefix)},
		{"ban.max_bans", fmt.Sprint(old.cfg.Ban.MaxBans), fmt.Sprint(cfg.Ban.MaxBans)},
		{"ban.max_networks", fmt.Sprint(old.cfg.Ban.MaxNetworks), fmt.Sprint(cfg.Ban.MaxNetworks)},
		{"ban.syn_limit", fmt.Sprint(old.cfg.Ban.SYNLimit), fmt.Sprint(cfg.Ban.SYNLimit)},
	} {
		if f.was != f.is {
			problems = append(problems, cfg.Problemf(f.path, "%q: was %q at the start: a change applies at the next start only", f.is, f.was))
		}
	}
	return problems.Err()
}
