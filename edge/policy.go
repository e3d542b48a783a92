package edge

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"net/netip"
	"slices"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/pluginhost"
	"github.com/sallyport/sallyport/edge/proxy"
	"github.com/sallyport/sallyport/edge/securitypolicy"
	"github.com/sallyport/sallyport/edge/servercert"
	"github.com/sallyport/sallyport/edge/tickets"
)

// policy is a listener's configuration made ready: what a connection on it is
// judged by. It is immutable.
type policy struct {
	name       string
	cfg        config.Listener
	tls        *tls.Config // nil on a plain listener
	tlsDigest  [sha256.Size]byte
	selector   *servercert.Selector
	admissions admissions
	proxies    []netip.Prefix // whose PROXY protocol header is taken
	handshakes turns
	http       *proxy.Listener
	chain      *pluginhost.Chain // nil for no plugins; set before the policy is in force
	page       *pageAccess       // what is served in the place of requests; nil but on the admin listener
}

// newPolicy makes a listener's policy; the parts it refers to are already
// loaded. tlsPolicy and selector are nil for a plain listener.
func newPolicy(name string, cfg config.Listener, tlsPolicy *securitypolicy.Policy, selector *servercert.Selector, as admissions, http *proxy.Listener) *policy {
	p := &policy{
		name:       name,
		cfg:        cfg,
		selector:   selector,
		admissions: as,
		handshakes: make(turns, cfg.Limits.Handshakes),
		http:       http,
	}
	for _, network := range cfg.ProxyProtocol.From {
		p.proxies = append(p.proxies, network.Prefix())
	}
	if cfg.Protocol == config.HTTP {
		return p
	}
	p.tls = &tls.Config{
		NextProtos: []string{"http/1.1"},
		// Each handshake says by its server name what it needs; until then,
		// everything.
		ClientAuth: tls.RequireAnyClientCert,
		// crypto/tls's own tickets are bound to nothing; ours are attached to each
		// connection once it is known what they are bound to.
		SessionTicketsDisabled: true,
		// Small records first would make several packets of an answer of 2 KiB.
		DynamicRecordSizingDisabled: true,
	}
	// They seal nothing, since sessions are ours. But without any, crypto/tls makes
	// some for every handshake, whose configuration it finds to be new.
	p.tls.SetSessionTicketKeys([][32]byte{randomKey()})
	if cfg.Attributes.HTTP2 {
		p.tls.NextProtos = []string{"h2", "http/1.1"}
	}
	tlsPolicy.Apply(p.tls)
	p.tlsDigest = sha256.Sum256(fmt.Appendf(nil, "%d %d %v %v", tlsPolicy.MinVersion, tlsPolicy.MaxVersion, tlsPolicy.CipherSuites, tlsPolicy.Curves))
	return p
}

func randomKey() (key [32]byte) {
	rand.Read(key[:])
	return key
}

// session is the tickets' side of a handshake: what is resumed was begun on this
// listener, under this server name, TLS policy, admission and set of CAs, or is
// not resumed.
func (p *policy) session(store *tickets.Store, a *admission, serverName string) *tickets.Session {
	if !p.cfg.SessionTickets {
		return &tickets.Session{}
	}
	var anchors [32]byte
	if a.store != nil {
		anchors = a.store.AnchorsID()
	}
	under := sha256.Sum256(slices.Concat(p.tlsDigest[:], a.digest[:]))
	return store.For(tickets.Binding(p.name, serverName, under, anchors))
}

// trusts says whether a PROXY protocol header from this address is taken.
func (p *policy) trusts(address netip.Addr) bool {
	for _, network := range p.proxies {
		if network.Contains(address) {
			return true
		}
	}
	return false
}
