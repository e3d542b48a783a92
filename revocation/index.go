package revocation

import (
	"crypto/sha256"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Index is an immutable set of lists, ready to be asked. It may be used by many
// goroutines, and be replaced while they use it. The nil and the zero Index
// answer Unknown to everything.
type Index struct {
	lists   []*List
	issuers []*issuer
	byName  map[NameKey]int // in issuers
}

// NewIndex makes the Index of lists; nil ones are left out, and of equal ones
// all but one. No signature is verified yet: the key is known only when a Link
// brings the issuer.
func NewIndex(lists []*List) *Index {
	ix := &Index{byName: make(map[NameKey]int)}
	seen := make(map[[sha256.Size]byte]bool, len(lists))
	for _, l := range lists {
		if l == nil || seen[l.digest] {
			continue
		}
		seen[l.digest] = true
		ix.lists = append(ix.lists, l)
		n, known := ix.byName[l.issuerKey]
		if !known {
			n = len(ix.issuers)
			ix.byName[l.issuerKey] = n
			ix.issuers = append(ix.issuers, &issuer{name: l.issuerKey})
		}
		ix.issuers[n].add(l)
	}
	return ix
}

// Lists returns the lists of the Index in the order given.
func (ix *Index) Lists() []*List {
	if ix == nil {
		return nil
	}
	return slices.Clone(ix.lists)
}

// issuer is all lists of one issuer name, and what each key of that name that
// was met so far turned out to have signed.
type issuer struct {
	name   NameKey
	groups []group // fixed once the Index is made
	mu     sync.Mutex
	views  atomic.Pointer[[]*view] // replaced, never changed
}

// group is the lists of one issuer name and scope.
type group struct {
	scope scope
	lists []*List
}

func (is *issuer) add(l *List) {
	for i := range is.groups {
		if is.groups[i].scope.key == l.scope.key {
			is.groups[i].lists = append(is.groups[i].lists, l)
			return
		}
	}
	is.groups = append(is.groups, group{scope: l.scope, lists: []*List{l}})
}

// maxViews bounds the keys remembered per issuer name: a CA below an anchor
// may mint as many CAs of one name as it likes.
const maxViews = 256

// find returns the lists that may be about l: those of its issuer's name, and
// what its issuer's key has signed of them. Both are nil where there are none.
// It allocates on first sight of a signer only.
func (ix *Index) find(l *Link) (*issuer, *view) {
	hint := atomic.LoadUint32(&l.hint)
	if n := int(hint >> 16); n < len(ix.issuers) && ix.issuers[n].name == l.issuer {
		if v := ix.issuers[n].known(int(hint&0xffff), &l.signer); v != nil {
			return ix.issuers[n], v
		}
	}
	n, known := ix.byName[l.issuer]
	if !known {
		return nil, nil
	}
	v, at := ix.issuers[n].view(&l.signer)
	if n <= math.MaxUint16 {
		atomic.StoreUint32(&l.hint, uint32(n)<<16|uint32(at))
	}
	return ix.issuers[n], v
}

// known returns the view at a place, if it is the signer's.
func (is *issuer) known(at int, s *signer) *view {
	views := is.views.Load()
	if views == nil || at >= len(*views) || (*views)[at].signer != s.id {
		return nil
	}
	return (*views)[at]
}

// view returns what the signer has signed, and the place where that is.
func (is *issuer) view(s *signer) (v *view, at int) {
	if v, at = is.search(s); v != nil {
		return v, at
	}
	is.mu.Lock()
	defer is.mu.Unlock()
	if v, at = is.search(s); v != nil {
		return v, at
	}
	var views []*view
	if old := is.views.Load(); old != nil && len(*old) < maxViews {
		views = slices.Clone(*old)
	}
	v = &view{signer: s.id, verified: make([]atomic.Pointer[verified], len(is.groups))}
	views = append(views, v)
	is.views.Store(&views)
	return v, len(views) - 1
}

func (is *issuer) search(s *signer) (*view, int) {
	if views := is.views.Load(); views != nil {
		for at, v := range *views {
			if v.signer == s.id {
				return v, at
			}
		}
	}
	return nil, 0
}

// view is an issuer's lists as one key has signed them.
type view struct {
	signer   [sha256.Size]byte // its id
	mu       sync.Mutex
	verified []atomic.Pointer[verified] // as issuer.groups; nil until asked for
}

// verified is the lists of a group whose signatures verify, latest thisUpdate
// first, of one date the highest number first.
type verified struct {
	complete, delta []*List
	why             string // of a list left out, if any was

	// The one complete list, where it is understood and nothing else counts, and
	// the verdict on whom it does not list, from a time on.
	only *List
	good Verdict
	from time.Time
}

// group returns the verified lists of the n-th group. Signatures are verified
// once; whoever comes meanwhile waits for the answer rather than repeat it.
func (v *view) group(n int, g *group, s *signer) *verified {
	if known := v.verified[n].Load(); known != nil {
		return known
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if known := v.verified[n].Load(); known != nil {
		return known
	}
	known := new(verified)
	for _, l := range g.lists {
		switch err := l.verify(s); {
		case err != nil:
			known.why = "CRL in scope: " + err.Error()
		case l.base != nil:
			known.delta = append(known.delta, l)
		default:
			known.complete = append(known.complete, l)
		}
	}
	slices.SortStableFunc(known.complete, latestFirst)
	slices.SortStableFunc(known.delta, latestFirst)
	if len(known.complete) == 1 && len(known.delta) == 0 && known.complete[0].understood() {
		l := known.complete[0]
		known.from = l.thisUpdate.Add(-maxSkew)
		known.only, known.good = l, Verdict{Status: Good, ThisUpdate: l.thisUpdate, NextUpdate: l.nextUpdate, List: l}
	}
	v.verified[n].Store(known)
	return known
}

func latestFirst(a, b *List) int {
	if order := b.thisUpdate.Compare(a.thisUpdate); order != 0 || a.number == nil && b.number == nil {
		return order
	}
	switch {
	case a.number == nil:
		return 1
	case b.number == nil:
		return -1
	}
	return b.number.Cmp(a.number)
}
