package truststore

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/identity"
	"github.com/sallyport/sallyport/revocation"
)

// Status is a trust store as operators see it.
type Status struct {
	Name       string    `json:"name"`
	Generation uint64    `json:"generation"` // grows with every change that came into force
	Loaded     time.Time `json:"loaded"`     // when this generation came into force
	// Version in force, of a store with source api; 0 before its first put.
	Version uint64      `json:"version,omitempty"`
	CAs     []CAStatus  `json:"cas"`
	CRLs    []CRLStatus `json:"crls"`
	// Sources are the URLs that CRLs are fetched from.
	Sources []SourceStatus `json:"sources"`
	// Warnings are about what is in force, at the time of asking.
	Warnings []string `json:"warnings"`
	// Errors are the files that were refused when last read, and the URLs that
	// could not be fetched, by their field in the configuration; what they held
	// before is still in force.
	Errors map[string]string `json:"errors,omitempty"`
	// Loading is the CRL that is being read now; what was in force stays so
	// meanwhile.
	Loading *Loading `json:"loading,omitempty"`
	// ExpiredCRLAllowed counts the certificates let pass because an expired CRL
	// did not name them and the configuration says to allow that.
	ExpiredCRLAllowed uint64 `json:"expired_crl_allowed"`
	// RevokedByHand counts the revocations made by hand that are in force.
	RevokedByHand int        `json:"revoked_by_hand"`
	ChainCache    CacheStats `json:"chain_cache"`
	// OCSP is nil where it is off.
	OCSP *OCSPStatus `json:"ocsp,omitempty"`
	AlarmStatus
}

// CAStatus is an anchor.
type CAStatus struct {
	Subject   string    `json:"subject"`
	NotBefore time.Time `json:"not_before"`
	NotAfter  time.Time `json:"not_after"`
	Key       string    `json:"key"`    // RSA 2048, ECDSA P-256, Ed25519
	SHA256    string    `json:"sha256"` // of the certificate, in hex
}

// CRLStatus is a list in force.
type CRLStatus struct {
	File       string    `json:"file,omitempty"`
	ID         int64     `json:"id,omitempty"` // with source api
	Issuer     string    `json:"issuer"`
	Scope      string    `json:"scope"`
	Number     string    `json:"number,omitempty"` // decimal
	Delta      bool      `json:"delta,omitempty"`
	ThisUpdate time.Time `json:"this_update"`
	NextUpdate time.Time `json:"next_update,omitzero"`
	Entries    int       `json:"entries"`
	// DiskBytes is what its index takes in the state directory, MemoryBytes the
	// part of it that is always in use.
	DiskBytes   int64 `json:"disk_bytes"`
	MemoryBytes int64 `json:"memory_bytes"`
	// FalsePositiveRate is how many of the look-ups of certificates that it does
	// not list cost a second look, as measured when it was loaded.
	FalsePositiveRate float64 `json:"false_positive_rate"`
	// FalsePositives is how many there were.
	FalsePositives uint64 `json:"false_positives"`
	Expired        bool   `json:"expired"` // past nextUpdate, whatever the grace
	// Verified says that a CA of the bundle signed it. Otherwise its signature is
	// checked when a client presents its CA, and it counts for nothing until then.
	Verified bool `json:"verified"`
}

// Status returns how the store is now.
func (s *Store) Status() Status {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	st := Status{
		Name:              s.name,
		CAs:               []CAStatus{},
		CRLs:              []CRLStatus{},
		Warnings:          s.warnings(now),
		Loading:           s.progress.loading(),
		ExpiredCRLAllowed: s.expiredAllowed.Load(),
		ChainCache:        s.CacheStats(),
		Sources:           s.sourcesNow(),
		OCSP:              s.ocspStatus(),
		AlarmStatus:       s.alarmStatus(),
	}
	if st.Warnings == nil {
		st.Warnings = []string{}
	}
	var cas []*x509.Certificate
	if g := s.gen.Load(); g != nil {
		st.Generation, st.Loaded, cas = g.number, g.loaded, g.anchors.certs
	}
	if e := s.versionLog().last(); e != nil {
		st.Version = e.Number
	}
	for _, c := range cas {
		sum := sha256.Sum256(c.Raw)
		st.CAs = append(st.CAs, CAStatus{
			Subject:   identity.Subject(c),
			NotBefore: c.NotBefore,
			NotAfter:  c.NotAfter,
			Key:       keyName(c),
			SHA256:    hex.EncodeToString(sum[:]),
		})
	}
	for _, f := range s.crls {
		for i, l := range f.lists {
			crl := crlStatus(f.name, l, now)
			crl.Verified = f.signed[i]
			if f.id != 0 {
				crl.File, crl.ID = "", f.id
			}
			st.CRLs = append(st.CRLs, crl)
		}
	}
	refused := func(field, text string) {
		if st.Errors == nil {
			st.Errors = map[string]string{}
		}
		st.Errors[field] = text
	}
	for field, err := range s.errors {
		var named *FieldError
		if errors.As(err, &named) { // the field is said already
			err = named.Err
		}
		refused(field, err.Error())
	}
	for _, from := range st.Sources {
		if from.LastError != "" {
			refused(from.Field, from.URL+": "+from.LastError)
		}
	}
	var err error
	if st.RevokedByHand, err = s.ledger.state(); err != nil {
		refused(ledgerFile, err.Error())
	}
	return st
}

func crlStatus(file string, l *revocation.List, now time.Time) CRLStatus {
	st := CRLStatus{
		File:       file,
		Issuer:     issuerOf(l),
		Scope:      l.Scope(),
		Delta:      l.BaseNumber() != nil,
		ThisUpdate: l.ThisUpdate(),
		NextUpdate: l.NextUpdate(),
		Entries:    l.Entries(),
		Expired:    now.After(l.NextUpdate()),

		DiskBytes:         l.DiskBytes(),
		MemoryBytes:       l.MemoryBytes(),
		FalsePositiveRate: l.FalsePositiveRate(),
		FalsePositives:    l.FalsePositives(),
	}
	if n := l.Number(); n != nil {
		st.Number = n.String()
	}
	return st
}

// issuerOf prints a list's issuer as identity prints those of certificates.
func issuerOf(l *revocation.List) string {
	return identity.Issuer(&x509.Certificate{RawIssuer: l.Issuer()})
}

func (s *Store) hasListOf(key revocation.NameKey) bool {
	for _, f := range s.crls {
		for _, l := range f.lists {
			if l.IssuerKey() == key {
				return true
			}
		}
	}
	return false
}

// warnings tells what is amiss with what is in force at now. s.mu or s.loading is
// held.
func (s *Store) warnings(now time.Time) []string {
	var all []string
	if s.versions != nil && s.versionLog().last() == nil {
		all = append(all, "source: api, and no CA bundle was put yet: all clients are refused")
	}
	for _, w := range slices.Concat(s.bundle.warnings, Warnings(s.bundle.cas, now)) {
		all = append(all, s.bundle.field+": "+w)
	}
	if mode := s.cfg.Revocation.CRL; mode != config.CRLOff && mode != config.CRLAuto {
		for _, ca := range s.bundle.cas {
			if !s.hasListOf(revocation.NameKeyOf(ca.RawSubject)) {
				all = append(all, fmt.Sprintf("crls: none of %s, and all are required: its clients are refused", describe(ca)))
			}
		}
	}
	if s.cfg.Revocation.CRL == config.CRLAuto {
		all = append(all, s.lostLists()...)
	}
	for i := range s.crls {
		all = append(all, s.crls[i].issuerWarnings...)
		all = append(all, s.crls[i].ignored...)
		all = append(all, s.crls[i].dateWarnings(now)...)
	}
	return all
}

// lostLists tells whose lists a source has held and no source holds now: crl: auto
// wants them all the same. s.mu or s.loading is held.
func (s *Store) lostLists() []string {
	var all []string
	for _, f := range s.crls {
		var lost []string
		for key, issuer := range s.memory.sources[f.name] {
			if !s.hasListOf(key) {
				lost = append(lost, fmt.Sprintf("%s: CRL of %q is gone, and was there: its clients are refused", f.field, issuer))
			}
		}
		slices.Sort(lost)
		all = append(all, lost...)
	}
	return all
}
