package servercert

import (
	"crypto/tls"
	"fmt"
	"strings"
	"time"
)

// Selector picks a listener's certificate for a client. It is immutable; what
// it picks from follows the certificates' reloads and renewals. Any number of
// goroutines may use it.
type Selector struct {
	certificates  []*Certificate
	refuseUnknown bool
}

// NewSelector returns a selector over certificates, of which the first is the
// default. With refuseUnknown, a name that none is for gets none of them.
func NewSelector(certificates []*Certificate, refuseUnknown bool) *Selector {
	return &Selector{certificates: certificates, refuseUnknown: refuseUnknown}
}

// UnavailableError says that a certificate is to be there and is not yet.
type UnavailableError struct {
	Certificate, Host, Cause string
}

func (e *UnavailableError) Error() string {
	text := fmt.Sprintf("certificate %s has none for %q yet", e.Certificate, e.Host)
	if e.Cause != "" {
		text += ": " + e.Cause
	}
	return text
}

// Pick returns the certificate for a client's hello: one whose host is the name
// asked for, then one whose wildcard covers it, then the default; among equals
// the first that the client can use (RFC 8446, section 4.4.2.2), so an RSA and
// an ECDSA certificate may share a name. One that has expired comes after all
// others of the name. It returns nil where unknown names are refused and this is
// one, and where there is no default: what was issued on demand is for its own name
// only. A client that names no server gets the default. The error, an
// *UnavailableError, says that a CA has not issued it yet: none that is for other
// names is shown in its place, since clients of that name would be told a lie.
func (s *Selector) Pick(hello *tls.ClientHelloInfo) (*Pair, error) {
	now := time.Now()
	name := normal(hello.ServerName)
	if name == "" {
		return s.byDefault(hello, now)
	}
	exact, good := s.usable(hello, now, func(v *view) *Pair { return v.exact[name] })
	if good {
		return exact.used(), nil
	}
	var wild *Pair
	rest, ok := wildcardOf(name)
	if ok {
		if wild, good = s.usable(hello, now, func(v *view) *Pair { return v.wild[rest] }); good {
			return wild.used(), nil
		}
	}
	if exact != nil {
		return exact.used(), nil
	}
	if err := s.awaited(name); err != nil {
		return nil, err
	}
	if wild != nil {
		return wild.used(), nil
	}
	if ok {
		if err := s.awaited("*." + rest); err != nil {
			return nil, err
		}
	}
	if s.refuseUnknown {
		return nil, nil
	}
	// SupportsCertificate also compares names, and no certificate is for this one.
	nameless := *hello
	nameless.ServerName = ""
	return s.byDefault(&nameless, now)
}

func normal(serverName string) string {
	return strings.ToLower(strings.TrimSuffix(serverName, "."))
}

func (s *Selector) byDefault(hello *tls.ClientHelloInfo, now time.Time) (*Pair, error) {
	if p, _ := s.usable(hello, now, func(v *view) *Pair { return v.first }); p != nil {
		return p.used(), nil
	}
	for _, c := range s.certificates {
		for host, why := range c.shown().awaited {
			return nil, &UnavailableError{c.name, host, why}
		}
	}
	return nil, nil
}

// awaited returns an error if the host is to have a certificate and no entry has
// one.
func (s *Selector) awaited(host string) error {
	for _, c := range s.certificates {
		if why, ok := c.shown().awaited[host]; ok {
			return &UnavailableError{c.name, host, why}
		}
	}
	return nil
}

// Serves says whether Pick has, or may come to have, a certificate for a client
// that asks for this name.
func (s *Selector) Serves(serverName string) bool {
	name := normal(serverName)
	if name == "" || !s.refuseUnknown {
		for _, c := range s.certificates {
			if v := c.shown(); v.first != nil || len(v.awaited) > 0 {
				return true
			}
		}
	}
	if name == "" {
		return false
	}
	for _, c := range s.certificates {
		if c.shown().has(name) || c.mayObtain(name) {
			return true
		}
	}
	return false
}

// has says whether the view has a pair for the name, or awaits one.
func (v *view) has(name string) bool {
	if v.exact[name] != nil {
		return true
	}
	if _, ok := v.awaited[name]; ok {
		return true
	}
	rest, ok := wildcardOf(name)
	if !ok {
		return false
	}
	_, awaited := v.awaited["*."+rest]
	return awaited || v.wild[rest] != nil
}

// Demand returns the entry that may have a certificate issued for this name while
// its client waits: nil if some entry is for the name already, or none may.
func (s *Selector) Demand(serverName string) *Certificate {
	name := normal(serverName)
	if name == "" {
		return nil
	}
	for _, c := range s.certificates {
		if c.shown().has(name) {
			return nil
		}
	}
	for _, c := range s.certificates {
		if c.mayObtain(name) {
			return c
		}
	}
	return nil
}

// usable returns the first matching pair that the client supports, those that have
// not expired before the others; good is one of the former. Without any it is the
// first matching one, with which the handshake then fails in crypto/tls with the
// precise reason.
func (s *Selector) usable(hello *tls.ClientHelloInfo, now time.Time, match func(*view) *Pair) (p *Pair, good bool) {
	var expired, first *Pair
	for _, c := range s.certificates {
		p := match(c.shown())
		switch {
		case p == nil:
			continue
		case hello.SupportsCertificate(&p.tls) != nil:
			if first == nil {
				first = p
			}
		case p.valid(now):
			return p, true
		case expired == nil:
			expired = p
		}
	}
	if expired != nil {
		return expired, false
	}
	return first, false
}

// used notes that a client is shown the pair.
func (p *Pair) used() *Pair {
	if p != nil && p.wanted != nil && !p.wanted.Load() {
		p.wanted.Store(true)
	}
	return p
}
