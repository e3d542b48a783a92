package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"

	"github.com/sallyport/sallyport/loadtest/pki"
)

// pkiFiles is the directory of what servers read: the CA, a server's certificate,
// and a CRL in PEM for nginx, which reads no DER.
type pkiFiles struct{ dir string }

// The names within it.
const (
	caFile         = "ca.pem"
	crlPEMFile     = "crl.pem"
	serverCertFile = "server.crt"
	serverKeyFile  = "server.key"
)

func (f pkiFiles) path(name string) string { return filepath.Join(f.dir, name) }

// clients are who connects to the servers: of one CA, one of them listed in its
// CRL.
type clients struct {
	roots         *x509.CertPool
	good, revoked tls.Certificate
}

// write writes all but the CRL.
func (f pkiFiles) write(ca *pki.CA) (*clients, error) {
	server, err := ca.Issue(pki.Server("localhost", "127.0.0.1"))
	if err != nil {
		return nil, err
	}
	if err := server.WriteFiles(f.dir, "server"); err != nil {
		return nil, err
	}
	if err := os.WriteFile(f.path(caFile), ca.CertPEM(), 0o600); err != nil {
		return nil, err
	}
	good, err := ca.Issue(pki.CommonName("good"))
	if err != nil {
		return nil, err
	}
	// The first of the census is in every CRL.
	revoked, err := ca.Issue(pki.CommonName("revoked"), pki.Serial(serialNumber(newCensus().serial(0))))
	if err != nil {
		return nil, err
	}
	return &clients{roots: ca.Pool(), good: good.TLSCertificate(), revoked: revoked.TLSCertificate()}, nil
}

// writePEM writes the CRL of a DER file as PEM.
func (f pkiFiles) writePEM(crl string) error {
	der, err := os.ReadFile(crl)
	if err != nil {
		return err
	}
	out, err := os.Create(f.path(crlPEMFile))
	if err != nil {
		return err
	}
	defer out.Close()
	if err := pem.Encode(out, &pem.Block{Type: "X509 CRL", Bytes: der}); err != nil {
		return fmt.Errorf("write CRL as PEM: %w", err)
	}
	return out.Close()
}
