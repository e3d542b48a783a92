package truststore

import (
	"crypto/x509"
	"fmt"
	"time"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/reason"
	"github.com/sallyport/sallyport/revocation"
)

// CheckRevocation admits a client by the first path of c that the CRLs in force
// and the store's revocation policy leave standing at now. It is for every
// handshake, also where c comes from a cache, and allocates nothing when it
// returns nil. Of the paths' failures it returns the one that got furthest, as
// *reason.Error:
//
//   - ClientCertUntrusted: the anchor is no longer in the bundle;
//   - ClientCertCrlHit: a certificate on the path is revoked, by hand (see
//     RevokeCertificate) or by a CRL. With scope chain that is also an anchor
//     which another anchor of the bundle issued and revoked. Entries of expired
//     CRLs count;
//   - ClientCertCrlProcessingError: an issuer that needs a CRL has none that can
//     say, or an expired one where the policy denies;
//   - ClientCertOcspDenied: its responder says that a certificate is revoked;
//   - ClientCertOcspProcessingError: the policy wants an answer of a responder,
//     and there was none in time, or the responder does not know the certificate.
//
// Where OCSP responders are asked it may wait, as long as ocsp_wait, and
// allocates.
func (s *Store) CheckRevocation(c *Chain, now time.Time) error {
	g, err := s.inForce()
	if err != nil {
		return err
	}
	if _, refusal := s.choose(g, c, &Handshake{}, now); refusal != nil {
		return refusal
	}
	return nil
}

// Admit is CheckRevocation, and says which path was taken. For a chain from a
// cache it gives what Verify gave.
func (s *Store) Admit(c *Chain, now time.Time) (*Verified, error) {
	g, err := s.inForce()
	if err != nil {
		return nil, err
	}
	return s.admit(g, c, &Handshake{}, now)
}

// Verify builds and judges the paths of what a client presented, as Build does,
// and admits it by one of them, as CheckRevocation does, by one and the same
// generation of the store. What was built is remembered while the CAs stay, so
// that for a returning client it costs a digest of the chain, CheckRevocation and
// no allocation. Any error is a *reason.Error.
func (s *Store) Verify(presented []*x509.Certificate, p Policy, now time.Time) (*Verified, error) {
	return s.VerifyHandshake(&Handshake{Presented: presented}, p, now)
}

// VerifyHandshake is Verify for a client that may have brought an OCSP response
// too, and that can wait for one.
func (s *Store) VerifyHandshake(h *Handshake, p Policy, now time.Time) (*Verified, error) {
	g, err := s.inForce()
	if err != nil {
		return nil, err
	}
	begun := time.Now()
	c, cached, err := s.chain(g, h.Presented, p, now)
	built := time.Now()
	h.Took = Took{Chain: built.Sub(begun), Cached: cached}
	if err != nil {
		return nil, err
	}
	v, err := s.admit(g, c, h, now)
	h.Took.Revocation = time.Since(built)
	return v, err
}

func (s *Store) admit(g *generation, c *Chain, h *Handshake, now time.Time) (*Verified, error) {
	taken, refusal := s.choose(g, c, h, now)
	if refusal != nil {
		return nil, refusal
	}
	expiryIgnored := !taken.ignored.IsZero() && now.After(taken.ignored)
	if v := c.last.Load(); v != nil && v.path == taken && v.ExpiryIgnored == expiryIgnored && v.Generation == g.number {
		return v, nil
	}
	v := &Verified{
		Path:          taken.certs,
		NotAfter:      taken.notAfter,
		ExpiryIgnored: expiryIgnored,
		Generation:    g.number,
		Chain:         c,
		path:          taken,
	}
	c.last.Store(v)
	return v, nil
}

// choose returns the first path that stands, and counts what it let pass without
// an answer.
func (s *Store) choose(g *generation, c *Chain, h *Handshake, now time.Time) (*path, *reason.Error) {
	if c == nil || len(c.paths) == 0 {
		return nil, reason.Errorf(reason.ClientCertUntrusted, "no path to the trust store was built")
	}
	var furthest *reason.Error
	for i := range c.paths {
		g.points.want(&c.paths[i], now)
		sets, refusal := s.checkPath(g, &c.paths[i], h, now)
		if sets.unknown > 0 {
			s.alarms.unknown.Add(uint64(sets.unknown))
		}
		if refusal == nil {
			if onExpired := sets.lenient.count(); onExpired+sets.softly > 0 {
				s.expiredAllowed.Add(uint64(onExpired))
				s.ocspCounts.softly.Add(uint64(sets.softly))
				s.tellOpen()
			}
			return &c.paths[i], nil
		}
		if furthest == nil || refusal.Code > furthest.Code {
			furthest = refusal
		}
	}
	if furthest.Code == reason.ClientCertCrlProcessingError {
		if text := s.awaited(); text != "" {
			furthest = &reason.Error{Code: furthest.Code, Cause: fmt.Errorf("%w; %s", furthest.Cause, text)}
		}
	}
	return nil, furthest
}

// linkSets say what the CRLs left open of a path.
type linkSets struct {
	open    linkSet // no CRL in force covers it
	doubts  linkSet // of those, what needs a CRL
	lenient linkSet // of those, what an expired list does not name, where that is allowed
	unknown int     // of those, how many no list could answer for
	softly  int     // let pass without an OCSP answer
}

// checkPath looks up what was revoked by hand, and in the CRLs what the policy's
// scope covers; then OCSP, for what these leave open. h is nil where a client is
// in already.
func (s *Store) checkPath(g *generation, p *path, h *Handshake, now time.Time) (sets linkSets, _ *reason.Error) {
	if refusal := g.anchored(p); refusal != nil {
		return sets, refusal
	}
	if refusal := g.overlay.check(p); refusal != nil {
		return sets, refusal
	}
	links := p.links
	leafOnly := g.revocation.Scope == config.ScopeLeaf
	if leafOnly && len(links) > 1 {
		links = links[:1]
	}
	if g.revocation.CRL == config.CRLOff {
		for i := range links {
			sets.open.add(i)
		}
	} else if refusal := g.checkCRLs(p, links, now, &sets); refusal != nil {
		return sets, refusal
	} else if !leafOnly || len(p.certs) == 1 {
		// Where the leaf itself is the anchor, these are its only links.
		this := g.anchors.byHash[p.anchor]
		for _, link := range this.issuers {
			if v := g.index.Check(link, now); v.Status == revocation.Revoked {
				return sets, refuse(reason.ClientCertCrlHit, this.cert, revoked(v))
			}
		}
	}
	if mode := g.revocation.OCSP; mode == config.OCSPStaple || mode.Asks() {
		if refusal := s.checkOCSP(g, p, h, now, len(links), &sets); refusal != nil {
			return sets, refusal
		}
	}
	if sets.doubts != 0 {
		i := sets.doubts.first()
		return sets, unanswered(p, i, g.index.Check(links[i], now))
	}
	return sets, nil
}

// checkCRLs refuses a path with a link that a CRL revokes. A revoked certificate
// further up must not be hidden behind a list missing further down: the codes
// tell operators and bans different things.
func (g *generation) checkCRLs(p *path, links []*revocation.Link, now time.Time, sets *linkSets) *reason.Error {
	for i, link := range links {
		v := g.index.Check(link, now)
		switch {
		case v.Status == revocation.Revoked:
			return refuse(reason.ClientCertCrlHit, p.certs[i], revoked(v))
		case v.Status == revocation.Good && !expired(v.ThisUpdate, v.NextUpdate, g.revocation.OnExpiredCRL, now):
			continue
		case v.Status == revocation.Good && g.revocation.OnExpiredCRL.Then == config.ThenAllow:
			sets.lenient.add(i)
		case v.Status == revocation.Good || g.needsCRL(p, i):
			sets.doubts.add(i)
		}
		sets.open.add(i)
		if v.Status != revocation.Good {
			sets.unknown++
		}
	}
	return nil
}

// anchored refuses a path whose anchor is no longer in the bundle.
func (g *generation) anchored(p *path) *reason.Error {
	if g.anchors.byHash[p.anchor] == nil {
		return reason.Errorf(reason.ClientCertUntrusted, "the anchor, %s, is no longer in the trust store", describe(p.certs[len(p.certs)-1]))
	}
	return nil
}

// needsCRL reports whether the policy wants a list of the issuer of p's i-th
// certificate. What is neither off nor auto, the zero value included, is require.
func (g *generation) needsCRL(p *path, i int) bool {
	return g.revocation.CRL != config.CRLAuto || g.unloaded || g.named[p.links[i].IssuerKey()] || g.points.names(p, i)
}

// expired reports whether a list is past its nextUpdate and the grace on it. A
// list without one, which RFC 5280 section 5.1.2.5 forbids, promises nothing
// from its first day.
func expired(thisUpdate, nextUpdate time.Time, policy config.ExpiredCRL, now time.Time) bool {
	if nextUpdate.IsZero() {
		nextUpdate = thisUpdate
	}
	return now.After(nextUpdate.Add(policy.Grace.Std()))
}

func revoked(v revocation.Verdict) error {
	return fmt.Errorf("was revoked at %s (%v)", stamp(v.RevokedAt), v.Reason)
}

// unanswered is the refusal of the i-th certificate of p for want of a list.
func unanswered(p *path, i int, v revocation.Verdict) *reason.Error {
	issuer := nameOf(p.certs[i].RawIssuer)
	var err error
	switch {
	case v.Status != revocation.Good:
		err = fmt.Errorf("needs a CRL of its issuer %s: %s", issuer, v.Why)
	case v.NextUpdate.IsZero():
		err = fmt.Errorf("is not named in the CRL of its issuer %s, which has no nextUpdate and so counts as expired since %s", issuer, stamp(v.ThisUpdate))
	default:
		err = fmt.Errorf("is not named in the CRL of its issuer %s, but that expired at %s", issuer, stamp(v.NextUpdate))
	}
	return refuse(reason.ClientCertCrlProcessingError, p.certs[i], err)
}
