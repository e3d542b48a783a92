package config

import "testing"

// TestAdminListenerIsStrict wants whoever sees the page judged as strictly as the
// edge can, whatever listeners' defaults are.
func TestAdminListenerIsStrict(t *testing.T) {
	a := AdminListener{Address: "127.0.0.1:1", Certificate: "api", TrustStore: "operators",
		IdentityFilters: IdentityFilters{Subject: NameFilter{CommonName: []string{"ops"}}}}
	l := a.Listener()
	m := l.MutualAuthentication
	if m.Mode != ModeVerify || m.CertificateRules != RulesStrict || m.TrustStore != "operators" || len(m.IdentityFilters.Subject.CommonName) != 1 {
		t.Errorf("clients are judged by %+v", m)
	}
	if l.Protocol != HTTPS || l.Attributes.HTTP2 || len(l.IdentityHeaders.Presets) != 0 || len(l.Certificates) != 1 {
		t.Errorf("got %+v", l)
	}
}
