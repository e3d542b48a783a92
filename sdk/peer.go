package sdk

import (
	"crypto/x509"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/sallyport/sallyport/sdk/frame"
)

// Peer is the client's certificate. Unless Verified, every method gives the zero
// value. The strings are as the client's authority has written them: any byte may
// be in one.
type Peer struct{ connection Connection }

// Verified reports whether the edge has verified the client's chain up to one of
// its anchors, revocation included, and the client has proved that it holds the
// key.
func (p Peer) Verified() bool { return p.connection.truth(frame.TagCertVerified) }

// may reports whether the field may be looked at: it must have been declared, and
// the peer be verified. cert.verified is declared with every other field.
func (p Peer) may(tag frame.Tag) bool {
	p.connection.ask(tag)
	return p.Verified()
}

func (p Peer) text(tag frame.Tag) string {
	if !p.may(tag) {
		return ""
	}
	return p.connection.text(tag)
}

func (p Peer) list(tag frame.Tag) []string {
	if !p.may(tag) {
		return nil
	}
	return p.connection.list(tag)
}

func (p Peer) time(tag frame.Tag) time.Time {
	if !p.may(tag) {
		return time.Time{}
	}
	return p.connection.time(tag)
}

// Certificate is the client's own certificate, parsed, or nil. It needs CertDER.
func (p Peer) Certificate() *x509.Certificate {
	if !p.may(frame.TagCertDER) {
		return nil
	}
	der := p.connection.call.first(frame.TagCertDER)
	if len(der) == 0 {
		return nil
	}
	return p.connection.call.session.certificates.parse(der)
}

// Chain is the client's chain, its own certificate first, or nil. It needs
// CertChain.
func (p Peer) Chain() []*x509.Certificate {
	if !p.may(frame.TagCertChain) {
		return nil
	}
	var chain []*x509.Certificate
	it := frame.FieldsOf(p.connection.call.body)
	for tag, der, ok := it.Next(); ok; tag, der, ok = it.Next() {
		if tag == frame.TagCertChain {
			chain = append(chain, p.connection.call.session.certificates.parse(der))
		}
	}
	return chain
}

// SHA256 is the hash of the certificate's DER: what [Host.Invalidate] wants.
func (p Peer) SHA256() (sum [32]byte) {
	if p.may(frame.TagCertSHA256) {
		copy(sum[:], p.connection.call.first(frame.TagCertSHA256))
	}
	return sum
}

// Subject is the subject's name as RFC 2253 writes it, as in the header that
// targets get.
func (p Peer) Subject() string { return p.text(frame.TagCertSubject) }

// Issuer is the issuer's name as RFC 2253 writes it.
func (p Peer) Issuer() string { return p.text(frame.TagCertIssuer) }

// Serial is the serial number in hexadecimal: upper case, two digits to a byte.
func (p Peer) Serial() string { return p.text(frame.TagCertSerial) }

// NotBefore is when the certificate becomes valid, in UTC.
func (p Peer) NotBefore() time.Time { return p.time(frame.TagCertNotBefore) }

// NotAfter is the last second in which the certificate is valid, in UTC.
func (p Peer) NotAfter() time.Time { return p.time(frame.TagCertNotAfter) }

// CommonName is the subject's common name; of several the last, as crypto/x509
// has it.
func (p Peer) CommonName() string { return p.text(frame.TagCertCommonName) }

// Organizations are the subject's organizations.
func (p Peer) Organizations() []string { return p.list(frame.TagCertOrganizations) }

// OrganizationalUnits are the subject's organizational units.
func (p Peer) OrganizationalUnits() []string { return p.list(frame.TagCertOrganizationalUnits) }

// DNSNames are the subject alternative names that are names of hosts.
func (p Peer) DNSNames() []string { return p.list(frame.TagCertDNSNames) }

// Emails are the subject alternative names that are mail addresses.
func (p Peer) Emails() []string { return p.list(frame.TagCertEmails) }

// URIs are the subject alternative names that are URIs, SPIFFE IDs among them.
func (p Peer) URIs() []string { return p.list(frame.TagCertURIs) }

// IPs are the subject alternative names that are addresses.
func (p Peer) IPs() []netip.Addr {
	var ips []netip.Addr
	for _, text := range p.list(frame.TagCertIPs) {
		ip, err := netip.ParseAddr(text)
		if err != nil {
			panic(fmt.Sprintf("the edge sent an address of the certificate that is none: %v", err))
		}
		ips = append(ips, ip)
	}
	return ips
}

// certificates keeps some that were parsed, by their DER: the same clients come
// again and again, and parsing costs more than all else in a call.
type certificates struct {
	mu     sync.Mutex
	parsed map[string]*x509.Certificate
}

const keptCertificates = 1024

func (c *certificates) parse(der []byte) *x509.Certificate {
	c.mu.Lock()
	cert := c.parsed[string(der)]
	c.mu.Unlock()
	if cert != nil {
		return cert
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		panic(fmt.Sprintf("the edge sent a certificate that is none: %v", err))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.parsed == nil || len(c.parsed) >= keptCertificates {
		c.parsed = make(map[string]*x509.Certificate)
	}
	c.parsed[string(der)] = cert
	return cert
}
