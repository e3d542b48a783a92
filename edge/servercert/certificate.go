// Package servercert holds the certificates that the edge shows to its clients,
// and picks one by the server name a client asks for.
package servercert

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/filewatch"
)

// Certificate is one entry of the certificates section, read from its files and
// read anew by Reload. Any number of goroutines may use it.
type Certificate struct {
	name      string
	hosts     []string // as configured; empty means the certificate's own names
	certFile  string
	keyFile   string
	watcher   *filewatch.Watcher
	loaded    atomic.Pointer[loaded]
	lastError atomic.Pointer[string]
}

// loaded is what one reading of the files gave.
type loaded struct {
	tls   tls.Certificate
	exact map[string]bool
	wild  map[string]bool // "example.com" for *.example.com
	raw   []byte          // the files as read, to tell a change from a touch
}

// FieldError says which field of a certificate's entry is to blame.
type FieldError struct {
	Field string // "file.cert", "file.key" or "hosts"
	Err   error
}

func (e *FieldError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *FieldError) Unwrap() error { return e.Err }

// Load reads a certificate and its key, checks that they belong together and
// that the certificate covers the hosts it is for. resolve turns the
// configuration's file names into paths. The error is a *FieldError.
func Load(cfg config.Certificate, resolve func(string) string) (*Certificate, error) {
	c := &Certificate{
		name:     cfg.Name,
		hosts:    cfg.Hosts,
		certFile: resolve(cfg.File.Cert),
		keyFile:  resolve(cfg.File.Key),
	}
	c.watcher = filewatch.New(c.certFile, c.keyFile)
	if err := c.Reload(); err != nil {
		return nil, err
	}
	return c, nil
}

// Run reads the files again within a second of a change, until ctx is done.
func (c *Certificate) Run(ctx context.Context, log *slog.Logger) error {
	return c.watcher.Run(ctx, filewatch.Interval, func([]string) {
		before := c.loaded.Load()
		if err := c.Reload(); err != nil {
			log.Error("certificate changed but is refused; the old one stays", "certificate", c.name, "cause", err)
		} else if c.loaded.Load() != before {
			log.Info("certificate reloaded", "certificate", c.name, "not_after", c.Leaf().NotAfter)
		}
	})
}

// Name returns the certificate's name in the configuration.
func (c *Certificate) Name() string { return c.name }

// Current returns the certificate in force, to be shown to a peer that asks the
// edge for one.
func (c *Certificate) Current() *tls.Certificate { return &c.loaded.Load().tls }

// Leaf returns the parsed certificate in force.
func (c *Certificate) Leaf() *x509.Certificate { return c.loaded.Load().tls.Leaf }

// LastError returns why the last Reload was refused, or "".
func (c *Certificate) LastError() string {
	if text := c.lastError.Load(); text != nil {
		return *text
	}
	return ""
}

// Reload reads the files again. What was in force stays so if they are broken.
// The error is a *FieldError.
func (c *Certificate) Reload() error {
	next, err := c.read()
	if err != nil {
		text := err.Error()
		c.lastError.Store(&text)
		return err
	}
	c.lastError.Store(nil)
	if old := c.loaded.Load(); old == nil || !bytes.Equal(old.raw, next.raw) {
		c.loaded.Store(next)
	}
	return nil
}

func (c *Certificate) read() (*loaded, error) {
	certPEM, err := os.ReadFile(c.certFile)
	if err != nil {
		return nil, &FieldError{"file.cert", err}
	}
	keyPEM, err := os.ReadFile(c.keyFile)
	if err != nil {
		return nil, &FieldError{"file.key", err}
	}
	if block, _ := pem.Decode(certPEM); block == nil {
		return nil, &FieldError{"file.cert", fmt.Errorf("parse %s: no PEM block found: want CERTIFICATE blocks, the leaf first", c.certFile)}
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return nil, &FieldError{"file.key", fmt.Errorf("load %s with key %s: %w", c.certFile, c.keyFile, err)}
	}
	next := &loaded{
		tls:   pair,
		exact: map[string]bool{},
		wild:  map[string]bool{},
		raw:   append(append([]byte{}, certPEM...), keyPEM...),
	}
	hosts := c.hosts
	if len(hosts) == 0 {
		hosts = pair.Leaf.DNSNames
	}
	for _, host := range hosts {
		if len(c.hosts) > 0 && !covers(pair.Leaf, host) {
			return nil, &FieldError{"hosts", fmt.Errorf("%q: the certificate in %s is for %s", host, c.certFile, namesOf(pair.Leaf))}
		}
		host = strings.ToLower(host)
		if rest, ok := strings.CutPrefix(host, "*."); ok {
			next.wild[rest] = true
		} else {
			next.exact[host] = true
		}
	}
	return next, nil
}

// covers says whether the certificate is for host; a wildcard host needs the
// same wildcard in the certificate.
func covers(leaf *x509.Certificate, host string) bool {
	if strings.HasPrefix(host, "*.") {
		for _, name := range leaf.DNSNames {
			if strings.EqualFold(name, host) {
				return true
			}
		}
		return false
	}
	return leaf.VerifyHostname(host) == nil
}

func namesOf(leaf *x509.Certificate) string {
	names := append([]string{}, leaf.DNSNames...)
	for _, ip := range leaf.IPAddresses {
		names = append(names, ip.String())
	}
	if len(names) == 0 {
		return "no name at all: it has no subject alternative names"
	}
	return strings.Join(names, ", ")
}
