package edge

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/filewatch"
	"github.com/sallyport/sallyport/edge/health"
	"github.com/sallyport/sallyport/edge/http1"
	"github.com/sallyport/sallyport/edge/identity"
	"github.com/sallyport/sallyport/edge/ocsp"
	"github.com/sallyport/sallyport/edge/page"
	"github.com/sallyport/sallyport/edge/proxy"
	"github.com/sallyport/sallyport/edge/securitypolicy"
	"github.com/sallyport/sallyport/edge/servercert"
	"github.com/sallyport/sallyport/edge/trace"
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
	responders   map[string]*ocsp.Client // of the stores that ask any, by their names
	certificates map[string]*servercert.Certificate
	groups       map[string]*proxy.TargetGroup
	health       map[string]*health.Group // of each of groups
	targetTrust  map[string]targetTrust   // of each of groups
	tracer       *trace.Tracer            // nil where nothing is traced
	policies     map[string]*policy

	identityNames []string                     // headers that carry a client's identity, as configured
	storeNumbers  map[*truststore.Store]uint64 // by which plugins' verdicts are tied to a store

	// reused are taken over from the generation before, and read their files anew
	// when this one is put in force.
	reused []interface{ Reload() error }

	// assumed give responders that are taken over the settings of this one, when it
	// is put in force.
	assumed []func()

	// Opened only when the generation is put in force.
	logs logSet
}

// builder makes a generation out of a configuration, and reports everything
// that stands against it. What the generation in force has loaded under the same
// configuration is taken over, with what it has learned.
type builder struct {
	cfg      *config.Config
	old      *generation // nil at the start
	readOnly bool        // leaves no trace on disk, for Check
	log      *slog.Logger
	page     *page.Page
	version  string              // of the edge
	spans    *trace.Counts       // of this edge; nil if there is no edge
	sweep    func()              // asks for a look at the live connections; nil: nobody does
	manager  *servercert.Manager // of this edge's certificates; nil if there is no edge

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
		responders:   map[string]*ocsp.Client{},
		certificates: map[string]*servercert.Certificate{},
		groups:       map[string]*proxy.TargetGroup{},
		health:       map[string]*health.Group{},
		targetTrust:  map[string]targetTrust{},
		policies:     map[string]*policy{},
	}
	if b.old != nil {
		b.next.number = b.old.number + 1
	}
	if b.manager == nil {
		b.manager = servercert.NewManager(certificateStore(b.cfg), b.log)
	}
	b.places()
	b.logs()
	b.tracing()
	b.bans()
	b.trustStores()
	b.serverCertificates()
	b.targetGroups()
	b.plugins()
	b.listeners()
	b.adminListener()
	b.steering()
	b.problems.Sort()
	return b.next, b.problems
}

func (b *builder) problem(path string, format string, args ...any) {
	b.problems = append(b.problems, b.cfg.Problemf(path, format, args...))
}

func (b *builder) warning(path string, format string, args ...any) {
	b.problems = append(b.problems, b.cfg.Warningf(path, format, args...))
}

// inputs are the files that the configuration has the edge read, and what for.
func (b *builder) inputs() map[string]string {
	inputs := map[string]string{}
	if path, err := filepath.Abs(b.cfg.Name()); err == nil {
		inputs[path] = "the configuration"
	}
	add := func(name, path string) {
		if name != "" {
			inputs[b.cfg.ResolvePath(name)] = path
		}
	}
	for name, store := range b.cfg.TrustStores {
		add(store.CABundle.File, "trust_stores."+name+".ca_bundle")
		for i, crl := range store.CRLs {
			add(crl.File, fmt.Sprintf("trust_stores.%s.crls[%d]", name, i))
			add(crl.CA, fmt.Sprintf("trust_stores.%s.crls[%d].ca", name, i))
		}
		add(store.Revocation.Fetch.CA, "trust_stores."+name+".revocation.fetch.ca")
	}
	for i, c := range b.cfg.Certificates {
		add(c.File.Cert, fmt.Sprintf("certificates[%d].file.cert", i))
		add(c.File.Key, fmt.Sprintf("certificates[%d].file.key", i))
		for _, file := range acmeFiles(c.ACME) {
			add(file, fmt.Sprintf("certificates[%d].acme", i))
		}
	}
	add(b.cfg.Tracing.OTLP.HeadersFile, "tracing.otlp.headers_file")
	add(b.cfg.Tracing.OTLP.CA, "tracing.otlp.ca")
	for name, group := range b.cfg.TargetGroups {
		add(group.HTTPS.CA, "target_groups."+name+".https.ca")
	}
	return inputs
}

// places checks the state directory and the admin socket, where they exist.
func (b *builder) places() {
	if err := checkPrivate(b.cfg.ResolvePath(b.cfg.StateDir)); err != nil {
		b.problem("state_dir", "%v", err)
	}
	if err := checkUser(b.cfg.User, b.readOnly); err != nil {
		b.problem("user", "%v", err)
	}
	socket := b.cfg.ResolvePath(b.cfg.Admin.Socket)
	if err := checkPrivate(filepath.Dir(socket)); err != nil {
		b.problem("admin.socket", "%v", err)
	}
	if info, err := os.Lstat(socket); err == nil && info.Mode().Type() != fs.ModeSocket {
		b.problem("admin.socket", "%q: is there and no socket: want a name that is free", b.cfg.Admin.Socket)
	}
}

// checkPrivate refuses a directory that others than its owner can use. One that
// is not there will be made.
func checkPrivate(dir string) error {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%s is not a directory", dir)
	case info.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("directory %s has mode %#o: want 0700", dir, info.Mode().Perm())
	}
	return nil
}

func (b *builder) trustStores() {
	for _, name := range slices.Sorted(maps.Keys(b.cfg.TrustStores)) {
		path, cfg := "trust_stores."+name, b.cfg.TrustStores[name]
		if cfg.Source != config.SourceAPI && cfg.CABundle.File == "" || slices.ContainsFunc(cfg.CRLs, func(c config.CRL) bool { return (c.File == "") == (c.URL == "") }) {
			continue // reported by config
		}
		var known *truststore.Store
		if b.old != nil && reflect.DeepEqual(b.old.cfg.TrustStores[name], cfg) {
			known = b.old.stores[name]
		}
		options := truststore.Options{
			Dir:      filepath.Join(b.cfg.ResolvePath(b.cfg.StateDir), "trust_stores", name),
			ReadOnly: b.readOnly || known != nil,
			Resolve:  b.cfg.ResolvePath,
			Log:      b.log,
			Now:      time.Now,
		}
		if b.old != nil {
			options.Beside = b.old.stores[name]
		}
		switch {
		case known != nil:
			options.Log = slog.New(slog.DiscardHandler)
		case b.old != nil:
			options.Replaces = b.old.stores[name]
		}
		if err := b.freshen(name, cfg.Revocation, &options); err != nil {
			b.fieldProblem(path, err)
			continue
		}
		store, warnings, err := truststore.New(name, cfg, options)
		for _, text := range warnings {
			b.warning(path, "%s", text)
		}
		if err != nil {
			b.fieldProblem(path, err)
			continue
		}
		if known != nil {
			// What was just read says that the files are sound; the store itself
			// takes them only when nothing else stands against the reload.
			b.next.reused = append(b.next.reused, known)
			store = known
			if responder := b.old.responders[name]; responder != nil {
				b.next.responders[name] = responder
			}
		}
		b.next.stores[name] = store
	}
}

// desyncModes are the modes by their names; what has none is defensive.
var desyncModes = map[config.DesyncMode]http1.Mode{
	config.DesyncMonitor:   http1.Monitor,
	config.DesyncDefensive: http1.Defensive,
	config.DesyncStrictest: http1.Strictest,
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

// targetTrust is what the https section of a target group stands for, besides what it
// says itself: its CA file may hold others than before, and so may its certificate's.
type targetTrust struct {
	ca          [sha256.Size]byte // of the file
	certificate *servercert.Certificate
}

// targetGroups takes over those that have not changed, with the connections to their
// targets and what is known of them: checks that each reload began anew would find
// nothing out while reloads follow each other.
func (b *builder) targetGroups() {
	for _, name := range slices.Sorted(maps.Keys(b.cfg.TargetGroups)) {
		path, cfg := "target_groups."+name, b.cfg.TargetGroups[name]
		conf, trust := b.targetTLS(path+".https", cfg.HTTPS)
		b.next.targetTrust[name] = trust
		if b.old != nil && b.old.groups[name] != nil && b.old.targetTrust[name] == trust && reflect.DeepEqual(b.old.cfg.TargetGroups[name], cfg) {
			b.next.groups[name], b.next.health[name] = b.old.groups[name], b.old.health[name]
			continue
		}
		group, err := proxy.NewTargetGroup(name, cfg, conf)
		if err != nil {
			b.problem(path, "%v", err)
			continue
		}
		b.next.groups[name] = group
		b.watchTargets(path, group, cfg, conf)
	}
}

// maxSmallFile bounds, in bytes, the files that are read whole: CAs of targets and of
// fetches, and a collector's headers.
const maxSmallFile = 1 << 20

// targetTLS is how the edge speaks TLS to a group's targets: it always checks
// who they are.
func (b *builder) targetTLS(path string, cfg config.TargetTLS) (*tls.Config, targetTrust) {
	t, trust := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: cfg.ServerName}, targetTrust{}
	if cfg.CA != "" {
		data, err := filewatch.ReadFile(b.cfg.ResolvePath(cfg.CA), maxSmallFile)
		if err != nil {
			b.problem(path+".ca", "%v", err)
		}
		t.RootCAs = x509.NewCertPool()
		if err == nil && !t.RootCAs.AppendCertsFromPEM(data) {
			b.problem(path+".ca", "%q: no certificate found: want a PEM file of CA certificates", cfg.CA)
		}
		trust.ca = sha256.Sum256(data)
	}
	if certificate := b.next.certificates[cfg.Certificate]; certificate != nil {
		trust.certificate = certificate
		t.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return certificate.Current(), nil
		}
	}
	return t, trust
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
	b.next.identityNames = names
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
		Desync:     desyncModes[cfg.Attributes.DesyncMitigationMode],
		Timeouts:   cfg.Timeouts,
		Response:   responseEdits(cfg.Attributes.Response),
	}
	if b.next.tracer != nil {
		http.Tracer, http.TrustParent = b.next.tracer, cfg.Tracing.TrustParent
	}
	if cfg.Protocol == config.HTTP {
		http.Challenge = b.manager.HTTP01
	}
	if cfg.Protocol == config.HTTP {
		b.next.policies[name] = newPolicy(name, cfg, nil, nil, admissions{}, http)
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
	as := admissions{exact: map[string]*admission{}, wild: map[string]*admission{}}
	if as.byDefault = b.admission(path+".mutual_authentication", cfg.MutualAuthentication, cfg); as.byDefault == nil {
		return
	}
	for _, host := range slices.Sorted(maps.Keys(cfg.Hosts)) {
		a := b.admission(fmt.Sprintf("%s.hosts.%q.mutual_authentication", path, host), cfg.Hosts[host].MutualAuthentication, cfg)
		if a == nil {
			return
		}
		if rest, ok := strings.CutPrefix(host, "*."); ok {
			as.wild[rest] = a
		} else {
			as.exact[host] = a
		}
	}
	b.next.policies[name] = newPolicy(name, cfg, tlsPolicy, selector, as, http)
}

// admission makes one; nil where a part of it is missing, which has been
// reported where it is, or is not, defined.
func (b *builder) admission(path string, mutual config.MutualAuthentication, cfg config.Listener) *admission {
	if mutual.Mode != config.ModeVerify && mutual.Mode != config.ModeOptional {
		return newAdmission(mutual, nil, nil, cfg.Limits.ClientCertificate)
	}
	store := b.next.stores[mutual.TrustStore]
	if store == nil {
		return nil
	}
	sound := true
	mutual.IdentityFilters.Check(func(string, error) { sound = false })
	if !sound {
		return nil
	}
	filters, err := truststore.CompileFilters(mutual.IdentityFilters, b.cfg.ResolvePath)
	if err != nil {
		b.fieldProblem(path+".identity_filters", err)
		return nil
	}
	return newAdmission(mutual, store, b.known(filters), cfg.Limits.ClientCertificate)
}

// known returns the filters in force that are as these, if there are any: chains
// that have been verified under them need not be verified again.
func (b *builder) known(filters *truststore.Filters) *truststore.Filters {
	if b.old == nil || filters == nil {
		return filters
	}
	for _, p := range b.old.policies {
		for a := range p.admissions.all() {
			if old := a.trust.Filters; old != nil && old.ID() == filters.ID() {
				return old
			}
		}
	}
	return filters
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
