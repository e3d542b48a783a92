package truststore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/revocation"
)

// versioning serializes the changes of one process: while a reload is under way
// two Stores have the same directory.
var versioning sync.Mutex

// Put makes bundle the store's CA bundle, by the rules of ParseBundle and the
// limits of the configuration. The CRLs stay. A bundle that is refused changes
// nothing; so does the one that is in force already, byte for byte, and the
// version returned is then the one in force. Put, like every method that makes a
// version, returns when the version is on disk and in force for new checks.
//
// It is an error on a store whose source is not api.
func (s *Store) Put(bundle []byte, now time.Time) (Version, error) {
	if len(bundle) > maxBundleSize {
		return Version{}, fmt.Errorf("%s %s: the CA bundle has more than %v", ActionPut, s.name, config.Size(maxBundleSize))
	}
	return s.change(ActionPut, now, func(c *versionChange) error {
		cas, warnings, err := ParseBundle(bundle, s.cfg.Limits)
		if err != nil {
			return fmt.Errorf("parse CA bundle: %w", err)
		}
		sum, err := c.dir.keep(bundle)
		if err != nil {
			return err
		}
		c.unchanged = sum == c.entry.Bundle.SHA256
		c.entry.Bundle = VersionBundle{SHA256: sum, Size: int64(len(bundle)), CAs: len(cas)}
		c.bundle.cas, c.bundle.warnings = cas, warnings
		return nil
	})
}

// AddCRL adds one or several lists, PEM or DER, under one new id, which
// RemoveCRL takes. They are read as they come, without holding them in memory;
// nothing changes, and nobody else waits, before data has ended with io.EOF.
// Lists are refused as those of a file are: that do not parse, that name a CA of
// the bundle which did not sign them, that are older than those in force for the
// same issuer and scope, or that are from the future. Nothing else is taken out: a newer list supersedes
// an older one by itself.
func (s *Store) AddCRL(data io.Reader, now time.Time) (v Version, id int64, err error) {
	fail := func(err error) (Version, int64, error) {
		return Version{}, 0, fmt.Errorf("%s %s: %w", ActionAddCRL, s.name, err)
	}
	if err := s.FilledByAPI(); err != nil {
		return Version{}, 0, err
	}
	if s.versions.readOnly {
		return fail(errReadOnly)
	}
	if s.versionLog().last() == nil {
		return fail(errEmpty)
	}
	upload, err := s.versions.dir.stage()
	if err != nil {
		return fail(err)
	}
	defer upload.discard()
	all := io.TeeReader(data, upload)
	lists, err := revocation.Read(context.Background(), all, s.reading("upload"))
	if err == nil {
		_, err = io.Copy(io.Discard, all) // what comes behind a list is kept too
	}
	s.progress.set(nil)
	if err != nil {
		return fail(fmt.Errorf("load CRL: %w", err))
	}
	v, err = s.change(ActionAddCRL, now, func(c *versionChange) error {
		if c.entry.Number == 0 {
			return errEmpty
		}
		if len(c.entry.CRLs) >= maxVersionCRLs {
			return fmt.Errorf("%d are in force already: remove those that newer ones supersede", maxVersionCRLs)
		}
		if err := checkLists(lists, c.bundle.cas); err != nil {
			return err
		}
		if err := checkRollback(editionsOf(listsOf(c.crls)), editionsOf(lists)); err != nil {
			return err
		}
		if err := checkDates(lists, s.now()); err != nil {
			return err
		}
		sum, err := upload.keep()
		if err != nil {
			return err
		}
		id = c.log.LastRevocationID + 1
		c.added = &VersionCRL{ID: id, SHA256: sum, Size: upload.size, Lists: len(lists), Added: c.entry.Time}
		for _, l := range lists {
			c.added.Entries += l.Entries()
		}
		c.entry.RevocationID = id
		c.entry.CRLs = append(c.entry.CRLs, id)
		c.crls = append(c.crls, crlOfAPI(c.added, lists))
		s.keepUpload(sum, lists)
		return nil
	})
	return v, id, err
}

var (
	errReadOnly = errors.New("the trust store is open for reading only")
	errEmpty    = errors.New("the trust store is empty: put a CA bundle first")
)

// RemoveCRL takes out what was added under an id. Where that leaves an older
// list of the same issuer and scope as the newest, which would un-revoke, it is
// refused; older ones can be removed first. An issuer of which no list remains
// needs none any more under crl: auto, as if its file had been taken out of the
// configuration: so add the new list before removing the old.
func (s *Store) RemoveCRL(id int64, now time.Time) (Version, error) {
	return s.change(ActionRemoveCRL, now, func(c *versionChange) error {
		i := slices.Index(c.entry.CRLs, id)
		if i < 0 {
			return fmt.Errorf("CRL %d: %w: those in force are %v", id, ErrNotFound, c.entry.CRLs)
		}
		removed := c.crls[i]
		c.crls = slices.Delete(c.crls, i, i+1)
		if err := checkRollback(editionsOf(removed.lists), editionsOf(listsOf(c.crls))); err != nil {
			return fmt.Errorf("without CRL %d: %w: remove the older one first", id, err)
		}
		c.entry.RevocationID = id
		c.entry.CRLs = slices.Delete(c.entry.CRLs, i, i+1)
		return nil
	})
}

// Rollback makes a new version with the content of an old one, ids of CRLs
// included. It is the operator's own decision and is not held back by what
// guards the other ways: lists may go back to older editions, and so un-revoke;
// those added since are out of force, and an issuer that only they name needs
// none any more under crl: auto. The log says, as a warning, which. The ids in
// between are not used again.
//
// A version that is not kept is an ErrNotFound. One whose bundle exceeds
// what are the limits now is refused.
func (s *Store) Rollback(version uint64, now time.Time) (Version, error) {
	return s.change(ActionRollback, now, func(c *versionChange) error {
		if version == 0 {
			return fmt.Errorf("version 0: %w: they count from 1", ErrNotFound)
		}
		old, err := c.log.find(version)
		if err != nil {
			return err
		}
		bundle, crls, err := s.read(c.log, old)
		if err != nil {
			return err
		}
		if err := checkRollback(editionsOf(listsOf(c.crls)), editionsOf(listsOf(crls))); err != nil {
			c.undone = append(c.undone, err.Error())
		}
		for _, id := range c.entry.CRLs {
			if !slices.Contains(old.CRLs, id) {
				c.undone = append(c.undone, fmt.Sprintf("CRL %d is out of force", id))
			}
		}
		c.entry.RolledBackTo = version
		c.entry.Bundle, c.entry.CRLs = old.Bundle, slices.Clone(old.CRLs)
		c.bundle, c.crls = bundle, crls
		return nil
	})
}

// versionChange is a version in the making: the store as it is, for edit to make
// into what it is to be.
type versionChange struct {
	dir    versionDir
	log    *versionLog // as it is
	entry  versionEntry
	bundle bundleFile
	crls   []crlFile

	added     *VersionCRL
	undone    []string // what protection a rollback has passed over
	unchanged bool     // there is nothing to do
}

// change makes the version that edit makes of the one in force, or none: what is
// not on disk does not come into force.
func (s *Store) change(action Action, now time.Time, edit func(*versionChange) error) (Version, error) {
	if err := s.FilledByAPI(); err != nil {
		return Version{}, err
	}
	if s.versions.readOnly {
		return Version{}, fmt.Errorf("%s %s: %w", action, s.name, errReadOnly)
	}
	s.loading.Lock()
	defer s.loading.Unlock()
	versioning.Lock()
	defer versioning.Unlock()
	if err := s.loadVersions(); err != nil {
		return Version{}, fmt.Errorf("%s %s: %w", action, s.name, err)
	}
	c := versionChange{
		dir:    s.versions.dir,
		log:    s.versions.log.Load(),
		entry:  versionEntry{CRLs: []int64{}},
		bundle: s.bundle,
		crls:   slices.Clone(s.crls),
	}
	if last := c.log.last(); last != nil {
		c.entry = versionEntry{Number: last.Number, Bundle: last.Bundle, CRLs: slices.Clone(last.CRLs)}
	}
	c.entry.Action = action
	c.entry.Time = now.UTC().Round(0)
	if err := edit(&c); err != nil {
		return Version{}, fmt.Errorf("%s %s: %w", action, s.name, err)
	}
	if c.unchanged {
		v := c.log.version(c.log.last())
		v.Warnings = s.warnings(now)
		return v, nil
	}
	c.entry.Number++
	next := c.log.with(c.entry, c.added)
	if err := c.dir.save(next); err != nil {
		return Version{}, fmt.Errorf("%s %s: save version %d: %w", action, s.name, c.entry.Number, err)
	}
	s.takeVersion(next, c.bundle, c.crls)
	if err := c.dir.sweep(next); err != nil {
		s.log.Warn("old uploads not removed", "error", err)
	}
	s.logVersion(&c)
	v := next.version(next.last())
	v.Warnings = s.warnings(now)
	return v, nil
}

func (s *Store) logVersion(c *versionChange) {
	args := []any{"version", c.entry.Number, "action", string(c.entry.Action)}
	switch c.entry.Action {
	case ActionAddCRL, ActionRemoveCRL:
		args = append(args, "crl", c.entry.RevocationID)
	case ActionRollback:
		s.log.Warn("trust store rolled back", append(args, "to", c.entry.RolledBackTo, "undone", c.undone)...)
		return
	}
	s.log.Info("trust store changed", args...)
}

func listsOf(crls []crlFile) []*revocation.List {
	var lists []*revocation.List
	for _, f := range crls {
		lists = append(lists, f.lists...)
	}
	return lists
}
