package pki

import (
	"crypto/x509"
	"slices"
)

// CA issues certificates and CRLs. It is made by NewRoot, NewIntermediate,
// CrossSign or Impostor, and safe for concurrent use as long as nobody writes
// its fields.
type CA struct {
	Pair

	parent  *CA // nil: self-signed
	subject []byte
	keyID   []byte
}

func caDefaults(t *x509.Certificate) {
	t.BasicConstraintsValid, t.IsCA = true, true
	t.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
}

// NewRoot makes a self-signed CA: P-256, keyCertSign and cRLSign, no path length,
// valid from an hour ago for a year. Its default name carries the start of its
// key identifier, so that two roots never share a name by accident.
func NewRoot(opts ...Option) (*CA, error) { return newCA(nil, "Root CA ", opts) }

// NewIntermediate makes a CA below this one, with NewRoot's defaults.
func (ca *CA) NewIntermediate(opts ...Option) (*CA, error) { return newCA(ca, "Issuing CA ", opts) }

func newCA(issuer *CA, name string, opts []Option) (*CA, error) {
	s := newSpec(opts, caDefaults)
	if s.key == nil {
		key, err := NewKey(s.keyType)
		if err != nil {
			return nil, err
		}
		s.key = key
	}
	id, err := s.keyID()
	if err != nil {
		return nil, err
	}
	if s.template.SubjectKeyId == nil {
		s.template.SubjectKeyId = id
	}
	if !s.named() {
		s.template.Subject.CommonName = name + shortID(id)
	}
	made, err := s.certify(issuer)
	if err != nil {
		return nil, err
	}
	return &CA{Pair: newPair(made, s.key), parent: issuer, subject: made.subject, keyID: made.keyID}, nil
}

// CrossSign certifies another CA's name and key once more, by this one. What
// the other has issued then has a path to both. The two have one key, so either
// may issue; see Leaf.Present for how to present both.
func (ca *CA) CrossSign(other *CA, opts ...Option) (*CA, error) {
	same := []Option{RawSubject(other.subject), ExistingKey(other.Key)}
	return ca.NewIntermediate(append(same, opts...)...)
}

// Impostor makes a self-signed CA of the same name with a key of its own. To
// issue under this CA's name and key identifier, see SignedBy.
func (ca *CA) Impostor(opts ...Option) (*CA, error) {
	return NewRoot(append([]Option{RawSubject(ca.subject)}, opts...)...)
}

// Chain is this CA and those above it in DER, up to but not including the root:
// what a leaf of this CA is presented with. A root's is empty.
func (ca *CA) Chain() [][]byte {
	var chain [][]byte
	for ; ca.parent != nil; ca = ca.parent {
		chain = append(chain, ca.DER)
	}
	return chain
}

// Pool is a pool that holds this CA alone, as roots for crypto/x509.
func (ca *CA) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	if ca.Cert != nil {
		pool.AddCert(ca.Cert)
	}
	return pool
}

// Bundle is the certificates of these CAs in PEM, in order: a trust store's
// ca_bundle.
func Bundle(cas ...*CA) []byte {
	var bundle []byte
	for _, ca := range cas {
		bundle = append(bundle, ca.CertPEM()...)
	}
	return bundle
}

// Issue makes a leaf below this CA: by default for a client called "client",
// P-256, digitalSignature, EKU clientAuth, valid from an hour ago for a year.
func (ca *CA) Issue(opts ...Option) (*Leaf, error) {
	leaf, err := newLeaf(ca, opts)
	if err != nil {
		return nil, err
	}
	leaf.Chain = ca.Chain()
	return leaf, nil
}

// SelfSigned makes a leaf of Issue's defaults that nobody vouches for.
func SelfSigned(opts ...Option) (*Leaf, error) { return newLeaf(nil, opts) }

func newLeaf(issuer *CA, opts []Option) (*Leaf, error) {
	s := newSpec(opts, func(t *x509.Certificate) {
		t.KeyUsage = x509.KeyUsageDigitalSignature
		t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	})
	if !s.named() {
		s.template.Subject.CommonName = "client"
		if slices.Contains(s.template.ExtKeyUsage, x509.ExtKeyUsageServerAuth) {
			s.template.Subject.CommonName = "server"
		}
	}
	if s.key == nil {
		key, err := leafKey(s.keyType)
		if err != nil {
			return nil, err
		}
		s.key = key
	}
	made, err := s.certify(issuer)
	if err != nil {
		return nil, err
	}
	return &Leaf{Pair: newPair(made, s.key)}, nil
}
