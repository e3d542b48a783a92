package ocsp

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"time"
)

const (
	// Skew is how far the responder's clock and ours may be apart.
	Skew = 5 * time.Minute
	// MaxResponse is the size of the largest response taken, in bytes.
	MaxResponse = 64 << 10
)

// Check is what a response is held against.
type Check struct {
	// Now is the time to judge by. The zero time is an error.
	Now time.Time

	// Nonce is the one of the request, nil where it had none. A response with
	// another nonce is refused; one without is taken, unless RequireNonce: most
	// responders sign ahead of time and ignore nonces.
	Nonce        []byte
	RequireNonce bool

	// MaxAge is for how long after thisUpdate a response without nextUpdate is
	// taken. 0: such responses are refused.
	MaxAge time.Duration

	// Delegate is asked about a delegate's certificate without
	// id-pkix-ocsp-nocheck, after all else about it was found right: nil means
	// that it is not revoked. It must not ask this responder. Nil: such
	// delegates are refused. It may be called by several goroutines at once.
	Delegate func(delegate *x509.Certificate) error
}

// ErrStale is wrapped by the error for a response whose time has passed.
var ErrStale = errors.New("response is out of date")

// Validate reads the DER of an OCSPResponse, from anywhere, and gives what it
// says of the question's certificate. With an error, which says what was wrong
// with the response, the Answer is the zero one. It keeps nothing of der.
func (q *Question) Validate(der []byte, c Check) (Answer, error) {
	a, err := q.validate(der, &c)
	if err != nil {
		return Answer{}, fmt.Errorf("validate OCSP response: %w", err)
	}
	return a, nil
}

func (q *Question) validate(der []byte, c *Check) (a Answer, err error) {
	switch {
	case q == nil || q.issuer == nil:
		return a, errNoQuestion
	case c.Now.IsZero():
		return a, errors.New("no time to judge by")
	case c.RequireNonce && len(c.Nonce) == 0:
		return a, errors.New("a nonce is required and none was sent")
	case len(der) > MaxResponse:
		return a, fmt.Errorf("response has %d bytes: want at most %d", len(der), MaxResponse)
	}
	r, err := parse(bytes.Clone(der))
	if err != nil {
		return a, err
	}
	var about []single
	for _, s := range r.singles {
		if q.isAbout(s.id) {
			about = append(about, s)
		}
	}
	if len(about) == 0 {
		return a, fmt.Errorf("response is about other certificates: none of %d has serial %x, name and key of issuer %q",
			len(r.singles), q.serial, q.issuer.Subject)
	}
	if a.Delegate, err = r.authenticate(q, c); err != nil {
		return a, err
	}
	for _, e := range r.extensions {
		if e.critical && !e.id.Equal(oidNonce) {
			return a, fmt.Errorf("response has the critical extension %s, which is not understood", e.id)
		}
	}
	if a.NonceEchoed, err = r.checkNonce(c); err != nil {
		return a, err
	}
	if r.producedAt.After(c.Now.Add(Skew)) {
		return a, fmt.Errorf("response was produced at %s, which is to come", r.producedAt.Format(time.RFC3339))
	}
	a.ProducedAt = r.producedAt
	for i, s := range about {
		expires, err := s.check(r, c)
		if err != nil {
			return a, err
		}
		if a.Delegate != nil && a.Delegate.NotAfter.Before(expires) {
			expires = a.Delegate.NotAfter
		}
		// Of several, the strictest, and for no longer than each holds.
		if i == 0 || stricter(s.status, a.Status) {
			a.Status, a.Reason, a.RevokedAt = s.status, s.reason, s.revokedAt
			a.ThisUpdate, a.NextUpdate = s.thisUpdate, s.nextUpdate
		}
		if i == 0 || expires.Before(a.Expires) {
			a.Expires = expires
		}
	}
	return a, nil
}

// stricter orders Good, Unknown, Revoked.
func stricter(s, than Status) bool {
	rank := [...]int{Good: 0, Unknown: 1, Revoked: 2}
	return rank[s] > rank[than]
}

// checkNonce says whether the response carries the nonce that was sent.
func (r *response) checkNonce(c *Check) (echoed bool, err error) {
	if len(c.Nonce) == 0 {
		return false, nil
	}
	nonce, err := r.nonce()
	switch {
	case err != nil:
		return false, err
	case nonce == nil && c.RequireNonce:
		return false, errors.New("response has no nonce, and one is required")
	case nonce == nil:
		return false, nil
	case !bytes.Equal(nonce, c.Nonce):
		return false, errors.New("response has another nonce than the request: it was made for another one")
	}
	return true, nil
}

// check judges one status by its dates and extensions, and says when it expires.
func (s *single) check(r *response, c *Check) (expires time.Time, err error) {
	for _, e := range s.extensions {
		if e.critical {
			return expires, fmt.Errorf("status has the critical extension %s, which is not understood", e.id)
		}
	}
	if s.thisUpdate.After(c.Now.Add(Skew)) {
		return expires, fmt.Errorf("status has a thisUpdate of %s, which is to come", s.thisUpdate.Format(time.RFC3339))
	}
	if s.thisUpdate.After(r.producedAt.Add(Skew)) {
		return expires, fmt.Errorf("status has a thisUpdate of %s, after producedAt %s",
			s.thisUpdate.Format(time.RFC3339), r.producedAt.Format(time.RFC3339))
	}
	if s.nextUpdate.IsZero() {
		if c.MaxAge <= 0 {
			return expires, errors.New("status has no nextUpdate, and no maximum age is set")
		}
		expires = s.thisUpdate.Add(c.MaxAge)
		if c.Now.After(expires.Add(Skew)) {
			return expires, fmt.Errorf("%w: thisUpdate was %s, no nextUpdate, and the maximum age is %s",
				ErrStale, s.thisUpdate.Format(time.RFC3339), c.MaxAge)
		}
		return expires, nil
	}
	if s.nextUpdate.Before(s.thisUpdate) {
		return expires, fmt.Errorf("status has a nextUpdate of %s, before thisUpdate %s",
			s.nextUpdate.Format(time.RFC3339), s.thisUpdate.Format(time.RFC3339))
	}
	if c.Now.After(s.nextUpdate.Add(Skew)) {
		return expires, fmt.Errorf("%w: nextUpdate was %s", ErrStale, s.nextUpdate.Format(time.RFC3339))
	}
	return s.nextUpdate, nil
}
