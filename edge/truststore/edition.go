package truststore

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"

	"github.com/sallyport/sallyport/revocation"
)

// edition is what of a list says which it is among those of its CA: enough to
// tell an older one from a newer after the list itself is gone.
type edition struct {
	issuer     revocation.NameKey
	name       string // of the issuer, for people
	keyID      string // authority key identifier in hex; "" if there is none
	signer     string // SHA-256 of the SubjectPublicKeyInfo that signed it, in hex; "" if not known
	scope      string
	delta      bool
	number     *big.Int // nil if there is none
	thisUpdate time.Time
}

// editionsOf returns the editions that lists are.
func editionsOf(lists []*revocation.List) []edition {
	editions := make([]edition, len(lists))
	for i, l := range lists {
		editions[i] = edition{
			issuer:     l.IssuerKey(),
			name:       nameOf(l.Issuer()),
			keyID:      hex.EncodeToString(l.AuthorityKeyID()),
			scope:      l.Scope(),
			delta:      l.BaseNumber() != nil,
			number:     l.Number(),
			thisUpdate: l.ThisUpdate(),
		}
	}
	return editions
}

// sameSeries reports whether two are editions of one list.
func (e edition) sameSeries(other edition) bool {
	return e.delta == other.delta && e.sameScope(other)
}

// sameScope reports whether two are of one issuer, key and scope: one list, or a
// list and its delta. Of keys that are not both known it is the identifiers that
// tell them apart, as far as there are any.
func (e edition) sameScope(other edition) bool {
	if e.issuer != other.issuer || e.scope != other.scope {
		return false
	}
	if e.signer != "" && other.signer != "" {
		return e.signer == other.signer
	}
	return e.keyID == "" || other.keyID == "" || e.keyID == other.keyID
}

func (e edition) olderThan(other edition) bool {
	if e.number != nil && other.number != nil && e.number.Cmp(other.number) < 0 {
		return true
	}
	return e.thisUpdate.Before(other.thisUpdate)
}

// caughtUpBy reports whether a complete list has all that the delta e has.
func (e edition) caughtUpBy(complete edition) bool {
	return !complete.delta && complete.sameScope(e) &&
		e.number != nil && complete.number != nil && complete.number.Cmp(e.number) >= 0
}

func (e edition) equal(other edition) bool {
	return e.sameSeries(other) && e.keyID == other.keyID && e.signer == other.signer && e.thisUpdate.Equal(other.thisUpdate) &&
		(e.number == nil) == (other.number == nil) && (e.number == nil || e.number.Cmp(other.number) == 0)
}

func (e edition) String() string {
	if e.number != nil {
		return fmt.Sprintf("number %d of %s", e.number, stamp(e.thisUpdate))
	}
	return "that of " + stamp(e.thisUpdate)
}

// withNewest returns after, and those of before of which after has no edition:
// an older edition is older also when the file has held none for a while.
func withNewest(before, after []edition) []edition {
	newest := slices.Clone(after)
	for _, old := range before {
		if !slices.ContainsFunc(after, old.sameSeries) {
			newest = append(newest, old)
		}
	}
	return newest
}

// errRollback marks a file that would have taken a list back to an older one.
var errRollback = errors.New("older than the one held before")

// checkRollback refuses lists of which, for some issuer, key, scope and kind,
// none is at least as new as every one before: a lower number or an earlier
// thisUpdate un-revokes. Complete lists may vanish altogether, since then their
// issuers go without an answer. A delta may not, unless a complete list has caught
// up with it: the list that it completes would answer without it.
func checkRollback(before, after []edition) error {
	for _, old := range before {
		var rivals []edition
		for _, e := range after {
			if e.sameSeries(old) {
				rivals = append(rivals, e)
			}
		}
		if old.delta && len(rivals) == 0 && !slices.ContainsFunc(after, old.caughtUpBy) {
			return fmt.Errorf("delta CRL of %s for %s is gone, %w: what only it revokes would be let in", old.name, old.scope, errRollback)
		}
		newEnough := func(e edition) bool { return !e.olderThan(old) }
		if len(rivals) > 0 && !slices.ContainsFunc(rivals, newEnough) {
			return fmt.Errorf("CRL of %s for %s, %s, is %w, %s", old.name, old.scope, rivals[0], errRollback, old)
		}
	}
	return nil
}

// checkDates refuses lists of which one is from the future. It vouches for
// nobody before its time, and every list that its CA issues until then would be
// an older one.
func checkDates(lists []*revocation.List, now time.Time) error {
	for _, l := range lists {
		if l.ThisUpdate().After(now.Add(skew)) {
			return fmt.Errorf("CRL of %s is from the future: thisUpdate is %s, and the clock of this host says %s",
				nameOf(l.Issuer()), stamp(l.ThisUpdate()), stamp(now))
		}
	}
	return nil
}
