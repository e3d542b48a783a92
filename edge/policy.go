package edge

import (
	"crypto/tls"
	"crypto/x509"
	"time"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/proxy"
	"github.com/sallyport/sallyport/edge/reason"
	"github.com/sallyport/sallyport/edge/securitypolicy"
	"github.com/sallyport/sallyport/edge/servercert"
	"github.com/sallyport/sallyport/edge/truststore"
)

// policy is a listener's configuration made ready: what a connection on it is
// judged by. It is immutable.
type policy struct {
	name       string
	cfg        config.Listener
	tls        *tls.Config // nil on a plain listener
	selector   *servercert.Selector
	store      *truststore.Store // nil unless clients are verified
	trust      truststore.Policy
	handshakes turns
	http       *proxy.Listener
}

// newPolicy makes a TLS listener's policy; the parts it refers to are already
// loaded.
func newPolicy(name string, cfg config.Listener, tlsPolicy *securitypolicy.Policy, selector *servercert.Selector, store *truststore.Store, http *proxy.Listener) *policy {
	mutual := cfg.MutualAuthentication
	p := &policy{
		name:       name,
		cfg:        cfg,
		selector:   selector,
		store:      store,
		handshakes: make(turns, cfg.Limits.Handshakes),
		http:       http,
		trust: truststore.Policy{
			IgnoreExpiry:  mutual.IgnoreClientCertificateExpiry,
			Strict:        mutual.CertificateRules == config.RulesStrict,
			AllowEd25519:  mutual.AllowEd25519,
			MaxChainDepth: mutual.MaxChainDepth,
			MaxSize:       int64(cfg.Limits.ClientCertificate),
		},
	}
	if cfg.Protocol == config.HTTP {
		return p
	}
	p.tls = &tls.Config{
		NextProtos: []string{"http/1.1"},
		// The checks of a client's certificate are ours: crypto/tls only sees to
		// it that there is one, and that the client holds its key.
		ClientAuth: tls.RequireAnyClientCert,
		// A resumed session would skip the client's proof of its key; until
		// sessions are bound to what they were admitted under, each connection
		// does a full handshake.
		SessionTicketsDisabled: true,
	}
	if mutual.Mode == config.ModeOff {
		p.tls.ClientAuth = tls.NoClientCert
	}
	if cfg.Attributes.HTTP2 {
		p.tls.NextProtos = []string{"h2", "http/1.1"}
	}
	tlsPolicy.Apply(p.tls)
	return p
}

func (p *policy) mode() config.Mode { return p.cfg.MutualAuthentication.Mode }

func (p *policy) passthrough() bool { return p.mode() == config.ModePassthrough }

// asksForCertificate is true unless the configuration says off in so many words.
func (p *policy) asksForCertificate() bool { return p.mode() != config.ModeOff }

// advertised returns the CAs whose names are sent to clients, nil for none.
func (p *policy) advertised() *x509.CertPool {
	if !p.cfg.MutualAuthentication.AdvertiseTrustStoreCANames {
		return nil
	}
	return p.store.ClientCAs()
}

// judge says whether a presented chain lets its holder in, and as whom. A mode
// that is neither verify nor passthrough has no business here and is refused.
func (p *policy) judge(presented []*x509.Certificate, now time.Time) (*truststore.Verified, error) {
	switch p.mode() {
	case config.ModeVerify:
		return p.store.Verify(presented, p.trust, now)
	case config.ModePassthrough:
		return nil, truststore.CheckPresented(presented, p.trust.MaxSize)
	}
	return nil, reason.Errorf(reason.InternalError, "listener %s judges a certificate in mode %q", p.name, p.mode())
}
