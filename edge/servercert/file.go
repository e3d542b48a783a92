package servercert

import (
	"bytes"
	"context"
	"encoding/pem"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/filewatch"
)

// maxFile bounds what an entry's files may have, in bytes.
const maxFile = 1 << 20

// file is a certificate in two files, read anew when they change.
type file struct {
	certificate *Certificate
	manager     *Manager
	hosts       []string // as configured; empty means the certificate's own names
	certFile    string
	keyFile     string
	watcher     *filewatch.Watcher
	care        care

	mu        sync.Mutex // one reading, or one answer of OCSP, at a time
	current   atomic.Pointer[view]
	lastError atomic.Pointer[failure]
}

// failure is what went wrong last, and when.
type failure struct {
	text string
	at   time.Time
}

func newFile(c *Certificate, cfg config.Certificate, o Options) (*file, error) {
	f := &file{
		certificate: c,
		manager:     o.Manager,
		hosts:       cfg.Hosts,
		certFile:    o.Resolve(cfg.File.Cert),
		keyFile:     o.Resolve(cfg.File.Key),
	}
	f.care = care{manager: o.Manager, certificate: c, key: "issued/" + c.name + "/file.ocsp"}
	f.watcher = filewatch.New(f.certFile, f.keyFile)
	if err := f.reload(); err != nil {
		return nil, err
	}
	return f, nil
}

func (f *file) view() *view { return f.current.Load() }

func (f *file) run(ctx context.Context) error {
	var careful sync.WaitGroup
	careful.Go(func() { f.care.run(ctx, func() *Pair { return f.view().first }, f.staple) })
	defer careful.Wait()
	return f.watcher.Run(ctx, filewatch.Interval, func([]string) {
		before, log := f.view(), f.manager.log
		if err := f.reload(); err != nil {
			log.Error("certificate changed but is refused; the old one stays", "certificate", f.certificate.name, "cause", err)
		} else if f.view().first.Leaf() != before.first.Leaf() {
			log.Info("certificate reloaded", "certificate", f.certificate.name, "not_after", f.view().first.Leaf().NotAfter)
			f.care.look()
		}
	})
}

func (f *file) renew(context.Context) error { return f.reload() }

func (f *file) reload() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	pair, hosts, err := f.read()
	if err != nil {
		f.lastError.Store(&failure{err.Error(), time.Now()})
		return err
	}
	f.lastError.Store(nil)
	if old := f.view(); old == nil || !bytes.Equal(old.first.raw, pair.raw) {
		f.show(pair, hosts)
	}
	return nil
}

func (f *file) show(pair *Pair, hosts []string) {
	v := newView()
	v.first = pair
	for _, host := range hosts {
		v.add(host, pair)
	}
	f.current.Store(v)
}

// staple puts an OCSP answer to the pair, unless the files have changed since.
func (f *file) staple(pair *Pair, answer []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if old := f.view(); old.first == pair {
		f.show(pair.stapled(answer), f.hostsOf(pair))
	}
}

func (f *file) hostsOf(pair *Pair) []string {
	hosts := f.hosts
	if len(hosts) == 0 {
		hosts = pair.Leaf().DNSNames
	}
	lower := make([]string, len(hosts))
	for i, host := range hosts {
		lower[i] = normal(host)
	}
	return lower
}

func (f *file) read() (*Pair, []string, error) {
	certPEM, err := filewatch.ReadFile(f.certFile, maxFile)
	if err != nil {
		return nil, nil, &FieldError{"file.cert", err}
	}
	keyPEM, err := filewatch.ReadFile(f.keyFile, maxFile)
	if err != nil {
		return nil, nil, &FieldError{"file.key", err}
	}
	if block, _ := pem.Decode(certPEM); block == nil {
		return nil, nil, &FieldError{"file.cert", fmt.Errorf("parse %s: no PEM block found: want CERTIFICATE blocks, the leaf first", f.certFile)}
	}
	pair, err := newPair(f.certificate.name, certPEM, keyPEM)
	if err != nil {
		return nil, nil, &FieldError{"file.key", fmt.Errorf("load %s with key %s: %w", f.certFile, f.keyFile, err)}
	}
	pair.raw = slices.Concat(certPEM, keyPEM)
	for _, host := range f.hosts {
		if !covers(pair.Leaf(), host) {
			return nil, nil, &FieldError{"hosts", fmt.Errorf("%q: the certificate in %s is for %s", host, f.certFile, namesOf(pair.Leaf()))}
		}
	}
	return pair, f.hostsOf(pair), nil
}

func (f *file) status() []Status {
	v := f.view()
	s := Status{Certificate: f.certificate.name, Source: "file", Staple: f.care.status()}
	if hosts := f.hostsOf(v.first); len(hosts) > 0 {
		s.Host = hosts[0]
	}
	s.describe(v.first)
	if failed := f.lastError.Load(); failed != nil {
		s.LastError, s.LastErrorAt = failed.text, failed.at
	}
	return []Status{s}
}
