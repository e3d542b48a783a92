package peers

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/big"
	"os"
	"path/filepath"

	"github.com/sallyport/sallyport/loadtest/pki"
)

// Entries of the issuing CA's CRL. The root's has a few in either case.
const (
	fewEntries  = 101
	manyEntries = 1_000_000
)

// authority is the PKI that load and servers share: a root, an intermediate, and
// P-256 leaves, which are presented with the intermediate.
type authority struct {
	root, issuing *pki.CA
	server        *pki.Leaf
	roots         *x509.CertPool
	good, revoked tls.Certificate // of clients
	bad           *pki.Leaf       // revoked's
}

func newAuthority() (*authority, error) {
	root, err := pki.NewRoot(pki.CommonName("Root"))
	if err != nil {
		return nil, err
	}
	issuing, err := root.NewIntermediate(pki.CommonName("Issuing"), pki.PathLen(0))
	if err != nil {
		return nil, err
	}
	server, err := issuing.Issue(pki.Server("localhost", "127.0.0.1"))
	if err != nil {
		return nil, err
	}
	good, err := issuing.Issue(pki.CommonName("client"))
	if err != nil {
		return nil, err
	}
	bad, err := issuing.Issue(pki.CommonName("revoked"))
	if err != nil {
		return nil, err
	}
	return &authority{
		root: root, issuing: issuing, server: server, roots: root.Pool(),
		good: good.TLSCertificate(), revoked: bad.TLSCertificate(), bad: bad,
	}, nil
}

// newClients are n good clients that no server has seen.
func (a *authority) newClients(n int) ([]tls.Certificate, error) {
	clients := make([]tls.Certificate, n)
	for i := range clients {
		leaf, err := a.issuing.Issue(pki.CommonName(fmt.Sprintf("client %d", i)))
		if err != nil {
			return nil, err
		}
		clients[i] = leaf.TLSCertificate()
	}
	return clients, nil
}

// write writes what servers read into dir, which is made if need be, with so
// many entries in the issuing CA's CRL.
func (a *authority) write(dir string, entries int) error {
	rootCRL, err := a.root.CRL(pki.RevokeSeq(strangers(fewEntries)))
	if err != nil {
		return err
	}
	issuingCRL, err := a.issuing.CRL(pki.RevokeSeq(strangers(entries-1)), pki.Revoke(a.bad))
	if err != nil {
		return err
	}
	key, err := a.server.KeyPEM()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for name, data := range map[string][]byte{
		rootFile:       a.root.CertPEM(),
		rootCRLFile:    pki.CRLPEM(rootCRL),
		issuingCRLFile: pki.CRLPEM(issuingCRL),
		allCRLsFile:    pki.CRLPEM(rootCRL, issuingCRL),
		serverCertFile: a.server.ChainPEM(),
		serverKeyFile:  key,
		serverBothFile: bytes.Join([][]byte{a.server.ChainPEM(), key}, nil),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			return fmt.Errorf("write PKI: %w", err)
		}
	}
	return nil
}

// strangers yields n entries of certificates that do not exist. Their serials
// have 16 bytes, as real ones do.
func strangers(n int) func(yield func(pki.Entry) bool) {
	first := new(big.Int).Lsh(big.NewInt(0x5a), 120)
	return func(yield func(pki.Entry) bool) {
		for i := range n {
			serial := new(big.Int).Add(first, big.NewInt(int64(i)*0x1f3d5b79))
			if !yield(pki.Entry{Serial: serial}) {
				return
			}
		}
	}
}
