package truststore

import (
	"bytes"
	"crypto/x509"
	"errors"
	"time"

	"github.com/sallyport/sallyport/edge/reason"
)

// Policy is how a listener judges certificates. It is comparable, to be part of
// a cache's key. The zero Policy refuses everyone.
type Policy struct {
	// IgnoreExpiry lets pass a leaf or an intermediate after its notAfter: never
	// an anchor, and never a certificate before its notBefore.
	IgnoreExpiry bool
	// Strict also asks for the extended key usage clientAuth by name, the key
	// usage digitalSignature, a leaf that is no CA, and serial numbers as in RFC
	// 5280, section 4.1.2.2, on every certificate below the anchor.
	Strict bool
	// AllowEd25519 admits Ed25519 keys.
	AllowEd25519 bool
	// MaxChainDepth is how many certificates may be presented.
	MaxChainDepth int
	// MaxSize is how many bytes of DER may be presented in sum.
	MaxSize int64
	// Filters say whom to let in of those that pass all else but revocation. Two
	// Policies with different pointers are different, whatever is behind them.
	Filters *Filters
}

// CheckPresented judges what passthrough judges: that a client presented a
// certificate (ClientCertMissing), and no more than maxSize bytes of DER in sum
// (ClientCertMaxSizeExceeded). Any error is a *reason.Error.
func CheckPresented(presented []*x509.Certificate, maxSize int64) error {
	if len(presented) == 0 {
		return reason.Errorf(reason.ClientCertMissing, "client presented no certificate")
	}
	size := int64(0)
	for _, c := range presented {
		if c == nil || len(c.Raw) == 0 {
			return reason.Errorf(reason.ClientCertInvalid, "client's certificates are not parsed")
		}
		size += int64(len(c.Raw))
	}
	if size > maxSize {
		return reason.Errorf(reason.ClientCertMaxSizeExceeded, "client presented %d bytes of certificates, more than %d", size, maxSize)
	}
	return nil
}

// Build finds every path from the leaf, presented[0], to an anchor and judges
// each by p at now; revocation is CheckRevocation's. The rest of presented is
// material for paths, in any order: what no path needs is ignored, and never
// the client's identity. The result depends on presented, p, the anchors (see
// AnchorsID) and now, and stays the same from Chain.NotBefore to Chain.NotAfter.
//
// Paths are built and their signatures checked without regard to dates, so that
// an expired certificate is told from a forged one. A path ends at the first
// anchor that it reaches; one that is an intermediate CA need not lead further.
// A leaf that is itself in the bundle, a CA then, is a path of one certificate.
//
// Any error is a *reason.Error with the code of the row, in the order of the
// table of codes, at which the path that got furthest failed:
//
//   - ClientCertMissing, ClientCertMaxSizeExceeded and
//     ClientCertMaxChainDepthExceeded are decided before any signature is
//     checked, and so is that the leaf is X.509v3 (ClientCertTypeUnsupported)
//     with a serial number that is not negative (ClientCertInvalid; strict: one
//     as in RFC 5280);
//   - where no path leads to an anchor, diagnose names the cause;
//   - where one does: ClientCertInvalid (strict, a CA's serial number),
//     ClientCertTypeUnsupported, ClientCertIncompatible, ClientCertNotYetValid,
//     ClientCertExpired, ClientCertPurposeInvalid, ClientCertRejected (identity
//     filters).
//
// It costs at most 100 signature checks by crypto/x509 and 48 of diagnose's,
// and none for a chain whose names lead to no anchor.
func (s *Store) Build(presented []*x509.Certificate, p Policy, now time.Time) (*Chain, error) {
	g, err := s.inForce()
	if err != nil {
		return nil, err
	}
	return g.build(presented, p, now)
}

func (g *generation) build(presented []*x509.Certificate, p Policy, now time.Time) (*Chain, error) {
	if err := CheckPresented(presented, p.MaxSize); err != nil {
		return nil, err
	}
	if len(presented) > p.MaxChainDepth {
		return nil, reason.Errorf(reason.ClientCertMaxChainDepthExceeded, "client presented %d certificates, more than max_chain_depth %d", len(presented), p.MaxChainDepth)
	}
	leaf := presented[0]
	if err := checkSerial(leaf, p); err != nil {
		return nil, reason.Errorf(reason.ClientCertInvalid, "%s %w", describe(leaf), err)
	}
	if leaf.Version != 3 {
		return nil, reason.Errorf(reason.ClientCertTypeUnsupported,
			"%s is X.509v%d, want v3: issue it with extensions (OpenSSL 3.0's x509 -req makes v1 unless -extfile gives it some, extendedKeyUsage=clientAuth say)",
			describe(leaf), leaf.Version)
	}

	s := newSearch(g.anchors, presented)
	if !s.namesLeadToAnchor() {
		return nil, reason.Errorf(reason.ClientCertUntrusted, "%s %s", describe(leaf), s.missing())
	}
	paths, err := s.paths()
	if len(paths) == 0 {
		return nil, s.diagnose(p, err)
	}
	return newChain(paths, p, now)
}

// checkSerial: crypto/x509 refuses negative numbers unless GODEBUG tells it not
// to, and then -1 would pass for 1 in a CRL.
func checkSerial(c *x509.Certificate, p Policy) error {
	n := c.SerialNumber
	switch {
	case n == nil || n.Sign() < 0:
		return errors.New("has a negative serial number")
	case p.Strict && n.Sign() == 0:
		return errors.New("has the serial number 0, want a positive one")
	case p.Strict && n.BitLen()/8+1 > 20:
		return errors.New("has a serial number of more than 20 octets")
	}
	return nil
}

// search is one look for paths: a leaf, what else was presented, the anchors.
type search struct {
	anchors *anchors
	leaf    *x509.Certificate
	// others may be intermediates: CAs, each once, without the leaf.
	others []*x509.Certificate
	// named says of each of others whether its issuers' names lead from the leaf
	// to it and on to an anchor.
	named []bool
}

func newSearch(a *anchors, presented []*x509.Certificate) *search {
	s := &search{anchors: a, leaf: presented[0]}
next:
	for _, c := range presented[1:] {
		if bytes.Equal(c.Raw, s.leaf.Raw) {
			continue
		}
		for _, other := range s.others {
			if bytes.Equal(c.Raw, other.Raw) {
				continue next
			}
		}
		s.others = append(s.others, c)
	}
	s.named = make([]bool, len(s.others))
	return s
}

// namesLeadToAnchor follows names alone, which is cheap, so that a stranger
// costs no signature check. It leaves in s.named which certificates are on a
// way from the leaf to an anchor.
func (s *search) namesLeadToAnchor() bool {
	up := make([]bool, len(s.others))   // an anchor can be reached from it
	down := make([]bool, len(s.others)) // it can be reached from the leaf
	for range s.others {
		changed := false
		for i, c := range s.others {
			if !up[i] && (s.anchors.byName[string(c.RawIssuer)] != nil || s.anyIssuer(c, up)) {
				up[i], changed = true, true
			}
			if !down[i] && (bytes.Equal(s.leaf.RawIssuer, c.RawSubject) || s.anySubject(c, down)) {
				down[i], changed = true, true
			}
		}
		if !changed {
			break
		}
	}
	for i := range s.others {
		s.named[i] = up[i] && down[i]
	}
	return s.anchors.isAnchor(s.leaf) || s.anchors.byName[string(s.leaf.RawIssuer)] != nil || s.anyIssuer(s.leaf, up)
}

// anyIssuer reports whether one of those marked is named as c's issuer.
func (s *search) anyIssuer(c *x509.Certificate, marked []bool) bool {
	for i, other := range s.others {
		if marked[i] && other != c && bytes.Equal(c.RawIssuer, other.RawSubject) {
			return true
		}
	}
	return false
}

// anySubject reports whether one of those marked names c as its issuer.
func (s *search) anySubject(c *x509.Certificate, marked []bool) bool {
	for i, other := range s.others {
		if marked[i] && other != c && bytes.Equal(other.RawIssuer, c.RawSubject) {
			return true
		}
	}
	return false
}

// missing says which CA would have had to be there.
func (s *search) missing() string {
	top := s.leaf
	for range s.others {
		for _, c := range s.others {
			if c != top && bytes.Equal(top.RawIssuer, c.RawSubject) {
				top = c
				break
			}
		}
	}
	if bytes.Equal(top.RawIssuer, top.RawSubject) {
		if top == s.leaf {
			return "is self-signed and not in the trust store"
		}
		return "leads to the self-signed " + describe(top) + ", which is not in the trust store"
	}
	return "leads to the issuer " + nameOf(top.RawIssuer) + ", which is neither presented nor in the trust store"
}

// paths returns every path whose signatures, CA rules, path lengths, name
// constraints, policies and critical extensions pass crypto/x509, whatever the
// dates, leaf first; or crypto/x509's error.
func (s *search) paths() ([][]*x509.Certificate, error) {
	pool := x509.NewCertPool()
	originals := make(map[*x509.Certificate]*x509.Certificate, len(s.others)+1)
	for i, c := range s.others {
		// A key that is never used on a signature cannot cost anything.
		if s.named[i] && c.IsCA && verifiable(c) {
			ageless := agelessCopy(c)
			pool.AddCert(ageless)
			originals[ageless] = c
		}
	}
	leaf := agelessCopy(s.leaf)
	originals[leaf] = s.leaf
	found, err := leaf.Verify(x509.VerifyOptions{
		Roots:         s.anchors.pool,
		Intermediates: pool,
		CurrentTime:   time.Unix(0, 0),
		KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	if err != nil {
		return nil, err
	}
	for _, path := range found {
		for i, c := range path {
			original := originals[c]
			if original == nil {
				original = s.anchors.originals[c]
			}
			path[i] = original
		}
	}
	return found, nil
}
