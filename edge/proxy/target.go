package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/edge/config"
)

// TargetGroup is a service behind the edge: targets that take requests in turn,
// and the connections kept to them. Any number of goroutines may use it.
type TargetGroup struct {
	name      string
	targets   []target
	next      atomic.Uint32
	transport *http.Transport
}

type target struct{ scheme, host string }

const (
	// idlePerTarget is how many unused connections are kept to one target.
	idlePerTarget = 512
	// maxResponseHead is the largest head of a response.
	maxResponseHead = 32 << 10
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
	g := &TargetGroup{name: name}
	d := &dialer{connect: cfg.Timeouts.Connect.Std(), tls: make(map[string]*tls.Config)}
	if d.connect <= 0 || cfg.Timeouts.Response <= 0 || cfg.Timeouts.Idle <= 0 {
		return nil, fmt.Errorf("target group %s: want timeouts of more than 0s", name)
	}
	for _, text := range cfg.Targets {
		t, err := parseTarget(text)
		if err != nil {
			return nil, fmt.Errorf("target group %s: %w", name, err)
		}
		if t.scheme == "https" && d.tls[t.host] == nil {
			d.tls[t.host] = targetTLS(tlsConfig, t.host)
		}
		g.targets = append(g.targets, t)
	}
	onlyHTTP1 := new(http.Protocols)
	onlyHTTP1.SetHTTP1(true)
	g.transport = &http.Transport{
		DialContext:            d.dial,
		DialTLSContext:         d.dialTLS,
		DisableCompression:     true,
		MaxIdleConnsPerHost:    idlePerTarget,
		IdleConnTimeout:        cfg.Timeouts.Idle.Std(),
		ResponseHeaderTimeout:  cfg.Timeouts.Response.Std(),
		ExpectContinueTimeout:  expectContinue,
		MaxResponseHeaderBytes: maxResponseHead,
		Protocols:              onlyHTTP1,
	}
	return g, nil
}

// Name returns the group's name.
func (g *TargetGroup) Name() string { return g.name }

// Close closes the connections that are not in use, and the others as they fall
// idle. Requests in flight go on.
func (g *TargetGroup) Close() { g.transport.CloseIdleConnections() }

// parseTarget reads a URL of scheme, host and port.
func parseTarget(text string) (target, error) {
	u, err := url.Parse(text)
	if err != nil {
		return target{}, fmt.Errorf("target %q: want http://host:port or https://host:port", text)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil ||
		u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "" {
		return target{}, fmt.Errorf("target %q: want http://host:port or https://host:port", text)
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return target{scheme: u.Scheme, host: net.JoinHostPort(u.Hostname(), port)}, nil
}

// targetTLS is base for one target.
func targetTLS(base *tls.Config, host string) *tls.Config {
	cfg := base.Clone()
	cfg.NextProtos = []string{"http/1.1"}
	if cfg.ServerName == "" {
		cfg.ServerName, _, _ = net.SplitHostPort(host)
	}
	if cfg.ClientSessionCache == nil {
		cfg.ClientSessionCache = tls.NewLRUClientSessionCache(0)
	}
	return cfg
}

// dialer connects to targets.
type dialer struct {
	connect time.Duration // TLS included
	tls     map[string]*tls.Config
}

// connectError is a target that was not reached: nothing of a request was sent.
type connectError struct{ cause error }

func (e *connectError) Error() string { return "connect to target: " + e.cause.Error() }
func (e *connectError) Unwrap() error { return e.cause }

// slow says whether it was time that ran out.
func (e *connectError) slow() bool {
	var timeout net.Error
	return errors.Is(e.cause, context.DeadlineExceeded) || errors.As(e.cause, &timeout) && timeout.Timeout()
}

func (d *dialer) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, d.connect)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err != nil {
		return nil, &connectError{err}
	}
	return conn, nil
}

func (d *dialer) dialTLS(ctx context.Context, network, addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, d.connect)
	defer cancel()
	raw, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err != nil {
		return nil, &connectError{err}
	}
	conn := tls.Client(raw, d.tls[addr])
	if err := conn.HandshakeContext(ctx); err != nil {
		raw.Close()
		return nil, &connectError{err}
	}
	return conn, nil
}
