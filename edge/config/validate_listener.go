package config

import "strings"

func (v *validator) listeners() {
	v.needed("listeners", len(v.c.Listeners) > 0, "at least one")
	type place struct {
		path string
		at   Address
	}
	var taken []place
	metrics := place{path: "admin.metrics"}
	if _, ok := socketAddress(v.c.Admin.Metrics); ok {
		metrics.at, _ = ParseAddress(v.c.Admin.Metrics)
	}
	if admin := v.c.Admin.Listener; admin.On() {
		if at, err := ParseAddress(admin.Address); err == nil && at.IsSocket() {
			if at.conflicts(metrics.at) {
				v.errorf("admin.listener.address", "%s: %s listens there already", quote(admin.Address), metrics.path)
			}
			taken = append(taken, place{"admin.listener.address", at})
		}
	}
	for _, name := range sorted(v.c.Listeners) {
		l := v.c.Listeners[name]
		path := v.name("listeners", name)
		v.listener(path, l)

		addresses := child(path, "address")
		v.needed(addresses, len(l.Address) > 0, "HOST:PORT or :PORT")
		for i, address := range l.Address {
			path := item(addresses, i)
			if !v.sure(path) {
				continue
			}
			at, err := ParseAddress(address)
			if err != nil {
				v.errorf(path, "%s: %v", quote(address), err)
				continue
			}
			// The metrics' socket is nobody's to steer to: it must be clear of all.
			if at.conflicts(metrics.at) || !at.IsSocket() && at.meets(metrics.at) {
				v.errorf(path, "%s: %s listens there already", quote(address), metrics.path)
			}
			for _, other := range taken {
				if at.conflicts(other.at) {
					v.errorf(path, "%s: %s", quote(address), conflict(at, other.at, other.path))
					break
				}
			}
			taken = append(taken, place{path, at})
		}
	}
}

// conflict says what is wrong with two addresses that conflict.
func conflict(a, b Address, place string) string {
	if a.IsSocket() && b.IsSocket() || a == b {
		return place + " listens there already"
	}
	return place + " overlaps with it and neither is more specific: want a longer prefix, or fewer ports, for one of them"
}

func (v *validator) listener(path string, l Listener) {
	if v.sure(child(path, "protocol")) {
		if l.Protocol == HTTP {
			v.plainListener(path, l)
		} else {
			v.tlsListener(path, l)
		}
	}
	v.identityHeaders(child(path, "identity_headers"), l.IdentityHeaders)
	v.presetsOfPassthrough(child(path, "identity_headers"), l)
	v.responseAttributes(child(child(path, "attributes"), "response"), l.Attributes.Response, l.Protocol)
	v.pluginsOf(child(path, "plugins"), l.Plugins)

	timeouts := child(path, "timeouts")
	positive(v, child(timeouts, "idle"), l.Timeouts.Idle, "a duration")
	positive(v, child(timeouts, "request_head"), l.Timeouts.RequestHead, "a duration")

	for i, network := range l.ProxyProtocol.From {
		if network.Prefix().Bits() == 0 {
			v.warnf(item(child(child(path, "proxy_protocol"), "from"), i), "%s is everybody: whoever connects says what its address is, in logs, limits and bans: want the networks of the proxies", network.Prefix())
		}
	}
	v.limits(child(path, "limits"), l.Limits)
	v.action(child(path, "default_action"), l)
}

func (v *validator) limits(path string, l Limits) {
	positive(v, child(path, "handshake_timeout"), l.HandshakeTimeout, "a duration")
	positive(v, child(path, "connections"), l.Connections, "a number")
	positive(v, child(path, "connections_per_address"), l.ConnectionsPerAddress, "a number")
	positive(v, child(path, "handshakes"), l.Handshakes, "a number")
	// crypto/tls reads no certificate message beyond this.
	const most = 256 << 10
	if l.ClientCertificate <= 0 || l.ClientCertificate > most {
		v.errorf(child(path, "client_certificate"), "%v: want a size above zero and at most %v", l.ClientCertificate, Size(most))
	}
}

func (v *validator) tlsListener(path string, l Listener) {
	certificates, names := child(path, "certificates"), v.c.certificateNames()
	switch {
	case l.Certificates != nil && len(l.Certificates) == 0:
		v.errorf(certificates, "want at least one name; leave the key out for all certificates")
	case l.Certificates == nil && len(names) == 0 && v.sure(certificates, "certificates"):
		v.errorf(path, "protocol https needs a certificate: want one under certificates")
	}
	for i, name := range l.Certificates {
		v.among(item(certificates, i), "certificates", name, names)
	}
	v.unique(certificates, l.Certificates, same)

	if policy := l.SecurityPolicy; !strings.HasPrefix(policy, builtinPrefix) {
		if at := child(path, "security_policy"); len(v.c.SecurityPolicies) > 0 {
			v.among(at, "security_policies", policy, sorted(v.c.SecurityPolicies))
		} else if v.sure(at) && !v.c.source.lost("security_policies") {
			v.errorf(at, "%s: want one of ALB's, such as %s, or a name from security_policies, which is empty", quote(policy), DefaultSecurityPolicy)
		}
	}
	v.mutualAuthentication(child(path, "mutual_authentication"), l.MutualAuthentication)
	for _, host := range sorted(l.Hosts) {
		at := child(child(path, "hosts"), host)
		if !isHost(strings.TrimPrefix(host, "*.")) {
			v.errorf(at, "%s: want a DNS name in lower case, or one with * as its whole first label", quote(host))
		}
		mutual := child(at, "mutual_authentication")
		v.needed(mutual, v.c.source.wrote(mutual), "how clients of this host are judged")
		v.mutualAuthentication(mutual, l.Hosts[host].MutualAuthentication)
	}
}

// plainListener refuses whatever looks as if clients were judged, where nobody
// is: a listener that was meant to have TLS must not open without a word.
func (v *validator) plainListener(path string, l Listener) {
	const only = "only for protocol https"
	if l.Certificates != nil {
		v.errorf(child(path, "certificates"), only)
	}
	if l.SecurityPolicy != DefaultSecurityPolicy || v.c.source.wrote(child(path, "security_policy")) {
		v.errorf(child(path, "security_policy"), "%s: "+only, quote(l.SecurityPolicy))
	}
	if l.UnknownServerName != UnknownDefaultCertificate {
		v.errorf(child(path, "unknown_server_name"), "%s: "+only, quote(string(l.UnknownServerName)))
	}
	if len(l.Hosts) > 0 {
		v.errorf(child(path, "hosts"), only)
	}
	if v.c.source.wrote(child(path, "session_tickets")) {
		v.errorf(child(path, "session_tickets"), only)
	}
	for _, key := range []string{"limits.handshakes", "limits.client_certificate", "attributes.http2", "attributes.x_amzn_tls_version_and_cipher_suite"} {
		section, name, _ := strings.Cut(key, ".")
		if at := child(child(path, section), name); v.c.source.wrote(at) {
			v.errorf(at, only)
		}
	}
	mutual, m := child(path, "mutual_authentication"), l.MutualAuthentication
	if m.TrustStore != "" {
		v.errorf(child(mutual, "trust_store"), "%s: "+only, quote(m.TrustStore))
		m.TrustStore = ""
	}
	if m.Mode != ModeOff {
		v.errorf(child(mutual, "mode"), "%s: "+only+": want off", quote(string(m.Mode)))
		return
	}
	v.mutualAuthentication(mutual, m)
}

func (v *validator) mutualAuthentication(path string, m MutualAuthentication) {
	if (m.Mode.judges() || !v.sure(child(path, "mode"))) && (m.MaxChainDepth < 1 || m.MaxChainDepth > 16) {
		v.errorf(child(path, "max_chain_depth"), "%d: want a number from 1 to 16", m.MaxChainDepth)
	}
	v.identityFilters(child(path, "identity_filters"), m.IdentityFilters)
	mode, store := child(path, "mode"), child(path, "trust_store")
	if m.TrustStore != "" && (m.Mode.judges() || !v.sure(mode)) {
		v.among(store, "trust_stores", m.TrustStore, sorted(v.c.TrustStores))
	}
	if !v.sure(mode) {
		return
	}
	if m.Mode.judges() {
		v.needed(store, m.TrustStore != "", "the name of a trust store, for mode "+string(m.Mode))
		return
	}
	outside := "only for the modes verify and optional, and the mode is " + string(m.Mode)
	if m.TrustStore != "" {
		v.errorf(store, "%s: %s", quote(m.TrustStore), outside)
	}
	if m.IgnoreClientCertificateExpiry {
		v.errorf(child(path, "ignore_client_certificate_expiry"), "true: %s", outside)
	}
	if m.AdvertiseTrustStoreCANames {
		v.errorf(child(path, "advertise_trust_store_ca_names"), "on: %s", outside)
	}
	if m.CertificateRules != RulesALB {
		v.errorf(child(path, "certificate_rules"), "%s: %s", quote(string(m.CertificateRules)), outside)
	}
	if m.AllowEd25519 {
		v.errorf(child(path, "allow_ed25519"), "true: %s", outside)
	}
	if depth := child(path, "max_chain_depth"); v.c.source.wrote(depth) {
		v.errorf(depth, "%d: %s", m.MaxChainDepth, outside)
	}
	if !m.IdentityFilters.IsZero() {
		v.errorf(child(path, "identity_filters"), "%s", outside)
	}
}

// certificatesOf returns the names of the certificates that l shows.
func (l Listener) certificatesOf(c *Config) []string {
	switch {
	case l.Protocol != HTTPS:
		return nil
	case l.Certificates == nil:
		return c.certificateNames()
	}
	return l.Certificates
}
