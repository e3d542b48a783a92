package pluginhost

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/identity"
)

// Next is a configuration's plugins, all of them running, before they are put in
// force. Either Commit or Abandon must be called.
type Next struct {
	host    *Host
	plugins map[string]*Plugin
	fresh   []*Plugin
	rules   map[string]*rules
	chains  map[string]*Chain
}

// Prepare starts the plugins that cfg adds or changes, and those whose files have
// changed; the others stay as they are. If one does not start, none is kept.
// Reserved are the headers that the configuration calls those of a client's
// identity, beside those that are known to be. It is not called again before
// Commit or Abandon.
func (h *Host) Prepare(ctx context.Context, cfg *config.Config, reserved []string) (*Next, error) {
	n := &Next{host: h, plugins: map[string]*Plugin{}, rules: map[string]*rules{}, chains: map[string]*Chain{}}
	h.mu.Lock()
	for name, c := range cfg.Plugins {
		p := h.newPlugin(name, c, cfg.ResolvePath)
		if old := h.plugins[name]; old != nil && reflect.DeepEqual(old.cfg, c) && reflect.DeepEqual(old.spec, p.spec) && slices.Equal(old.files, p.files) {
			n.plugins[name] = old
			continue
		}
		n.plugins[name] = p
		n.fresh = append(n.fresh, p)
	}
	h.mu.Unlock()
	if err := n.start(ctx); err != nil {
		n.Abandon()
		return nil, err
	}
	if err := n.share(reserved); err != nil {
		n.Abandon()
		return nil, err
	}
	return n, nil
}

func (h *Host) newPlugin(name string, cfg config.Plugin, resolve func(string) string) *Plugin {
	p := &Plugin{host: h, name: name, cfg: cfg, wanted: hooksOf(cfg), again: make(chan struct{}, 1), over: make(chan struct{})}
	if p.stats = h.stats[name]; p.stats == nil {
		p.stats = &stats{}
		h.stats[name] = p.stats
	}
	if cfg.Headers.On() {
		return p
	}
	if cfg.Attach != "" {
		p.socket = resolve(cfg.Attach)
		return p
	}
	p.spec = Spec{
		Name:         name,
		Command:      slices.Clone(cfg.Command),
		Env:          cfg.Env,
		User:         cfg.User,
		Network:      cfg.Network,
		Memory:       int64(cfg.Memory),
		CPU:          float64(cfg.Sandbox.CPU) / 1000,
		Tasks:        cfg.Sandbox.Tasks,
		Require:      cfg.Sandbox.Require,
		StartTimeout: cfg.StartTimeout.Std(),
	}
	if cfg.Dir != "" {
		p.spec.Dir = resolve(cfg.Dir)
	}
	for i, word := range p.spec.Command {
		if i == 0 && strings.Contains(word, "/") || isFile(word) {
			p.spec.Command[i] = resolve(word)
		}
		if sum, pinned := cfg.Pinned[word]; pinned && i > 0 {
			if p.spec.Pinned == nil {
				p.spec.Pinned = map[string]string{}
			}
			p.spec.Pinned[p.spec.Command[i]] = sum.String()
		}
	}
	for _, path := range cfg.Sandbox.Write {
		p.spec.Write = append(p.spec.Write, resolve(path))
	}
	for _, path := range cfg.Files {
		p.spec.Files = append(p.spec.Files, resolve(path))
	}
	if cfg.SHA256 != (config.Fingerprint{}) {
		p.spec.SHA256 = cfg.SHA256.String()
	}
	words := p.spec.Command
	if path, err := programOf(&cfg, resolve); err == nil {
		words = append([]string{path}, words[1:]...)
	}
	p.files = filesOf(slices.DeleteFunc(slices.Clone(words), func(w string) bool { return !filepath.IsAbs(w) }))
	return p
}

// start starts the fresh plugins, all at once.
func (n *Next) start(ctx context.Context) error {
	errs := make([]error, len(n.fresh))
	var group sync.WaitGroup
	for i, p := range n.fresh {
		if p.cfg.Headers.On() {
			if errs[i] = p.settleShape(); errs[i] != nil {
				errs[i] = &Error{p.name, fmt.Errorf("plugin %s: %w", p.name, errs[i])}
			}
			continue
		}
		group.Go(func() {
			first, err := p.start(ctx, nil)
			if err != nil {
				errs[i] = &Error{p.name, fmt.Errorf("start plugin %s: %w", p.name, err)}
				return
			}
			p.settle(first)
		})
	}
	group.Wait()
	return errors.Join(errs...)
}

// share says who may change which headers. No two plugins may own the same.
func (n *Next) share(reserved []string) error {
	var errs []error
	reserved = slices.Clone(reserved)
	slices.Sort(reserved)
	identities := identity.NewStripper(reserved...)
	owners := map[string][]string{}
	for name, p := range n.plugins {
		owners[name] = p.known.Owns
		r := &rules{grants: p.cfg.Grants, reserved: reserved, identities: identities}
		for other, q := range n.plugins {
			if other != name {
				r.others = append(r.others, q.known.Owns...)
			}
		}
		slices.Sort(r.others)
		n.rules[name] = r
		if slices.Contains(n.fresh, p) {
			p.rules.Store(r)
		}
		own := *r
		own.others = nil // of two that own one header contested says more
		for _, header := range p.known.Owns {
			if err := own.check(header, true); err != nil {
				errs = append(errs, &Error{name, fmt.Errorf("plugin %s owns %s: %w", name, header, err)})
			}
		}
		if p.shape != nil {
			for _, err := range p.shape.check(r) {
				errs = append(errs, &Error{name, fmt.Errorf("plugin %s: %w", name, err)})
			}
		}
	}
	return errors.Join(append(errs, contested(owners)...)...)
}

// Owned returns the headers that plugins own: no client may send them.
func (n *Next) Owned() []string {
	var names []string
	for _, p := range n.plugins {
		names = append(names, p.known.Owns...)
	}
	slices.Sort(names)
	return names
}

// Chain returns the chain of these plugins; nil for none. It panics for a name
// that the configuration does not have.
func (n *Next) Chain(names []string) *Chain {
	if len(names) == 0 {
		return nil
	}
	key := strings.Join(names, " ")
	if c := n.chains[key]; c != nil {
		return c
	}
	c := &Chain{key: key, idle: make(chan struct{})}
	for _, name := range names {
		p := n.plugins[name]
		if p == nil {
			panic("pluginhost: no plugin " + name)
		}
		c.plugins = append(c.plugins, p)
	}
	n.host.mu.Lock()
	defer n.host.mu.Unlock()
	for _, old := range n.host.chains {
		if old.key == key && slices.Equal(old.plugins, c.plugins) {
			c = old // what connections were told under it still holds
		}
	}
	n.chains[key] = c
	return c
}

// Abandon ends what was started.
func (n *Next) Abandon() {
	for _, p := range n.fresh {
		if i := p.current.Load(); i != nil {
			i.stop(errDismissed)
			i.wait()
		}
	}
}

// Commit puts the plugins in force. Those that are no longer are dismissed once
// nobody uses a chain that has them.
func (n *Next) Commit() {
	h := n.host
	h.mu.Lock()
	defer h.mu.Unlock()
	for name, p := range n.plugins {
		old := p.rules.Swap(n.rules[name])
		if old != nil && !old.equal(n.rules[name]) {
			// For what is kept, other rules have held.
			if i := p.current.Load(); i != nil && i.cache != nil {
				i.cache.forget(nil)
			}
			p.version.Add(1)
		}
		if h.plugins[name] == p {
			p.hurry()
		}
	}
	for _, p := range n.fresh {
		if p.shape != nil {
			continue
		}
		var ctx context.Context
		ctx, p.cancel = context.WithCancel(h.life)
		h.group.Go(func() { p.supervise(ctx) })
	}
	var leaving []*Chain
	for _, c := range h.chains {
		if n.chains[c.key] != c {
			c.close()
			leaving = append(leaving, c)
		}
	}
	for name, p := range h.plugins {
		if n.plugins[name] != p && p.shape == nil {
			h.group.Go(func() { p.retire(h.life, leaving) })
		}
	}
	h.plugins = n.plugins
	h.chains = slices.Collect(maps.Values(n.chains))
}

// lingerTime is how long a plugin that is no longer in force serves the requests
// that began under it.
const lingerTime = 2 * time.Minute

// retire dismisses a plugin once nobody uses the chains that have it.
func (p *Plugin) retire(ctx context.Context, chains []*Chain) {
	patience := time.NewTimer(lingerTime)
	defer patience.Stop()
	for _, c := range chains {
		if !slices.Contains(c.plugins, p) {
			continue
		}
		select {
		case <-c.idle:
			continue
		case <-ctx.Done():
		case <-patience.C:
		}
		break
	}
	p.cancel()
	<-p.over
	p.host.log.Info("plugin dismissed", "plugin", p.name)
}

func (r *rules) equal(o *rules) bool {
	return slices.Equal(r.grants, o.grants) && slices.Equal(r.others, o.others) && slices.Equal(r.reserved, o.reserved)
}
