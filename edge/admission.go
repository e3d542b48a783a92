package edge

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"iter"
	"net/netip"
	"strings"
	"time"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/reason"
	"github.com/sallyport/sallyport/edge/truststore"
)

// admission is how the clients of a server name are judged. It is immutable.
type admission struct {
	mutual config.MutualAuthentication
	store  *truststore.Store // nil unless certificates are judged
	trust  truststore.Policy

	// digest is equal for admissions that judge alike, in this process and any
	// other. What lives in the trust store (CAs, CRLs) is not in it.
	digest [sha256.Size]byte
}

func newAdmission(mutual config.MutualAuthentication, store *truststore.Store, filters *truststore.Filters, maxSize config.Size) *admission {
	a := &admission{
		mutual: mutual,
		store:  store,
		trust: truststore.Policy{
			IgnoreExpiry:  mutual.IgnoreClientCertificateExpiry,
			Strict:        mutual.CertificateRules == config.RulesStrict,
			AllowEd25519:  mutual.AllowEd25519,
			MaxChainDepth: mutual.MaxChainDepth,
			MaxSize:       int64(maxSize),
			Filters:       filters,
		},
	}
	a.digest = sha256.Sum256(fmt.Appendf(nil, "%s %q %t %t %t %d %d %x", mutual.Mode, mutual.TrustStore,
		a.trust.IgnoreExpiry, a.trust.Strict, a.trust.AllowEd25519, a.trust.MaxChainDepth, a.trust.MaxSize, filters.ID()))
	return a
}

func (a *admission) mode() config.Mode { return a.mutual.Mode }

// clientAuth is what crypto/tls must see to: that there is a certificate, where
// one is needed, and that the client holds its key. The rest is judged by us. A
// mode that is none asks for a certificate that judge then refuses.
func (a *admission) clientAuth() tls.ClientAuthType {
	switch a.mode() {
	case config.ModeOff:
		return tls.NoClientCert
	case config.ModeOptional:
		return tls.RequestClientCert
	}
	return tls.RequireAnyClientCert
}

// advertised returns the CAs whose names are sent to clients, nil for none.
func (a *admission) advertised() *x509.CertPool {
	if a.store == nil || !a.mutual.AdvertiseTrustStoreCANames {
		return nil
	}
	return a.store.ClientCAs()
}

// judge says whether a presented chain lets its holder in, and as whom; nobody
// is nil. It is called on every handshake, resumed ones too.
func (a *admission) judge(h *truststore.Handshake, now time.Time) (*truststore.Verified, error) {
	switch a.mode() {
	case config.ModeOff:
		return nil, nil
	case config.ModeOptional:
		if len(h.Presented) == 0 {
			return nil, nil
		}
		return a.store.VerifyHandshake(h, a.trust, now)
	case config.ModeVerify:
		return a.store.VerifyHandshake(h, a.trust, now)
	case config.ModePassthrough:
		return nil, truststore.CheckPresented(h.Presented, a.trust.MaxSize)
	}
	return nil, reason.Errorf(reason.InternalError, "no client can be judged in mode %q", a.mode())
}

// settles says whether what judge returned may stand: a client that must be
// somebody, and is nobody, has slipped past a check.
func (a *admission) settles(presented []*x509.Certificate, verified *truststore.Verified) bool {
	switch a.mode() {
	case config.ModeOff, config.ModePassthrough:
		return verified == nil
	case config.ModeOptional:
		return (verified != nil) == (len(presented) > 0)
	}
	return verified != nil
}

// admissions are a listener's, by server name.
type admissions struct {
	byDefault *admission
	exact     map[string]*admission
	wild      map[string]*admission // "example.com" for *.example.com
}

// all yields each of them.
func (as *admissions) all() iter.Seq[*admission] {
	return func(yield func(*admission) bool) {
		if as.byDefault != nil && !yield(as.byDefault) {
			return
		}
		for _, some := range []map[string]*admission{as.exact, as.wild} {
			for _, a := range some {
				if !yield(a) {
					return
				}
			}
		}
	}
}

// of returns how clients of a server name are judged. Names compare without
// case and without a dot at the end; no name, and an address, get the default.
func (as *admissions) of(name string) *admission {
	if len(as.exact)+len(as.wild) == 0 {
		return as.byDefault
	}
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if a := as.exact[name]; a != nil {
		return a
	}
	if _, rest, ok := strings.Cut(name, "."); ok {
		if a := as.wild[rest]; a != nil {
			return a
		}
	}
	return as.byDefault
}

// ofHost is of for a Host header or :authority, which may carry a port. It is
// nil for one that has more than one reading; the proxy refuses such as
// malformed before it asks.
func (as *admissions) ofHost(host string) *admission {
	if strings.HasPrefix(host, "[") {
		return as.byDefault // an IPv6 address
	}
	name, port, _ := strings.Cut(host, ":")
	if strings.Contains(port, ":") {
		return nil
	}
	if _, err := netip.ParseAddr(name); err == nil {
		return as.byDefault
	}
	return as.of(name)
}
