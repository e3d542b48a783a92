package sdktest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"net/url"
	"sync"
	"testing"
	"time"
)

// Peer is a client with a real certificate.
type Peer struct {
	Certificate *x509.Certificate
	Chain       []*x509.Certificate // Certificate first, then its issuer
	unverified  bool
}

func (p *Peer) verified() bool { return p != nil && !p.unverified }

// PeerOption says what is in a Peer's certificate.
type PeerOption func(*draft)

type draft struct {
	template   x509.Certificate
	unverified bool
	err        error
}

// WithCN sets the subject's common name.
func WithCN(name string) PeerOption {
	return func(d *draft) { d.template.Subject.CommonName = name }
}

// WithOrganization adds an organization to the subject.
func WithOrganization(name string) PeerOption {
	return func(d *draft) { d.template.Subject.Organization = append(d.template.Subject.Organization, name) }
}

// WithOU adds an organizational unit to the subject.
func WithOU(name string) PeerOption {
	return func(d *draft) {
		d.template.Subject.OrganizationalUnit = append(d.template.Subject.OrganizationalUnit, name)
	}
}

// WithDNS adds a subject alternative name that is the name of a host.
func WithDNS(name string) PeerOption {
	return func(d *draft) { d.template.DNSNames = append(d.template.DNSNames, name) }
}

// WithEmail adds a subject alternative name that is a mail address.
func WithEmail(address string) PeerOption {
	return func(d *draft) { d.template.EmailAddresses = append(d.template.EmailAddresses, address) }
}

// WithURI adds a subject alternative name that is a URI, spiffe://example.com/a say.
func WithURI(uri string) PeerOption {
	return func(d *draft) {
		u, err := url.Parse(uri)
		if err != nil {
			d.err = err
			return
		}
		d.template.URIs = append(d.template.URIs, u)
	}
}

// WithIP adds a subject alternative name that is an address.
func WithIP(a netip.Addr) PeerOption {
	return func(d *draft) { d.template.IPAddresses = append(d.template.IPAddresses, net.IP(a.AsSlice())) }
}

// WithSerial sets the serial number, which is 1 otherwise.
func WithSerial(n int64) PeerOption {
	return func(d *draft) { d.template.SerialNumber = big.NewInt(n) }
}

// WithNotAfter sets the last second in which the certificate is valid.
func WithNotAfter(t time.Time) PeerOption {
	return func(d *draft) { d.template.NotAfter = t }
}

// Unverified makes a client of whom the edge has verified nothing, such as those of
// a listener in mode passthrough: the plugin is told that, and nothing else.
func Unverified() PeerOption { return func(d *draft) { d.unverified = true } }

// NewPeer makes a client with a certificate of a throwaway CA.
func NewPeer(t testing.TB, options ...PeerOption) *Peer {
	t.Helper()
	ca, err := authority()
	if err != nil {
		t.Fatalf("make a CA: %v", err)
	}
	d := draft{template: x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    ca.certificate.NotBefore,
		NotAfter:     ca.certificate.NotAfter,
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}}
	for _, option := range options {
		option(&d)
	}
	if d.err != nil {
		t.Fatalf("make a certificate: %v", d.err)
	}
	c, err := ca.sign(&d.template, ca.certificate)
	if err != nil {
		t.Fatalf("make a certificate: %v", err)
	}
	return &Peer{Certificate: c, Chain: []*x509.Certificate{c, ca.certificate}, unverified: d.unverified}
}

// ca signs with its one key, which is also that of the certificates: nobody makes a
// handshake with them.
type ca struct {
	key         *ecdsa.PrivateKey
	certificate *x509.Certificate
}

var authority = sync.OnceValues(func() (*ca, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	self := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "Test CA"},
		NotBefore:             time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC),
		NotAfter:              time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign,
	}
	c := &ca{key: key}
	c.certificate, err = c.sign(self, self)
	return c, err
})

func (c *ca) sign(template, issuer *x509.Certificate) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, &c.key.PublicKey, c.key)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	return x509.ParseCertificate(der)
}
