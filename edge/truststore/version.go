package truststore

import (
	"errors"
	"io"
	"time"
)

// How much a store with source api keeps.
const (
	maxVersions    = 100  // the last ones, with all content that they refer to
	maxVersionCRLs = 1000 // uploads in force at once
)

// ErrNotFound is wrapped by errors about a version, or the id of a CRL, that is
// not kept or not in force.
var ErrNotFound = errors.New("not found")

// Action is what made a version.
type Action string

// What there is to do to a trust store with source api.
const (
	ActionPut       Action = "put"
	ActionAddCRL    Action = "crl-add"
	ActionRemoveCRL Action = "crl-remove"
	ActionRollback  Action = "rollback"
)

// Version is one state of a trust store with source api. The last one made is
// in force.
type Version struct {
	// Number counts the versions of a store from 1; none is used again.
	Number uint64    `json:"version"`
	Time   time.Time `json:"time"`
	Action Action    `json:"action"`
	// RevocationID is the CRL that was added or removed.
	RevocationID int64 `json:"revocation_id,omitempty"`
	// RolledBackTo is the version whose content was taken.
	RolledBackTo uint64 `json:"rolled_back_to,omitempty"`

	Bundle VersionBundle `json:"ca_bundle"`
	CRLs   []VersionCRL  `json:"crls"` // by id

	// Warnings tell what of a version just made does not work. They are not kept:
	// Status has those of now.
	Warnings []string `json:"warnings,omitempty"`
}

// VersionBundle is an uploaded CA bundle.
type VersionBundle struct {
	SHA256 string `json:"sha256"` // of the bytes, in hex
	Size   int64  `json:"size"`   // bytes
	CAs    int    `json:"cas"`
}

// VersionCRL is an upload of CRLs.
type VersionCRL struct {
	// ID is above that of every upload before it; none is used again.
	ID      int64     `json:"id"`
	SHA256  string    `json:"sha256"` // of the bytes, in hex
	Size    int64     `json:"size"`   // bytes
	Lists   int       `json:"lists"`
	Entries int       `json:"entries"`
	Added   time.Time `json:"added"`
}

// History returns the versions that are kept, the last 100, newest first: the
// first is in force. It is empty before the first Put, and for a store whose
// source is not api.
func (s *Store) History() []Version {
	log := s.versionLog()
	history := make([]Version, 0, len(log.Versions))
	for i := len(log.Versions) - 1; i >= 0; i-- {
		history = append(history, log.version(&log.Versions[i]))
	}
	return history
}

// Bundle returns the CA bundle of a version byte for byte as it was put; version
// 0 is the one in force. One that is not kept is an ErrNotFound.
func (s *Store) Bundle(version uint64) ([]byte, error) {
	if err := s.FilledByAPI(); err != nil {
		return nil, err
	}
	e, err := s.versionLog().find(version)
	if err != nil {
		return nil, err
	}
	return s.versions.dir.content(e.Bundle.SHA256, e.Bundle.Size)
}

// CRL opens an upload of CRLs byte for byte as it was added, also after it was
// removed, while a version that is kept holds it. Otherwise it is an
// ErrNotFound. Reading ends in an error where what is kept is not what was
// added. The caller closes it.
func (s *Store) CRL(id int64) (data io.ReadCloser, size int64, err error) {
	if err := s.FilledByAPI(); err != nil {
		return nil, 0, err
	}
	c, err := s.versionLog().crl(id)
	if err != nil {
		return nil, 0, err
	}
	data, err = s.versions.dir.openUpload(c.SHA256, c.Size)
	return data, c.Size, err
}
