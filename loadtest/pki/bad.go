package pki

import (
	"crypto"
	"crypto/tls"
	"encoding/asn1"
	"fmt"
)

// BadClient is a client identity that an edge must refuse.
type BadClient struct {
	Name string // lower case, words joined by -: fit for a test's or a file's name
	Code string // the reason code that the edge must give, "ClientCertExpired" say

	// TLS is what the client presents, by PresentAlways. Where its certificate
	// has a key that crypto/tls would not even sign with (P-224, an unknown
	// algorithm, a slow RSA size), PrivateKey is a P-256 key in its place, so that
	// the handshake gets as far as the edge's judgement.
	TLS tls.Certificate
}

// Catalogue is bad clients, and the CRLs on which the codes of some depend.
type Catalogue struct {
	Clients []BadClient

	// CRLs, in DER, are the root's first, then those of intermediates that clients
	// present. An edge must have them all, and no newer one of the root's (theirs
	// have number 1), for the ClientCertCrl… codes; the other codes are the same
	// with and without them.
	CRLs [][]byte
}

// unknownOID is an extension that nobody has defined; the arc is for examples.
var unknownOID = asn1.ObjectIdentifier{2, 999, 1}

// Bad makes every bad client listed in the package comment for an edge whose
// trust store holds root and whose limits and rules are the defaults: at most
// 64 KiB and four certificates, certificate_rules alb, no Ed25519. The root must
// be an unconstrained CA (no PathLen, no name constraints), its key of a kind
// that an edge accepts. The dates are relative to now.
func Bad(root *CA) (*Catalogue, error) {
	b := newBadMaker(root)
	for _, group := range []func() error{
		b.missing, b.tooLarge, b.tooMany, b.invalid, b.unsupported, b.untrusted,
		b.incompatible, b.outOfDate, b.wrongPurpose, b.revoked, b.otherKey,
	} {
		if err := group(); err != nil {
			return nil, fmt.Errorf("make bad client after %q: %w", b.last(), err)
		}
	}
	return &b.made, nil
}

// BadIfStrict makes the clients that certificate_rules strict refuses and alb
// accepts, for a trust store that holds root.
func BadIfStrict(root *CA) ([]BadClient, error) {
	b := newBadMaker(root)
	if err := b.strict(); err != nil {
		return nil, fmt.Errorf("make bad client after %q: %w", b.last(), err)
	}
	return b.made.Clients, nil
}

// badMaker collects the catalogue. Its first error stays and makes the rest
// do nothing, so that each group reads as a list.
type badMaker struct {
	root *CA
	made Catalogue
	err  error
}

func newBadMaker(root *CA) *badMaker { return &badMaker{root: root} }

func (b *badMaker) last() string {
	if len(b.made.Clients) == 0 {
		return ""
	}
	return b.made.Clients[len(b.made.Clients)-1].Name
}

// add enters the leaf as it is, unless something failed before.
func (b *badMaker) add(code, name string, leaf *Leaf) {
	if b.err == nil {
		b.made.Clients = append(b.made.Clients, BadClient{name, code, leaf.TLSCertificate()})
	}
}

// issue makes a leaf of that common name below ca.
func (b *badMaker) issue(ca *CA, name string, opts ...Option) *Leaf {
	if b.err != nil {
		return &Leaf{}
	}
	leaf, err := ca.Issue(append([]Option{CommonName(name)}, opts...)...)
	if err != nil {
		b.err = err
		return &Leaf{}
	}
	return leaf
}

// below makes an intermediate below ca.
func (b *badMaker) below(ca *CA, opts ...Option) *CA {
	return b.ca(func() (*CA, error) { return ca.NewIntermediate(opts...) })
}

// ca makes a CA, which is a harmless one where something failed before.
func (b *badMaker) ca(make func() (*CA, error)) *CA {
	if b.err != nil {
		return b.root
	}
	ca, err := make()
	if err != nil {
		b.err = err
		return b.root
	}
	return ca
}

// standIn is a key that can sign a handshake in place of one that cannot.
func (b *badMaker) standIn() crypto.Signer {
	key, err := NewKey(P256)
	if b.err == nil {
		b.err = err
	}
	return key
}

// crl adds a CRL to those that the edge must have.
func (b *badMaker) crl(ca *CA, opts ...CRLOption) {
	if b.err != nil {
		return
	}
	der, err := ca.CRL(opts...)
	if err != nil {
		b.err = err
		return
	}
	b.made.CRLs = append(b.made.CRLs, der)
}
