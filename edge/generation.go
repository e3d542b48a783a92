package edge

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"time"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/identity"
	"github.com/sallyport/sallyport/edge/logfile"
	"github.com/sallyport/sallyport/edge/proxy"
	"github.com/sallyport/sallyport/edge/securitypolicy"
	"github.com/sallyport/sallyport/edge/servercert"
	"github.com/sallyport/sallyport/edge/truststore"
)

// generation is a configuration with everything that it names loaded: built
// whole beside the one in force, then put in force by one pointer.
type generation struct {
	number       uint64
	loaded       time.Time
	cfg          *config.Config
	loadBalancer string
	stores       map[string]*truststore.Store
	certificates map[string]*servercert.Certificate
	groups       map[string]*proxy.TargetGroup
	policies     map[string]*policy

	// Opened only when the generation is put in force.
	connectionLog *connectionSink
	accessLog     *logfile.File
}

// builder makes a generation out of a configuration, and reports everything
// that stands against it. What the generation in force has loaded under the same
// configuration is taken over, with what it has learned.
type builder struct {
	cfg      *config.Config
	old      *generation // nil at the start
	readOnly bool        // leaves no trace on disk, for Check
	log      *slog.Logger

	next     *generation
	problems config.Problems
}

func (b *builder) build() (*generation, config.Problems) {
	b.next = &generation{
		number:       1,
		loaded:       time.Now(),
		cfg:          b.cfg,
		loadBalancer: "app/" + b.cfg.LoadBalancer.Name + "/" + b.cfg.LoadBalancer.ID,
		stores:       map[string]*truststore.Store{},
		certificates: map[string]*servercert.Certificate{},
		groups:       map[string]*proxy.TargetGroup{},
		policies:     map[string]*policy{},
	}
	if b.old != nil {
		b.next.number = b.old.number + 1
	}
	b.logs()
	b.trustStores()
	b.serverCertificates()
	b.targetGroups()
	b.listeners()
	b.problems.Sort()
	return b.next, b.problems
}

func (b *builder) problem(path string, format string, args ...any) {
	b.problems = append(b.problems, b.cfg.Problemf(path, format, args...))
}

func (b *builder) warning(path string, format string, args ...any) {
	b.problems = append(b.problems, b.cfg.Warningf(path, format, args...))
}

// logs checks what can be checked of the log files without making them.
func (b *builder) logs() {
	for path, name := range map[string]string{
		"logs.connection.file": b.cfg.Logs.Connection.File,
		"logs.access.file":     b.cfg.Logs.Access.File,
	} {
		if name == "" {
			continue
		}
		dir := filepath.Dir(b.cfg.ResolvePath(name))
		if info, err := os.Stat(dir); err != nil {
			b.problem(path, "%q: %v", name, err)
		} else if !info.IsDir() {
			b.problem(path, "%q: %s is not a directory", name, dir)
		}
	}
}

func (b *builder) trustStores() {
	for _, name := range slices.Sorted(maps.Keys(b.cfg.TrustStores)) {
		path, cfg := "trust_stores."+name, b.cfg.TrustStores[name]
		if cfg.CABundle.File == "" || slices.Contains(cfg.CRLs, config.File{}) {
			continue // reported by config
		}
		if b.old != nil && reflect.DeepEqual(b.old.cfg.TrustStores[name], cfg) && b.old.stores[name] != nil {
			store := b.old.stores[name]
			if err := store.Reload(); err != nil {
				b.fieldProblem(path, err)
			}
			b.next.stores[name] = store
			continue
		}
		options := truststore.Options{
			Dir:      filepath.Join(b.cfg.ResolvePath(b.cfg.StateDir), "trust_stores", name),
			ReadOnly: b.readOnly,
			Resolve:  b.cfg.ResolvePath,
			Log:      b.log,
			Now:      time.Now,
		}
		store, warnings, err := truststore.New(name, cfg, options)
		for _, text := range warnings {
			b.warning(path, "%s", text)
		}
		if err != nil {
			b.fieldProblem(path, err)
			continue
		}
		b.next.stores[name] = store
	}
}

// fieldProblem reports an error of a part at the field that it names, if it
// names one.
func (b *builder) fieldProblem(path string, err error) {
	var many interface{ Unwrap() []error }
	if errors.As(err, &many) {
		for _, err := range many.Unwrap() {
			b.fieldProblem(path, err)
		}
		return
	}
	var store *truststore.FieldError
	var certificate *servercert.FieldError
	switch {
	case errors.As(err, &store):
		path, err = path+"."+store.Field, store.Err
	case errors.As(err, &certificate):
		path, err = path+"."+certificate.Field, certificate.Err
	}
	b.problem(path, "%v", err)
}

func (b *builder) serverCertificates() {
	for i, cfg := range b.cfg.Certificates {
		if cfg.File.Cert == "" || cfg.File.Key == "" {
			continue // reported by config
		}
		path := fmt.Sprintf("certificates[%d]", i)
		certificate, err := b.serverCertificate(cfg)
		if err != nil {
			b.fieldProblem(path, err)
			continue
		}
		if leaf := certificate.Leaf(); time.Now().After(leaf.NotAfter) {
			b.warning(path, "certificate %s expired at %s", cfg.Name, leaf.NotAfter.UTC().Format(time.RFC3339))
		}
		b.next.certificates[cfg.Name] = certificate
	}
}

func (b *builder) serverCertificate(cfg config.Certificate) (*servercert.Certificate, error) {
	if b.old != nil {
		for _, old := range b.old.cfg.Certificates {
			if certificate := b.old.certificates[cfg.Name]; certificate != nil && reflect.DeepEqual(old, cfg) {
				return certificate, certificate.Reload()
			}
		}
	}
	return servercert.Load(cfg, b.cfg.ResolvePath)
}

func (b *builder) targetGroups() {
	for _, name := range slices.Sorted(maps.Keys(b.cfg.TargetGroups)) {
		path, cfg := "target_groups."+name, b.cfg.TargetGroups[name]
		if b.old != nil && reflect.DeepEqual(b.old.cfg.TargetGroups[name], cfg) && cfg.HTTPS == (config.TargetTLS{}) {
			b.next.groups[name] = b.old.groups[name]
			continue
		}
		group, err := proxy.NewTargetGroup(name, cfg, b.targetTLS(path+".https", cfg.HTTPS))
		if err != nil {
			b.problem(path, "%v", err)
			continue
		}
		b.next.groups[name] = group
	}
}

// targetTLS is how the edge speaks TLS to a group's targets: it always checks
// who they are.
func (b *builder) targetTLS(path string, cfg config.TargetTLS) *tls.Config {
	t := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: cfg.ServerName}
	if cfg.CA != "" {
		data, err := os.ReadFile(b.cfg.ResolvePath(cfg.CA))
		if err != nil {
			b.problem(path+".ca", "%v", err)
		}
		t.RootCAs = x509.NewCertPool()
		if err == nil && !t.RootCAs.AppendCertsFromPEM(data) {
			b.problem(path+".ca", "%q: no certificate found: want a PEM file of CA certificates", cfg.CA)
		}
	}
	if certificate := b.next.certificates[cfg.Certificate]; certificate != nil {
		t.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return certificate.Current(), nil
		}
	}
	return t
}

func (b *builder) listeners() {
	headers := map[string]*identity.Headers{}
	var names []string
	for name, cfg := range b.cfg.Listeners {
		compiled, err := identity.Compile(cfg.IdentityHeaders)
		if err != nil {
			b.problem("listeners."+name+".identity_headers", "%v", err)
			continue
		}
		headers[name] = compiled
		names = append(names, compiled.Names()...)
	}
	// One stripper for all: a name that any listener vouches for may come in from
	// no client, on no listener.
	strip := identity.NewStripper(names...)
	for _, name := range slices.Sorted(maps.Keys(b.cfg.Listeners)) {
		if headers[name] != nil {
			b.listener(name, b.cfg.Listeners[name], headers[name], strip)
		}
	}
}

// listener makes one listener's policy. What the configuration itself gets
// wrong has been reported by config already and is passed over here.
func (b *builder) listener(name string, cfg config.Listener, headers *identity.Headers, strip *identity.Stripper) {
	path := "listeners." + name
	action, err := proxy.NewAction(cfg.DefaultAction, b.next.groups)
	if err != nil {
		if b.complete() {
			b.problem(path+".default_action", "%v", err)
		}
		return
	}
	http := &proxy.Listener{
		Name:       name,
		Secure:     cfg.Protocol == config.HTTPS,
		Action:     action,
		Strip:      strip,
		Identity:   headers,
		Attributes: cfg.Attributes,
		Timeouts:   cfg.Timeouts,
	}
	if cfg.Protocol == config.HTTP {
		b.next.policies[name] = newPolicy(name, cfg, nil, nil, nil, http)
		return
	}
	tlsPolicy, err := b.securityPolicy(cfg.SecurityPolicy)
	if err != nil {
		b.problem(path+".security_policy", "%v", err)
		return
	}
	for _, text := range tlsPolicy.Warnings {
		b.warning(path+".security_policy", "%s", text)
	}
	selector := servercert.NewSelector(b.shown(cfg), cfg.UnknownServerName == config.UnknownRefuse)
	store := b.next.stores[cfg.MutualAuthentication.TrustStore]
	if store == nil && cfg.MutualAuthentication.Mode == config.ModeVerify {
		return // reported where the trust store is, or is not, defined
	}
	b.next.policies[name] = newPolicy(name, cfg, tlsPolicy, selector, store, http)
}

// complete is true while nothing is wrong, so that what then goes wrong is not
// the echo of something reported already.
func (b *builder) complete() bool { return b.problems.Err() == nil }

func (b *builder) securityPolicy(name string) (*securitypolicy.Policy, error) {
	if own, ok := b.cfg.SecurityPolicies[name]; ok {
		return securitypolicy.Custom(name, own)
	}
	return securitypolicy.Lookup(name)
}

// shown returns a listener's certificates, its default first.
func (b *builder) shown(cfg config.Listener) []*servercert.Certificate {
	names := cfg.Certificates
	if len(names) == 0 {
		for _, c := range b.cfg.Certificates {
			names = append(names, c.Name)
		}
	}
	var list []*servercert.Certificate
	for _, name := range names {
		if certificate := b.next.certificates[name]; certificate != nil {
			list = append(list, certificate)
		}
	}
	return list
}
