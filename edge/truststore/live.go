package truststore

import (
	"time"

	"github.com/sallyport/sallyport/edge/reason"
)

// publish puts g in force, with the revocations made by hand, and tells those
// who wait on Changed.
func (s *Store) publish(g *generation) {
	s.ledger.mu.Lock()
	defer s.ledger.mu.Unlock()
	s.publishLocked(g)
}

// republish makes a new generation for a change of the revocations made by hand.
// Everything else of it stays, so that no CRL's signature is verified again. The
// ledger's mu is held.
func (s *Store) republish() {
	before := s.gen.Load()
	if before == nil {
		return // the first generation will have them
	}
	g := *before
	g.loaded = s.now()
	s.publishLocked(&g)
}

// publishLocked numbers generations and is the only one to put them in force.
// The ledger's mu is held.
func (s *Store) publishLocked(g *generation) {
	before := s.gen.Load()
	g.number = 1
	if before != nil {
		g.number = before.number + 1
	}
	g.overlay = newOverlay(s.ledger.all, g.anchors)
	g.superseded = make(chan struct{})
	s.gen.Store(g)
	if before == nil {
		close(s.loaded)
	} else {
		close(before.superseded)
	}
}

// Generation is the number of the generation in force, 0 while nothing is
// loaded. It grows with every change of the CAs, the CRLs or the revocations
// made by hand.
func (s *Store) Generation() uint64 {
	if g := s.gen.Load(); g != nil {
		return g.number
	}
	return 0
}

// Changed returns a channel that is closed when the generation in force at the
// time of the call is no longer. To miss no change, call it before looking:
//
//	for {
//		changed := store.Changed()
//		… end those whom store.StillAdmits refuses …
//		<-changed
//	}
//
// Dates that pass are no change of generation: a Verified has its own NotAfter.
func (s *Store) Changed() <-chan struct{} {
	if g := s.gen.Load(); g != nil {
		return g.superseded
	}
	return s.loaded
}

// StillAdmits returns nil while a client that was admitted earlier, by this
// Store or by one that it replaces, may stay. It judges the path that the client
// was admitted by, not others that may have become as good, and allocates
// nothing when it returns nil. Otherwise it is a *reason.Error:
//
//   - ClientCertUntrusted: the anchor is no longer in the bundle;
//   - ClientCertExpired: the path is past v.NotAfter, which leaves out what the
//     policy ignores;
//   - ClientCertCrlHit: a certificate on the path is revoked, by hand or, as the
//     store's revocation policy says, by a CRL, also by an expired one;
//   - ClientCertOcspDenied: the same, as its responder has said meanwhile. It is
//     asked in the background; nobody waits;
//   - ClientCertOcspProcessingError: with ocsp: require and without ocsp_soft_fail,
//     no answer says that a certificate is good for longer than ocsp_grace, or its
//     responder does not know it for as long.
//
// That a CRL has expired or is missing ends no connection, and other than that no
// OCSP answer that is missing: nothing has become known against its client, and
// one late list would cut off everybody at once. New handshakes are refused then.
// Whether the policy of the listener is still
// the one that admitted the client is not the Store's to know.
func (s *Store) StillAdmits(v *Verified, now time.Time) error {
	g, err := s.inForce()
	if err != nil {
		return err
	}
	if v == nil || v.path == nil {
		return reason.Errorf(reason.ClientCertUntrusted, "no path to the trust store was built")
	}
	if now.After(v.path.notAfter) {
		if err := g.anchored(v.path); err != nil {
			return err
		}
		return reason.Errorf(reason.ClientCertExpired, "the path of %s expired at %s", describe(v.path.certs[0]), stamp(v.path.notAfter))
	}
	_, refusal := s.checkPath(g, v.path, nil, now)
	if refusal == nil || refusal.Code == reason.ClientCertCrlProcessingError {
		return nil
	}
	return refusal
}
