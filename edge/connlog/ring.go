package connlog

import "sync"

// Ring keeps the last records that it was given: the failures that the admin
// API shows. All methods may be called concurrently.
type Ring struct {
	mu      sync.Mutex
	records []Record
	next    int // where the next record goes
	size    int // how many there are
}

// NewRing returns a ring that keeps n records; with n below 1 it keeps none.
func NewRing(n int) *Ring {
	return &Ring{records: make([]Record, max(n, 0))}
}

// Add keeps r in the place of the oldest record, its strings cut as in the log,
// so that the ring's size is bounded whatever clients send.
func (g *Ring) Add(r Record) {
	if len(g.records) == 0 {
		return
	}
	for _, text := range r.texts() {
		if kept, mark := cut(*text); mark != "" {
			*text = kept + mark // a copy, which lets go of the long one
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.records[g.next] = r
	g.next = (g.next + 1) % len(g.records)
	g.size = min(g.size+1, len(g.records))
}

// Last returns up to n records, the newest first.
func (g *Ring) Last(n int) []Record {
	g.mu.Lock()
	defer g.mu.Unlock()
	last := make([]Record, 0, max(min(n, g.size), 0))
	for i := range cap(last) {
		last = append(last, g.records[(g.next-1-i+len(g.records))%len(g.records)])
	}
	return last
}
