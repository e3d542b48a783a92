package edge

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sallyport/sallyport/edge/admin"
	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/page"
	"github.com/sallyport/sallyport/edge/reason"
	"github.com/sallyport/sallyport/edge/servercert"
)

// certificateStore is where what CAs have issued is kept.
func certificateStore(cfg *config.Config) servercert.Store {
	return servercert.Dir(filepath.Join(cfg.ResolvePath(cfg.StateDir), "certificates"))
}

// acmeFiles are the files that an entry has the edge read; "" for none.
func acmeFiles(a *config.ACME) []string {
	var files []string
	if a != nil {
		for _, ca := range a.CAs() {
			files = append(files, ca.CAFile, ca.EAB.HMACFile)
		}
	}
	return files
}

func (b *builder) serverCertificates() {
	for i, cfg := range b.cfg.Certificates {
		hasFile := cfg.File.Cert != "" && cfg.File.Key != ""
		if hasFile == (cfg.ACME != nil || cfg.SelfSigned) || cfg.SelfSigned && (len(cfg.Hosts) == 0 || cfg.ACME != nil) {
			continue // reported by config
		}
		path := fmt.Sprintf("certificates[%d]", i)
		certificate, err := b.serverCertificate(cfg)
		if err != nil {
			b.fieldProblem(path, err)
			continue
		}
		for _, doubt := range certificate.Doubts(time.Now()) {
			b.warning(path, "certificate %s %s", cfg.Name, doubt)
		}
		b.next.certificates[cfg.Name] = certificate
	}
}

// serverCertificate loads an entry, or takes over the one in force if nothing about
// it has changed: it has learned when to renew, and what is under way goes on.
func (b *builder) serverCertificate(cfg config.Certificate) (*servercert.Certificate, error) {
	options := servercert.Options{Resolve: b.cfg.ResolvePath, Manager: b.manager, ReadOnly: b.readOnly}
	if b.old != nil {
		for _, old := range b.old.cfg.Certificates {
			known := b.old.certificates[cfg.Name]
			if known == nil || !reflect.DeepEqual(old, cfg) {
				continue
			}
			options.ReadOnly = true
			fresh, err := servercert.Load(cfg, options)
			if err != nil || !fresh.SameInputs(known) {
				return fresh, err
			}
			b.next.reused = append(b.next.reused, known)
			return known, nil
		}
	}
	return servercert.Load(cfg, options)
}

// answerChallenge makes a handshake one that only answers a CA which checks a name
// (RFC 8737), if it is that: it offers acme-tls/1 and nothing else, and a check is
// under way. Nobody is asked for a certificate, no session is begun or resumed, and
// the connection ends with the handshake.
func (s *Server) answerChallenge(c *Conn, info *tls.ClientHelloInfo, conf *tls.Config) bool {
	if len(info.SupportedProtos) != 1 || info.SupportedProtos[0] != servercert.ACMEProtocol {
		return false
	}
	certificate := s.managed.TLSALPN(info.ServerName)
	if certificate == nil {
		return false // crypto/tls answers no_application_protocol
	}
	c.hello.challenge = true
	conf.NextProtos = []string{servercert.ACMEProtocol}
	conf.ClientAuth, conf.ClientCAs = tls.NoClientCert, nil
	// The CA's client decides, within what RFC 8737 allows: the security policy is
	// for those who are let in.
	conf.MinVersion, conf.MaxVersion, conf.CipherSuites, conf.CurvePreferences = tls.VersionTLS12, 0, nil, nil
	conf.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return certificate, nil }
	return true
}

// show picks what the client is shown. It may have to wait for a CA to issue it.
func (c *Conn) show(info *tls.ClientHelloInfo) (*tls.Certificate, error) {
	selector := c.policy.selector
	if entry := selector.Demand(info.ServerName); entry != nil {
		if err := c.demand(entry, info); err != nil {
			return nil, err
		}
	}
	pair, err := selector.Pick(info)
	if err != nil {
		return nil, &reason.Error{Code: reason.ServerCertUnavailable, Cause: err}
	}
	if pair == nil {
		c.hello.unknownName = true
		return nil, nil // crypto/tls answers unrecognized_name
	}
	c.hello.certificate, c.hello.shown = pair.Name(), pair.Leaf()
	return pair.Current(), nil
}

// demand has a certificate issued for the name that the client asks for, and waits
// for it as long as the handshake may last. Meanwhile others have its turn.
func (c *Conn) demand(entry *servercert.Certificate, info *tls.ClientHelloInfo) error {
	timeout := c.policy.cfg.Limits.HandshakeTimeout.Std()
	ctx, cancel := context.WithDeadline(info.Context(), c.accepted.Add(timeout-timeout/10)) // so that an alert still goes out
	defer cancel()
	if c.wire.shaking != nil {
		c.wire.shaking.wait()
	}
	err := entry.Obtain(ctx, info.ServerName)
	if c.wire.shaking != nil {
		if err := c.wire.shaking.work(); err != nil {
			return err
		}
	}
	switch {
	case err == nil, errors.Is(err, servercert.ErrNotAllowed): // an unknown name, then
		return nil
	}
	return &reason.Error{Code: reason.ServerCertUnavailable, Cause: err}
}

// certificatesToLookAt says which certificates an operator should look at.
func (g *generation) certificatesToLookAt(now time.Time) []string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(g.certificates)) {
		certificate := g.certificates[name]
		if certificate.Kind() == "self-signed" {
			list = append(list, fmt.Sprintf("certificate %s: self-signed, for development: no client has reason to trust it", name))
		}
		for _, s := range certificate.Status() {
			what := fmt.Sprintf("certificate %s", name)
			if s.Source == "acme" {
				what += " for " + s.Host
			}
			switch {
			case s.Unpromised():
			case s.Unsaved:
				list = append(list, what+": not kept on disk, lost with the process: "+s.LastError)
			case s.LastError != "" && s.Source == "file":
				list = append(list, what+": reload refused: "+s.LastError)
			case s.LastError != "" && s.NotAfter.IsZero():
				list = append(list, what+": none yet: "+s.LastError)
			case s.LastError != "":
				list = append(list, what+": not renewed, the old one stays: "+s.LastError)
			}
			if !s.NotAfter.IsZero() && now.After(s.NotAfter) {
				list = append(list, what+": expired at "+s.NotAfter.UTC().Format(time.RFC3339))
			}
		}
	}
	return list
}

func certificatesOnPage(g *generation) []page.Certificate {
	var list []page.Certificate
	for _, c := range g.cfg.Certificates {
		loaded := g.certificates[c.Name]
		if loaded == nil {
			continue
		}
		shown := page.Certificate{Name: c.Name, Source: loaded.Kind(), Error: loaded.LastError()}
		var hosts []string
		for _, s := range loaded.Status() {
			if s.Unpromised() {
				continue
			}
			hosts = append(hosts, s.Host)
			if s.Source == "file" {
				hosts = s.Names
			}
			if shown.NotAfter.IsZero() || s.NotAfter.Before(shown.NotAfter) {
				shown.NotAfter = s.NotAfter
			}
		}
		shown.Hosts = strings.Join(hosts, ", ")
		list = append(list, shown)
	}
	return list
}

func (g *generation) collectCertificates(ch chan<- prometheus.Metric) {
	for name, certificate := range g.certificates {
		gauge := func(desc *prometheus.Desc, n float64) {
			ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, n, name)
		}
		count := func(desc *prometheus.Desc, n uint64, result string) {
			ch <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(n), name, result)
		}
		var ends time.Time
		failing, counted := 0, false
		for _, s := range certificate.Status() {
			if s.Unpromised() {
				continue
			}
			if !counted || s.NotAfter.Before(ends) {
				ends, counted = s.NotAfter, true
			}
			if s.LastError != "" {
				failing++
			}
		}
		if counted {
			gauge(certEnds, seconds(ends))
		}
		gauge(certFail, float64(failing))
		stats := certificate.Stats()
		if certificate.Kind() == "acme" {
			count(certNew, stats.Obtained, "obtained")
			count(certAsk, stats.DemandAllowed, "allowed")
			count(certAsk, stats.DemandRefused, "refused")
			count(certAsk, stats.DemandLimited, "limited")
		}
		if certificate.Kind() != "file" {
			count(certNew, stats.Renewed, "renewed")
			count(certNew, stats.Failed, "failed")
		}
		count(certOCSP, stats.Stapled, "stapled")
		count(certOCSP, stats.StapleFailed, "failed")
	}
}

func (v adminView) Certificates(name string) []json.RawMessage {
	list := []json.RawMessage{}
	certificates := v.s.generation.Load().certificates
	for _, each := range slices.Sorted(maps.Keys(certificates)) {
		if name != "" && each != name {
			continue
		}
		for _, status := range certificates[each].Status() {
			if text, err := json.Marshal(status); err == nil {
				list = append(list, text)
			}
		}
	}
	return list
}

func (v adminView) Renewer(name string) (admin.Renewer, bool) {
	certificate, ok := v.s.generation.Load().certificates[name]
	return renewer{certificate, &v.s.gate}, ok
}

// renewer renews an entry for as long as this process serves.
type renewer struct {
	certificate *servercert.Certificate
	gate        *stateGate
}

// Renew may take minutes, and keeps nobody from upgrading: what has been ordered by
// then the successor finds in the store.
func (r renewer) Renew(ctx context.Context) error {
	err := r.gate.moved()
	if err == nil {
		err = r.certificate.Renew(ctx)
	}
	if err != nil {
		return cmp.Or(r.gate.moved(), err)
	}
	return nil
}
