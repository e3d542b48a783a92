package loadtest

import (
	"crypto/tls"
	"fmt"
	"net"

	utls "github.com/refraction-networking/utls"
)

// secured is a TLS connection of either library.
type secured interface {
	net.Conn
	Handshake() error
	// negotiated is to be called after Handshake.
	negotiated() negotiated
}

// negotiated is what a handshake came to.
type negotiated struct {
	alpn    string
	resumed bool
	version uint16
	suite   uint16
	group   tls.CurveID // 0 where the library does not say
}

func (n negotiated) String() string {
	text := tls.VersionName(n.version) + ", " + tls.CipherSuiteName(n.suite)
	if n.group != 0 {
		text += ", " + n.group.String()
	}
	if n.alpn != "" {
		text += ", " + n.alpn
	}
	return text
}

// securer makes TLS connections for one client after another, and is used by one
// goroutine at a time: who is presented must be set before a handshake.
type securer struct {
	who *identity
	// std or u is set.
	std *tls.Config
	u   *utls.Config
	id  utls.ClientHelloID
	// alpn replaces what the browser offers.
	alpn []string
}

// newSecurer makes a securer for a plan with defaults. With sessions, it keeps
// the last session and offers it.
func newSecurer(p Plan, v *verifier, sessions bool) *securer {
	s := &securer{who: &identity{}}
	alpn := p.ALPN
	if len(alpn) == 0 {
		switch p.Protocol {
		case HTTP1:
			alpn = []string{"http/1.1"}
		case HTTP2:
			alpn = []string{"h2"}
		}
	}
	if p.browser() {
		s.id, s.alpn = browsers[p.Profile], alpn
		s.u = &utls.Config{
			ServerName: p.ServerName,
			NextProtos: alpn,
			// verify judges instead, and remembers.
			InsecureSkipVerify: true,
			VerifyConnection:   func(state utls.ConnectionState) error { return v.verify(state.PeerCertificates) },
			GetClientCertificate: func(*utls.CertificateRequestInfo) (*utls.Certificate, error) {
				return &s.who.u, nil
			},
			// An extension that says nothing gives a client without a session away,
			// and without the other the library panics where a browser has none.
			OmitEmptyPsk:                       true,
			PreferSkipResumptionOnNilExtension: true,
			SessionTicketsDisabled:             !sessions,
		}
		if sessions {
			s.u.ClientSessionCache = utls.NewLRUClientSessionCache(1)
		}
		return s
	}
	s.std = &tls.Config{
		ServerName:         p.ServerName,
		NextProtos:         alpn,
		InsecureSkipVerify: true,
		VerifyConnection:   func(state tls.ConnectionState) error { return v.verify(state.PeerCertificates) },
		// Unlike Certificates, this presents whatever issuers the server names.
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return &s.who.std, nil
		},
		SessionTicketsDisabled: !sessions,
	}
	if sessions {
		s.std.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	}
	switch p.TLSVersion {
	case "1.2":
		s.std.MinVersion, s.std.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	case "1.3":
		s.std.MinVersion = tls.VersionTLS13
	}
	for _, name := range p.Groups {
		s.std.CurvePreferences = append(s.std.CurvePreferences, groups[name])
	}
	return s
}

// secure lays TLS over a connection. Nothing is sent before Handshake.
func (s *securer) secure(raw net.Conn) (secured, error) {
	if s.std != nil {
		return stdConn{tls.Client(raw, s.std)}, nil
	}
	if len(s.alpn) == 0 || s.id == utls.HelloGolang {
		return uConn{utls.UClient(raw, s.u.Clone(), s.id)}, nil
	}
	// A spec holds what a connection makes of it, so each needs its own.
	spec, err := utls.UTLSIdToSpec(s.id)
	if err != nil {
		return nil, fmt.Errorf("make ClientHello: %w", err)
	}
	for _, extension := range spec.Extensions {
		if e, ok := extension.(*utls.ALPNExtension); ok {
			e.AlpnProtocols = s.alpn
		}
	}
	conn := utls.UClient(raw, s.u.Clone(), utls.HelloCustom)
	if err := conn.ApplyPreset(&spec); err != nil {
		return nil, fmt.Errorf("make ClientHello: %w", err)
	}
	return uConn{conn}, nil
}

type stdConn struct{ *tls.Conn }

func (c stdConn) negotiated() negotiated {
	s := c.ConnectionState()
	return negotiated{alpn: s.NegotiatedProtocol, resumed: s.DidResume, version: s.Version, suite: s.CipherSuite, group: s.CurveID}
}

type uConn struct{ *utls.UConn }

func (c uConn) negotiated() negotiated {
	s := c.ConnectionState()
	return negotiated{alpn: s.NegotiatedProtocol, resumed: s.DidResume, version: s.Version, suite: s.CipherSuite}
}
