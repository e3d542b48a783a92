package pki

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"slices"
)

// Pair is a certificate and the private key of its holder.
type Pair struct {
	Cert *x509.Certificate // nil where crypto/x509 refuses to parse DER
	DER  []byte
	Key  crypto.Signer

	serial *big.Int
}

func newPair(made certified, key crypto.Signer) Pair {
	p := Pair{DER: made.der, Key: key, serial: made.serial}
	p.parse()
	return p
}

func (p *Pair) parse() {
	cert, err := x509.ParseCertificate(p.DER)
	if err != nil {
		cert = nil
	}
	p.Cert = cert
}

// Serial is the serial number, known also where crypto/x509 refuses it. The
// caller must not change it.
func (p *Pair) Serial() *big.Int { return p.serial }

// CertPEM is the certificate alone, in PEM.
func (p *Pair) CertPEM() []byte { return certPEM(p.DER) }

// KeyPEM is the private key in PEM, as PKCS #8, unencrypted.
func (p *Pair) KeyPEM() ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(p.Key)
	if err != nil {
		return nil, fmt.Errorf("encode private key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// WriteFiles writes name.crt and name.key into dir; see Leaf.WriteFiles.
func (p *Pair) WriteFiles(dir, name string) error { return p.write(dir, name, p.CertPEM()) }

func (p *Pair) write(dir, name string, certs []byte) error {
	key, err := p.KeyPEM()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := replaceFile(filepath.Join(dir, name+".key"), key); err != nil {
		return err
	}
	return replaceFile(filepath.Join(dir, name+".crt"), certs)
}

// Leaf is a certificate that issues nothing, its key, and the chain it is
// presented with. A Leaf is not changed by its methods: those that alter it
// return another. Safe for concurrent use as long as nobody writes its fields.
type Leaf struct {
	Pair
	Chain [][]byte // DER, the issuer first, without the root
}

// ChainPEM is the certificate and then its chain, in PEM.
func (l *Leaf) ChainPEM() []byte { return certPEM(slices.Concat([][]byte{l.DER}, l.Chain)...) }

// TLSCertificate is the leaf and its chain for crypto/tls. A client's tls.Config
// leaves a certificate out when it does not suit the server's request; see
// PresentAlways.
func (l *Leaf) TLSCertificate() tls.Certificate {
	return tls.Certificate{
		Certificate: slices.Concat([][]byte{l.DER}, l.Chain),
		PrivateKey:  l.Key,
		Leaf:        l.Cert,
	}
}

// WriteFiles writes name.crt (the leaf, then its chain) and name.key (PKCS #8)
// into dir, which is made if need be. Both have mode 0600 and are replaced as a
// whole, the key first, so that whoever watches them reads no half of one.
func (l *Leaf) WriteFiles(dir, name string) error { return l.write(dir, name, l.ChainPEM()) }

// Present returns the leaf with these CAs, in this order, for its chain. None
// makes it come alone.
func (l *Leaf) Present(cas ...*CA) *Leaf {
	other := *l
	other.Chain = nil
	for _, ca := range cas {
		other.Chain = append(other.Chain, ca.DER)
	}
	return &other
}

// WithKey returns the leaf held by one who has another key than the certified.
func (l *Leaf) WithKey(key crypto.Signer) *Leaf {
	other := *l
	other.Key = key
	return &other
}

// WithDER returns the leaf with these bytes in its certificate's place.
func (l *Leaf) WithDER(der []byte) *Leaf {
	other := *l
	other.DER = der
	other.parse()
	return &other
}

// FlipSignature returns the leaf with a signature that verifies under no key.
func (l *Leaf) FlipSignature() *Leaf { return l.WithDER(FlipSignature(l.DER)) }

// PresentAlways is for tls.Config.GetClientCertificate: it presents cert
// whatever authorities and algorithms the server asked for. An empty
// tls.Certificate presents none.
func PresentAlways(cert tls.Certificate) func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	return func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &cert, nil }
}

// Must is v where err is nil; else it panics. It is for tests, where it makes
// one line of a call: pki.Must(root.Issue(pki.CommonName("alice"))).
func Must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func certPEM(ders ...[]byte) []byte {
	var out bytes.Buffer
	for _, der := range ders {
		out.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	}
	return out.Bytes()
}

// replaceFile writes beside path and renames: os.CreateTemp gives mode 0600,
// also where a file of another mode was there before.
func replaceFile(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // gone already where all went well
	if _, err := f.Write(data); err != nil {
		f.Close()
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
