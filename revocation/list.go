package revocation

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/revocation/internal/segment"
)

// List is one CRL as its bytes say, its signature not yet verified. It is
// immutable and may be used by many goroutines.
type List struct {
	digest         [sha256.Size]byte
	size           int64 // of its DER
	issuer         []byte
	issuerKey      NameKey
	authorityKeyID []byte
	number         *big.Int
	base           *big.Int // of a delta
	thisUpdate     time.Time
	nextUpdate     time.Time
	scope          scope
	freshest       []string
	unknown        []byte // id of a critical extension of the list not understood
	unknownEntry   []byte // id of one of an entry
	algorithm      algorithm
	signed         []byte // digest of tbsCertList; itself if the algorithm has no hash
	spooled        int64  // bytes of signed that are a mapped file
	signature      []byte
	entries        int // those given twice included
	segment        *segment.Segment
	file           string                // of segment, empty in memory
	damaged        atomic.Pointer[error] // of segment, once found
}

// Issuer is the issuer's Name in DER. The caller owns the copy.
func (l *List) Issuer() []byte { return bytes.Clone(l.issuer) }

// IssuerKey is the issuer's name for comparing.
func (l *List) IssuerKey() NameKey { return l.issuerKey }

// AuthorityKeyID is the key identifier of the key that signed the list, nil
// when the list gives none. The caller owns the copy.
func (l *List) AuthorityKeyID() []byte { return bytes.Clone(l.authorityKeyID) }

// Number is the CRL number, nil when the list has none. The caller owns it.
func (l *List) Number() *big.Int { return cloneInt(l.number) }

// BaseNumber is the number of the complete list that a delta list starts from,
// nil for a complete list. The caller owns it.
func (l *List) BaseNumber() *big.Int { return cloneInt(l.base) }

// ThisUpdate is the date of issue, in UTC.
func (l *List) ThisUpdate() time.Time { return l.thisUpdate }

// NextUpdate is the date by which the next list will be issued, in UTC; zero
// when the list gives none.
func (l *List) NextUpdate() time.Time { return l.nextUpdate }

// Entries is the number of entries, those given twice included.
func (l *List) Entries() int { return l.entries }

// Digest is the SHA-256 digest of the list's DER.
func (l *List) Digest() [sha256.Size]byte { return l.digest }

// Scope says in words which certificates and reasons the list covers. Lists that
// cover others have other words.
func (l *List) Scope() string { return l.scope.text }

// FreshestURLs are the http and https URLs at which its CA publishes delta lists
// for it (RFC 5280 section 5.2.6). The caller owns the slice.
func (l *List) FreshestURLs() []string { return slices.Clone(l.freshest) }

// SignatureAlgorithm is one of: SHA-256, SHA-384 or SHA-512 with RSA (PKCS #1
// v1.5 or PSS with MGF1 of the same hash and a salt of its length) or ECDSA;
// Ed25519.
func (l *List) SignatureAlgorithm() x509.SignatureAlgorithm { return l.algorithm.x509 }

// Unusable is why the list can never answer Good, though its entries revoke:
// a critical extension that is not understood, or a scope without public key
// certificates. It is nil for all other lists.
func (l *List) Unusable() error {
	switch {
	case l.unknown != nil:
		return fmt.Errorf("CRL has critical extension %s, which is not understood", oidText(l.unknown))
	case l.unknownEntry != nil:
		return fmt.Errorf("CRL has an entry with critical extension %s, which is not understood", oidText(l.unknownEntry))
	case l.scope.attr:
		return errors.New("CRL is about attribute certificates only")
	}
	return nil
}

func (l *List) understood() bool { return l.unknown == nil && l.unknownEntry == nil }

// supersedes says whether l, being usable, makes other moot; both are of one
// issuer and scope. Where number and date contradict each other, neither does.
func (l *List) supersedes(other *List) bool {
	if other.thisUpdate.After(l.thisUpdate) {
		return false
	}
	if l.number != nil && other.number != nil {
		if order := other.number.Cmp(l.number); order != 0 {
			return order < 0
		}
	}
	return other.thisUpdate.Before(l.thisUpdate)
}

func cloneInt(n *big.Int) *big.Int {
	if n == nil {
		return nil
	}
	return new(big.Int).Set(n)
}
