package config

// AdminListener serves the status page, and nothing else of the admin API, by TLS
// to clients whose certificate verifies. Anybody else is refused in the handshake.
// They are judged as a listener's clients are, by certificate_rules strict; their
// connections are in the connection log and end when a listener's would, and their
// failures count for bans. Off unless it is written.
type AdminListener struct {
	// Address is HOST:PORT or :PORT. A host is an IP address. Needed where the
	// section is written; default none.
	Address string `yaml:"address"`
	// Certificate, by its name under certificates, that it shows; the page is served
	// under its names only, and under IP addresses and localhost. Default: all of
	// them, as for a listener.
	Certificate string `yaml:"certificate"`
	// TrustStore that clients are judged by, from the trust_stores section: one of
	// operators' CAs. Needed where the section is written; default none.
	TrustStore string `yaml:"trust_store"`
	// IdentityFilters say whom to let in of those that the trust store vouches for.
	IdentityFilters IdentityFilters `yaml:"identity_filters"`
	// Actions lets those who see the page also end bans on it. Default false.
	Actions bool `yaml:"actions"`
}

// On says whether the listener is wanted.
func (a *AdminListener) On() bool { return a.Address != "" }

// Listener is what a as a listener is: one for few clients, which is not for HTTP/2
// and forwards to nobody.
func (a *AdminListener) Listener() Listener {
	var l Listener
	l.setDefaults()
	l.Address = Addresses{a.Address}
	if a.Certificate != "" {
		l.Certificates = []string{a.Certificate}
	}
	l.MutualAuthentication.Mode = ModeVerify
	l.MutualAuthentication.TrustStore = a.TrustStore
	l.MutualAuthentication.CertificateRules = RulesStrict
	l.MutualAuthentication.IdentityFilters = a.IdentityFilters
	l.IdentityHeaders.Presets = nil
	l.Attributes.HTTP2 = false
	l.Limits.Connections = 256
	l.Limits.ConnectionsPerAddress = 64
	return l
}
