package config

import "time"

// defaulter is a section that is not all zero when nothing is written. The
// decoder calls it before it fills the section, so that a written zero is told
// from an unwritten one.
type defaulter interface{ setDefaults() }

// DefaultSecurityPolicy is what ALB's console gives a new HTTPS listener.
const DefaultSecurityPolicy = "ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09"

func (c *Config) setDefaults() {
	c.StateDir = "/var/lib/sallyport"
	c.Admin.Socket = "/run/sallyport/admin.sock"
	c.LoadBalancer = LoadBalancer{Name: "sallyport", ID: "0000000000000000", Account: "000000000000", Region: "local"}
	c.Logs.setDefaults()
	c.Tracing.setDefaults()
	c.Ban.setDefaults()
	c.Ban.Mode = BanOff
}

func (s *TrustStore) setDefaults() {
	s.Source = SourceFile
	s.Revocation = Revocation{CRL: CRLAuto, Scope: ScopeChain, OnExpiredCRL: ExpiredCRL{Then: ThenDeny}}
	s.Revocation.setFreshness()
	s.Limits = TrustStoreLimits{CACertificates: 25, CACertificateSize: 16 << 10, SubjectsSize: 10000, CRLSize: 512 << 20, CRLEntries: 20_000_000}
}

func (g *TargetGroup) setDefaults() {
	g.ProtocolVersion = HTTP1
	g.Timeouts = TargetTimeouts{
		Connect:  Duration(2 * time.Second),
		Response: Duration(60 * time.Second),
		Idle:     Duration(60 * time.Second),
	}
	g.HealthCheck.setDefaults()
	g.HealthCheck.Enabled = false
}

func (l *Listener) setDefaults() {
	l.Protocol = HTTPS
	l.UnknownServerName = UnknownDefaultCertificate
	l.SecurityPolicy = DefaultSecurityPolicy
	l.MutualAuthentication.setDefaults()
	l.SessionTickets = true
	l.IdentityHeaders = IdentityHeaders{
		Presets:     []HeaderPreset{PresetALB},
		XFCCDetails: []XFCCDetail{XFCCCert, XFCCSubject, XFCCURI, XFCCDNS},
		MaxSize:     16 << 10,
	}
	l.Attributes = Attributes{XFFHeaderProcessing: XFFAppend, DesyncMitigationMode: DesyncDefensive, HTTP2: true}
	l.Attributes.Response.Server = true
	l.Timeouts = Timeouts{
		Idle:        Duration(60 * time.Second),
		RequestHead: Duration(10 * time.Second),
		Drain:       Duration(30 * time.Second),
	}
	l.Limits = Limits{
		HandshakeTimeout:      Duration(5 * time.Second),
		Connections:           100000,
		ConnectionsPerAddress: 1000,
		Handshakes:            1000,
		ClientCertificate:     64 << 10,
	}
}

func (h *Host) setDefaults() { h.MutualAuthentication.setDefaults() }

func (m *MutualAuthentication) setDefaults() {
	*m = MutualAuthentication{Mode: ModeOff, MaxChainDepth: 4, CertificateRules: RulesALB}
}

func (r *FixedResponse) setDefaults() { r.ContentType = "text/plain" }

func (r *Redirect) setDefaults() {
	*r = Redirect{Protocol: "#{protocol}", Host: "#{host}", Port: "#{port}", Path: "/#{path}", Query: "#{query}"}
}
