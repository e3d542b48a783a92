package truststore

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"math/bits"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/reason"
	"github.com/sallyport/sallyport/revocation/ocsp"
)

// Responder asks OCSP responders and remembers what they said. It may be used by
// many goroutines.
type Responder interface {
	// Lookup is what is remembered; where that is nothing or grows old the
	// responder is asked in the background. Known is what a responder has said
	// before; of anything else nobody is asked. Wait waits for the answer. Live is
	// Lookup for clients that are in; Note gives it a staple to go by while that is
	// fresh, and without is since when neither says Good or Revoked.
	Known(leaf, issuer *x509.Certificate) (a ocsp.Answer, known bool)
	Note(leaf, issuer *x509.Certificate, stapled ocsp.Answer)
	Live(leaf, issuer *x509.Certificate) (a ocsp.Answer, known bool, without time.Time)
	Lookup(leaf, issuer *x509.Certificate) (a ocsp.Answer, known bool)
	Wait(ctx context.Context, leaf, issuer *x509.Certificate) (ocsp.Answer, error)
}

// Handshake is what a client brings to VerifyHandshake.
type Handshake struct {
	// Presented is its chain, the leaf first.
	Presented []*x509.Certificate
	// Staple is the OCSP response that it sent with its leaf, as it came; nil for
	// none. That of a resumed session is the one of its first handshake.
	Staple []byte
	// Wait runs what may take as long as ocsp_wait, a network's answer. nil: it is
	// just run.
	Wait func(func())

	// Took is what VerifyHandshake leaves here, also when it refuses.
	Took Took

	until time.Time // the end of all waiting of this handshake; zero before the first
}

// Took is how long the two parts of judging a client took. A part that it did not
// come to took nothing.
type Took struct {
	Chain      time.Duration // building and judging its paths, or finding them in the cache
	Revocation time.Duration // looking each link up, and waiting for OCSP answers
	Cached     bool          // the paths were in the cache
}

// linkSet is a set of places on a path.
type linkSet uint64

func (l linkSet) has(i int) bool { return l&(1<<i) != 0 }
func (l *linkSet) add(i int)     { *l |= 1 << i }
func (l *linkSet) remove(i int)  { *l &^= 1 << i }
func (l linkSet) count() int     { return bits.OnesCount64(uint64(l)) }
func (l linkSet) first() int     { return bits.TrailingZeros64(uint64(l)) }

// ocspCounts are of what OCSP did in a store.
type ocspCounts struct {
	softly, unknown, staples, badStaples atomic.Uint64
}

// OCSPStatus tells what OCSP did.
type OCSPStatus struct {
	Mode          config.OCSPMode `json:"mode"`
	SoftFailed    uint64          `json:"soft_failed"`    // let in without an answer, as configured
	Unknown       uint64          `json:"unknown"`        // refused, since the responder does not know the certificate
	Staples       uint64          `json:"staples"`        // that counted
	StaplesFailed uint64          `json:"staples_failed"` // that did not: out of date, of another certificate, ...
}

func (s *Store) ocspStatus() *OCSPStatus {
	mode := s.cfg.Revocation.OCSP
	if mode == "" || mode == config.OCSPOff {
		return nil
	}
	c := &s.ocspCounts
	return &OCSPStatus{mode, c.softly.Load(), c.unknown.Load(), c.staples.Load(), c.badStaples.Load()}
}

var (
	errNoStaple    = errors.New("no OCSP response is stapled to it")
	errNotAnswered = errors.New("no OCSP answer is known")
	errNobodyAsks  = errors.New("no OCSP responder is asked here")
)

// checkOCSP asks about the first n links of p: those that the CRLs left open, or
// all. What is answered as good is taken out of the sets.
func (s *Store) checkOCSP(g *generation, p *path, h *Handshake, now time.Time, n int, sets *linkSets) *reason.Error {
	mode := g.revocation.OCSP
	var missing *reason.Error
	// A certificate revoked further up must not be hidden behind an answer that is
	// missing further down.
	for i := range n {
		if mode != config.OCSPRequire && !sets.open.has(i) {
			continue
		}
		a, patient, err := s.ocspAnswer(g, p, i, h, now)
		switch {
		case err == nil && a.Status == ocsp.Good:
			sets.doubts.remove(i)
			sets.lenient.remove(i)
		case err == nil && a.Status == ocsp.Revoked:
			return refuse(reason.ClientCertOcspDenied, p.certs[i], fmt.Errorf("was revoked at %s (%v), says OCSP", stamp(a.RevokedAt), a.Reason))
		case patient:
		case err == nil:
			if h != nil {
				s.ocspCounts.unknown.Add(1)
			}
			missing = firstOf(missing, refuse(reason.ClientCertOcspProcessingError, p.certs[i], errors.New("is not known to its OCSP responder")))
		case mode == config.OCSPStaple: // then the CRLs decide alone
		case sets.lenient.has(i) && mode != config.OCSPRequire: // they let it pass, as configured
		case g.revocation.OCSPSoftFail:
			sets.softly++
		default:
			missing = firstOf(missing, refuse(reason.ClientCertOcspProcessingError, p.certs[i], fmt.Errorf("needs an OCSP answer: %w", err)))
		}
	}
	return missing
}

func firstOf(a, b *reason.Error) *reason.Error {
	if a != nil {
		return a
	}
	return b
}

// ocspAnswer is what is known of the i-th certificate of p, from the client's
// staple, from memory, or within ocsp_wait from its responder. h is nil for a
// client that is in, for whom nobody waits; patient says that it may stay in
// though nothing good is known of it.
func (s *Store) ocspAnswer(g *generation, p *path, i int, h *Handshake, now time.Time) (_ ocsp.Answer, patient bool, _ error) {
	if h != nil {
		a, err := s.handshakeAnswer(g, p.certs[i], p.certs[i+1], h, i == 0, now)
		return a, false, err
	}
	required := g.revocation.OCSP == config.OCSPRequire
	switch {
	case !g.revocation.OCSP.Asks():
		return ocsp.Answer{}, true, errNoStaple
	case s.responder == nil:
		return ocsp.Answer{}, !required, errNobodyAsks
	}
	a, known, without := s.responder.Live(p.certs[i], p.certs[i+1])
	patient = !required || !now.After(without.Add(g.revocation.OCSPGrace.Std()))
	if !known {
		return a, patient, fmt.Errorf("%w, since %s", errNotAnswered, stamp(without))
	}
	return a, patient, nil
}

func (s *Store) handshakeAnswer(g *generation, leaf, issuer *x509.Certificate, h *Handshake, first bool, now time.Time) (ocsp.Answer, error) {
	err := errNoStaple
	if first && len(h.Staple) > 0 {
		var a ocsp.Answer
		if a, err = s.stapled(g, leaf, issuer, h.Staple, now); err == nil {
			return a, nil
		}
	}
	if !g.revocation.OCSP.Asks() {
		return ocsp.Answer{}, err
	}
	if s.responder == nil {
		return ocsp.Answer{}, errNobodyAsks
	}
	if a, known := s.responder.Lookup(leaf, issuer); known {
		return a, nil
	}
	if h.until.IsZero() {
		h.until = time.Now().Add(g.revocation.OCSPWait.Std())
	}
	var a ocsp.Answer
	until := h.until
	ask := func() {
		ctx, cancel := context.WithDeadline(context.Background(), until)
		defer cancel()
		a, err = s.responder.Wait(ctx, leaf, issuer)
	}
	if h.Wait != nil {
		h.Wait(ask)
	} else {
		ask()
	}
	return a, err
}

// stapled judges a staple, each time: crypto/tls gives back the same bytes for as
// long as a session is resumed. A revocation that is known already outweighs it, until
// the responder itself says otherwise. While a good one is fresh StillAdmits goes by it.
func (s *Store) stapled(g *generation, leaf, issuer *x509.Certificate, staple []byte, now time.Time) (ocsp.Answer, error) {
	q, err := ocsp.NewQuestion(leaf, issuer)
	if err != nil {
		return ocsp.Answer{}, err
	}
	a, err := q.Validate(staple, ocsp.Check{Now: now, MaxAge: g.revocation.OCSPMaxAge.Std()})
	if err != nil {
		s.ocspCounts.badStaples.Add(1)
		return a, fmt.Errorf("its staple does not count: %w", err)
	}
	s.ocspCounts.staples.Add(1)
	if s.responder != nil {
		if b, known := s.responder.Known(leaf, issuer); known && b.Status == ocsp.Revoked {
			return b, nil
		}
		s.responder.Note(leaf, issuer, a)
	}
	return a, nil
}
