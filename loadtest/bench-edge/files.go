package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/big"
	"os"
	"path/filepath"

	"github.com/sallyport/sallyport/loadtest/pki"
)

// entries of each CRL.
const entries = 101

// files is the PKI that client and servers share: root, intermediate, P-256
// leaves, and one CRL of each CA.
type files struct {
	dir             string
	roots           *x509.CertPool
	client, revoked tls.Certificate
}

// The names within files.dir.
const (
	rootFile       = "root.pem"
	rootCRLFile    = "root.crl"
	issuingCRLFile = "issuing.crl"
	allCRLsFile    = "all.crl" // both, for servers that take one file
	serverCertFile = "server.crt"
	serverKeyFile  = "server.key"
)

func (f *files) path(name string) string { return filepath.Join(f.dir, name) }

// makeFiles makes the PKI and writes what servers read into dir.
func makeFiles(dir string) (*files, error) {
	root, err := pki.NewRoot()
	if err != nil {
		return nil, err
	}
	issuing, err := root.NewIntermediate(pki.PathLen(0))
	if err != nil {
		return nil, err
	}
	server, err := issuing.Issue(pki.Server("localhost", "127.0.0.1"))
	if err != nil {
		return nil, err
	}
	client, err := issuing.Issue(pki.CommonName("client"))
	if err != nil {
		return nil, err
	}
	revoked, err := issuing.Issue(pki.CommonName("revoked"))
	if err != nil {
		return nil, err
	}
	rootCRL, err := root.CRL(pki.RevokeSeq(others(entries)))
	if err != nil {
		return nil, err
	}
	issuingCRL, err := issuing.CRL(pki.RevokeSeq(others(entries-1)), pki.Revoke(revoked))
	if err != nil {
		return nil, err
	}
	if err := server.WriteFiles(dir, "server"); err != nil {
		return nil, err
	}
	for name, data := range map[string][]byte{
		rootFile:       root.CertPEM(),
		rootCRLFile:    pki.CRLPEM(rootCRL),
		issuingCRLFile: pki.CRLPEM(issuingCRL),
		allCRLsFile:    pki.CRLPEM(rootCRL, issuingCRL),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			return nil, fmt.Errorf("write PKI: %w", err)
		}
	}
	return &files{dir: dir, roots: root.Pool(), client: client.TLSCertificate(), revoked: revoked.TLSCertificate()}, nil
}

// others yields n entries of certificates that do not exist. Their serials have
// 16 bytes, as real ones do.
func others(n int) func(yield func(pki.Entry) bool) {
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
