package servercert

import (
	"crypto/tls"
	"strings"
)

// Selector picks a listener's certificate for a client. It is immutable; what
// it picks from follows the certificates' reloads. Any number of goroutines may
// use it.
type Selector struct {
	certificates  []*Certificate
	refuseUnknown bool
}

// NewSelector returns a selector over certificates, of which the first is the
// default. With refuseUnknown, a name that none is for gets none of them.
func NewSelector(certificates []*Certificate, refuseUnknown bool) *Selector {
	return &Selector{certificates: certificates, refuseUnknown: refuseUnknown}
}

// Pick returns the certificate for a client's hello: one whose host is the name
// asked for, then one whose wildcard covers it, then the default; among equals
// the first that the client can use (RFC 8446, section 4.4.2.2), so an RSA and
// an ECDSA certificate may share a name. It returns nil where unknown names are
// refused and this is one. A client that names no server gets the default.
func (s *Selector) Pick(hello *tls.ClientHelloInfo) *Certificate {
	name := strings.ToLower(strings.TrimSuffix(hello.ServerName, "."))
	if name == "" {
		return s.usable(hello, func(*loaded) bool { return true })
	}
	if c := s.usable(hello, func(l *loaded) bool { return l.exact[name] }); c != nil {
		return c
	}
	if _, rest, ok := strings.Cut(name, "."); ok {
		if c := s.usable(hello, func(l *loaded) bool { return l.wild[rest] }); c != nil {
			return c
		}
	}
	if s.refuseUnknown {
		return nil
	}
	// SupportsCertificate also compares names, and no certificate is for this one.
	nameless := *hello
	nameless.ServerName = ""
	return s.usable(&nameless, func(*loaded) bool { return true })
}

// Serves says whether Pick has a certificate for a client that asks for this
// name.
func (s *Selector) Serves(serverName string) bool {
	name := strings.ToLower(strings.TrimSuffix(serverName, "."))
	if name == "" || !s.refuseUnknown {
		return len(s.certificates) > 0
	}
	_, rest, _ := strings.Cut(name, ".")
	for _, c := range s.certificates {
		if l := c.loaded.Load(); l.exact[name] || rest != "" && l.wild[rest] {
			return true
		}
	}
	return false
}

// usable returns the first matching certificate that the client supports, or
// else the first matching one, with which the handshake then fails in crypto/tls
// with the precise reason.
func (s *Selector) usable(hello *tls.ClientHelloInfo, match func(*loaded) bool) *Certificate {
	var first *Certificate
	for _, c := range s.certificates {
		l := c.loaded.Load()
		if !match(l) {
			continue
		}
		if hello.SupportsCertificate(&l.tls) == nil {
			return c
		}
		if first == nil {
			first = c
		}
	}
	return first
}
