package pluginhost

import "bytes"

// flight is a question that is being asked. Who has the same question meanwhile
// waits for the answer, if it may be kept, and asks anew if not: a plugin that
// lets its verdicts hold for one call only must see each call.
type flight struct {
	key   []byte
	hook  Hook
	epoch Epoch
	// version is the cache's at the start: whoever comes after a forgetting must
	// not get what was said before it.
	version uint64
	landed  chan struct{}
	// Set before landed is closed.
	verdict *verdict
	failure Failure
}

// board joins the flight of a question, or makes one: then the caller is to ask,
// and to land it. It is nil for a question that another one's hash is in the way
// of.
func (c *cache) board(q *question) (f *flight, mine bool) {
	q.under(everything)
	hash := c.hash(q)
	s := c.shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.flights[hash]; f != nil {
		if f.hook == q.hook && f.epoch == q.epoch && f.version == c.version.Load() && bytes.Equal(f.key, q.key) {
			return f, false
		}
		return nil, false
	}
	f = &flight{key: bytes.Clone(q.key), hook: q.hook, epoch: q.epoch, version: c.version.Load(), landed: make(chan struct{})}
	s.flights[hash] = f
	return f, true
}

// land ends a flight. A verdict that must not be kept is nobody else's.
func (c *cache) land(f *flight, v *verdict, failure Failure) {
	q := question{hook: f.hook, body: f.key, key: f.key, mask: everything}
	hash := c.hash(&q)
	s := c.shard(hash)
	s.mu.Lock()
	delete(s.flights, hash)
	s.mu.Unlock()
	if v != nil && v.ttl > 0 {
		f.verdict = v
	}
	f.failure = failure
	close(f.landed)
}
