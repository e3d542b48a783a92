package truststore

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/sallyport/sallyport/revocation"
)

// maxWhy is how many bytes a reason given by hand may have.
const maxWhy = 500

// errNoRevocation marks an id under which nothing is in force.
var errNoRevocation = errors.New("no such revocation is in force")

// IsNoRevocation says whether Unrevoke failed because its id names nothing that
// is in force.
func IsNoRevocation(err error) bool { return errors.Is(err, errNoRevocation) }

// RevokeCertificate revokes a client's or a CA's certificate from the next
// check on, on every path that it is on, whatever the CRLs say and also where
// they are off. why is for the record and may be empty.
//
// It means the certificate with this issuer and serial number. Where the issuer
// is an anchor, it is that name and key. Otherwise the key is not known yet: then
// it is whoever has this name and a key that verifies cert, which is found out
// when a client brings a certificate of that name and number.
//
// What is revoked already is returned as it is. With an error that says so, the
// revocation is in force but could not be saved: it is lost with the process,
// unless a later change is saved.
func (s *Store) RevokeCertificate(cert *x509.Certificate, why string, now time.Time) (Revocation, error) {
	if cert == nil {
		return Revocation{}, errors.New("revoke certificate: none given")
	}
	parsed, err := x509.ParseCertificate(cert.Raw) // as it will be after a restart
	if err != nil {
		return Revocation{}, fmt.Errorf("revoke certificate: %w", err)
	}
	var a *anchors
	if g := s.gen.Load(); g != nil {
		a = g.anchors
	}
	return s.revoke(byCertificate(parsed, a), why, now)
}

// RevokeSerial revokes the certificate that this CA has issued under this serial
// number, as RevokeCertificate does. The CA is meant by name and key: the number
// is revoked for each of its certificates, cross-signed ones say, and the CA need
// not be an anchor.
func (s *Store) RevokeSerial(issuer *x509.Certificate, serial *big.Int, why string, now time.Time) (Revocation, error) {
	switch {
	case issuer == nil:
		return Revocation{}, errors.New("revoke serial number: no issuer given")
	case serial == nil || serial.Sign() < 0:
		return Revocation{}, fmt.Errorf("revoke serial number %v: want one that is not negative", serial)
	}
	if _, err := x509.ParsePKIXPublicKey(issuer.RawSubjectPublicKeyInfo); err != nil {
		return Revocation{}, fmt.Errorf("revoke serial number: issuer's key: %w", err)
	}
	m := newManual(revocation.NameKeyOf(issuer.RawSubject), issuer.RawSubject, serial)
	m.setIssuer(issuer)
	return s.revoke(m, why, now)
}

func (s *Store) revoke(m *manual, why string, now time.Time) (Revocation, error) {
	if err := checkWhy(why); err != nil {
		return Revocation{}, fmt.Errorf("revoke certificate: %w", err)
	}
	l, err := s.writableLedger()
	if err != nil {
		return Revocation{}, fmt.Errorf("revoke certificate: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	saving.Lock()
	defer saving.Unlock()

	changed, saveErr := l.refresh()
	for _, old := range l.all {
		if old.UndoneAt == nil && old.means(m) {
			if changed {
				s.republish()
			}
			return old.Revocation, nil
		}
	}
	if l.inForce() >= maxRevocations {
		return Revocation{}, fmt.Errorf("revoke certificate: %d revocations made by hand are in force already: use a CRL", maxRevocations)
	}
	m.ID, m.At, m.Why, m.unsaved = l.newID(), now.UTC().Round(0), why, true
	all := append(slices.Clone(l.all), m)
	if saveErr == nil {
		saveErr = l.save(slices.Clone(all))
	}
	if saveErr != nil {
		l.all = all
	}
	l.err = saveErr
	s.republish()
	s.log.Warn("certificate revoked by hand", "id", m.ID, "issuer", m.Issuer, "serial", m.Serial, "why", why)
	if saveErr != nil {
		s.log.Error("revocations made by hand not saved", "error", saveErr)
		return m.Revocation, fmt.Errorf("save revocation %s, which is in force: %w", m.ID, saveErr)
	}
	return m.Revocation, nil
}

// Unrevoke undoes a revocation from the next check on; why must say something.
// It stays in Revocations as undone. On an error it is as it was.
func (s *Store) Unrevoke(id string, why string, now time.Time) error {
	fail := func(err error) error { return fmt.Errorf("undo revocation %q: %w", id, err) }
	if why == "" {
		return fail(errors.New("no reason given"))
	}
	if err := checkWhy(why); err != nil {
		return fail(err)
	}
	l, err := s.writableLedger()
	if err != nil {
		return fail(err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	saving.Lock()
	defer saving.Unlock()

	changed, err := l.refresh()
	if changed {
		defer s.republish()
	}
	if err != nil {
		l.err = err
		return fail(err)
	}
	i := slices.IndexFunc(l.all, func(m *manual) bool { return m.ID == id && m.UndoneAt == nil })
	if i < 0 {
		return fail(errNoRevocation)
	}
	undone := *l.all[i]
	at := now.UTC().Round(0)
	undone.UndoneAt, undone.UndoneWhy = &at, why
	all := slices.Clone(l.all)
	all[i] = &undone
	l.err = l.save(trimmed(all))
	if l.err != nil {
		return fail(l.err)
	}
	if !changed {
		s.republish()
	}
	s.log.Warn("revocation by hand undone", "id", id, "issuer", undone.Issuer, "serial", undone.Serial, "why", why)
	return nil
}

// Revocations returns all revocations made by hand in the order made, with up to
// 1000 that were undone.
func (s *Store) Revocations() []Revocation {
	list := []Revocation{}
	if s.ledger == nil {
		return list
	}
	s.ledger.mu.Lock()
	defer s.ledger.mu.Unlock()
	for _, m := range s.ledger.all {
		list = append(list, m.Revocation)
	}
	return list
}

// writableLedger returns the ledger if there is one to write to.
func (s *Store) writableLedger() (*ledger, error) {
	if s.ledger == nil || s.ledger.path == "" || s.ledger.readOnly {
		return nil, fmt.Errorf("trust store %q is read-only", s.name)
	}
	return s.ledger, nil
}

// readRevocations takes over what somebody else has written to the ledger's
// file, an edge of which this one takes over the sockets say. A file that is
// broken or gone changes nothing of what is in force.
func (s *Store) readRevocations() error {
	l := s.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	saving.Lock()
	defer saving.Unlock()
	changed, err := l.refresh()
	if changed {
		s.republish()
		s.log.Info("revocations made by hand loaded", "in_force", l.inForce())
	}
	if err == nil && !l.readOnly && (l.hasUnsaved() || l.isMissing()) {
		err = l.save(slices.Clone(l.all))
	}
	if err != nil {
		s.log.Error("revocations made by hand: file refused", "file", l.path, "error", err)
	}
	l.err = err
	return err
}

// newID returns an id that is not used yet.
func (l *ledger) newID() string {
	for {
		var b [4]byte
		rand.Read(b[:])
		id := hex.EncodeToString(b[:])
		if !slices.ContainsFunc(l.all, func(m *manual) bool { return m.ID == id }) {
			return id
		}
	}
}

// checkWhy keeps what is printed in logs on one line.
func checkWhy(why string) error {
	if len(why) > maxWhy {
		return fmt.Errorf("reason has %d bytes, more than %d", len(why), maxWhy)
	}
	if !utf8.ValidString(why) {
		return fmt.Errorf("reason %q: want UTF-8", why)
	}
	for _, r := range why {
		if !unicode.IsPrint(r) {
			return fmt.Errorf("reason %q: want printable characters", why)
		}
	}
	return nil
}
