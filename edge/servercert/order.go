package servercert

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/caddyserver/certmagic"
)

// orderTime bounds one attempt, with all CAs.
const orderTime = 10 * time.Minute

// storeError is a fault of the store, not of a CA.
type storeError struct{ err error }

func (e *storeError) Error() string { return e.err.Error() }

func (e *storeError) Unwrap() error { return e.err }

// probeSize is more than any certificate with its key, in bytes.
const probeSize = 32 << 10

// probe says whether the store can take a certificate: an order that cannot be kept
// is one that is made again.
func (m *managed) probe() error {
	store, key := m.entry.manager.store, m.key(".probe")
	if err := store.Save(key, bytes.Repeat([]byte("\n"), probeSize)); err != nil {
		return errors.Join(fmt.Errorf("certificate could not be kept: %w", err), store.Delete(key))
	}
	return store.Delete(key)
}

// order gets a certificate and puts it in force.
func (m *managed) order(ctx context.Context) error {
	manager := m.entry.manager
	select {
	case manager.orders <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	if manager.left.Load() {
		<-manager.orders
		<-ctx.Done()
		return ctx.Err()
	}
	defer func() { <-manager.orders }()
	ctx, cancel := context.WithTimeout(ctx, orderTime)
	defer cancel()
	before := m.current()
	// One order for a name at a time, also among processes: its challenges would
	// get in each other's way. A wildcard's record has the name that its domain's has.
	unlock, err := manager.store.Lock(ctx, "order-"+strings.TrimPrefix(m.host, "*."))
	if err != nil {
		return &storeError{err}
	}
	defer unlock()
	if err := m.keep(); err != nil {
		return &storeError{err}
	}
	if err := m.probe(); err != nil {
		return &storeError{err}
	}
	had := m.current()
	if had != nil && (before == nil || had.Leaf() != before.Leaf()) {
		return nil // by takeKept, of who had the lock
	}
	if found, err := m.takeNewer(had); err != nil {
		return &storeError{err}
	} else if found {
		return nil
	}
	storage := &magicStorage{store: manager.store, key: m.key(".pem")}
	if had != nil {
		m.mu.Lock()
		ca := m.ca
		storage.forRevoked = m.forRevoked
		m.mu.Unlock()
		if m.care.revoked(had) {
			storage.forRevoked = time.Now()
		}
		ctx = context.WithValue(ctx, replacesKey{}, replaces{had.Leaf(), ca})
	}
	cfg := certmagic.New(m.entry.cache, certmagic.Config{
		Issuers:             []certmagic.Issuer{m.entry.authority},
		Storage:             storage,
		KeySource:           certmagic.StandardKeyGenerator{KeyType: keyTypes[m.entry.cfg.KeyType]},
		OCSP:                certmagic.OCSPConfig{DisableStapling: true}, // ours: see care.go
		DisableStorageCheck: true,
		DisableARI:          true, // ours: see askWindow
		Logger:              manager.zap(),
	})
	// It obtains where there is none to renew.
	if err := cfg.RenewCertSync(ctx, m.host, true); err != nil {
		return plain(err)
	}
	return m.takeIssued(storage)
}

// takeNewer takes what another process has had issued meanwhile. What is kept and
// cannot be used goes: it would be taken for what is asked for.
func (m *managed) takeNewer(had *Pair) (bool, error) {
	store := m.entry.manager.store
	data, err := store.Load(m.key(".pem"))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	b, err := decodeBundle(data)
	var pair *Pair
	if err == nil {
		pair, err = m.parse(b)
	}
	if err != nil {
		return false, store.Delete(m.key(".pem"))
	}
	leaf := pair.Leaf()
	if !time.Now().Before(renewAt(leaf)) || keyOf(leaf) != string(m.entry.cfg.KeyType) ||
		had != nil && !leaf.NotAfter.After(had.Leaf().NotAfter) {
		return false, nil
	}
	m.put(b, pair)
	return true, nil
}

// takeKept takes what another process has had issued, if it can be used: whatever
// else is there is for who orders, and has the lock.
func (m *managed) takeKept() bool {
	storage := &magicStorage{store: m.entry.manager.store, key: m.key(".pem")}
	b, err := storage.load()
	if err != nil {
		return false
	}
	pair, err := m.parse(b)
	had := m.current()
	if err != nil || keyOf(pair.Leaf()) != string(m.entry.cfg.KeyType) ||
		had != nil && !pair.Leaf().NotAfter.After(had.Leaf().NotAfter) {
		return false
	}
	m.put(b, pair)
	m.wake() // it is due at another time
	return true
}

// takeIssued puts in force what a CA has issued, on disk or not.
func (m *managed) takeIssued(storage *magicStorage) error {
	storage.mu.Lock()
	b, fault := storage.complete, storage.err
	storage.mu.Unlock()
	if b == nil {
		return errors.New("the CA has issued no certificate")
	}
	pair, err := m.parse(b)
	if err != nil {
		return err
	}
	m.put(b, pair)
	if fault != nil {
		m.mu.Lock()
		m.unsaved = b.encode()
		m.mu.Unlock()
		m.notKept(fault)
	}
	return nil
}

// keep saves what the store has not taken before.
func (m *managed) keep() error {
	m.mu.Lock()
	data := m.unsaved
	m.mu.Unlock()
	if data == nil {
		return nil
	}
	if err := m.entry.manager.store.Save(m.key(".pem"), data); err != nil {
		m.notKept(err)
		return err
	}
	m.mu.Lock()
	m.unsaved, m.unsavedFor, m.saveFailures, m.saveAt = nil, nil, 0, time.Time{}
	m.mu.Unlock()
	m.entry.manager.log.Info("certificate kept at last", "certificate", m.entry.certificate.name, "host", m.host)
	return nil
}

func (m *managed) notKept(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.saveFailures++
	now := time.Now()
	m.saveAt = now.Add(backoff(m.saveFailures, false))
	m.unsavedFor = &failure{err.Error(), now}
	if m.saveFailures == 1 {
		m.entry.manager.log.Error("certificate is in force and not kept: it is lost with the process", "certificate", m.entry.certificate.name, "host", m.host, "cause", err, "next_try", m.saveAt)
	}
}

// keepDue says whether the store is to be tried again.
func (m *managed) keepDue(now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.unsaved != nil && !now.Before(m.saveAt)
}

// plain takes off what certmagic puts around an error, which says nothing more.
func plain(err error) error {
	var joined interface{ Unwrap() []error }
	if errors.As(err, &joined) {
		return joined.(error)
	}
	return err
}
