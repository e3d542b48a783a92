package securitypolicy

import (
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/edge/config"
)

// Custom returns the policy that a configuration describes. What crypto/tls could
// not keep to, and what could never be negotiated, is an error.
func Custom(name string, cfg config.SecurityPolicy) (*Policy, error) {
	p, err := custom(name, cfg)
	if err != nil {
		return nil, fmt.Errorf("security policy %q: %w", name, err)
	}
	return p, nil
}

func custom(name string, cfg config.SecurityPolicy) (*Policy, error) {
	if name == "" {
		return nil, errors.New("want a name")
	}
	if strings.HasPrefix(strings.ToLower(name), strings.ToLower(Prefix)) {
		return nil, fmt.Errorf("want a name without %s, which is for ALB's own", Prefix)
	}
	p := &Policy{Name: name}
	var err error
	if p.MinVersion, p.MaxVersion, err = versions(cfg.Protocols); err != nil {
		return nil, err
	}
	if p.Curves, err = curves(cfg.Groups, p); err != nil {
		return nil, err
	}
	if p.CipherSuites, err = suites(cfg.CipherSuites, p); err != nil {
		return nil, err
	}
	return p, nil
}

var protocols = []struct {
	name    string
	version uint16
}{{"TLSv1.0", v10}, {"TLSv1.1", v11}, {"TLSv1.2", v12}, {"TLSv1.3", v13}}

// versions returns the bounds of the protocols named, which must have no gap.
func versions(names []string) (lowest, highest uint16, err error) {
	if len(names) == 0 {
		return 0, 0, fmt.Errorf("no protocols: want some of %s", protocolList())
	}
	listed := make(map[uint16]bool)
	for _, name := range names {
		version, ok := protocolVersion(name)
		if !ok {
			return 0, 0, fmt.Errorf("protocol %q: want one of %s", name, protocolList())
		}
		if listed[version] {
			return 0, 0, fmt.Errorf("protocol %q: listed twice", name)
		}
		listed[version] = true
	}
	for _, protocol := range protocols {
		if listed[protocol.version] {
			if lowest == 0 {
				lowest = protocol.version
			}
			highest = protocol.version
		}
	}
	for _, protocol := range protocols {
		if protocol.version > lowest && protocol.version < highest && !listed[protocol.version] {
			return 0, 0, fmt.Errorf("protocols %s: %s is missing between them, and Go's crypto/tls cannot leave it out",
				strings.Join(names, ", "), protocol.name)
		}
	}
	return lowest, highest, nil
}

func protocolVersion(name string) (uint16, bool) {
	for _, protocol := range protocols {
		if protocol.name == name {
			return protocol.version, true
		}
	}
	return 0, false
}

// protocolName is how configurations spell a version; logs spell the first TLSv1.
func protocolName(version uint16) string {
	for _, protocol := range protocols {
		if protocol.version == version {
			return protocol.name
		}
	}
	return VersionName(version)
}

func protocolList() string {
	names := make([]string, 0, len(protocols))
	for _, protocol := range protocols {
		names = append(names, protocol.name)
	}
	return strings.Join(names, ", ")
}

// curves returns the groups named. Without any, it is all that p's versions know.
func curves(names []string, p *Policy) ([]tls.CurveID, error) {
	if len(names) == 0 {
		if p.MaxVersion < v13 {
			return slices.Clone(classicalGroups), nil
		}
		return slices.Concat(hybridGroups, classicalGroups), nil
	}
	var ids []tls.CurveID
	for _, name := range names {
		i := slices.IndexFunc(groups, func(g group) bool { return g.config == name })
		if i < 0 {
			return nil, fmt.Errorf("group %q: want one of %s", name, groupList())
		}
		id := groups[i].id
		switch {
		case slices.Contains(ids, id):
			return nil, fmt.Errorf("group %q: listed twice", name)
		case slices.Contains(hybridGroups, id) && p.MaxVersion < v13:
			return nil, fmt.Errorf("group %q: it needs TLSv1.3, which is not among the protocols", name)
		}
		ids = append(ids, id)
	}
	return ids, nil
}

func groupList() string {
	names := make([]string, 0, len(groups))
	for _, g := range groups {
		names = append(names, g.config)
	}
	return strings.Join(names, ", ")
}

// suites returns the cipher suites named, and TLS 1.3's where p offers that.
func suites(names []string, p *Policy) ([]uint16, error) {
	var ids []uint16
	if p.MaxVersion == v13 {
		for _, c := range ciphers {
			if c.tls13 {
				ids = append(ids, c.id)
			}
		}
	}
	if p.MinVersion == v13 {
		if len(names) > 0 {
			return nil, fmt.Errorf("cipher suites %s: want none where TLSv1.3 is the only protocol, whose three are always offered",
				strings.Join(names, ", "))
		}
		return ids, nil
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("no cipher suites: %s needs some of %s", protocolName(p.MinVersion), suiteList())
	}
	oldest := uint16(v13) // of what the suites named came with
	for _, name := range names {
		i := slices.IndexFunc(ciphers, func(c cipher) bool { return c.name == name })
		if i < 0 {
			return nil, fmt.Errorf("cipher suite %q: want some of %s", name, suiteList())
		}
		c := ciphers[i]
		switch {
		case c.tls13:
			return nil, fmt.Errorf("cipher suite %q: it is TLS 1.3's and comes with the protocol TLSv1.3: want some of %s", name, suiteList())
		case !c.implemented:
			return nil, fmt.Errorf("cipher suite %q: Go's crypto/tls lacks it: want some of %s", name, suiteList())
		case slices.Contains(ids, c.id):
			return nil, fmt.Errorf("cipher suite %q: listed twice", name)
		case c.min > p.MaxVersion:
			return nil, fmt.Errorf("cipher suite %q: it needs TLSv1.2, which is not among the protocols", name)
		case c.ecdhe && !slices.ContainsFunc(p.Curves, func(id tls.CurveID) bool { return slices.Contains(classicalGroups, id) }):
			return nil, fmt.Errorf("cipher suite %q: it needs one of the groups X25519, P-256, P-384, P-521", name)
		}
		oldest = min(oldest, c.min)
		ids = append(ids, c.id)
	}
	if oldest > p.MinVersion {
		return nil, fmt.Errorf("cipher suites %s: %s could use none of them, for which they end in -SHA",
			strings.Join(names, ", "), protocolName(p.MinVersion))
	}
	return ids, nil
}

func suiteList() string {
	var names []string
	for _, c := range ciphers {
		if c.implemented && !c.tls13 {
			names = append(names, c.name)
		}
	}
	return strings.Join(names, ", ")
}
