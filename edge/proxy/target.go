package proxy

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/edge/config"
)

// TargetGroup is a service behind the edge: targets that take requests in turn,
// and the connections kept to them. Any number of goroutines may use it.
type TargetGroup struct {
	name    string
	targets []*target
	next    atomic.Uint32
	connect time.Duration // TLS included
	answer  time.Duration // for a response's head, once the request was sent
	version config.ProtocolVersion
	hold    time.Duration // as holdBack; tests vary it
	health  Health
}

// takesGRPC says whether the group is for gRPC, and nothing else.
func (g *TargetGroup) takesGRPC() bool { return g.version == config.GRPC }

// http2 says whether targets are spoken to by HTTP/2.
func (g *TargetGroup) http2() bool { return g.version == config.HTTP2 || g.takesGRPC() }

// target is one address, and the connections kept to it.
type target struct {
	scheme, host string
	tls          *tls.Config  // nil for http
	pool         pool         // of connections of HTTP/1.1
	shared       *sharedPool  // of those of HTTP/2, nil without
	narrow       *sharedPool  // for what a client asks for beside wideStreams others
	inFlight     atomic.Int64 // requests
}

const (
	// idlePerTarget is how many unused connections are kept to one target.
	idlePerTarget = 512
	// expectContinue is how long a target may take to ask for a body that its
	// client holds back (RFC 9110, section 10.1.1).
	expectContinue = time.Second
)

// NewTargetGroup makes a target group of its configuration; it connects to
// nothing yet. tlsConfig is how https:// targets are spoken to: its ServerName
// counts if it is not empty, and nil stands for the system's CAs and TLS 1.2 at
// least.
func NewTargetGroup(name string, cfg config.TargetGroup, tlsConfig *tls.Config) (*TargetGroup, error) {
	if len(cfg.Targets) == 0 {
		return nil, fmt.Errorf("target group %s: want at least one target", name)
	}
	if tlsConfig == nil {
		tlsConfig = &tls.Config{MinVersion: tls.VersionTLS12, ServerName: cfg.HTTPS.ServerName}
	}
	g := &TargetGroup{name: name, connect: cfg.Timeouts.Connect.Std(), answer: cfg.Timeouts.Response.Std(), version: cfg.ProtocolVersion, hold: holdBack}
	if g.connect <= 0 || g.answer <= 0 || cfg.Timeouts.Idle <= 0 {
		return nil, fmt.Errorf("target group %s: want timeouts of more than 0s", name)
	}
	for _, text := range cfg.Targets {
		t, err := parseTarget(text)
		if err != nil {
			return nil, fmt.Errorf("target group %s: %w", name, err)
		}
		protocol := "http/1.1"
		if g.http2() {
			protocol = "h2"
		}
		if t.scheme == "https" {
			t.tls = targetTLS(tlsConfig, t.host, protocol)
		}
		t.pool.limit = cfg.Timeouts.Idle.Std()
		if g.http2() {
			t.shared = newSharedPool(t, g.connect, g.answer, targetWindow)
			t.narrow = newSharedPool(t, g.connect, g.answer, narrowWindow)
		}
		g.targets = append(g.targets, t)
	}
	g.health = everybodyOf(g)
	return g, nil
}

// Name returns the group's name.
func (g *TargetGroup) Name() string { return g.name }

// Close closes the connections that are not in use, and the others as they fall
// idle. Requests in flight go on.
func (g *TargetGroup) Close() {
	for _, t := range g.targets {
		t.pool.close()
		if t.shared != nil {
			t.shared.close()
			t.narrow.close()
		}
	}
}

// parseTarget reads a URL of scheme, host and port.
func parseTarget(text string) (*target, error) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("target %q: want http://host:port or https://host:port", text)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil ||
		u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("target %q: want http://host:port or https://host:port", text)
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return &target{scheme: u.Scheme, host: net.JoinHostPort(u.Hostname(), port)}, nil
}

// targetTLS is base for one target.
func targetTLS(base *tls.Config, host, protocol string) *tls.Config {
	cfg := base.Clone()
	cfg.NextProtos = []string{protocol}
	// A message is written in one piece, and small records would tear it.
	cfg.DynamicRecordSizingDisabled = true
	if cfg.ServerName == "" {
		cfg.ServerName, _, _ = net.SplitHostPort(host)
	}
	if cfg.ClientSessionCache == nil {
		cfg.ClientSessionCache = tls.NewLRUClientSessionCache(0)
	}
	return cfg
}

// connectError is a target that was not reached: nothing of a request was sent.
type connectError struct{ cause error }

func (e *connectError) Error() string { return "connect to target: " + e.cause.Error() }
func (e *connectError) Unwrap() error { return e.cause }

// slow says whether it was time that ran out.
func (e *connectError) slow() bool { return isTimeout(e.cause) }

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}
