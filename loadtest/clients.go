package loadtest

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"

	utls "github.com/refraction-networking/utls"
)

// identity is a client, in the words of both TLS libraries.
type identity struct {
	std tls.Certificate
	u   utls.Certificate
}

func newIdentity(c tls.Certificate) *identity {
	return &identity{
		std: c,
		u:   utls.Certificate{Certificate: c.Certificate, PrivateKey: c.PrivateKey, Leaf: c.Leaf},
	}
}

// clients are who comes, in rotation. Where there is none, the client without
// a certificate is.
type clients struct {
	all  []*identity
	next atomic.Uint64
}

// take returns the next client. It is safe for concurrent use.
func (c *clients) take() *identity {
	return c.all[(c.next.Add(1)-1)%uint64(len(c.all))]
}

// at returns the client of a connection that keeps to one.
func (c *clients) at(i int) *identity { return c.all[i%len(c.all)] }

// loadClients reads the certificates of a plan.
func loadClients(p Plan) (*clients, error) {
	c := &clients{}
	for _, cert := range p.Clients {
		c.all = append(c.all, newIdentity(cert))
	}
	files := slices.Clone(p.Identities)
	if p.Certificate != "" {
		files = slices.Insert(files, 0, Identity{Certificate: p.Certificate, Key: p.Key})
	}
	if p.IdentityFiles != "" {
		names, err := filepath.Glob(p.IdentityFiles)
		if err != nil {
			return nil, fmt.Errorf("identity_files %q: %w", p.IdentityFiles, err)
		}
		found := 0
		for _, name := range names {
			if filepath.Ext(name) == ".key" {
				continue
			}
			found++
			files = append(files, Identity{Certificate: name, Key: keyBeside(name, p.Key)})
		}
		if found == 0 {
			return nil, fmt.Errorf("identity_files %q: no such files", p.IdentityFiles)
		}
	}
	cache := map[string][]byte{} // a key that many share is read once
	for _, f := range files {
		cert, err := loadIdentity(f, cache)
		if err != nil {
			return nil, err
		}
		c.all = append(c.all, newIdentity(cert))
	}
	if len(c.all) == 0 {
		c.all = []*identity{newIdentity(tls.Certificate{})}
	}
	return c, nil
}

// keyBeside is the file that a certificate's key is in, as Plan.IdentityFiles
// says; empty for the certificate's own.
func keyBeside(certificate, shared string) string {
	beside := strings.TrimSuffix(certificate, filepath.Ext(certificate)) + ".key"
	if _, err := os.Stat(beside); err == nil {
		return beside
	}
	if data, err := os.ReadFile(certificate); err == nil && bytes.Contains(data, []byte("PRIVATE KEY-----")) {
		return ""
	}
	return shared
}

func loadIdentity(id Identity, cache map[string][]byte) (tls.Certificate, error) {
	cert, err := os.ReadFile(id.Certificate)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("read client certificate: %w", err)
	}
	key := cert
	if id.Key != "" {
		if key = cache[id.Key]; key == nil {
			if key, err = os.ReadFile(id.Key); err != nil {
				return tls.Certificate{}, fmt.Errorf("read client key: %w", err)
			}
			cache[id.Key] = key
		}
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("load client certificate %s: %w", id.Certificate, err)
	}
	return pair, nil
}

// loadRoots reads what the server's certificate has to lead to; nil is the
// system's.
func loadRoots(p Plan) (*x509.CertPool, error) {
	if p.Roots != nil || p.CA == "" {
		return p.Roots, nil
	}
	data, err := os.ReadFile(p.CA)
	if err != nil {
		return nil, fmt.Errorf("read CA: %w", err)
	}
	pool := x509.NewCertPool()
	n := 0
	for rest := data; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("parse CA %s: %w", p.CA, err)
		}
		pool.AddCert(cert)
		n++
	}
	if n == 0 {
		return nil, fmt.Errorf("read CA %s: no PEM block CERTIFICATE", p.CA)
	}
	return pool, nil
}
