package servercert

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/sallyport/sallyport/edge/config"
)

// acmeEntry has certificates issued for its hosts, one for each, and for names that
// its on_demand allows.
type acmeEntry struct {
	certificate *Certificate
	manager     *Manager
	cfg         *config.ACME
	hosts       []string
	authority   *authority
	demand      *demand // nil unless on_demand is configured
	shown       atomic.Pointer[view]

	mu      sync.Mutex
	names   map[string]*managed
	running context.Context // nil unless run runs
	group   sync.WaitGroup  // one for each name
	cache   *certmagic.Cache
}

func newACME(c *Certificate, cfg config.Certificate, o Options) (*acmeEntry, error) {
	e := &acmeEntry{certificate: c, manager: o.Manager, cfg: cfg.ACME, hosts: cfg.Hosts, names: map[string]*managed{}}
	var err error
	if e.authority, err = newAuthority(cfg.ACME, o); err != nil {
		return nil, err
	}
	for _, host := range cfg.Hosts {
		if len(host) > maxHost {
			return nil, &FieldError{"hosts", fmt.Errorf("%q: want at most %d characters, got %d", host, maxHost, len(host))}
		}
		e.names[host] = e.load(host, false)
	}
	if cfg.ACME.OnDemand != nil {
		e.demand = newDemand(*cfg.ACME.OnDemand)
		if err := e.loadDemanded(); err != nil {
			return nil, &FieldError{"acme.on_demand", err}
		}
	}
	e.publish()
	return e, nil
}

// load takes a name with what is kept for it. A file that is broken is as good as
// none; it stays until a new certificate takes its place.
func (e *acmeEntry) load(host string, onDemand bool) *managed {
	m := newManaged(e, host, onDemand)
	if err := m.takeStored(); err != nil && !errors.Is(err, fs.ErrNotExist) {
		e.manager.log.Error("kept certificate not usable; another one will be asked for", "certificate", e.certificate.name, "host", host, "cause", err)
		m.failure = &failure{err.Error(), time.Now()}
	}
	return m
}

// loadDemanded takes the names that clients have brought before, as far as the
// rules still have them.
func (e *acmeEntry) loadDemanded() error {
	files, err := e.manager.store.List("issued/" + e.certificate.name)
	if err != nil {
		return fmt.Errorf("list kept certificates: %w", err)
	}
	for _, name := range files {
		host, ok := bundleHost(name)
		if !ok || e.names[host] != nil || len(e.names)-len(e.hosts) >= e.demand.cfg.MaxNames {
			continue
		}
		if !e.demand.allows(host) && e.demand.cfg.Ask == "" {
			continue
		}
		now := time.Now()
		if m := e.load(host, true); m.pair != nil && (now.Before(m.pair.Leaf().NotAfter) || now.Before(m.floor(now))) {
			e.names[host] = m
		}
	}
	return nil
}

func (e *acmeEntry) view() *view { return e.shown.Load() }

// publish puts what the names have in force.
func (e *acmeEntry) publish() {
	e.mu.Lock()
	defer e.mu.Unlock()
	v := newView()
	put := func(m *managed) {
		switch pair, why := m.state(); {
		case pair != nil && m.onDemand:
			v.put(m.host, pair) // one customer's must not be shown to all others
		case pair != nil:
			v.add(m.host, pair)
		case !m.onDemand:
			v.awaited[m.host] = why
		}
	}
	for _, host := range e.hosts {
		put(e.names[host])
	}
	for _, host := range slices.Sorted(maps.Keys(e.names)) {
		if m := e.names[host]; m.onDemand {
			put(m)
		}
	}
	e.shown.Store(v)
}

func (e *acmeEntry) reload() error { return nil }

func (e *acmeEntry) takeKept() {
	taken := false
	for _, m := range e.all() {
		taken = m.takeKept() || taken
	}
	if taken {
		e.publish()
	}
}

func (e *acmeEntry) run(ctx context.Context) error {
	cache := e.newCache()
	defer cache.Stop()
	e.mu.Lock()
	e.running, e.cache = ctx, cache
	for _, m := range e.names {
		e.group.Go(func() { m.run(ctx) })
	}
	e.mu.Unlock()
	<-ctx.Done()
	e.mu.Lock()
	e.running = nil
	e.mu.Unlock()
	e.group.Wait()
	for _, one := range e.authority.cas {
		one.http.CloseIdleConnections()
	}
	return nil
}

// newCache returns the cache that certmagic wants; ours stays empty, and has nothing
// to look after.
func (e *acmeEntry) newCache() *certmagic.Cache {
	never := time.Duration(math.MaxInt64)
	return certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert:   func(certmagic.Certificate) (*certmagic.Config, error) { return nil, errors.New("not kept here") },
		RenewCheckInterval: never,
		OCSPCheckInterval:  never,
		Logger:             e.manager.zap(),
	})
}

// all returns the names, in order.
func (e *acmeEntry) all() []*managed {
	e.mu.Lock()
	defer e.mu.Unlock()
	var list []*managed
	for _, host := range slices.Sorted(maps.Keys(e.names)) {
		list = append(list, e.names[host])
	}
	return list
}

// renew has all names renewed at once: the manager bounds how many are ordered at a
// time, and one that takes long holds up no other.
func (e *acmeEntry) renew(ctx context.Context) error {
	names := e.all()
	failed := make([]error, len(names))
	var renewing sync.WaitGroup
	for i, m := range names {
		renewing.Go(func() {
			if err := m.renewNow(ctx); err != nil {
				failed[i] = fmt.Errorf("%s: %w", m.host, err)
			}
		})
	}
	renewing.Wait()
	return errors.Join(failed...)
}

func (e *acmeEntry) status() []Status {
	var list []Status
	for _, m := range e.all() {
		list = append(list, m.status())
	}
	return list
}

// caOf is the configured CA behind a directory, nil if it is none of the entry's
// any more.
func (e *acmeEntry) caOf(directory string) *ca {
	for _, one := range e.authority.cas {
		if one.directory == directory {
			return one
		}
	}
	return nil
}
