// Package securitypolicy holds the TLS versions, cipher suites and key exchange
// groups that a listener offers: ALB's security policies by name, and custom
// ones.
//
// A policy offers exactly what it lists, in so far as the process has not been
// narrowed further (GODEBUG=tlsmlkem=0 or FIPS 140 mode, say). The order of its
// lists means nothing: crypto/tls has its own.
//
// Every function and method here may be called by any number of goroutines.
package securitypolicy

import (
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
)

// Prefix begins the name of each of ALB's policies, and of no custom one.
const Prefix = "ELBSecurityPolicy-"

// Policy is what a listener offers. It is not to be changed. The zero Policy
// offers nothing.
type Policy struct {
	Name string

	// MinVersion and MaxVersion bound the versions offered, with no gap.
	MinVersion, MaxVersion uint16

	// CipherSuites are all that are offered, those of TLS 1.3 included.
	CipherSuites []uint16

	// Curves are the key exchange groups.
	Curves []tls.CurveID

	// Warnings say, for people, what the policy of this name offers elsewhere and
	// cannot here.
	Warnings []string
}

// Lookup returns ALB's policy of that name, which begins with Prefix. A name that
// ALB does not know is an error that suggests some, and a policy that crypto/tls
// would widen is an error that names the nearest one that can be had.
func Lookup(name string) (*Policy, error) {
	i := slices.IndexFunc(albPolicies, func(row albPolicy) bool { return Prefix+row.name == name })
	if i < 0 {
		return nil, fmt.Errorf("security policy %q: no such policy: did you mean %s", name, strings.Join(suggest(name), " or "))
	}
	row := albPolicies[i]
	p := &Policy{
		Name:       name,
		MinVersion: row.min,
		MaxVersion: row.max,
		Curves:     slices.Clone(classicalGroups),
	}
	if row.postQuantum() {
		p.Curves = slices.Concat(hybridGroups, classicalGroups)
	}
	var absent []string
	var tls13 int
	for _, n := range row.ciphers {
		c := ciphers[n-1]
		switch {
		case !c.implemented:
			absent = append(absent, c.name)
			continue
		case c.tls13:
			tls13++
		}
		p.CipherSuites = append(p.CipherSuites, c.id)
	}
	// crypto/tls offers all suites of TLS 1.3 or none.
	if row.max == tls.VersionTLS13 && tls13 != tls13Suites {
		return nil, fmt.Errorf("security policy %q: it leaves out cipher suites of TLS 1.3, which Go's crypto/tls always offers: the nearest that can be had is %s",
			name, Prefix+row.nearest)
	}
	if len(absent) > 0 {
		p.Warnings = []string{"not offered, since Go's crypto/tls lacks them: " + strings.Join(absent, ", ")}
	}
	return p, nil
}

// Names returns the names of all of ALB's policies, also of those that Lookup
// refuses, in the order of AWS's page about them.
func Names() []string {
	names := make([]string, 0, len(albPolicies))
	for _, row := range albPolicies {
		names = append(names, Prefix+row.name)
	}
	return names
}

// Apply sets the versions, suites and groups of c to p's. A zero Policy leaves c
// with no version to speak, so that every handshake fails.
func (p *Policy) Apply(c *tls.Config) {
	c.MinVersion, c.MaxVersion = p.MinVersion, p.MaxVersion
	if p.MinVersion == 0 || p.MaxVersion == 0 || len(p.Curves) == 0 {
		// Empty limits and groups mean crypto/tls's defaults there.
		c.MinVersion, c.MaxVersion = tls.VersionTLS13, tls.VersionTLS10
	}
	c.CurvePreferences = slices.Clone(p.Curves)
	// Never nil, which would mean the defaults. Suites of TLS 1.3 have no effect
	// here and would only hide whether others are there.
	c.CipherSuites = make([]uint16, 0, len(p.CipherSuites))
	for _, id := range p.CipherSuites {
		if !isTLS13(id) {
			c.CipherSuites = append(c.CipherSuites, id)
		}
	}
}
