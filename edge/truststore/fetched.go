package truststore

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/fetch"
	"github.com/sallyport/sallyport/edge/filewatch"
	"github.com/sallyport/sallyport/revocation"
)

// fetchDir is the folder of a state directory that keeps what was fetched.
const fetchDir = "fetched"

// openFetcher prepares what keeps the store's URLs fresh, where it has any.
func (s *Store) openFetcher(o Options) (err error) {
	r := s.cfg.Revocation
	urls := slices.ContainsFunc(s.cfg.CRLs, func(c config.CRL) bool { return c.URL != "" })
	if o.Dir != "" {
		s.fetched = filepath.Join(o.Dir, fetchDir)
	}
	if !urls && len(r.DistributionPoints) == 0 || s.cfg.Source == config.SourceAPI {
		return nil
	}
	if !o.ReadOnly {
		options := fetchOptions(s.cfg, s.fetched, o.Network)
		options.Log = s.log
		s.fetcher, err = fetch.New(options)
	}
	return err
}

// fetchOptions are a store's. A list that is late is asked for more and more
// seldom, but never more seldom than the interval.
func fetchOptions(cfg config.TrustStore, dir string, network fetch.Network) fetch.Options {
	interval := cfg.Revocation.Fetch.Interval.Std()
	if interval <= 0 {
		interval = time.Hour
	}
	return fetch.Options{
		Dir:         dir,
		Network:     network,
		MaxSize:     int64(cfg.Limits.CRLSize),
		Timeout:     cfg.Revocation.Fetch.Timeout.Std(),
		MinInterval: min(time.Minute, interval),
		MaxInterval: interval,
		MinBackoff:  min(5*time.Second, interval),
		MaxBackoff:  min(time.Hour, interval),
		MaxURLs:     len(cfg.CRLs) + maxPoints,
	}
}

// kept is where the file of a URL is kept; "" where nothing is.
func (s *Store) kept(url string) string {
	if s.fetched == "" {
		return ""
	}
	return fetch.KeptFile(s.fetched, url)
}

// addURLs gives the fetcher its URLs, and has it forget all others. s.loading is
// held.
func (s *Store) addURLs() {
	if s.fetched == "" {
		return
	}
	if s.fetcher == nil {
		// What no URL is left for must not come back with one some day.
		if err := errors.Join(os.RemoveAll(s.fetched), os.RemoveAll(filepath.Join(filepath.Dir(s.fetched), pointsFile))); err != nil {
			s.log.Warn("kept files not removed", "error", err)
		}
		return
	}
	old, err := s.fetcher.Kept()
	if err != nil {
		s.log.Warn("kept files not listed", "error", err)
	}
	for _, url := range old {
		if !slices.ContainsFunc(s.crls, func(f crlFile) bool { return f.url == url }) {
			s.fetcher.Remove(url)
		}
	}
	for _, f := range s.crls {
		if f.url != "" {
			s.addURL(f.url)
		}
	}
}

func (s *Store) addURL(url string) {
	var allows func(string) bool
	if i := slices.IndexFunc(s.crls, func(f crlFile) bool { return f.url == url }); i >= 0 && s.crls[i].point {
		allows = s.points.allowsHost // a redirect names a host as much as the certificate does
	}
	err := s.fetcher.AddWithin(url, allows, func(ctx context.Context, path string, keep func() error) (time.Time, error) {
		return s.accept(ctx, url, path, keep)
	})
	if err != nil {
		s.log.Error("CRL not fetched", "url", url, "error", err)
	}
}

// accept judges a file that was fetched, or was kept, and puts it in force; see
// fetch.Accept. It is kept before its editions are: after a crash between the two
// what is kept is newer than what is remembered, and not the other way round, by
// which it would be refused as older.
func (s *Store) accept(ctx context.Context, url, path string, keep func() error) (next time.Time, err error) {
	s.loading.Lock()
	defer s.loading.Unlock()
	i := slices.IndexFunc(s.crls, func(f crlFile) bool { return f.url == url })
	if i < 0 {
		return next, errors.New("nobody wants it any more")
	}
	f := &s.crls[i]
	lists, err := s.readCRL(ctx, f, path)
	if err != nil {
		var field *FieldError
		if errors.As(err, &field) {
			err = field.Err
		}
		return next, err
	}
	if err := keep(); err != nil {
		return next, err
	}
	changed := s.takeLists(f, lists)
	if err := s.saveState(); err != nil {
		// A fresher CRL is worth more than the memory of it.
		s.stateNotSaved(err)
	} else {
		s.set(func() { delete(s.errors, "state") })
	}
	if changed {
		s.install(s.gen.Load())
		s.pruneCRLs()
	}
	return dueAfter(lists), nil
}

// dueAfter is when something newer than lists should be asked for: early enough
// to try for a while before anybody is warned.
func dueAfter(lists []*revocation.List) (due time.Time) {
	for _, l := range lists {
		if l.NextUpdate().IsZero() {
			continue
		}
		at := l.ThisUpdate().Add(l.NextUpdate().Sub(l.ThisUpdate()) / 10 * 7)
		if due.IsZero() || at.Before(due) {
			due = at
		}
	}
	return due
}

// readCAs reads who may sign what is fetched.
func (f *crlFile) readCAs(limits config.TrustStoreLimits) ([]*x509.Certificate, error) {
	data, err := filewatch.ReadFile(f.ca, maxBundleSize)
	var cas []*x509.Certificate
	if err == nil {
		cas, _, err = ParseBundle(data, limits)
	}
	if err != nil {
		return nil, &FieldError{f.field + ".ca", fmt.Errorf("read CAs of CRL: %w", err)}
	}
	return cas, nil
}

// unloaded says whether a configured URL has never been fetched: whom its lists
// are of is not known then, so it may be anybody's.
func (s *Store) unloaded() bool {
	return slices.ContainsFunc(s.crls, func(f crlFile) bool {
		return f.url != "" && !f.point && len(s.memory.sources[f.name]) == 0
	})
}

// awaited says in words which URLs have given nothing yet, and why; "" for none.
func (s *Store) awaited() string {
	if s.fetcher == nil {
		return ""
	}
	errs := map[string]string{}
	for _, st := range s.fetcher.Status() {
		errs[st.URL] = st.LastError
	}
	var all []string
	for _, f := range s.crlsNow() {
		if f.url == "" || f.lists != nil {
			continue
		}
		text := fmt.Sprintf("nothing has come from %s yet", f.url)
		if errs[f.url] != "" {
			text += ": " + errs[f.url]
		}
		if all = append(all, text); len(all) == 3 {
			break
		}
	}
	return strings.Join(all, "; ")
}

// refresh has URLs fetched now rather than when they are due: all, or those that
// have nothing in force.
func (s *Store) refresh(all bool) {
	if s.fetcher == nil {
		return
	}
	for _, f := range s.crls {
		if f.url != "" && (all || f.lists == nil) {
			s.fetcher.Refresh(f.url)
		}
	}
}

// SourceStatus is how a URL of CRLs stands.
type SourceStatus struct {
	Field string `json:"field"`
	// Point says that a certificate or a CRL named it, not the configuration.
	Point bool `json:"distribution_point,omitempty"`
	fetch.Status
}

// sourcesNow are the URLs in the order of the CRLs. s.mu is held.
func (s *Store) sourcesNow() []SourceStatus {
	list := []SourceStatus{}
	if s.fetcher == nil {
		return list
	}
	by := map[string]fetch.Status{}
	for _, st := range s.fetcher.Status() {
		by[st.URL] = st
	}
	for _, f := range s.crls {
		if f.url != "" {
			st := by[f.url]
			st.URL = f.url
			list = append(list, SourceStatus{Field: f.field, Point: f.point, Status: st})
		}
	}
	return list
}

// JudgeCRLs says what a trust store whose bundle has these CAs, and that has none
// of their lists yet, would make of lists from a file or, if fetched, from a URL:
// why it would refuse them, or by when it would ask for newer ones, zero where
// they do not say.
func JudgeCRLs(lists []*revocation.List, cas []*x509.Certificate, fetched bool, now time.Time) (next time.Time, err error) {
	if err := checkLists(lists, cas); err != nil {
		return next, err
	}
	if fetched {
		if _, _, err := (&crlFile{url: "any"}).checkFetched(lists, cas); err != nil {
			return next, err
		}
		if err := checkDates(lists, now); err != nil {
			return next, err
		}
	}
	return dueAfter(lists), nil
}
