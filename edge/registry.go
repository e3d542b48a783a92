package edge

import (
	"cmp"
	"slices"
	"sync"

	"github.com/sallyport/sallyport/edge/connlog"
)

// registry knows the open connections. The zero registry is empty and ready.
type registry struct {
	mu   sync.Mutex
	open map[*Conn]struct{}
}

func (r *registry) add(c *Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.open == nil {
		r.open = map[*Conn]struct{}{}
	}
	r.open[c] = struct{}{}
}

func (r *registry) remove(c *Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.open, c)
}

// count returns how many there are.
func (r *registry) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.open)
}

// all returns the open connections, oldest first.
func (r *registry) all() []*Conn {
	r.mu.Lock()
	list := make([]*Conn, 0, len(r.open))
	for c := range r.open {
		list = append(list, c)
	}
	r.mu.Unlock()
	slices.SortFunc(list, func(a, b *Conn) int {
		return cmp.Or(a.accepted.Compare(b.accepted), cmp.Compare(a.traceID, b.traceID))
	})
	return list
}

// end makes every connection that match accepts finish and end.
func (r *registry) end(why connlog.End, match func(*Conn) bool) {
	for _, c := range r.all() {
		if match(c) {
			c.endWith(why)
		}
	}
}

// cut closes the sockets of those that are left.
func (r *registry) cut(match func(*Conn) bool) {
	for _, c := range r.all() {
		if match(c) {
			c.wire.Close()
		}
	}
}
