package truststore

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"slices"
	"time"

	"github.com/sallyport/sallyport/revocation"
)

// anchors is a bundle made ready for path building. Immutable, but for the cache
// of what was built.
type anchors struct {
	certs  []*x509.Certificate // in the bundle's order
	byName map[string][]*x509.Certificate
	byHash map[[32]byte]*anchor

	// pool has copies that are valid at any time; originals leads back.
	pool      *x509.CertPool
	originals map[*x509.Certificate]*x509.Certificate

	id    [32]byte
	cache *chainCache
}

// anchor is what the other anchors of the same bundle say of this one.
type anchor struct {
	cert    *x509.Certificate
	issuers []*revocation.Link // one for each other anchor that signed it
}

func newAnchors(certs []*x509.Certificate) *anchors {
	a := &anchors{
		certs:     certs,
		byName:    make(map[string][]*x509.Certificate, len(certs)),
		byHash:    make(map[[32]byte]*anchor, len(certs)),
		pool:      x509.NewCertPool(),
		originals: make(map[*x509.Certificate]*x509.Certificate, len(certs)),
		cache:     newChainCache(),
	}
	for _, c := range certs {
		name := string(c.RawSubject)
		a.byName[name] = append(a.byName[name], c)
		a.byHash[sha256.Sum256(c.Raw)] = &anchor{cert: c}
		ageless := agelessCopy(c)
		a.pool.AddCert(ageless)
		a.originals[ageless] = c
	}
	for _, this := range a.byHash {
		for _, issuer := range a.byName[string(this.cert.RawIssuer)] {
			// Unlike CheckSignatureFrom, this takes SHA-1: it can only keep clients out.
			c := this.cert
			if issuer != c && verifiable(issuer) && issuer.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) == nil {
				this.issuers = append(this.issuers, revocation.Prepare(c, issuer))
			}
		}
	}
	a.id = newAnchorsID(certs)
	return a
}

// newAnchorsID digests a set of CAs. Their order in the file changes nothing,
// so it must not change the name of the set either.
func newAnchorsID(certs []*x509.Certificate) [32]byte {
	sums := make([][]byte, len(certs))
	for i, c := range certs {
		sum := sha256.Sum256(c.Raw)
		sums[i] = sum[:]
	}
	slices.SortFunc(sums, bytes.Compare)
	return sha256.Sum256(bytes.Join(sums, nil))
}

// isAnchor reports whether c itself is in the bundle.
func (a *anchors) isAnchor(c *x509.Certificate) bool {
	return a.byHash[sha256.Sum256(c.Raw)] != nil
}

// endOfTime is the last date that a certificate can bear. RFC 5280, section
// 4.1.2.5.
var endOfTime = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)

// agelessCopy returns c as if it were valid at any time, for x509.Verify, which
// takes the dates from these two fields: it cannot be asked to ignore them, and
// once it says "expired" it has said nothing of the signatures.
func agelessCopy(c *x509.Certificate) *x509.Certificate {
	ageless := *c
	ageless.NotBefore = time.Time{}
	ageless.NotAfter = endOfTime
	return &ageless
}
