package fetch

import (
	"fmt"
	"os"
	"slices"
	"sync"
)

// room is what all downloads that are not accepted yet may have on the disk
// together. Where it is not enough, those that broke and could be resumed go
// first, the oldest before the others; then the largest one gives up, so that
// nobody can keep small files away with large ones.
type room struct {
	limit int64

	mu    sync.Mutex
	used  int64
	parts []*part // in the order in which they were begun
}

// claim is what a room knows of a part. Guarded by the room's lock.
type claim struct {
	bytes int64
	idle  bool // broke, and waits to be resumed
	whole bool // is being looked at
	gone  bool
}

func (r *room) noRoom() error {
	return fmt.Errorf("no room for the download: all together would have more than %d bytes", r.limit)
}

func (r *room) add(p *part) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p.room = r
	r.parts = append(r.parts, p)
}

// reserve makes room for n more bytes of p.
func (r *room) reserve(p *part, n int64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p.claim.gone {
		return r.noRoom()
	}
	p.claim.bytes += n
	r.used += n
	for r.used > r.limit {
		loser := r.loser()
		r.remove(loser)
		// Its owner may be about to write: what is open takes no more room so.
		_ = loser.file.Truncate(0)
		_ = os.Remove(loser.file.Name())
		if loser == p {
			return r.noRoom()
		}
	}
	return nil
}

// loser is the part that goes next. There is one: whoever asks is under way.
func (r *room) loser() (loser *part) {
	for _, p := range r.parts {
		if p.claim.idle {
			return p
		}
		if !p.claim.whole && (loser == nil || p.claim.bytes > loser.claim.bytes) {
			loser = p
		}
	}
	return loser
}

func (r *room) remove(p *part) {
	if p.claim.gone {
		return
	}
	r.used -= p.claim.bytes
	p.claim = claim{gone: true}
	r.parts = slices.DeleteFunc(r.parts, func(other *part) bool { return other == p })
}

// release gives back what p has.
func (r *room) release(p *part) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.remove(p)
}

// mark says how p stands; false: it is gone.
func (r *room) mark(p *part, idle, whole bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	p.claim.idle, p.claim.whole = idle, whole
	return !p.claim.gone
}
