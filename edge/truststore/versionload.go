package truststore

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/sallyport/sallyport/revocation"
)

// versions are what a Store with source api has beside one with files.
type versions struct {
	dir      versionDir
	readOnly bool
	started  bool                       // New has returned what it found
	log      atomic.Pointer[versionLog] // whose last version is in force
}

// FilledByAPI returns nil for a store with source api, and the error with which
// any other refuses uploads.
func (s *Store) FilledByAPI() error {
	if s.versions == nil {
		return fmt.Errorf("trust store %q has source: file, and a store comes from one source only: change its files, or configure source: api", s.name)
	}
	return nil
}

// openVersions prepares a Store with source api. Nothing is loaded yet.
func (s *Store) openVersions(o Options) error {
	if s.cfg.CABundle.File != "" || len(s.cfg.CRLs) > 0 {
		return &FieldError{"source", errors.New("api takes no files")}
	}
	s.versions = &versions{dir: versionDir(o.Dir), readOnly: o.ReadOnly}
	s.versions.log.Store(&versionLog{})
	s.bundle.source = source{field: "ca_bundle"}
	return nil
}

func (s *Store) versionLog() *versionLog {
	if s.versions == nil {
		return &versionLog{}
	}
	return s.versions.log.Load()
}

// loadVersions puts the newest version on disk in force, if it is not. What
// cannot be read leaves the one in force. s.loading is held.
func (s *Store) loadVersions() error {
	if s.versions.dir == "" { // reading only, and there is nothing to read
		return nil
	}
	err := s.readNewest()
	if err == nil {
		s.set(func() { delete(s.errors, "source") })
		return nil
	}
	err = &FieldError{"source", fmt.Errorf("load versions of trust store %q: %w", s.name, err)}
	s.set(func() { s.errors["source"] = err })
	return err
}

func (s *Store) readNewest() error {
	now := s.versions.log.Load()
	log, err := s.versions.dir.load()
	if err != nil {
		return err
	}
	newest, current := log.last(), now.last()
	switch {
	case newest == nil && current == nil:
		return nil
	case newest == nil:
		return fmt.Errorf("%s is gone", s.versions.dir.logPath())
	case current != nil && newest.Number == current.Number:
		return nil
	case current != nil && newest.Number < current.Number:
		return fmt.Errorf("%s ends at version %d, and version %d is in force", s.versions.dir.logPath(), newest.Number, current.Number)
	}
	bundle, crls, err := s.read(log, newest)
	if err != nil {
		return fmt.Errorf("version %d: %w", newest.Number, err)
	}
	s.takeVersion(log, bundle, crls)
	return nil
}

// read makes of a version's uploads what the files of a store would be. They
// were judged when they came in: only the limits on a bundle are applied again,
// since those may be others now. Uploads in force are not read again. s.mu is
// held.
func (s *Store) read(log *versionLog, e *versionEntry) (bundleFile, []crlFile, error) {
	fail := func(err error) (bundleFile, []crlFile, error) { return bundleFile{}, nil, err }
	data, err := s.versions.dir.content(e.Bundle.SHA256, e.Bundle.Size)
	if err != nil {
		return fail(err)
	}
	bundle := bundleFile{source: s.bundle.source}
	if bundle.cas, bundle.warnings, err = ParseBundle(data, s.cfg.Limits); err != nil {
		return fail(fmt.Errorf("parse CA bundle: %w", err))
	}
	crls := make([]crlFile, 0, len(e.CRLs))
	for _, id := range e.CRLs {
		c, err := log.crl(id)
		if err != nil {
			return fail(err)
		}
		if i := slices.IndexFunc(s.crls, func(f crlFile) bool { return f.id == id && f.sha256 == c.SHA256 }); i >= 0 {
			crls = append(crls, s.crls[i])
			continue
		}
		lists, err := s.readUpload(c)
		if err != nil {
			return fail(fmt.Errorf("load CRL %d: %w", id, err))
		}
		crls = append(crls, crlOfAPI(c, lists))
	}
	return bundle, crls, nil
}

func crlOfAPI(c *VersionCRL, lists []*revocation.List) crlFile {
	name := fmt.Sprintf("CRL %d", c.ID)
	return crlFile{source: source{field: name, name: name}, id: c.ID, sha256: c.SHA256, lists: lists}
}

// takeVersion puts the last version of log in force. s.loading is held.
func (s *Store) takeVersion(log *versionLog, bundle bundleFile, crls []crlFile) {
	before := s.gen.Load()
	s.versions.log.Store(log)
	for i := range crls {
		crls[i].checkIssuers(bundle.cas)
	}
	s.set(func() {
		s.bundle, s.crls = bundle, crls
		for _, f := range crls {
			// What auto needs is what the uploads in force name: they do not change, as
			// files do, so there is nothing to remember beyond them.
			s.memory.remember(f.name, f.lists)
		}
	})
	s.install(before)
}
