// Package servercert holds the certificates that the edge shows to its clients,
// and picks one by the server name a client asks for.
//
// An entry of the configuration is a Certificate, from one of three sources: files
// (file.go), the edge itself (selfsigned.go), or CAs by ACME (RFC 8555): acme.go
// has an entry's names, managed.go one name's life, authority.go and account.go
// the CAs, challenge.go what they look for, ondemand.go the names that clients
// bring. certmagic makes keys and orders under a lock and hands results to the
// store (magic.go); it does so when told to, by goroutines that are ours. Its own
// background work is not used: it opens sockets that nobody configured, says
// nothing of its next try, and nobody can end it.
package servercert

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/edge/config"
)

// Certificate is one entry of the certificates section. Any number of goroutines
// may use it.
type Certificate struct {
	name   string
	source source
	kind   string
	counts counts
}

// source is where an entry's certificates come from.
type source interface {
	// view is what is shown now.
	view() *view
	// reload reads files anew; the error is a *FieldError.
	reload() error
	// run keeps it in order until ctx is done.
	run(ctx context.Context) error
	// status describes it, name by name.
	status() []Status
	// renew asks for new certificates and waits for them.
	renew(ctx context.Context) error
}

// FieldError says which field of a certificate's entry is to blame.
type FieldError struct {
	Field string // "file.cert", "hosts" or "acme.ca_file", say
	Err   error
}

func (e *FieldError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *FieldError) Unwrap() error { return e.Err }

// Options are what entries need besides their configuration.
type Options struct {
	// Resolve turns the configuration's file names into paths. Needed.
	Resolve func(string) string
	// Manager is what the entries of an edge have in common. Needed.
	Manager *Manager
	// ReadOnly leaves no trace on disk.
	ReadOnly bool
}

// Load reads an entry's files, checks that certificate and key belong together
// and that the certificate covers the hosts it is for, and takes from the store
// what was issued before. It asks no CA: Run does. The error is a *FieldError.
func Load(cfg config.Certificate, o Options) (*Certificate, error) {
	c := &Certificate{name: cfg.Name}
	var err error
	switch {
	case cfg.ACME != nil:
		c.kind = "acme"
		c.source, err = newACME(c, cfg, o)
	case cfg.SelfSigned:
		c.kind = "self-signed"
		c.source, err = newSelfSigned(c, cfg, o)
	default:
		c.kind = "file"
		c.source, err = newFile(c, cfg, o)
	}
	if err != nil {
		return nil, err
	}
	return c, nil
}

// Run follows changed files, renews what comes to its end, and keeps OCSP answers
// fresh, until ctx is done and all that it started has ended.
func (c *Certificate) Run(ctx context.Context) error { return c.source.run(ctx) }

// Name returns the entry's name in the configuration.
func (c *Certificate) Name() string { return c.name }

// Kind is file, acme or self-signed.
func (c *Certificate) Kind() string { return c.kind }

func (c *Certificate) shown() *view { return c.source.view() }

// Current returns the entry's first certificate, to be shown to a peer that asks
// the edge for one; without any it is empty, as the edge then has none to show.
func (c *Certificate) Current() *tls.Certificate {
	if p := c.shown().first; p != nil {
		return &p.tls
	}
	return &tls.Certificate{}
}

// Leaf returns the parsed first certificate, nil if there is none yet.
func (c *Certificate) Leaf() *x509.Certificate {
	if p := c.shown().first; p != nil {
		return p.Leaf()
	}
	return nil
}

// Reload reads the entry's files again. What was in force stays so if they are
// broken. The error is a *FieldError.
func (c *Certificate) Reload() error { return c.source.reload() }

// TakeKept puts in force what another process has had issued meanwhile and has kept,
// where that lasts longer.
func (c *Certificate) TakeKept() {
	if e, ok := c.source.(*acmeEntry); ok {
		e.takeKept()
	}
}

// SameInputs says whether another entry of the same configuration has read the same
// from the files that are read at a load only.
func (c *Certificate) SameInputs(other *Certificate) bool {
	mine, ok := c.source.(*acmeEntry)
	theirs, also := other.source.(*acmeEntry)
	return ok == also && (!ok || bytes.Equal(mine.authority.inputs, theirs.authority.inputs))
}

// Renew asks for new certificates for all of the entry's names now, whatever the
// schedule says, and waits for them until ctx is done. Files are read again.
func (c *Certificate) Renew(ctx context.Context) error {
	if err := c.source.renew(ctx); err != nil {
		return fmt.Errorf("renew certificate %s: %w", c.name, err)
	}
	return nil
}

// Status is one name's of an entry.
type Status struct {
	Certificate string    `json:"certificate"` // name of the entry
	Host        string    `json:"host"`
	Source      string    `json:"source"` // file, acme or self-signed
	OnDemand    bool      `json:"on_demand,omitempty"`
	Names       []string  `json:"names,omitempty"` // in the certificate
	Issuer      string    `json:"issuer,omitempty"`
	Serial      string    `json:"serial,omitempty"`
	Key         string    `json:"key,omitempty"`
	NotBefore   time.Time `json:"not_before,omitzero"`
	NotAfter    time.Time `json:"not_after,omitzero"` // zero: there is none yet
	CA          string    `json:"ca,omitempty"`       // directory of the CA that issued it
	Unsaved     bool      `json:"unsaved,omitempty"`  // it is in memory only, as the store has not taken it
	Staple      *Staple   `json:"ocsp,omitempty"`
	LastError   string    `json:"last_error,omitempty"`
	LastErrorAt time.Time `json:"last_error_at,omitzero"`
	NextTry     time.Time `json:"next_try,omitzero"` // of a renewal, or after a failure
}

// Unpromised says whether it is of a name that a client has brought and that has no
// certificate: whoever can connect can bring one, so it is nothing to alert for.
func (s *Status) Unpromised() bool { return s.OnDemand && s.NotAfter.IsZero() }

// Staple is the OCSP answer that goes with a certificate.
type Staple struct {
	Status     string    `json:"status"` // good, or why nothing is stapled
	ThisUpdate time.Time `json:"this_update,omitzero"`
	NextUpdate time.Time `json:"next_update,omitzero"`
}

// describe fills in what a certificate says of itself.
func (s *Status) describe(p *Pair) {
	if p == nil {
		return
	}
	leaf := p.Leaf()
	s.Names, s.Issuer, s.Serial = leaf.DNSNames, leaf.Issuer.String(), fmt.Sprintf("%x", leaf.SerialNumber)
	s.NotBefore, s.NotAfter, s.Key = leaf.NotBefore, leaf.NotAfter, keyOf(leaf)
}

// Status describes the entry, name by name.
func (c *Certificate) Status() []Status { return c.source.status() }

// LastError returns what went wrong last with one of the entry's names, or "".
func (c *Certificate) LastError() string {
	for _, s := range c.Status() {
		if s.LastError != "" && !s.Unpromised() {
			return s.LastError
		}
	}
	return ""
}

// Stats are counts since the entry was loaded.
type Stats struct {
	Obtained, Renewed, Failed                   uint64
	DemandAllowed, DemandRefused, DemandLimited uint64
	Stapled, StapleFailed                       uint64
}

type counts struct {
	obtained, renewed, failed                   atomic.Uint64
	demandAllowed, demandRefused, demandLimited atomic.Uint64
	stapled, stapleFailed                       atomic.Uint64
}

// Stats returns the entry's counts.
func (c *Certificate) Stats() Stats {
	n := &c.counts
	return Stats{
		Obtained: n.obtained.Load(), Renewed: n.renewed.Load(), Failed: n.failed.Load(),
		DemandAllowed: n.demandAllowed.Load(), DemandRefused: n.demandRefused.Load(), DemandLimited: n.demandLimited.Load(),
		Stapled: n.stapled.Load(), StapleFailed: n.stapleFailed.Load(),
	}
}

// Manager is what the entries of an edge have in common: their store, and the
// challenges that CAs look for. Any number of goroutines may use it.
type Manager struct {
	store      Store
	log        *slog.Logger
	challenges challenges
	pauses     pauses
	responders *http.Client
	orders     chan struct{} // bounds orders at once
	left       atomic.Bool   // nothing more is ordered here
}

// Leave leaves what is to be ordered to another process, which has the same store:
// nothing is ordered from here on, and what the CAs are asked for already is waited
// for until ctx is done, since it would be ordered twice.
func (m *Manager) Leave(ctx context.Context) {
	m.left.Store(true)
	for range cap(m.orders) {
		select {
		case m.orders <- struct{}{}:
		case <-ctx.Done():
			return
		}
	}
}

// ordersAtOnce is how many names CAs are asked for at the same time: a start with
// a thousand new names must not look like an attack.
const ordersAtOnce = 8

// NewManager returns a manager over a store. It starts nothing.
func NewManager(store Store, log *slog.Logger) *Manager {
	return &Manager{
		store: store, log: log,
		challenges: challenges{store: store},
		pauses:     pauses{store: store, log: log, known: map[string]*pause{}},
		responders: newResponders(),
		orders:     make(chan struct{}, ordersAtOnce),
	}
}
