package truststore

import (
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/revocation"
)

const (
	// keepPoint is how long after it was last named a distribution point is followed
	// whose lists have expired; keepCrowded is that where there are as many as may be.
	keepPoint   = 30 * 24 * time.Hour
	keepCrowded = 24 * time.Hour
	// forgetEvery is how often points are looked at.
	forgetEvery = time.Hour
	// seenGrain is by how much a point has been named later for the file to say so.
	seenGrain = 24 * time.Hour

	// forgottenPoints stands in the memory for all points that are forgotten: whose
	// lists they had. Those issuers go on to need a list under crl: auto. There are at
	// most maxForgotten; then points of others are not forgotten.
	forgottenPoints = "forgotten distribution points"
	maxForgotten    = 4096
)

// keepUpPoints has the points that nobody names any more forgotten, and what is
// known of the others kept. s.loading is held.
func (s *Store) keepUpPoints() {
	s.forgetPoints(keepPoint)
	if err := s.points.save(false); err != nil {
		s.log.Warn("distribution points not saved", "error", err)
	}
}

// forgetPoints forgets the points that nobody has named for as long as unseen, and
// whose lists vouch for nobody any more; see outlived. s.loading is held, by a store
// that is in force.
func (s *Store) forgetPoints(unseen time.Duration) {
	now := s.now()
	var gone []crlFile
	for i := range s.crls {
		f := &s.crls[i]
		if f.point && !s.points.namedSince(f.url, now.Add(-unseen)) && s.outlived(f, now) && s.memory.retire(f.name) {
			gone = append(gone, *f)
		}
	}
	if len(gone) == 0 {
		return
	}
	// First what says that their issuers need a list.
	if err := s.memory.save(s.sources(), false); err != nil {
		s.stateNotSaved(err)
		return
	}
	left := slices.DeleteFunc(slices.Clone(s.crls), func(f crlFile) bool {
		return slices.ContainsFunc(gone, func(g crlFile) bool { return f.point && g.url == f.url })
	})
	s.set(func() {
		s.crls = left
		for _, f := range gone {
			delete(s.errors, f.field)
		}
	})
	for _, f := range gone {
		s.points.forget(f.url)
		s.fetcher.Remove(f.url)
		delete(s.memory.sources, f.name)
		s.log.Info("distribution point forgotten", "url", f.url, "crls", len(f.lists))
	}
	if err := s.points.save(true); err != nil {
		s.log.Warn("distribution points not saved", "error", err)
	}
	if err := errors.Join(s.memory.save(s.sources(), true), s.editions.save(s.newest())); err != nil {
		s.stateNotSaved(err)
	}
	s.install(s.gen.Load())
	s.pruneCRLs()
}

// outlived reports whether f can be done without: its lists have expired, grace
// included, and no other list of their issuers is older and would answer in their
// stead, without what they revoke. Then whom they are about is without an answer, as
// before. Where an expired list lets in, none is outlived; nor is one that a list in
// force names, as its delta.
func (s *Store) outlived(f *crlFile, now time.Time) bool {
	policy := s.cfg.Revocation.OnExpiredCRL
	if len(f.lists) > 0 && policy.Then == config.ThenAllow {
		return false
	}
	for _, l := range f.lists {
		if !expired(l.ThisUpdate(), l.NextUpdate(), policy, now) {
			return false
		}
	}
	for i := range s.crls {
		other := &s.crls[i]
		if other.name == f.name && other.point == f.point {
			continue
		}
		for _, l := range other.lists {
			if slices.Contains(l.FreshestURLs(), f.url) || slices.ContainsFunc(f.lists, func(mine *revocation.List) bool { return standsIn(l, mine) }) {
				return false
			}
		}
	}
	return true
}

// standsIn reports whether a list could answer without what an expired one of its
// issuer revokes.
func standsIn(l, expired *revocation.List) bool {
	return l.IssuerKey() == expired.IssuerKey() && editionsOf([]*revocation.List{l})[0].olderThan(editionsOf([]*revocation.List{expired})[0])
}

// retire remembers for ever whose lists a point has had, and says whether there is
// room to.
func (m *memory) retire(source string) bool {
	all := maps.Clone(m.sources[forgottenPoints])
	if all == nil {
		all = issuers{}
	}
	maps.Copy(all, m.sources[source])
	if len(all) > maxForgotten {
		return false
	}
	if len(all) > 0 {
		m.sources[forgottenPoints] = all
	}
	return true
}
