package config

import (
	"maps"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// validate judges what can be judged without opening a file: the form of values,
// and whether they fit one another. The content of security policies is left to
// package securitypolicy. Words are in their sets, where the decoder said
// nothing.
func (c *Config) validate() Problems {
	v := validator{c: c}
	v.loadBalancer()
	v.admin()
	v.logs()
	v.tracing()
	v.securityPolicies()
	for _, name := range sorted(c.TrustStores) {
		v.trustStore(v.name("trust_stores", name), c.TrustStores[name])
	}
	v.certificates()
	for _, name := range sorted(c.TargetGroups) {
		v.targetGroup(v.name("target_groups", name), c.TargetGroups[name])
	}
	for _, name := range sorted(c.Plugins) {
		v.plugin(v.name("plugins", name), c.Plugins[name])
	}
	v.listeners()
	v.ban()
	// One misspelt name is an error where it is used; that nothing uses the right
	// one would be said for the same mistake.
	if v.found.Err() == nil && v.sure("") {
		v.unused()
	}
	return v.found
}

// normalise brings values of one meaning into one form.
func (c *Config) normalise() {
	for i := range c.Certificates {
		for j, host := range c.Certificates[i].Hosts {
			c.Certificates[i].Hosts[j] = strings.ToLower(host)
		}
		if a := c.Certificates[i].ACME; a != nil && a.OnDemand != nil {
			for j, host := range a.OnDemand.Allow {
				a.OnDemand.Allow[j] = strings.ToLower(host)
			}
		}
	}
	for name, g := range c.TargetGroups {
		g.HealthCheck.normalise(g.ProtocolVersion, c.source.wrote(child("target_groups", name)+".health_check.timeout"))
		c.TargetGroups[name] = g
	}
}

// validator collects what validate finds. A rule about several paths runs only
// if sure holds for each of them, so that one mistake is reported once.
type validator struct {
	c     *Config
	found Problems
}

func (v *validator) errorf(path, format string, args ...any) {
	if !v.c.source.lost(path) {
		v.found = append(v.found, v.c.Problemf(path, format, args...))
	}
}

func (v *validator) warnf(path, format string, args ...any) {
	if !v.c.source.lost(path) {
		v.found = append(v.found, v.c.Warningf(path, format, args...))
	}
}

// sure tells that all paths hold what was written there, or that nothing was.
func (v *validator) sure(paths ...string) bool {
	return !slices.ContainsFunc(paths, v.c.source.unsure)
}

// needed reports that nothing is at path.
func (v *validator) needed(path string, present bool, want string) {
	if !present && v.sure(path) {
		v.errorf(path, "needed: want %s", want)
	}
}

var namePattern = regexp.MustCompile(`^([a-zA-Z0-9]+-)*[a-zA-Z0-9]+$`)

const nameForm = "letters and digits with single hyphens between them, at most 32"

func isName(s string) bool { return len(s) <= 32 && namePattern.MatchString(s) }

// name judges a key of a map of names, and returns its path.
func (v *validator) name(section, name string) string {
	path := child(section, name)
	if !isName(name) {
		v.errorf(path, "name %s: want %s", quote(name), nameForm)
	}
	return path
}

// among reports a name that is not one of names.
func (v *validator) among(path, section, name string, names []string) {
	if slices.Contains(names, name) || !v.sure(path) || v.c.source.lost(section) {
		return
	}
	if len(names) == 0 {
		v.errorf(path, "%s: want a name from %s, which is empty", quote(name), section)
		return
	}
	v.errorf(path, "%s: want a name from %s: %s", quote(name), section, oneOf(names))
}

// unique reports what is in list twice, both taken as form makes them.
func (v *validator) unique(path string, list []string, form func(string) string) {
	seen := map[string]int{}
	for i, s := range list {
		key := form(s)
		first, ok := seen[key]
		switch {
		case !v.sure(item(path, i)):
		case ok:
			v.errorf(item(path, i), "%s: is in the list already, as item %d", quote(s), first)
		default:
			seen[key] = i
		}
	}
}

func same(s string) string { return s }

// positive reports a number, duration or size that is not above zero.
func positive[N ~int | ~int64](v *validator, path string, n N, want string) {
	if n <= 0 {
		v.errorf(path, "%v: want %s above zero", n, want)
	}
}

// unused warns of what nothing refers to.
func (v *validator) unused() {
	c := v.c
	used := map[string]bool{}
	for _, l := range c.Listeners {
		used["trust_stores."+l.MutualAuthentication.TrustStore] = true
		for _, host := range l.Hosts {
			used["trust_stores."+host.MutualAuthentication.TrustStore] = true
		}
		used["target_groups."+l.DefaultAction.Forward] = true
		used["security_policies."+l.SecurityPolicy] = true
		for _, name := range l.certificatesOf(c) {
			used["certificates."+name] = true
		}
		for _, name := range l.Plugins {
			used["plugins."+name] = true
		}
	}
	if c.Admin.Listener.On() {
		used["trust_stores."+c.Admin.Listener.TrustStore] = true
		l := c.Admin.Listener.Listener()
		for _, name := range l.certificatesOf(c) {
			used["certificates."+name] = true
		}
	}
	for name := range c.Plugins {
		if !used["plugins."+name] {
			v.warnf(child("plugins", name), "no listener uses this plugin")
		}
	}
	for name, g := range c.TargetGroups {
		if used["target_groups."+name] {
			used["certificates."+g.HTTPS.Certificate] = true
		} else {
			v.warnf(child("target_groups", name), "no listener forwards to this target group")
		}
	}
	for name := range c.TrustStores {
		if !used["trust_stores."+name] {
			v.warnf(child("trust_stores", name), "no listener uses this trust store")
		}
	}
	for name := range c.SecurityPolicies {
		if !used["security_policies."+name] {
			v.warnf(child("security_policies", name), "no listener uses this security policy")
		}
	}
	for i, cert := range c.Certificates {
		if cert.Name != "" && !used["certificates."+cert.Name] {
			v.warnf(item("certificates", i), "no listener and no target group uses certificate %s", quote(cert.Name))
		}
	}
}

// socketAddress reads HOST:PORT or :PORT; a host is an IP address, the empty one
// the zero Addr.
func socketAddress(s string) (netip.AddrPort, bool) {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return netip.AddrPort{}, false
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || strconv.FormatUint(n, 10) != port {
		return netip.AddrPort{}, false
	}
	if host == "" {
		return netip.AddrPortFrom(netip.Addr{}, uint16(n)), true
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(ip.Unmap(), uint16(n)), true
}

// overlap tells that a socket on b cannot be opened beside one on a. The edge's
// sockets on an unspecified address take both families.
func overlap(a, b netip.AddrPort) bool {
	everywhere := func(a netip.Addr) bool { return !a.IsValid() || a.IsUnspecified() }
	return a.Port() != 0 && a.Port() == b.Port() &&
		(a.Addr() == b.Addr() || everywhere(a.Addr()) || everywhere(b.Addr()))
}

var hostLabel = regexp.MustCompile(`^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$`)

// isHost tells whether s is a DNS name in lower case, without a dot at its end.
func isHost(s string) bool {
	if s == "" || len(s) > 253 {
		return false
	}
	labels := strings.Split(s, ".")
	for _, label := range labels {
		if !hostLabel.MatchString(label) {
			return false
		}
	}
	// A last label of digits only is an IPv4 address in one of its old forms.
	return strings.Trim(labels[len(labels)-1], "0123456789") != ""
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
