package servercert

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sallyport/sallyport/edge/config"
)

// ErrNotAllowed is wrapped by the error for a name that on_demand does not allow:
// no CA was asked for it.
var ErrNotAllowed = errors.New("on_demand does not allow the name")

// errAskUnavailable is wrapped by the error for a name that could not be asked about.
// No CA is asked then, but the name is not refused.
var errAskUnavailable = errors.New("on_demand cannot ask about the name")

// limitedError says when on_demand.rate has room for another order.
type limitedError struct {
	rate  config.OnDemandRate
	until time.Time
}

func (e *limitedError) Error() string {
	return fmt.Sprintf("on_demand.rate allows %d orders within %s", e.rate.Names, e.rate.Within)
}

// Times and bounds of issuance on demand.
const (
	askTime      = 5 * time.Second
	asksAtOnce   = 16
	refusalLife  = time.Minute
	maxRefusals  = 10000
	forgetAfter  = time.Hour // without a certificate, and without a client
	drowsyFactor = 4         // of the time left, between looks at whether somebody wants it
)

// demand is the rule for names that clients bring.
type demand struct {
	cfg  config.OnDemand
	http *http.Client
	asks chan struct{}
	log  demandLog

	mu      sync.Mutex
	refused map[string]time.Time // until when
	orders  []time.Time          // those within the rate's time
}

func newDemand(cfg config.OnDemand) *demand {
	return &demand{cfg: cfg, http: &http.Client{Timeout: askTime, CheckRedirect: noRedirect}, asks: make(chan struct{}, asksAtOnce), refused: map[string]time.Time{}}
}

// noRedirect makes a redirect an answer like any other that is not 200.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// allows says whether the list has the name.
func (d *demand) allows(name string) bool {
	if slices.Contains(d.cfg.Allow, name) {
		return true
	}
	rest, ok := wildcardOf(name)
	return ok && slices.Contains(d.cfg.Allow, "*."+rest)
}

// ask asks the operator's service about a name that the list does not have. The
// error wraps ErrNotAllowed or errAskUnavailable.
func (d *demand) ask(ctx context.Context, name string) error {
	if d.allows(name) {
		return nil
	}
	if d.cfg.Ask == "" {
		return fmt.Errorf("%w: %q", ErrNotAllowed, name)
	}
	select {
	case d.asks <- struct{}{}:
		defer func() { <-d.asks }()
	default:
		return fmt.Errorf("%w: %q: %d names are asked about already", errAskUnavailable, name, asksAtOnce)
	}
	u, err := url.Parse(d.cfg.Ask)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotAllowed, err)
	}
	query := u.Query()
	query.Set("domain", name)
	u.RawQuery = query.Encode()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotAllowed, err)
	}
	response, err := d.http.Do(request)
	if err != nil {
		return fmt.Errorf("%w: %q: ask: %w", errAskUnavailable, name, err)
	}
	response.Body.Close()
	if response.StatusCode >= 500 {
		return fmt.Errorf("%w: %q: %s answers %s", errAskUnavailable, name, d.cfg.Ask, response.Status)
	}
	if response.StatusCode != http.StatusOK {
		d.remember(name, time.Now())
		return fmt.Errorf("%w: %q: %s answers %s", ErrNotAllowed, name, d.cfg.Ask, response.Status)
	}
	return nil
}

// remember keeps a refusal. When there are too many it forgets them all: each is
// worth one question.
func (d *demand) remember(name string, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.refused) >= maxRefusals {
		clear(d.refused)
	}
	d.refused[name] = now.Add(refusalLife)
}

// wasRefused says whether a refusal of the name still counts.
func (d *demand) wasRefused(name string, now time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	until, ok := d.refused[name]
	if ok && !now.Before(until) {
		delete(d.refused, name)
		ok = false
	}
	return ok
}

// spend takes one of the orders that the rate allows; without one left the error is
// a *limitedError.
func (d *demand) spend(now time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.orders = slices.DeleteFunc(d.orders, func(t time.Time) bool { return !now.Before(t.Add(d.cfg.Rate.Within.Std())) })
	if len(d.orders) >= d.cfg.Rate.Names {
		return &limitedError{d.cfg.Rate, d.orders[0].Add(d.cfg.Rate.Within.Std())}
	}
	d.orders = append(d.orders, now)
	return nil
}

// permitted says whether a CA may be asked for the name now. For one that a client
// has brought it asks the rule before every order, and takes one of the rate's:
// what was allowed once may be so no longer.
func (m *managed) permitted(ctx context.Context) error {
	if !m.onDemand || m.permit.Swap(false) {
		return nil
	}
	if err := m.entry.demand.ask(ctx, m.host); err != nil {
		return err
	}
	return m.entry.demand.spend(time.Now())
}

// isServerName says whether a CA could issue a certificate for what a client calls
// the server.
func isServerName(name string) bool {
	if len(name) > maxHost || !strings.Contains(name, ".") {
		return false
	}
	if _, err := netip.ParseAddr(name); err == nil {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' ||
			strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return false
		}
	}
	return true
}

// mayObtain says whether a certificate for the name may be had while its client
// waits, as far as that can be said without asking anybody.
func (c *Certificate) mayObtain(name string) bool {
	e, ok := c.source.(*acmeEntry)
	if !ok || e.demand == nil || !isServerName(name) {
		return false
	}
	return e.demand.allows(name) || e.demand.cfg.Ask != "" && !e.demand.wasRefused(name, time.Now())
}

// Obtain has a certificate issued for a server name that the entry's on_demand
// allows, and waits for it until ctx is done. The order goes on if its client does
// not wait so long. The error wraps ErrNotAllowed, or is an *UnavailableError.
func (c *Certificate) Obtain(ctx context.Context, serverName string) error {
	e, ok := c.source.(*acmeEntry)
	name := normal(serverName)
	if !ok || !c.mayObtain(name) {
		c.counts.demandRefused.Add(1)
		return fmt.Errorf("%w: %q", ErrNotAllowed, name)
	}
	m, err := e.bring(ctx, name)
	if err != nil {
		return err
	}
	return m.await(ctx)
}

// bring returns the name, which a client has brought, under management.
func (e *acmeEntry) bring(ctx context.Context, name string) (*managed, error) {
	find := func() *managed {
		e.mu.Lock()
		defer e.mu.Unlock()
		return e.names[name]
	}
	if m := find(); m != nil {
		return m, nil
	}
	n := &e.certificate.counts
	log := e.manager.log.With("certificate", e.certificate.name, "host", name)
	unavailable := func(why string) error {
		n.demandLimited.Add(1)
		e.demand.log.tell(log, slog.LevelWarn, why)
		return &UnavailableError{e.certificate.name, name, why}
	}
	if err := e.demand.ask(ctx, name); err != nil {
		if !errors.Is(err, ErrNotAllowed) {
			return nil, unavailable(err.Error())
		}
		n.demandRefused.Add(1)
		e.demand.log.tell(log, slog.LevelInfo, err)
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if m := e.names[name]; m != nil {
		return m, nil
	}
	switch {
	case e.running == nil:
		return nil, unavailable("renewals are not running")
	case len(e.names)-len(e.hosts) >= e.demand.cfg.MaxNames:
		return nil, unavailable(fmt.Sprintf("on_demand has %d names already: its max_names", e.demand.cfg.MaxNames))
	}
	if err := e.demand.spend(time.Now()); err != nil {
		return nil, unavailable(err.Error())
	}
	n.demandAllowed.Add(1)
	m := newManaged(e, name, true)
	m.permit.Store(true)
	e.names[name] = m
	ctx = e.running
	e.group.Go(func() { m.run(ctx) })
	return m, nil
}

// await waits until the name has a certificate, or the attempt at one has failed.
func (m *managed) await(ctx context.Context) error {
	m.mu.Lock()
	over, pair, wait := m.attempt, m.pair, m.released || m.failures > 0 && time.Now().Before(m.retry)
	m.mu.Unlock()
	if pair == nil && !wait {
		m.wake()
		select {
		case <-over:
		case <-ctx.Done():
			return &UnavailableError{m.entry.certificate.name, m.host, "it has been asked for: try again soon"}
		}
	}
	m.mu.Lock()
	refused := m.refused && m.pair == nil
	m.mu.Unlock()
	if refused {
		return fmt.Errorf("%w: %q", ErrNotAllowed, m.host)
	}
	if pair, why := m.state(); pair == nil {
		return &UnavailableError{m.entry.certificate.name, m.host, why}
	}
	return nil
}

// drowsy is how long a certificate that nobody wants is left alone.
func (m *managed) drowsy(now time.Time) time.Duration {
	return max(m.pair.Leaf().NotAfter.Sub(now)/drowsyFactor, time.Second)
}

// awake says whether it is worth asking the CAs: always, but for a name that a
// client has brought and none wants any more.
func (m *managed) awake() bool {
	return !m.onDemand || m.current() == nil || m.wanted.Load()
}

// lapses lets go of a name that a client has brought once it is of no use: its
// certificate has expired, unwanted or no longer allowed, or none came and nobody
// asks any more, or the rule refuses it.
func (m *managed) lapses(now time.Time) bool {
	if !m.onDemand {
		return false
	}
	m.mu.Lock()
	idle := m.pair == nil && m.failures > 0 && (m.refused || now.Sub(m.failure.at) >= forgetAfter)
	// Before its floor the next client would have it ordered anew.
	expired := m.pair != nil && !now.Before(m.pair.Leaf().NotAfter) && !now.Before(m.floor(now)) && (m.refused || !m.wanted.Load())
	m.mu.Unlock()
	if !idle && !expired {
		return false
	}
	m.entry.mu.Lock()
	delete(m.entry.names, m.host)
	m.entry.mu.Unlock()
	m.entry.publish()
	log := m.entry.manager.log.With("certificate", m.entry.certificate.name, "host", m.host)
	for _, suffix := range []string{".pem", ".ocsp"} {
		if err := m.entry.manager.store.Delete(m.key(suffix)); err != nil {
			log.Warn("certificate not deleted", "cause", err)
		}
	}
	log.Info("certificate let go of")
	return true
}
