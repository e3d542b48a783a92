package truststore

import (
	"cmp"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// versionLog is what a store with source api keeps beside the uploads: which of
// them make which version. A log is never changed; the next one takes its place.
type versionLog struct {
	Format int `json:"format"`
	// LastRevocationID is kept for itself, since no id is used again, that of an
	// upload which has left the log neither.
	LastRevocationID int64          `json:"last_revocation_id"`
	CRLs             []VersionCRL   `json:"crls"`     // that a version refers to, by id
	Versions         []versionEntry `json:"versions"` // oldest first, at most maxVersions
}

type versionEntry struct {
	Number       uint64        `json:"version"`
	Time         time.Time     `json:"time"`
	Action       Action        `json:"action"`
	RevocationID int64         `json:"revocation_id,omitempty"`
	RolledBackTo uint64        `json:"rolled_back_to,omitempty"`
	Bundle       VersionBundle `json:"ca_bundle"`
	CRLs         []int64       `json:"crls"`
}

const (
	versionLogFormat = 1
	// maxNumber is what every program that reads JSON takes exactly, and far from
	// where counting up ends.
	maxNumber = 1 << 53
)

// parseVersionLog reads a log and refuses one that does not hold together: a
// version short of a CRL would let in whom that CRL revokes.
func parseVersionLog(data []byte) (*versionLog, error) {
	log := &versionLog{}
	if err := json.Unmarshal(data, log); err != nil {
		return nil, err
	}
	if log.Format != versionLogFormat {
		return nil, fmt.Errorf("format %d, want %d", log.Format, versionLogFormat)
	}
	if len(log.Versions) == 0 {
		return nil, errors.New("no version in it")
	}
	if log.LastRevocationID > maxNumber || log.last().Number > maxNumber {
		return nil, fmt.Errorf("last_revocation_id %d, version %d: want at most %d", log.LastRevocationID, log.last().Number, maxNumber)
	}
	last := int64(0)
	for _, c := range log.CRLs {
		if c.ID <= last || c.ID > log.LastRevocationID {
			return nil, fmt.Errorf("CRL id %d after %d, want ascending up to last_revocation_id %d", c.ID, last, log.LastRevocationID)
		}
		if err := checkContentName(c.SHA256, c.Size); err != nil {
			return nil, fmt.Errorf("CRL %d: %w", c.ID, err)
		}
		last = c.ID
	}
	number := uint64(0)
	for i := range log.Versions {
		e := &log.Versions[i]
		if e.Number <= number {
			return nil, fmt.Errorf("version %d after %d, want ascending", e.Number, number)
		}
		if err := checkContentName(e.Bundle.SHA256, e.Bundle.Size); err != nil {
			return nil, fmt.Errorf("version %d: CA bundle: %w", e.Number, err)
		}
		last := int64(0)
		for _, id := range e.CRLs {
			if _, err := log.crl(id); err != nil || id <= last {
				return nil, fmt.Errorf("version %d: CRL %d after %d, want ascending ids from crls", e.Number, id, last)
			}
			last = id
		}
		number = e.Number
	}
	return log, nil
}

// checkContentName sees to it that a digest from a file names nothing outside of
// the folder of uploads.
func checkContentName(sum string, size int64) error {
	if raw, err := hex.DecodeString(sum); err != nil || len(raw) != 32 || hex.EncodeToString(raw) != sum {
		return fmt.Errorf("sha256 %q: want 64 hex digits", shorten(sum, 80))
	}
	if size < 0 || size > maxNumber {
		return fmt.Errorf("size %d: want 0 to %d", size, maxNumber)
	}
	return nil
}

// last is the version in force, nil where there is none.
func (l *versionLog) last() *versionEntry {
	if len(l.Versions) == 0 {
		return nil
	}
	return &l.Versions[len(l.Versions)-1]
}

// find returns a version, the one in force for 0.
func (l *versionLog) find(number uint64) (*versionEntry, error) {
	if number == 0 && len(l.Versions) > 0 {
		return l.last(), nil
	}
	i := slices.IndexFunc(l.Versions, func(e versionEntry) bool { return e.Number == number })
	switch {
	case i >= 0:
		return &l.Versions[i], nil
	case len(l.Versions) == 0:
		return nil, fmt.Errorf("version %d: %w: no CA bundle was ever put", number, ErrNotFound)
	default:
		return nil, fmt.Errorf("version %d: %w: those kept are %d to %d", number, ErrNotFound, l.Versions[0].Number, l.last().Number)
	}
}

func (l *versionLog) crl(id int64) (*VersionCRL, error) {
	i, ok := slices.BinarySearchFunc(l.CRLs, id, func(c VersionCRL, id int64) int { return cmp.Compare(c.ID, id) })
	if !ok {
		return nil, fmt.Errorf("CRL %d: %w", id, ErrNotFound)
	}
	return &l.CRLs[i], nil
}

// version is an entry as others see it.
func (l *versionLog) version(e *versionEntry) Version {
	v := Version{
		Number: e.Number, Time: e.Time, Action: e.Action, RevocationID: e.RevocationID, RolledBackTo: e.RolledBackTo,
		Bundle: e.Bundle, CRLs: make([]VersionCRL, 0, len(e.CRLs)),
	}
	for _, id := range e.CRLs {
		if c, err := l.crl(id); err == nil {
			v.CRLs = append(v.CRLs, *c)
		}
	}
	return v
}

// with returns the log that has e, and added if e brings a new CRL, as its last
// version, without what has become too old to keep.
func (l *versionLog) with(e versionEntry, added *VersionCRL) *versionLog {
	next := &versionLog{Format: versionLogFormat, LastRevocationID: l.LastRevocationID}
	next.Versions = append(slices.Clone(l.Versions), e)
	if over := len(next.Versions) - maxVersions; over > 0 {
		next.Versions = next.Versions[over:]
	}
	crls := slices.Clone(l.CRLs)
	if added != nil {
		crls = append(crls, *added)
		next.LastRevocationID = added.ID
	}
	used := map[int64]bool{}
	for i := range next.Versions {
		for _, id := range next.Versions[i].CRLs {
			used[id] = true
		}
	}
	next.CRLs = slices.DeleteFunc(crls, func(c VersionCRL) bool { return !used[c.ID] })
	return next
}

// contents are the digests of all uploads that the log refers to.
func (l *versionLog) contents() map[string]bool {
	sums := map[string]bool{}
	for i := range l.Versions {
		sums[l.Versions[i].Bundle.SHA256] = true
	}
	for _, c := range l.CRLs {
		sums[c.SHA256] = true
	}
	return sums
}
