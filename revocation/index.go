package revocation

import (
	"crypto/sha256"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
)

// Index is an immutable set of lists, ready to be asked. It may be used by many
// goroutines, and be replaced while they use it. The nil and the zero Index
// answer Unknown to everything.
type Index struct {
	lists   []*List
	issuers map[NameKey]*issuer
}

// NewIndex makes the Index of lists; nil ones are left out, and of equal ones
// all but one. No signature is verified yet: the key is known only when a Link
// brings the issuer.
func NewIndex(lists []*List) *Index {
	ix := &Index{issuers: make(map[NameKey]*issuer)}
	seen := make(map[[sha256.Size]byte]bool, len(lists))
	for _, l := range lists {
		if l == nil || seen[l.digest] {
			continue
		}
		seen[l.digest] = true
		ix.lists = append(ix.lists, l)
		is := ix.issuers[l.issuerKey]
		if is == nil {
			is = new(issuer)
			ix.issuers[l.issuerKey] = is
		}
		is.add(l)
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
	groups []group // fixed once the Index is made
	mu     sync.Mutex
	views  atomic.Pointer[map[[sha256.Size]byte]*view] // by signer.id; replaced, never changed
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

// view returns what the signer has signed. It allocates on first sight of a
// signer only.
func (is *issuer) view(s *signer) *view {
	if views := is.views.Load(); views != nil {
		if v := (*views)[s.id]; v != nil {
			return v
		}
	}
	is.mu.Lock()
	defer is.mu.Unlock()
	views := make(map[[sha256.Size]byte]*view)
	if old := is.views.Load(); old != nil {
		if v := (*old)[s.id]; v != nil {
			return v
		}
		if len(*old) < maxViews {
			views = maps.Clone(*old)
		}
	}
	v := &view{verified: make([]atomic.Pointer[verified], len(is.groups))}
	views[s.id] = v
	is.views.Store(&views)
	return v
}

// view is an issuer's lists as one key has signed them.
type view struct {
	mu       sync.Mutex
	verified []atomic.Pointer[verified] // as issuer.groups; nil until asked for
}

// verified is the lists of a group whose signatures verify, latest thisUpdate
// first, of one date the highest number first.
type verified struct {
	complete, delta []*List
	why             string // of a list left out, if any was
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
