package truststore

import (
	"cmp"
	"crypto/sha256"
	"crypto/x509"
	"slices"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/edge/reason"
	"github.com/sallyport/sallyport/revocation"
)

// Chain is what Build found: the paths on which a client's leaf passes
// everything but revocation, which CheckRevocation looks at anew each time.
// Immutable; any number of goroutines may use it. The zero Chain has no path,
// and no check lets it through.
type Chain struct {
	// From NotBefore to NotAfter, both included, Build would return the same
	// again: none of the dates that it judged by lies between them. With one path
	// that is from its latest notBefore to its earliest notAfter, expiry that the
	// policy ignores left aside.
	NotBefore, NotAfter time.Time

	// Memo is for whoever lets the chain's holder in: what he has made of the
	// certificates once serves all connections of this client, and goes with the
	// chain. Build leaves it empty.
	Memo atomic.Value

	paths []path
	last  atomic.Pointer[Verified] // what admit made of it last
}

// path is one way from leaf to anchor, ready for CheckRevocation.
type path struct {
	certs    []*x509.Certificate
	links    []*revocation.Link // each certificate below the anchor with its issuer
	anchor   [32]byte           // SHA-256 of the last of certs
	issued   []issuedKey        // as links, for the overlay
	notAfter time.Time          // the earliest that counts
	ignored  time.Time          // the earliest that the policy ignores; zero for none
	urls     []linkURLs         // as links; nil where no certificate names any
}

// Leaf returns the client's own certificate.
func (c *Chain) Leaf() *x509.Certificate {
	if len(c.paths) == 0 {
		return nil
	}
	return c.paths[0].certs[0]
}

// newChain judges each path and keeps those that pass. Where none does, it
// returns why the one failed that got furthest: the codes of package reason are
// in the order of the rows.
func newChain(candidates [][]*x509.Certificate, p Policy, now time.Time) (*Chain, error) {
	c := &Chain{NotAfter: endOfTime}
	var furthest *reason.Error
	for _, certs := range candidates {
		c.narrow(certs, p, now)
		if err := judge(certs, p, now); err != nil {
			if furthest == nil || err.Code > furthest.Code {
				furthest = err
			}
			continue
		}
		c.paths = append(c.paths, newPath(certs, p))
	}
	if len(c.paths) == 0 {
		return nil, furthest
	}
	// The path that lasts longest first, since a live connection ends with the
	// path it was admitted by; of those, the shortest has the least to look up.
	slices.SortStableFunc(c.paths, func(a, b path) int {
		return cmp.Or(b.notAfter.Compare(a.notAfter), cmp.Compare(len(a.certs), len(b.certs)))
	})
	return c, nil
}

// narrow takes the dates of a path that verifies, whether it passed or not: one
// that is not valid yet, say, becomes another way in at its notBefore.
func (c *Chain) narrow(certs []*x509.Certificate, p Policy, now time.Time) {
	from := func(t time.Time) {
		if t.After(c.NotBefore) {
			c.NotBefore = t
		}
	}
	until := func(t time.Time) {
		if t.Before(c.NotAfter) {
			c.NotAfter = t
		}
	}
	for i, cert := range certs {
		if now.Before(cert.NotBefore) {
			until(cert.NotBefore.Add(-1))
		} else {
			from(cert.NotBefore)
		}
		switch {
		case expiryIgnored(certs, i, p):
		case now.After(cert.NotAfter):
			from(cert.NotAfter.Add(1))
		default:
			until(cert.NotAfter)
		}
	}
}

func newPath(certs []*x509.Certificate, p Policy) path {
	anchor := certs[len(certs)-1]
	made := path{
		certs:    certs,
		links:    make([]*revocation.Link, len(certs)-1),
		issued:   make([]issuedKey, len(certs)-1),
		anchor:   sha256.Sum256(anchor.Raw),
		notAfter: anchor.NotAfter,
		urls:     urlsOf(certs),
	}
	for i, c := range certs[:len(certs)-1] {
		made.links[i] = revocation.Prepare(c, certs[i+1])
		made.issued[i] = newIssuedKey(made.links[i].IssuerKey(), c.SerialNumber)
		switch {
		case !expiryIgnored(certs, i, p):
			if c.NotAfter.Before(made.notAfter) {
				made.notAfter = c.NotAfter
			}
		case made.ignored.IsZero() || c.NotAfter.Before(made.ignored):
			made.ignored = c.NotAfter
		}
	}
	return made
}

// Verified is a client that was let in. Connections of one client may share it:
// it is not to be modified.
type Verified struct {
	// Path is from the client's leaf to the anchor, each signed by the next.
	Path []*x509.Certificate
	// NotAfter is when the path ends: the earliest notAfter on it that the policy
	// does not ignore.
	NotAfter time.Time
	// ExpiryIgnored says that it was past a notAfter which the policy ignores.
	ExpiryIgnored bool
	// Generation of the store that let it in.
	Generation uint64
	// Chain is what Build found, to keep for CheckRevocation. It is the same one
	// for a client that returns, while it is in the cache.
	Chain *Chain

	path *path // of Chain; the one that was taken
}
