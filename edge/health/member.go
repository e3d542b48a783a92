package health

import (
	"fmt"
	"net"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/edge/config"
)

// member is a target in its group.
type member struct {
	index int // in the configuration
	*checker

	// Requests change these without mu.
	failures atomic.Uint32 // in a row
	repeats  atomic.Uint32 // ejections without a success in between

	ejectedUntil time.Time // under the group's mu
}

// newChecker reads a target's URL; it is not checked yet.
func newChecker(text string, cfg *config.HealthCheck, now time.Time) (*checker, error) {
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("target %q: want http://host:port or https://host:port", text)
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	c := &checker{url: text, scheme: u.Scheme, host: u.Hostname(), cfg: *cfg}
	c.since = now
	if cfg.Protocol != "" {
		c.scheme = string(cfg.Protocol)
	}
	if cfg.Port != 0 {
		port = fmt.Sprint(cfg.Port)
	}
	c.address = net.JoinHostPort(c.host, port)
	if c.state, c.reason = Unavailable, HealthCheckDisabled; cfg.Enabled {
		c.state, c.reason = Initial, RegistrationInProgress
	}
	c.description = c.reason.Description()
	return c, nil
}
