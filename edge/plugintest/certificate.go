package plugintest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"time"
)

// chain is what the client has proved itself with; nil if nothing.
func (c *Cert) chain(dir string) ([]*x509.Certificate, error) {
	if c == nil || c.Unverified {
		return nil, nil
	}
	if c.File != "" {
		return readChain(c.File, dir)
	}
	return c.make()
}

func readChain(name, dir string) ([]*x509.Certificate, error) {
	if !filepath.IsAbs(name) {
		name = filepath.Join(dir, name)
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("cert.file: %w", err)
	}
	var chain []*x509.Certificate
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("cert.file: %s: %w", name, err)
		}
		chain = append(chain, cert)
	}
	if len(chain) == 0 {
		return nil, fmt.Errorf("cert.file: %s: no certificate in PEM", name)
	}
	return chain, nil
}

// make issues a certificate by a CA that nobody else knows.
func (c *Cert) make() ([]*x509.Certificate, error) {
	leaf := &x509.Certificate{
		SerialNumber: new(big.Int).SetUint64(max(c.Serial, 1)),
		Subject: pkix.Name{
			CommonName: c.CommonName, Organization: c.Organizations, OrganizationalUnit: c.OrganizationalUnits,
		},
		NotBefore:      time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC),
		NotAfter:       time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC),
		KeyUsage:       x509.KeyUsageDigitalSignature,
		ExtKeyUsage:    []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		DNSNames:       c.DNSNames,
		EmailAddresses: c.Emails,
	}
	if c.NotBefore != nil {
		leaf.NotBefore = *c.NotBefore
	}
	if c.NotAfter != nil {
		leaf.NotAfter = *c.NotAfter
	}
	for _, text := range c.URIs {
		u, err := url.Parse(text)
		if err != nil {
			return nil, fmt.Errorf("cert.uris: %w", err)
		}
		leaf.URIs = append(leaf.URIs, u)
	}
	for _, text := range c.IPs {
		ip := net.ParseIP(text)
		if ip == nil {
			return nil, fmt.Errorf("cert.ips: %q: want an address", text)
		}
		leaf.IPAddresses = append(leaf.IPAddresses, ip)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Test CA"},
		NotBefore: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	var chain []*x509.Certificate
	for _, template := range []*x509.Certificate{leaf, ca} {
		der, err := x509.CreateCertificate(rand.Reader, template, ca, &key.PublicKey, key)
		if err != nil {
			return nil, fmt.Errorf("cert: %w", err)
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, errors.Join(errors.New("cert: the names that it was made with"), err)
		}
		chain = append(chain, cert)
	}
	return chain, nil
}
