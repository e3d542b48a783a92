package main

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"

	"github.com/sallyport/sallyport/loadtest/pki"
)

// What the edge reads, by its name in the PKI's directory.
const (
	caFile         = "ca.pem"
	serverCertFile = "server.crt"
	serverKeyFile  = "server.key"
)

const serverName = "localhost"

// writePKI makes a CA, and writes what the edge reads.
func writePKI(dir string) (client tls.Certificate, roots *x509.CertPool, err error) {
	ca, err := pki.NewRoot(pki.CommonName("bench-logs CA"))
	if err != nil {
		return client, nil, err
	}
	server, err := ca.Issue(pki.Server(serverName, "127.0.0.1"))
	if err != nil {
		return client, nil, err
	}
	key, err := server.KeyPEM()
	if err != nil {
		return client, nil, err
	}
	for name, data := range map[string][]byte{caFile: ca.CertPEM(), serverCertFile: server.ChainPEM(), serverKeyFile: key} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			return client, nil, err
		}
	}
	leaf, err := ca.Issue(pki.CommonName("client"))
	if err != nil {
		return client, nil, err
	}
	return leaf.TLSCertificate(), ca.Pool(), nil
}
