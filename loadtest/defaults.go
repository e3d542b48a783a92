package loadtest

import (
	"cmp"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"time"
)

// withDefaults returns the plan as it will be run. The plan must be valid.
func (p Plan) withDefaults() Plan {
	p.Name = cmp.Or(p.Name, p.Target)
	p.Profile = cmp.Or(p.Profile, profileGo)
	if p.Protocol == "" && !p.browser() {
		p.Protocol = HTTP1
	}
	if p.BodySize > 0 {
		p.Method = cmp.Or(p.Method, http.MethodPost)
	}
	p.Method = cmp.Or(p.Method, http.MethodGet)
	p.ExpectStatus = cmp.Or(p.ExpectStatus, http.StatusOK)
	p.Connections = cmp.Or(p.Connections, 16)
	if p.Protocol == HTTP2 {
		p.Streams = cmp.Or(p.Streams, 8)
	}
	if p.Duration == 0 {
		p.Duration = 10 * time.Second
		// A constant rate, and closed loop, end by themselves where units are
		// counted; ramps and steps are laid over a time.
		if p.Count > 0 && p.Pace.From == 0 && p.Pace.To == 0 && len(p.Pace.Steps) == 0 {
			p.Duration = MaxDuration
		}
	}
	p.Count = cmp.Or(p.Count, MaxCount)
	p.Timeout = cmp.Or(p.Timeout, 10*time.Second)
	if p.Scenario == Idle {
		p.WarmUp = 0
	}
	if p.ServerName == "" {
		if u, err := url.Parse(p.Target); err == nil {
			p.ServerName = u.Hostname()
		}
	}
	return p
}

// browser says that the ClientHello is not Go's own.
func (p Plan) browser() bool { return p.Profile != "" && p.Profile != profileGo }

// keepAlive says that units share connections.
func (p Plan) keepAlive() bool {
	return p.Scenario == Request || p.Scenario == Download || p.Scenario == Upload
}

// hostPort is the target's, with the default port written out.
func hostPort(u *url.URL) string { return net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), "443")) }

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
