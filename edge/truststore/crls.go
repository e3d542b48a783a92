package truststore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/sallyport/sallyport/revocation"
)

// Loading is a CRL file that is being read.
type Loading struct {
	File    string    `json:"file"`
	Since   time.Time `json:"since"`
	Bytes   int64     `json:"bytes"`          // read so far
	Size    int64     `json:"size,omitempty"` // of them all, where known
	Entries int       `json:"entries"`        // read so far
}

// progress is what is being read now. The zero value is ready.
type progress struct {
	mu  sync.Mutex
	now *Loading
}

func (p *progress) set(l *Loading) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now = l
}

// loading returns what is being read, nil if nothing is.
func (p *progress) loading() *Loading {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now
}

// readCRL reads the file at path for f, or opens what was kept of it. s.loading is
// held.
func (s *Store) readCRL(ctx context.Context, f *crlFile, path string) ([]*revocation.List, error) {
	defer s.progress.set(nil)
	lists, ignored, err := f.read(ctx, path, s.bundle.cas, s.now(), s.reading(f.name))
	if err == nil {
		s.tellIgnored(f, ignored)
		return lists, nil
	}
	if errors.Is(err, errRollback) {
		s.alarms.wentBack.Add(1)
	}
	if s.editions.path != "" {
		switch {
		case f.url != "" && (errors.Is(err, errRollback) || errors.Is(err, errGone)):
			err = fmt.Errorf("%w: to take it all the same, stop the edge, delete %s and %s, and start again", err, s.editions.path, f.path)
		case errors.Is(err, errRollback):
			err = fmt.Errorf("%w: to take it all the same, delete %s and start again", err, s.editions.path)
		}
	}
	if f.url != "" {
		return nil, &FieldError{f.field, fmt.Errorf("load CRL: %w", err)}
	}
	return nil, &FieldError{f.field, fmt.Errorf("load CRL %s: %w", f.path, err)}
}

// takeLists makes lists those of f. s.loading is held.
func (s *Store) takeLists(f *crlFile, lists []*revocation.List) (changed bool) {
	if changed = !slices.Equal(lists, f.lists); changed {
		s.compareEntries(f, lists)
	}
	s.set(func() {
		f.lists = lists
		if checkDates(lists, s.now()) == nil {
			f.newest = withNewest(f.newest, f.editions(lists, s.bundle.cas))
		}
		f.checkIssuers(s.bundle.cas)
		s.memory.remember(f.name, lists)
		delete(s.errors, f.field)
	})
	s.tellDeltas(f, lists)
	return changed
}

// reading is how a file of that name is read: within the limits, and seen while
// it goes on.
func (s *Store) reading(name string) revocation.Options {
	since := s.now()
	return revocation.Options{
		Dir:        s.crlDir,
		MaxSize:    int64(s.cfg.Limits.CRLSize),
		MaxEntries: s.cfg.Limits.CRLEntries,
		Progress: func(p revocation.Progress) {
			s.progress.set(&Loading{File: name, Since: since, Bytes: p.Bytes, Size: p.Size, Entries: p.Entries})
		},
	}
}

// newestIn returns the newest editions that the CRL file of that name has held.
func (s *Store) newestIn(name string) []edition {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.crls {
		if f.name == name {
			return f.newest
		}
	}
	return nil
}

// newest returns the newest editions by the names of the files that held them.
// s.loading is held.
func (s *Store) newest() map[string][]edition {
	newest := map[string][]edition{}
	if s.versions != nil {
		return newest // the versions that are kept have the lists themselves
	}
	for _, f := range s.crls {
		newest[f.name] = withNewest(newest[f.name], f.newest)
	}
	return newest
}

// sources are the names under which the memory knows the CRL files.
func (s *Store) sources() []string {
	names := make([]string, len(s.crls), len(s.crls)+1)
	for i, f := range s.crls {
		names[i] = f.name
	}
	if s.points != nil {
		names = append(names, forgottenPoints)
	}
	return names
}

// remembered are the sources that the memory must keep: files change, uploads do
// not.
func (s *Store) remembered() []string {
	if s.versions != nil {
		return nil
	}
	return s.sources()
}

// pruneCRLs removes what is kept of lists that are in force no more. s.loading
// is held.
func (s *Store) pruneCRLs() {
	if !s.running || s.crlDir == nil {
		return
	}
	if err := s.crlDir.Prune(listsOf(s.crls)); err != nil {
		s.log.Warn("kept CRLs not removed", "error", err)
	}
}

// recheckEvery is how soon a list that turned out to be damaged is read anew;
// until then its clients are refused.
const recheckEvery = time.Second

// recheck reads what was only opened, in the background, and reads anew what is
// not as it was kept, until ctx is done.
func (s *Store) recheck(ctx context.Context) {
	for _, f := range s.crlsNow() {
		if err := s.recheckFile(ctx, &f); err != nil && ctx.Err() == nil {
			s.log.Warn("kept CRL is not as it was read: reading it anew", "crl", f.name, "error", err)
			s.reread(&f)
		}
	}
	ticker := time.NewTicker(recheckEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		for _, f := range s.crlsNow() {
			if err := f.damaged(); err != nil {
				s.log.Error("kept CRL is damaged: reading it anew", "crl", f.name, "error", err)
				s.reread(&f)
			}
		}
	}
}

func (s *Store) crlsNow() []crlFile {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.crls)
}

// recheckFile compares what is in force with the file that it came from.
func (s *Store) recheckFile(ctx context.Context, f *crlFile) error {
	if s.crlDir != nil && f.id == 0 && f.url == "" { // the fetcher digests its files itself
		return s.crlDir.Recheck(ctx, f.path, f.lists)
	}
	for _, l := range f.lists {
		if err := l.Verify(); err != nil || ctx.Err() != nil {
			return err
		}
	}
	if f.id != 0 {
		s.recheckUpload(f)
	}
	return nil
}

// recheckUpload tells when an upload is not as it came in. Its lists may be
// sound all the same: they stay, and to add it once more mends it.
func (s *Store) recheckUpload(f *crlFile) {
	c, err := s.versionLog().crl(f.id)
	if err != nil {
		return // it was removed meanwhile
	}
	data, err := s.versions.dir.openUpload(c.SHA256, c.Size)
	if err == nil {
		_, err = io.Copy(io.Discard, data)
		data.Close()
	}
	if err != nil {
		s.log.Error("uploaded CRL is damaged: add it again", "crl", f.name, "error", err)
	}
}

func (f *crlFile) damaged() error {
	for _, l := range f.lists {
		if err := l.Damaged(); err != nil {
			return err
		}
	}
	return nil
}

// reread reads a file or an upload whatever was kept of it.
func (s *Store) reread(f *crlFile) {
	s.loading.Lock()
	defer s.loading.Unlock()
	if s.crlDir != nil {
		s.crlDir.Forget(f.lists)
	}
	if f.id == 0 {
		s.load([]string{f.path}) // logs and remembers what it returns
		return
	}
	i := slices.IndexFunc(s.crls, func(now crlFile) bool { return now.id == f.id })
	c, err := s.versionLog().crl(f.id)
	if i < 0 || err != nil {
		return // it is in force no more
	}
	lists, err := s.readUpload(c)
	if err != nil {
		s.log.Error("upload not read", "crl", f.name, "error", err)
		return
	}
	s.set(func() {
		s.crls[i].lists = lists
		s.crls[i].checkIssuers(s.bundle.cas)
	})
	s.install(s.gen.Load())
}

// readUpload reads an upload, or opens what was kept of it. s.loading is held.
func (s *Store) readUpload(c *VersionCRL) ([]*revocation.List, error) {
	if s.crlDir != nil {
		if lists, err := s.crlDir.Kept(c.SHA256); err == nil {
			return lists, nil
		}
	}
	data, err := s.versions.dir.openUpload(c.SHA256, c.Size)
	if err != nil {
		return nil, err
	}
	defer data.Close()
	defer s.progress.set(nil)
	lists, err := revocation.Read(context.Background(), data, s.reading(fmt.Sprintf("CRL %d", c.ID)))
	if err != nil {
		return nil, err
	}
	// The reader compares the digest when it is read to its end.
	if _, err := io.Copy(io.Discard, data); err != nil {
		return nil, err
	}
	s.keepUpload(c.SHA256, lists)
	return lists, nil
}

// keepUpload keeps the lists of an upload under its digest. Without, a restart
// takes longer.
func (s *Store) keepUpload(sum string, lists []*revocation.List) {
	if s.crlDir == nil {
		return
	}
	if err := s.crlDir.Keep(sum, lists); err != nil {
		s.log.Warn("CRL not kept", "error", err)
	}
}
