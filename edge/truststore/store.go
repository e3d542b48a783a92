// Package truststore admits clients by their certificates: it builds the paths
// from what a client presents to the CAs of a bundle, judges them by the rules
// of a listener, and asks the CRLs about each link. Every refusal is a
// *reason.Error whose code follows one table, whatever crypto/x509 would have
// said first.
//
// A Store is two files' worth of trust, a CA bundle and CRLs, that change while
// clients come in; with source api they are uploads, kept with their versions in
// the state directory. Whatever was read together makes a generation, which is
// immutable and comes into force as a whole; what a check begins with, it ends
// with.
package truststore

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/fetch"
	"github.com/sallyport/sallyport/edge/filewatch"
	"github.com/sallyport/sallyport/edge/reason"
	"github.com/sallyport/sallyport/revocation"
)

// Options are what a Store needs beside its configuration.
type Options struct {
	// Dir is this store's own state directory, made with mode 0700. Needed, but
	// with ReadOnly.
	Dir string
	// ReadOnly leaves Dir as it is: for those who only want to know what a
	// configuration would do.
	ReadOnly bool
	// Resolve turns a file name of the configuration into one to open. Default:
	// as it is.
	Resolve func(name string) string
	// Log gets each new generation, and what was refused. Default slog.Default.
	Log *slog.Logger
	// Replaces is the Store whose place this one takes, with another
	// configuration. What its CRL files have held binds this one's files of the
	// same name: an older edition is refused. nil for none.
	Replaces *Store
	// Beside is a Store of the same Dir in this process: CRL files that it has read
	// and that have not changed since are not read again. nil for none.
	Beside *Store
	// Network is how URLs are reached. The zero one is safe.
	Network fetch.Network
	// Responder asks about certificates where the configuration says so; whoever
	// makes it runs it. nil: there nobody is asked, and answers are missing.
	Responder Responder
	// Now is the clock for warnings and Status. Default time.Now.
	Now func() time.Time
}

// Store is a trust store. Its methods may be called by any number of
// goroutines; those that judge clients never wait for those that load. The zero
// Store refuses with TrustStoreUnavailable.
type Store struct {
	name    string
	cfg     config.TrustStore
	log     *slog.Logger
	now     func() time.Time
	watcher *filewatch.Watcher

	gen            atomic.Pointer[generation] // put in force by publish
	loaded         chan struct{}              // closed once there is a generation
	expiredAllowed atomic.Uint64
	cacheHits      atomic.Uint64
	cacheMisses    atomic.Uint64
	ledger         *ledger
	memory         *memory
	editions       *editions
	crlDir         *revocation.Dir // nil keeps lists in memory
	progress       progress
	fetched        string         // directory of what was fetched; "" for none
	fetcher        *fetch.Fetcher // nil where there are no URLs, and for reading only
	points         *points        // nil where none are allowed
	responder      Responder      // nil where nobody is asked
	ocspCounts     ocspCounts
	alarms         alarms

	// loading is held by whoever reads files or makes a version, for as long as
	// that takes: a minute perhaps. Only its holder writes what mu guards, so it
	// reads that without mu.
	loading  sync.Mutex
	running  bool      // Run was called: this Store is in force
	versions *versions // nil with source file

	mu     sync.Mutex // of what follows: the files as last found good
	bundle bundleFile
	crls   []crlFile
	errors map[string]error
}

// generation is what one check sees. Immutable.
type generation struct {
	number     uint64
	loaded     time.Time
	anchors    *anchors
	index      *revocation.Index
	named      map[revocation.NameKey]bool // issuers that need a CRL under auto
	unloaded   bool                        // all do, for a URL has not given its lists yet
	points     *points
	revocation config.Revocation
	overlay    *overlay
	superseded chan struct{} // closed when this is no longer in force
}

// New reads the bundle and every CRL once. It starts nothing; Run does. With
// source api it is the newest version that it reads, from the state directory;
// where none was made yet, the Store refuses like the zero one.
//
// An error is one *FieldError or several, joined, unless it is about the state
// directory: a store with a missing or broken file does not come to be. For a
// CRL broken means: it does not parse, or names a CA of the bundle that did not
// sign it. The warnings are for the operator; the store works, but some of what
// it was given does not.
func New(name string, cfg config.TrustStore, o Options) (*Store, []string, error) {
	s := &Store{name: name, cfg: cfg, log: o.Log, now: o.Now, errors: map[string]error{}, loaded: make(chan struct{}), responder: o.Responder}
	if s.log == nil {
		s.log = slog.Default()
	}
	s.log = s.log.With("trust_store", name)
	if s.now == nil {
		s.now = time.Now
	}
	resolve := o.Resolve
	if resolve == nil {
		resolve = func(name string) string { return name }
	}
	if o.Dir == "" && !o.ReadOnly {
		return nil, nil, fmt.Errorf("open trust store %q: no state directory given", name)
	}
	if err := s.openState(o); err != nil {
		return nil, nil, fmt.Errorf("open state of trust store %q: %w", name, err)
	}
	if err := s.openFetcher(o); err != nil {
		return nil, nil, fmt.Errorf("open trust store %q: %w", name, err)
	}
	var paths, watched []string
	if cfg.Source == config.SourceAPI {
		if err := s.openVersions(o); err != nil {
			return nil, nil, err
		}
		paths = s.versions.dir.paths()
		watched = paths
	} else {
		s.bundle.source = source{"ca_bundle", cfg.CABundle.File, resolve(cfg.CABundle.File)}
		s.openCRLs(resolve, o.Replaces)
		if err := s.openPoints(o); err != nil {
			return nil, nil, fmt.Errorf("open state of trust store %q: %w", name, err)
		}
		watched = s.files()
		paths = watched
		for _, f := range s.crls {
			if f.url != "" && f.path != "" {
				paths = append(slices.Clip(paths), f.path)
			}
		}
	}
	s.watcher = filewatch.New(slices.Concat(watched, ledgerPaths(o.Dir))...)

	s.loading.Lock()
	defer s.loading.Unlock()
	if err := s.load(paths); err != nil {
		return nil, nil, err
	}
	return s, s.warnings(s.now()), nil
}

// openState opens what the state directory keeps.
func (s *Store) openState(o Options) (err error) {
	if s.memory, err = openMemory(o.Dir, o.ReadOnly); err != nil {
		return err
	}
	if s.editions, err = openEditions(o.Dir, o.ReadOnly); err != nil {
		return err
	}
	if s.ledger, err = openLedger(o.Dir, o.ReadOnly); err != nil {
		return err
	}
	switch {
	case o.Beside != nil:
		s.crlDir = o.Beside.crlDir
	case !o.ReadOnly:
		s.crlDir, err = revocation.OpenDir(filepath.Join(o.Dir, crlDir))
	}
	return err
}

// openCRLs lists where the CRLs come from.
func (s *Store) openCRLs(resolve func(string) string, replaces *Store) {
	for i, c := range s.cfg.CRLs {
		f := crlFile{source: source{fmt.Sprintf("crls[%d]", i), c.File, ""}}
		if c.URL != "" {
			f.name, f.url, f.path = c.URL, c.URL, s.kept(c.URL)
		} else {
			f.path = resolve(c.File)
		}
		if c.CA != "" {
			f.ca = resolve(c.CA)
		}
		f.newest = withNewest(s.editions.sources[f.name], replaces.newestIn(f.name))
		s.crls = append(s.crls, f)
	}
}

// files are those of the configuration.
func (s *Store) files() []string {
	paths := []string{s.bundle.path}
	for _, f := range s.crls {
		if f.url == "" {
			paths = append(paths, f.path)
		}
		if f.ca != "" {
			paths = append(paths, f.ca)
		}
	}
	return paths
}

// crlDir is the folder of a state directory that keeps the lists as they are
// asked, so that a restart need not read the CRLs again.
const crlDir = "crls"

// Run reads files again when they change, until ctx is done; then it returns
// nil. A change is in force about half a second after it is complete. A file
// that is missing or broken then leaves what it held before in force, and is
// logged and told in Status. So is a CRL file that has gone back: one whose
// lists have a lower number or an earlier thisUpdate than those it held. What fails
// for want of room on the disk, say, is tried again. URLs are fetched when they are due, and change nothing when they fail. Call it once.
func (s *Store) Run(ctx context.Context) error {
	if err := s.begin(); err != nil {
		return fmt.Errorf("save state of trust store %q: %w", s.name, err)
	}
	s.readRevocations() // and may have revoked a certificate
	var beside sync.WaitGroup
	defer beside.Wait()
	beside.Go(func() { s.recheck(ctx) })
	beside.Go(func() { s.retry(ctx) })
	beside.Go(func() { s.watchAges(ctx) })
	if s.fetcher != nil {
		beside.Go(func() { s.fetcher.Run(ctx) }) // says no more than that ctx is done
	}
	if s.points != nil {
		beside.Go(func() { s.followPoints(ctx) })
	}
	s.watcher.Run(ctx, filewatch.Interval, func(paths []string) {
		if slices.Contains(paths, s.ledger.path) {
			s.readRevocations() // logs and remembers what it returns
		}
		s.loading.Lock()
		defer s.loading.Unlock()
		s.load(paths) // logs and remembers what it returns
	})
	return nil
}

// begin makes the state directory that of this Store: only now is it certain
// that the configuration is in use, and that what it leaves out is gone.
func (s *Store) begin() error {
	s.loading.Lock()
	defer s.loading.Unlock()
	s.running = true
	if err := s.memory.save(s.remembered(), true); err != nil {
		return err
	}
	if err := s.editions.save(s.newest()); err != nil {
		return err
	}
	if s.versions != nil {
		// The Store that this one replaces may have made a version since New.
		s.load(nil) // logs and remembers what it returns
	}
	s.addURLs()
	s.pruneCRLs()
	return nil
}

// Reload reads every file again now. Files that are refused keep what they held
// before; the others come into force. URLs are fetched in the background, unless
// they were just now. The error is as New's.
func (s *Store) Reload() error {
	s.loading.Lock()
	defer s.loading.Unlock()
	s.refresh(true)
	return errors.Join(s.readRevocations(), s.load(s.files()))
}

// ReloadState reads anew what another process may have written to the state
// directory: the revocations made by hand and, with source api, the newest version.
// When it returns nil, both are in force. On an error, what was in force still is.
func (s *Store) ReloadState() error {
	if err := s.readRevocations(); err != nil || s.versions == nil {
		return err
	}
	s.loading.Lock()
	defer s.loading.Unlock()
	return s.load(nil)
}

// load reads these files and puts what is new in them into force. The first
// time it is all or nothing. s.loading is held.
func (s *Store) load(paths []string) error {
	if s.versions != nil {
		err := s.loadVersions()
		if err != nil && s.versions.started {
			s.log.Error("trust store versions refused", "error", err)
		}
		s.versions.started = true
		return err
	}
	var errs []error
	before := s.gen.Load()
	refused := func(src source, err error) {
		errs = append(errs, err)
		s.set(func() { s.errors[src.field] = err })
		if before != nil {
			level := slog.LevelError
			if errors.Is(err, errRollback) {
				level = slog.LevelWarn
			}
			s.log.Log(context.Background(), level, "trust store file refused", "file", src.path, "error", err)
		}
	}
	changed := before == nil

	if slices.Contains(paths, s.bundle.path) {
		cas, warnings, err := s.bundle.read(s.cfg.Limits)
		if err != nil {
			refused(s.bundle.source, err)
		} else {
			if before == nil || newAnchorsID(cas) != before.anchors.id {
				changed = true
				paths = append(slices.Clip(paths), s.refusedCRLs()...)
				s.refresh(false)
			}
			s.set(func() {
				s.bundle.cas, s.bundle.warnings = cas, warnings
				for i := range s.crls {
					s.crls[i].checkIssuers(cas)
				}
				delete(s.errors, s.bundle.field)
			})
		}
	}
	for i := range s.crls {
		f := &s.crls[i]
		if f.ca != "" && slices.Contains(paths, f.ca) {
			cas, err := f.readCAs(s.cfg.Limits)
			if err != nil {
				refused(source{field: f.field + ".ca", path: f.ca}, err)
				continue
			}
			s.set(func() {
				f.cas = cas
				delete(s.errors, f.field+".ca")
			})
		}
		if f.path == "" || !slices.Contains(paths, f.path) {
			continue
		}
		lists, err := s.readCRL(context.Background(), f, f.path)
		switch {
		case err == nil:
			changed = s.takeLists(f, lists) || changed
		case f.url == "":
			refused(f.source, err)
		case !errors.Is(err, fs.ErrNotExist):
			// It is fetched anew; until then its issuers have no CRL.
			s.log.Warn("kept CRL refused", "url", f.url, "error", err)
		}
	}
	if before == nil && len(errs) > 0 {
		return errors.Join(errs...)
	}
	if err := s.saveState(); err != nil {
		err = fmt.Errorf("save state of trust store %q: %w", s.name, err)
		if before == nil {
			return err
		}
		s.stateNotSaved(err)
		errs = append(errs, err)
	} else {
		s.set(func() { delete(s.errors, "state") })
	}
	if changed {
		s.install(before)
		s.pruneCRLs()
	}
	return errors.Join(errs...)
}

// set changes what s.mu guards. s.loading is held.
func (s *Store) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

func (s *Store) saveState() error {
	if err := s.memory.save(s.sources(), false); err != nil || !s.running {
		return err
	}
	return s.editions.save(s.newest())
}

// stateNotSaved tells so. A fresher CRL is worth more than the memory of it.
func (s *Store) stateNotSaved(err error) {
	s.log.Error("trust store state not saved", "error", err)
	s.set(func() { s.errors["state"] = err })
}

// refusedCRLs are the files to try again with a new bundle, which may hold the
// CA that signed them: nobody says in which order the two are replaced.
func (s *Store) refusedCRLs() []string {
	var paths []string
	for _, f := range s.crls {
		if s.errors[f.field] != nil {
			paths = append(paths, f.path)
		}
	}
	return paths
}

// install makes a generation of what is in the files. s.loading is held.
func (s *Store) install(before *generation) {
	g := &generation{
		loaded:     s.now(),
		named:      s.memory.named(s.sources()),
		unloaded:   s.unloaded(),
		points:     s.points,
		revocation: s.cfg.Revocation,
	}
	if before != nil && newAnchorsID(s.bundle.cas) == before.anchors.id {
		g.anchors = before.anchors
	} else {
		g.anchors = newAnchors(s.bundle.cas)
	}
	lists := listsOf(s.crls)
	entries := 0
	for _, l := range lists {
		entries += l.Entries()
	}
	g.index = revocation.NewIndex(lists)
	s.publish(g)
	s.log.Info("trust store loaded", "generation", g.number, "cas", len(g.anchors.certs), "crls", len(lists), "crl_entries", entries)
	if before == nil {
		return // New returns them
	}
	for _, w := range s.warnings(g.loaded) {
		s.log.Warn("trust store warning", "warning", w)
	}
}

// inForce returns the generation for one check.
func (s *Store) inForce() (*generation, error) {
	if g := s.gen.Load(); g != nil {
		return g, nil
	}
	return nil, reason.Errorf(reason.TrustStoreUnavailable, "trust store %q is not loaded", s.name)
}

// AnchorsID is a digest of the set of CAs, the same for the same CAs in any
// order, in any process: for the keys of caches and tickets. It is zero while
// nothing is loaded.
func (s *Store) AnchorsID() [32]byte {
	if g := s.gen.Load(); g != nil {
		return g.anchors.id
	}
	return [32]byte{}
}

// Name is the store's name in the configuration.
func (s *Store) Name() string { return s.name }

// ClientCAs returns a pool for tls.Config.ClientCAs, by which a listener sends
// the names of the CAs to its clients; nil while nothing is loaded. It is for
// nothing else: the certificates in it are made to be valid at any time. It is
// the same pool until the CAs change, and not to be modified.
func (s *Store) ClientCAs() *x509.CertPool {
	if g := s.gen.Load(); g != nil {
		return g.anchors.pool
	}
	return nil
}
