package truststore

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/revocation"
)

const (
	// pointsFile is where a store's state directory keeps which distribution points
	// certificates have named, and of which CA.
	pointsFile = "crl-points.json"

	// maxPoints is how many there may be. Any CA below an anchor can name as many
	// as it likes, on hosts that the configuration allows.
	maxPoints = 256
	// maxPointCAs is how many CAs may share one.
	maxPointCAs = 16
)

// points are the distribution points that certificates and lists have named, and
// that the configuration allows. The handshakes that come upon them only leave
// word. The nil points allow none.
type points struct {
	hosts []string
	path  string // "" keeps nothing
	found chan point

	mu    sync.Mutex
	known map[string]*knownPoint // by URL
	full  bool                   // and a point was turned away for it
}

// knownPoint is a URL that was named.
type knownPoint struct {
	cas   []*x509.Certificate // of which
	seen  time.Time           // when it was named last
	saved time.Time           // what the file says of that
}

// point is a URL with lists of a CA.
type point struct {
	url    string
	issuer *x509.Certificate
}

// pointJSON is a point as it is kept.
type pointJSON struct {
	URL  string    `json:"url"`
	CAs  [][]byte  `json:"cas"`           // DER
	Seen time.Time `json:"seen,omitzero"` // when it was named last
}

// openPoints reads which points were known. Without them a restart would refuse
// the first clients again, and no more: so what cannot be read is forgotten.
func (s *Store) openPoints(o Options) error {
	hosts := s.cfg.Revocation.DistributionPoints
	if len(hosts) == 0 || s.cfg.Source == config.SourceAPI {
		return nil
	}
	s.points = &points{hosts: hosts, found: make(chan point, 64), known: map[string]*knownPoint{}}
	if o.Dir == "" {
		return nil
	}
	path := filepath.Join(o.Dir, pointsFile)
	if !o.ReadOnly {
		s.points.path = path
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	kept, err := parsePoints(data)
	if err != nil {
		s.log.Warn("distribution points not remembered", "file", path, "error", err)
		return nil
	}
	now := s.now()
	for _, p := range kept {
		if p.seen.IsZero() || p.seen.After(now) {
			p.seen = now
		}
		for _, issuer := range p.cas {
			if s.points.allows(p.url) && s.points.note(point{p.url, issuer}, p.seen) {
				s.addPoint(point{p.url, issuer}, o.Replaces)
			}
		}
	}
	return nil
}

type keptPoint struct {
	url  string
	cas  []*x509.Certificate
	seen time.Time
}

func parsePoints(data []byte) ([]keptPoint, error) {
	var content []pointJSON
	if err := json.Unmarshal(data, &content); err != nil {
		return nil, err
	}
	all := make([]keptPoint, 0, len(content))
	for _, p := range content {
		one := keptPoint{url: p.URL, seen: p.Seen}
		for _, der := range p.CAs {
			ca, err := x509.ParseCertificate(der)
			if err != nil {
				return nil, fmt.Errorf("CA of %q: %w", p.URL, err)
			}
			one.cas = append(one.cas, ca)
		}
		all = append(all, one)
	}
	return all, nil
}

// allows says whether the configuration allows the URL's host.
func (ps *points) allows(text string) bool {
	u, err := url.Parse(text)
	return err == nil && ps != nil && ps.allowsHost(u.Hostname())
}

func (ps *points) allowsHost(host string) bool { return config.MatchHost(ps.hosts, host) }

// note remembers a point that is named at now, and says whether it was new.
func (ps *points) note(p point, now time.Time) bool {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	known := ps.known[p.url]
	if known == nil {
		if len(ps.known) == maxPoints {
			ps.full = true
			return false
		}
		known = &knownPoint{seen: now}
		ps.known[p.url] = known
	}
	if slices.ContainsFunc(known.cas, p.issuer.Equal) || len(known.cas) == maxPointCAs {
		return false
	}
	known.cas = append(slices.Clip(known.cas), p.issuer)
	return true
}

// crowded says whether there is no room for a point.
func (ps *points) crowded(url string) bool {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	return ps.known[url] == nil && len(ps.known) == maxPoints
}

// namedSince says whether a point was named after then.
func (ps *points) namedSince(url string, then time.Time) bool {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	known := ps.known[url]
	return known != nil && known.seen.After(then)
}

// forget makes room.
func (ps *points) forget(url string) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	delete(ps.known, url)
	ps.full = false
}

// want leaves word of what certificates of a verified path name. It waits for
// nobody: what cannot be taken down now comes with the next handshake.
func (ps *points) want(p *path, now time.Time) {
	if ps == nil {
		return
	}
	for i, urls := range p.urls {
		for _, text := range slices.Concat(urls.complete, urls.deltas) {
			ps.tell(point{text, p.certs[i+1]}, now)
		}
	}
}

func (ps *points) tell(p point, now time.Time) {
	ps.mu.Lock()
	known := ps.known[p.url]
	if known != nil && now.After(known.seen) {
		known.seen = now
	}
	taken := known != nil && slices.ContainsFunc(known.cas, p.issuer.Equal)
	ps.mu.Unlock()
	if taken || !ps.allows(p.url) {
		return
	}
	select {
	case ps.found <- p:
	default:
	}
}

// names says whether the i-th certificate of p names a point that is allowed.
func (ps *points) names(p *path, i int) bool {
	return ps != nil && i < len(p.urls) && slices.ContainsFunc(p.urls[i].complete, ps.allows)
}

// linkURLs are where a certificate says that lists about it are.
type linkURLs struct{ complete, deltas []string }

// urlsOf are those of a path's certificates below its anchor; nil where none names
// any.
func urlsOf(certs []*x509.Certificate) []linkURLs {
	var all []linkURLs
	for i, c := range certs[:len(certs)-1] {
		complete, deltas := revocation.DistributionURLs(c)
		if len(complete)+len(deltas) == 0 {
			continue
		}
		if all == nil {
			all = make([]linkURLs, len(certs)-1)
		}
		all[i] = linkURLs{complete, deltas}
	}
	return all
}

// followPoints takes up the points of which word was left, and forgets those that
// nobody names any more, until ctx is done.
func (s *Store) followPoints(ctx context.Context) {
	ticker := time.NewTicker(forgetEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			if err := s.points.save(true); err != nil {
				s.log.Warn("distribution points not saved", "error", err)
			}
			return
		case p := <-s.points.found:
			s.takePoint(p)
		case <-ticker.C:
			s.loading.Lock()
			s.keepUpPoints()
			s.loading.Unlock()
		}
	}
}

func (s *Store) takePoint(p point) {
	s.loading.Lock()
	defer s.loading.Unlock()
	if s.points.crowded(p.url) {
		s.forgetPoints(keepCrowded)
	}
	if !s.points.note(p, s.now()) {
		return
	}
	if s.addPoint(p, nil) {
		s.addURL(p.url)
	} else {
		s.fetcher.Refresh(p.url) // which may have been refused for want of this CA
	}
	s.log.Info("distribution point found", "url", p.url, "ca", nameOf(p.issuer.RawSubject))
	if err := s.points.save(true); err != nil {
		s.log.Warn("distribution points not saved", "error", err)
	}
}

// addPoint makes a source of a point, or adds the CA to the one that there is.
// s.loading is held, but by New.
func (s *Store) addPoint(p point, replaces *Store) (added bool) {
	i := slices.IndexFunc(s.crls, func(f crlFile) bool { return f.url == p.url })
	s.set(func() {
		if i >= 0 && s.crls[i].ca != "" {
			return // the configuration says whose lists are there
		}
		if i >= 0 {
			s.crls[i].cas = append(slices.Clip(s.crls[i].cas), p.issuer)
			return
		}
		// Copied, since others look at the one that is.
		s.crls = append(slices.Clip(s.crls), crlFile{
			source: source{"distribution point " + p.url, p.url, s.kept(p.url)},
			url:    p.url, point: true, cas: []*x509.Certificate{p.issuer},
			newest: withNewest(s.editions.sources[p.url], replaces.newestIn(p.url)),
		})
	})
	return i < 0
}

// save keeps what is known, if there is more to it than that points were named a
// little later, or if changed says so.
func (ps *points) save(changed bool) error {
	if ps.path == "" {
		return nil
	}
	content, seen := []pointJSON{}, map[*knownPoint]time.Time{}
	ps.mu.Lock()
	for url, known := range ps.known {
		one := pointJSON{URL: url, Seen: known.seen.UTC().Truncate(time.Second)}
		for _, ca := range known.cas {
			one.CAs = append(one.CAs, ca.Raw)
		}
		content = append(content, one)
		seen[known] = known.seen
		changed = changed || known.seen.Sub(known.saved) >= seenGrain
	}
	ps.mu.Unlock() // handshakes do not wait for the disk
	if !changed {
		return nil
	}
	slices.SortFunc(content, func(a, b pointJSON) int { return strings.Compare(a.URL, b.URL) })
	data, err := json.MarshalIndent(content, "", "\t")
	if err == nil {
		err = replaceFile(ps.path, append(data, '\n'))
	}
	if err != nil {
		return err
	}
	ps.mu.Lock()
	defer ps.mu.Unlock()
	for known, at := range seen {
		known.saved = at
	}
	return nil
}

func (ps *points) isFull() bool {
	if ps == nil {
		return false
	}
	ps.mu.Lock()
	defer ps.mu.Unlock()
	return ps.full
}

// tellDeltas leaves word of the delta lists that complete ones name.
func (s *Store) tellDeltas(f *crlFile, lists []*revocation.List) {
	if s.points == nil {
		return
	}
	for _, l := range lists {
		for _, text := range l.FreshestURLs() {
			for _, ca := range slices.Concat(s.bundle.cas, f.cas) {
				if known, err := l.CheckIssuer([]*x509.Certificate{ca}); known && err == nil {
					s.points.tell(point{text, ca}, s.now())
				}
			}
		}
	}
}
