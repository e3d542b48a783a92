package truststore

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/sallyport/sallyport/edge/filewatch"
	"github.com/sallyport/sallyport/revocation"
)

const (
	// ledgerFile is where a store's state directory keeps the revocations made by
	// hand.
	ledgerFile = "revocations.json"

	maxLedgerSize = 64 << 20

	// maxRevocations is how many may be in force, and maxUndone how many undone
	// ones are kept for the record. What is more than a hand makes belongs into a
	// CRL.
	maxRevocations = 10000
	maxUndone      = 1000
)

// ledger is all revocations made by hand, those undone too, and their file.
// More than one may be open of one file: a reload makes a second Store while the
// first still runs, an upgrade a second process.
type ledger struct {
	mu       sync.Mutex // also of what is put in force: see Store.publish
	path     string     // "" where there is no state directory
	readOnly bool
	all      []*manual         // in the order made; replaced, never changed
	digest   [sha256.Size]byte // of the file as last read or written
	err      error             // why the file is not as all, if it is not
}

// ledgerJSON is the file's content.
type ledgerJSON struct {
	Version     int          `json:"version"`
	Revocations []manualJSON `json:"revocations"`
}

type manualJSON struct {
	Revocation
	IssuerPublicKey []byte `json:"issuer_public_key,omitempty"` // SubjectPublicKeyInfo in DER
	Certificate     []byte `json:"certificate,omitempty"`       // DER, where the issuer's key is not known
}

// ledgerPaths are the files of a ledger in dir.
func ledgerPaths(dir string) []string {
	if dir == "" {
		return nil
	}
	return []string{filepath.Join(dir, ledgerFile)}
}

// openLedger reads the file, if there is one. One that cannot be read is an
// error: to forget is to fail open.
func openLedger(dir string, readOnly bool) (*ledger, error) {
	l := &ledger{readOnly: readOnly}
	for _, path := range ledgerPaths(dir) {
		l.path = path
	}
	_, err := l.refresh()
	return l, err
}

// refresh takes over what the file holds, if somebody else has written it, and
// reports whether there was anything new. What could not be saved is kept beside
// it, and a file that is gone has revoked nothing less. mu is held, but by
// openLedger.
func (l *ledger) refresh() (changed bool, err error) {
	if l.path == "" {
		return false, nil
	}
	data, err := filewatch.ReadFile(l.path, maxLedgerSize)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	digest := sha256.Sum256(data)
	if digest == l.digest {
		return false, nil
	}
	all, err := parseLedger(data)
	if err != nil {
		return false, fmt.Errorf("parse %s: %w", l.path, err)
	}
	for _, m := range l.all {
		same := func(other *manual) bool { return other.ID == m.ID }
		if m.unsaved && !slices.ContainsFunc(all, same) {
			all = append(all, m)
		}
	}
	l.all, l.digest = all, digest
	return true, nil
}

// save writes these in the place of the file and makes them all. mu is held.
func (l *ledger) save(all []*manual) error {
	content := ledgerJSON{Version: 1, Revocations: make([]manualJSON, 0, len(all))}
	for _, m := range all {
		entry := manualJSON{Revocation: m.Revocation, IssuerPublicKey: m.issuer}
		if m.cert != nil {
			entry.Certificate = m.cert.Raw
		}
		content.Revocations = append(content.Revocations, entry)
	}
	data, err := json.MarshalIndent(content, "", "\t")
	if err != nil {
		return err
	}
	data = append(data, '\n')
	if len(data) > maxLedgerSize {
		return fmt.Errorf("%s would have %d bytes, more than %d", l.path, len(data), maxLedgerSize)
	}
	if err := replaceFile(l.path, data); err != nil {
		return err
	}
	for i, m := range all {
		if m.unsaved {
			saved := *m
			saved.unsaved = false
			all[i] = &saved
		}
	}
	l.all, l.digest = all, sha256.Sum256(data)
	return nil
}

// isMissing says whether a file that should be there is not.
func (l *ledger) isMissing() bool {
	_, err := os.Stat(l.path)
	return len(l.all) > 0 && errors.Is(err, fs.ErrNotExist)
}

// hasUnsaved says whether the file lacks something.
func (l *ledger) hasUnsaved() bool {
	return slices.ContainsFunc(l.all, func(m *manual) bool { return m.unsaved })
}

// inForce counts what is not undone.
func (l *ledger) inForce() int {
	n := 0
	for _, m := range l.all {
		if m.UndoneAt == nil {
			n++
		}
	}
	return n
}

// state is what Status tells.
func (l *ledger) state() (inForce int, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.inForce(), l.err
}

// trimmed leaves out the oldest of those undone if they are too many.
func trimmed(all []*manual) []*manual {
	undone := 0
	for _, m := range all {
		if m.UndoneAt != nil {
			undone++
		}
	}
	return slices.DeleteFunc(all, func(m *manual) bool {
		drop := m.UndoneAt != nil && undone > maxUndone
		if drop {
			undone--
		}
		return drop
	})
}

// parseLedger reads a file's content, all of it or nothing.
func parseLedger(data []byte) ([]*manual, error) {
	var content ledgerJSON
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields() // the next save would lose them
	if err := d.Decode(&content); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("more than one JSON value")
	}
	if content.Version != 1 {
		return nil, fmt.Errorf("version %d, want 1", content.Version)
	}
	ids := map[string]bool{}
	var all []*manual
	for i, entry := range content.Revocations {
		m, err := entry.parse()
		if err == nil && ids[m.ID] {
			err = fmt.Errorf("id %q appears twice", m.ID)
		}
		if err != nil {
			return nil, fmt.Errorf("revocation %d: %w", i+1, err)
		}
		ids[m.ID] = true
		all = append(all, m)
	}
	return all, nil
}

// parse checks that an entry can be recognized by what it holds.
func (e *manualJSON) parse() (*manual, error) {
	m := &manual{Revocation: e.Revocation}
	switch {
	case m.ID == "":
		return nil, errors.New("has no id")
	case m.At.IsZero():
		return nil, fmt.Errorf("%s: has no time", m.ID)
	}
	key, err := parseNameKey(m.IssuerKey)
	if err != nil {
		return nil, fmt.Errorf("%s: issuer %w", m.ID, err)
	}
	serial, err := hex.DecodeString(m.Serial)
	if err != nil || len(serial) == 0 {
		return nil, fmt.Errorf("%s: serial %q: want hex digits in pairs", m.ID, m.Serial)
	}
	m.issued = newIssuedKey(key, new(big.Int).SetBytes(serial))
	if len(e.IssuerPublicKey) > 0 {
		public, err := x509.ParsePKIXPublicKey(e.IssuerPublicKey)
		if err != nil {
			return nil, fmt.Errorf("%s: issuer's key: %w", m.ID, err)
		}
		m.setIssuer(&x509.Certificate{RawSubjectPublicKeyInfo: e.IssuerPublicKey, PublicKey: public})
		if m.IssuerSPKI != e.IssuerSPKI {
			return nil, fmt.Errorf("%s: issuer's key has the digest %s, not %q", m.ID, m.IssuerSPKI, e.IssuerSPKI)
		}
		return m, nil
	}
	if m.cert, err = x509.ParseCertificate(e.Certificate); err != nil {
		return nil, fmt.Errorf("%s: has no issuer's key, and no certificate: %w", m.ID, err)
	}
	if newIssuedKey(revocation.NameKeyOf(m.cert.RawIssuer), m.cert.SerialNumber) != m.issued {
		return nil, fmt.Errorf("%s: is not of the certificate that it holds", m.ID)
	}
	return m, nil
}
