package truststore

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/sallyport/sallyport/edge/identity"
	"github.com/sallyport/sallyport/edge/reason"
	"github.com/sallyport/sallyport/revocation"
)

// Revocation is one certificate revoked by hand, of whatever the CRLs say.
//
// As in a CRL, the certificate is meant by its issuer and serial number, not by
// its bytes: whoever holds an ECDSA certificate can give its signature another
// form that verifies too. The issuer is a name and a key, so that of two CAs of
// one name only the right one's certificate is caught; see RevokeCertificate
// for an issuer whose key is not known.
type Revocation struct {
	ID        string `json:"id"`                // given by the store
	Subject   string `json:"subject,omitempty"` // where the certificate was given
	Issuer    string `json:"issuer"`            // for people; as identity.DN
	IssuerKey string `json:"issuer_key"`        // revocation.NameKey of its name
	// IssuerSPKI is the SHA-256 of the issuer's SubjectPublicKeyInfo in hex, "" if
	// its key is not known.
	IssuerSPKI string `json:"issuer_spki_sha256,omitempty"`
	Serial     string `json:"serial"` // as identity.Serial
	// Fingerprint is the SHA-256 of the certificate in hex, where it was given. It
	// is for people, and decides nothing.
	Fingerprint string     `json:"sha256,omitempty"`
	At          time.Time  `json:"at"`
	Why         string     `json:"why"`
	UndoneAt    *time.Time `json:"undone_at,omitempty"` // nil while in force
	UndoneWhy   string     `json:"undone_why,omitempty"`
}

// manual is a Revocation with what it takes to recognize its certificate.
// Immutable but for unsaved.
type manual struct {
	Revocation
	issued issuedKey
	spki   [sha256.Size]byte // of issuer; zero where that is nil
	// issuer is the CA's SubjectPublicKeyInfo, and checker verifies with it. Where
	// they are nil, the CA's key is not known; then cert is the certificate itself,
	// and its issuer whoever's key verifies it.
	issuer  []byte
	checker *x509.Certificate
	cert    *x509.Certificate
	unsaved bool
}

// issuedKey stands for an issuer's name and a serial number: the SHA-256 of both.
type issuedKey [sha256.Size]byte

func newIssuedKey(issuer revocation.NameKey, serial *big.Int) issuedKey {
	if serial == nil {
		return issuedKey{}
	}
	return sha256.Sum256(serial.Append(issuer[:], 16))
}

// overlay is the revocations made by hand as one generation sees them.
// Immutable. The nil overlay revokes nothing.
type overlay struct {
	byIssued map[issuedKey][]*manual
	anchors  map[[sha256.Size]byte]*manual // by the SHA-256 of the anchor
}

// newOverlay takes those of all that are in force.
func newOverlay(all []*manual, a *anchors) *overlay {
	o := &overlay{byIssued: map[issuedKey][]*manual{}, anchors: map[[sha256.Size]byte]*manual{}}
	for _, m := range all {
		if m.UndoneAt == nil {
			o.byIssued[m.issued] = append(o.byIssued[m.issued], m)
		}
	}
	if len(o.byIssued) == 0 {
		return nil
	}
	for _, c := range a.certs {
		for _, m := range o.byIssued[newIssuedKey(revocation.NameKeyOf(c.RawIssuer), c.SerialNumber)] {
			if m.revokesAnchor(c) {
				o.anchors[sha256.Sum256(c.Raw)] = m
			}
		}
	}
	return o
}

// check refuses a path with a certificate on it that was revoked, its anchor
// included. It allocates nothing where no issuer's name and serial number are
// those of a revocation.
func (o *overlay) check(p *path) *reason.Error {
	if o == nil {
		return nil
	}
	for i, key := range p.issued {
		for _, m := range o.byIssued[key] {
			if m.revokes(p.certs[i], p.certs[i+1], p.links[i].IssuerKeyID()) {
				return m.refuse(p.certs[i])
			}
		}
	}
	if m := o.anchors[p.anchor]; m != nil {
		return m.refuse(p.certs[len(p.certs)-1])
	}
	return nil
}

// revokes says whether c, whose issuer's name and serial number are m's and
// which issuer has signed, is the certificate that m means.
func (m *manual) revokes(c, issuer *x509.Certificate, spki [sha256.Size]byte) bool {
	if m.checker != nil {
		return m.spki == spki
	}
	return m.isSame(c) || signed(issuer, m.cert)
}

// revokesAnchor is revokes for a certificate whose issuer need not be known.
func (m *manual) revokesAnchor(c *x509.Certificate) bool {
	if m.checker != nil {
		return signed(m.checker, c)
	}
	return m.isSame(c)
}

// isSame compares what the issuer has signed: the signature itself has several
// forms that verify.
func (m *manual) isSame(c *x509.Certificate) bool {
	return bytes.Equal(m.cert.RawTBSCertificate, c.RawTBSCertificate)
}

// signed reports whether issuer's key verifies c's signature. One that cannot be
// checked, as with MD5, counts as good: name and serial number agree already.
func signed(issuer, c *x509.Certificate) bool {
	if !verifiable(issuer) {
		return false
	}
	err := issuer.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature)
	var insecure x509.InsecureAlgorithmError
	return err == nil || errors.As(err, &insecure) || errors.Is(err, x509.ErrUnsupportedAlgorithm)
}

func (m *manual) refuse(c *x509.Certificate) *reason.Error {
	err := fmt.Errorf("was revoked by hand at %s", stamp(m.At))
	if m.Why != "" {
		err = fmt.Errorf("%w: %s", err, m.Why)
	}
	return refuse(reason.ClientCertCrlHit, c, err)
}

// byCertificate is the revocation of cert, whose issuer is looked for among the
// anchors.
func byCertificate(cert *x509.Certificate, a *anchors) *manual {
	m := newManual(revocation.NameKeyOf(cert.RawIssuer), cert.RawIssuer, cert.SerialNumber)
	sum := sha256.Sum256(cert.Raw)
	m.Subject, m.Fingerprint = identity.Subject(cert), hex.EncodeToString(sum[:])
	if a != nil {
		for _, ca := range a.byName[string(cert.RawIssuer)] {
			if verifiable(ca) && ca.CheckSignature(cert.SignatureAlgorithm, cert.RawTBSCertificate, cert.Signature) == nil {
				m.setIssuer(ca)
				return m
			}
		}
	}
	m.cert = cert
	return m
}

func newManual(key revocation.NameKey, issuer []byte, serial *big.Int) *manual {
	return &manual{
		Revocation: Revocation{
			Issuer:    identity.Issuer(&x509.Certificate{RawIssuer: issuer}),
			IssuerKey: key.String(),
			Serial:    identity.Serial(&x509.Certificate{SerialNumber: serial}),
		},
		issued: newIssuedKey(key, serial),
	}
}

func (m *manual) setIssuer(ca *x509.Certificate) {
	m.issuer = ca.RawSubjectPublicKeyInfo
	m.checker = &x509.Certificate{PublicKey: ca.PublicKey}
	m.spki = sha256.Sum256(m.issuer)
	m.IssuerSPKI = hex.EncodeToString(m.spki[:])
}

// means says whether two revocations are of one certificate.
func (m *manual) means(other *manual) bool {
	return m.issued == other.issued && m.spki == other.spki && (m.cert == nil) == (other.cert == nil) &&
		(m.cert == nil || m.isSame(other.cert))
}
