package servercert

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/edge/config"
)

// selfSignedLife is short enough that nobody builds on it.
const selfSignedLife = 90 * 24 * time.Hour

// selfSignedBy is in the certificate, for whoever looks at it in a browser.
const selfSignedBy = "Sallyport, self-signed for development"

// selfSigned is a certificate that the edge signs with the certificate's own key.
// It is kept, so that an exception made in a browser outlives a restart.
type selfSigned struct {
	certificate *Certificate
	manager     *Manager
	readOnly    bool
	hosts       []string
	current     atomic.Pointer[view]
	lastError   atomic.Pointer[failure]
}

func newSelfSigned(c *Certificate, cfg config.Certificate, o Options) (*selfSigned, error) {
	s := &selfSigned{certificate: c, manager: o.Manager, readOnly: o.ReadOnly, hosts: cfg.Hosts}
	pair, err := s.stored()
	if err == nil && !s.suits(pair, time.Now()) || errors.Is(err, fs.ErrNotExist) {
		pair, err = s.sign(time.Now())
	}
	if err != nil {
		return nil, &FieldError{"self_signed", err}
	}
	s.show(pair)
	return s, nil
}

func (s *selfSigned) key() string { return "self-signed/" + s.certificate.name + ".pem" }

func (s *selfSigned) stored() (*Pair, error) {
	data, err := s.manager.store.Load(s.key())
	if err != nil {
		return nil, err
	}
	pair, err := newPair(s.certificate.name, data, data)
	if err != nil {
		return nil, fmt.Errorf("load kept certificate %s: %w", s.key(), err)
	}
	return pair, nil
}

// suits says whether the pair is for these hosts, and for long enough.
func (s *selfSigned) suits(pair *Pair, now time.Time) bool {
	return slices.Equal(pair.Leaf().DNSNames, s.hosts) && now.Before(renewAt(pair.Leaf()))
}

func (s *selfSigned) sign(now time.Time) (*Pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: s.hosts[0], Organization: []string{selfSignedBy}},
		DNSNames:              s.hosts,
		NotBefore:             now.Add(-time.Hour), // clocks differ
		NotAfter:              now.Add(selfSignedLife),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	if len(s.hosts[0]) > 64 { // what a common name may have (RFC 5280, appendix A.1)
		template.Subject.CommonName = ""
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("sign certificate: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode key: %w", err)
	}
	data := slices.Concat(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	pair, err := newPair(s.certificate.name, data, data)
	if err != nil || s.readOnly {
		return pair, err
	}
	return pair, s.manager.store.Save(s.key(), data)
}

func (s *selfSigned) show(pair *Pair) {
	v := newView()
	for _, host := range s.hosts {
		v.add(host, pair)
	}
	s.current.Store(v)
}

func (s *selfSigned) view() *view { return s.current.Load() }

func (s *selfSigned) reload() error { return nil }

func (s *selfSigned) renew(context.Context) error {
	pair, err := s.sign(time.Now())
	if err != nil {
		s.lastError.Store(&failure{err.Error(), time.Now()})
		s.certificate.counts.failed.Add(1)
		return err
	}
	s.lastError.Store(nil)
	s.certificate.counts.renewed.Add(1)
	s.show(pair)
	return nil
}

func (s *selfSigned) run(ctx context.Context) error {
	log := s.manager.log.With("certificate", s.certificate.name)
	log.Warn("certificate is self-signed, for development: no client has reason to trust it")
	failures := 0
	for {
		next := renewAt(s.view().first.Leaf())
		if failures > 0 {
			next = time.Now().Add(backoff(failures, false))
		}
		if !sleep(ctx, time.Until(next)) {
			return nil
		}
		if err := s.renew(ctx); err != nil {
			failures++
			log.Error("self-signed certificate not renewed", "cause", err)
			continue
		}
		failures = 0
		log.Info("self-signed certificate renewed", "not_after", s.view().first.Leaf().NotAfter)
	}
}

func (s *selfSigned) status() []Status {
	var list []Status
	for _, host := range s.hosts {
		one := Status{Certificate: s.certificate.name, Host: host, Source: "self-signed", NextTry: renewAt(s.view().first.Leaf())}
		one.describe(s.view().first)
		if failed := s.lastError.Load(); failed != nil {
			one.LastError, one.LastErrorAt = failed.text, failed.at
		}
		list = append(list, one)
	}
	return list
}
