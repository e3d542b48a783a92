package pki

import (
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"net"
	"net/url"
	"time"
)

// Option shapes a certificate. Options apply in order; a later one wins.
type Option interface{ certificate(*certSpec) }

// CRLOption shapes a CRL. Options apply in order; a later one wins.
type CRLOption interface{ crl(*crlSpec) }

// EitherOption shapes what certificates and CRLs have in common: how they are
// signed, their version and their extensions.
type EitherOption func(*signedSpec)

func (o EitherOption) certificate(s *certSpec) { o(&s.signedSpec) }
func (o EitherOption) crl(s *crlSpec)          { o(&s.signedSpec) }

type certOption func(*certSpec)

func (o certOption) certificate(s *certSpec) { o(s) }

// signedSpec is what a certificate and a CRL are both made by.
type signedSpec struct {
	algorithm      x509.SignatureAlgorithm
	hash           crypto.Hash
	by             *CA // signs in the issuer's place
	version        int // as people count; 0 is the usual one
	bare           bool
	extensions     []pkix.Extension
	without        []asn1.ObjectIdentifier
	authorityKeyID []byte
}

// certSpec is a certificate to be made. In template, crypto/x509 reads what
// becomes an extension; the rest is read here.
type certSpec struct {
	signedSpec
	template      x509.Certificate
	keyType       KeyType
	key           crypto.Signer
	publicKeyInfo []byte
}

// Template edits the x509.Certificate from which name, serial number, dates and
// extensions are taken: the way to everything that has no option of its own.
// It is always encoded through pki's own rules, so a serial may be negative.
func Template(edit func(*x509.Certificate)) Option {
	return certOption(func(s *certSpec) { edit(&s.template) })
}

// CommonName sets the subject's common name.
func CommonName(name string) Option {
	return Template(func(t *x509.Certificate) { t.Subject.CommonName = name })
}

// Subject sets the whole subject.
func Subject(name pkix.Name) Option {
	return Template(func(t *x509.Certificate) { t.Subject = name })
}

// RawSubject sets the subject as DER, which is not looked at: any RDN order,
// string type or control character. {0x30, 0} is the empty name.
func RawSubject(der []byte) Option {
	return Template(func(t *x509.Certificate) { t.RawSubject = der })
}

// Key makes a key of that type for the certificate. Leaves with RSA keys of one
// size share one key per process; CAs do not.
func Key(t KeyType) Option { return certOption(func(s *certSpec) { s.keyType = t }) }

// ExistingKey certifies a key that exists already.
func ExistingKey(key crypto.Signer) Option { return certOption(func(s *certSpec) { s.key = key }) }

// PublicKeyInfo certifies a SubjectPublicKeyInfo given as DER, of an algorithm
// that Go does not know, say. The holder's Key then does not belong to it.
func PublicKeyInfo(der []byte) Option {
	return certOption(func(s *certSpec) { s.publicKeyInfo = der })
}

// NotBefore sets the first second of validity; an hour ago if not given.
func NotBefore(t time.Time) Option {
	return Template(func(c *x509.Certificate) { c.NotBefore = t })
}

// NotAfter sets the last second of validity; a year on if not given.
func NotAfter(t time.Time) Option {
	return Template(func(c *x509.Certificate) { c.NotAfter = t })
}

// Serial sets the serial number: any, zero, negative and over 20 bytes too. It
// is 127 random bits if not given.
func Serial(n *big.Int) Option {
	return Template(func(t *x509.Certificate) { t.SerialNumber = n })
}

// PathLen limits how many CAs may follow below this one; 0 means leaves only.
func PathLen(n int) Option {
	return Template(func(t *x509.Certificate) { t.MaxPathLen, t.MaxPathLenZero = n, n == 0 })
}

// IsCA writes basic constraints that say so or deny it, which without this
// option CAs say and leaves leave out.
func IsCA(is bool) Option {
	return Template(func(t *x509.Certificate) { t.BasicConstraintsValid, t.IsCA = true, is })
}

// KeyUsage replaces the key usage; 0 leaves the extension out. The default is
// digitalSignature for leaves, keyCertSign and cRLSign for CAs.
func KeyUsage(usage x509.KeyUsage) Option {
	return Template(func(t *x509.Certificate) { t.KeyUsage = usage })
}

// EKU replaces the extended key usages; none given leaves the extension out.
// The default is clientAuth for leaves and none for CAs.
func EKU(usages ...x509.ExtKeyUsage) Option {
	return Template(func(t *x509.Certificate) { t.ExtKeyUsage, t.UnknownExtKeyUsage = usages, nil })
}

// Server makes a leaf for a TLS server of these names, each a DNS name or an IP
// address: subject alternative names, and EKU serverAuth in place of clientAuth.
func Server(names ...string) Option {
	return Template(func(t *x509.Certificate) {
		t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		for _, name := range names {
			if ip := net.ParseIP(name); ip != nil {
				t.IPAddresses = append(t.IPAddresses, ip)
			} else {
				t.DNSNames = append(t.DNSNames, name)
			}
		}
	})
}

// DNS adds DNS names to the subject alternative names.
func DNS(names ...string) Option {
	return Template(func(t *x509.Certificate) { t.DNSNames = append(t.DNSNames, names...) })
}

// IP adds addresses to the subject alternative names.
func IP(addresses ...net.IP) Option {
	return Template(func(t *x509.Certificate) { t.IPAddresses = append(t.IPAddresses, addresses...) })
}

// Email adds mail addresses to the subject alternative names.
func Email(addresses ...string) Option {
	return Template(func(t *x509.Certificate) { t.EmailAddresses = append(t.EmailAddresses, addresses...) })
}

// URI adds URIs, a SPIFFE ID say, to the subject alternative names.
func URI(uris ...*url.URL) Option {
	return Template(func(t *x509.Certificate) { t.URIs = append(t.URIs, uris...) })
}

// PermittedDNS writes critical name constraints that permit only these domains
// and what is below them. For constraints of other kinds see Template.
func PermittedDNS(domains ...string) Option {
	return Template(func(t *x509.Certificate) {
		t.PermittedDNSDomainsCritical, t.PermittedDNSDomains = true, domains
	})
}

// ExcludedDNS writes critical name constraints that exclude these domains and
// what is below them.
func ExcludedDNS(domains ...string) Option {
	return Template(func(t *x509.Certificate) {
		t.PermittedDNSDomainsCritical, t.ExcludedDNSDomains = true, domains
	})
}

// CRLDistributionPoints names where the issuer's CRL is, one distribution point
// for each URL.
func CRLDistributionPoints(urls ...string) Option {
	return Template(func(t *x509.Certificate) { t.CRLDistributionPoints = urls })
}

// OCSPServer names the issuer's OCSP responders.
func OCSPServer(urls ...string) Option {
	return Template(func(t *x509.Certificate) { t.OCSPServer = urls })
}

// SubjectKeyID sets the subject key identifier, which CAs have in any case
// (RFC 7093 section 2 method 1) and leaves have not.
func SubjectKeyID(id []byte) Option {
	return Template(func(t *x509.Certificate) { t.SubjectKeyId = id })
}

// AuthorityKeyID sets the authority key identifier in place of the issuer's
// subject key identifier.
func AuthorityKeyID(id []byte) EitherOption {
	return func(s *signedSpec) { s.authorityKeyID = id }
}

// Extension adds an extension, in place of the one that would have been written
// with that OID. Given twice, it is there twice.
func Extension(oid asn1.ObjectIdentifier, critical bool, value []byte) EitherOption {
	return func(s *signedSpec) {
		s.extensions = append(s.extensions, pkix.Extension{Id: oid, Critical: critical, Value: value})
	}
}

// WithoutExtension leaves out what would be written under these OIDs, but not
// what Extension adds.
func WithoutExtension(oids ...asn1.ObjectIdentifier) EitherOption {
	return func(s *signedSpec) { s.without = append(s.without, oids...) }
}

// SignedWith sets the signature algorithm, which must suit the issuer's key:
// any that crypto/x509 has a name for, MD5WithRSA included, but not MD2 or DSA.
func SignedWith(algorithm x509.SignatureAlgorithm) EitherOption {
	return func(s *signedSpec) { s.algorithm = algorithm }
}

// SHA1 signs with SHA-1 and the issuer's RSA or ECDSA key.
func SHA1() EitherOption { return func(s *signedSpec) { s.hash = crypto.SHA1 } }

// SignedBy signs with another CA's key what goes out under this one's name.
func SignedBy(other *CA) EitherOption { return func(s *signedSpec) { s.by = other } }

// V1 makes an X.509 version 1 certificate or CRL, which has no extensions.
func V1() EitherOption { return func(s *signedSpec) { s.version, s.bare = 1, true } }

// Version writes a version number as people count (certificates are 3, CRLs 2)
// and leaves the extensions in, whether or not that version may have any.
func Version(n int) EitherOption { return func(s *signedSpec) { s.version, s.bare = n, false } }
