package tickets

import (
	"cmp"
	"container/list"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// MaxLifetime is the longest that RFC 8446, section 4.6.1, lets a ticket live.
const MaxLifetime = 7 * 24 * time.Hour

// maxState is the largest session kept, in bytes as crypto/tls writes it: nearly
// all of it is what the client sent as its certificates, so what is larger was
// made to be large.
const maxState = 16 << 10

// overhead is what a session costs beside its state, in bytes: the entry, its
// place in the order and in three maps.
const overhead = 768

// Options are the bounds of a Store. The zero Options are the defaults.
type Options struct {
	// Lifetime is how long after its last full handshake a client may resume,
	// at most MaxLifetime. Default 24 hours.
	Lifetime time.Duration
	// MaxBytes is the memory, about, for the sessions of clients that were
	// verified; a quarter of it again is for all others, so that those whom
	// nobody vouches for never push out those who are known. Beyond it the oldest
	// sessions go, or the one that was resumed for the new one. Default 64 MiB:
	// some 40,000 sessions with chains of two.
	MaxBytes int64
	// PerClient is how many sessions are kept of one certificate, and of one
	// lineage where there is none. Beyond it goes the session that was resumed for
	// the new one, whose client has no more use for it, or else the oldest: so as
	// many clients as this can share a certificate and all go on resuming.
	// Default 64.
	PerClient int
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

// Lineage names a full handshake and every session resumed from it, directly or
// through others. It is no secret. The zero Lineage names none.
type Lineage [16]byte

// String returns l in hexadecimal.
func (l Lineage) String() string { return hex.EncodeToString(l[:]) }

// Store keeps the sessions that clients may resume, for all listeners of a
// process. Its methods may be called by any number of goroutines. A nil Store,
// and the zero Store, keep none.
type Store struct {
	lifetime  time.Duration
	perClient int
	now       func() time.Time

	// kills counts the calls of Kill and KillCertificate. A handshake that one of
	// them overtook leaves no session.
	kills atomic.Uint64
	fresh chan struct{} // holds one when a session was kept

	mu        sync.Mutex
	sessions  map[ticket]*entry
	byLeaf    map[[sha256.Size]byte][]*entry // oldest first, as in byLineage
	byLineage map[Lineage][]*entry
	verified  pool
	others    pool
	serial    uint64 // of the session kept last
	stats     Stats
}

// Stats are a Store's contents, and counts since it was made. A client that
// offers several tickets counts for each.
type Stats struct {
	Sessions int   // kept now
	Bytes    int64 // of memory for them, about

	Taken      uint64 // tickets whose session was given to crypto/tls
	Unknown    uint64 // tickets of no session: evicted, killed, of another edge, or made up
	Mismatched uint64 // tickets of sessions with another binding, TLS version or need of a certificate
	Aged       uint64 // tickets of sessions whose lineage was too old

	Kept    uint64 // sessions kept after their handshake
	Refused uint64 // sessions not kept: too large, overtaken by a kill, without a certificate that was asked for
	Evicted uint64 // sessions dropped for want of room
	Killed  uint64 // sessions dropped by Kill and KillCertificate
}

// entry is a session that a client may resume. What find returns of it is
// immutable.
type entry struct {
	ticket      ticket
	state       []byte // tls.SessionState.Bytes
	binding     [sha256.Size]byte
	version     uint16
	certificate bool // there is a client certificate
	leaf        [sha256.Size]byte
	lineage     Lineage
	began       time.Time // of the lineage's full handshake
	serial      uint64    // in the order of being kept

	pool  *pool
	place *list.Element
}

func (e *entry) cost() int64 { return int64(len(e.state)) + overhead }

// pool is the order in which the sessions of one kind of client were kept, the
// oldest at the front, and what they cost.
type pool struct {
	max, bytes int64
	order      list.List
}

// New makes an empty Store.
func New(o Options) *Store {
	s := &Store{
		lifetime:  min(cmp.Or(max(o.Lifetime, 0), 24*time.Hour), MaxLifetime),
		perClient: cmp.Or(max(o.PerClient, 0), 64),
		now:       o.Now,
		sessions:  map[ticket]*entry{},
		byLeaf:    map[[sha256.Size]byte][]*entry{},
		byLineage: map[Lineage][]*entry{},
		fresh:     make(chan struct{}, 1),
	}
	if s.now == nil {
		s.now = time.Now
	}
	s.verified.max = cmp.Or(max(o.MaxBytes, 0), 64<<20)
	s.others.max = s.verified.max / 4
	return s
}

// Kill forgets every session of a lineage and returns how many there were. The
// next attempt to resume one is a full handshake; so is the next of a connection
// whose handshake is under way now.
func (s *Store) Kill(l Lineage) int {
	return s.kill(func() []*entry { return s.byLineage[l] })
}

// KillCertificate forgets every session of the client certificate with this
// SHA-256 of its DER, as Kill does.
func (s *Store) KillCertificate(leaf [sha256.Size]byte) int {
	return s.kill(func() []*entry { return s.byLeaf[leaf] })
}

func (s *Store) kill(which func() []*entry) int {
	if s == nil {
		return 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kills.Add(1)
	entries := slices.Clone(which())
	for _, e := range entries {
		s.remove(e)
	}
	s.stats.Killed += uint64(len(entries))
	return len(entries)
}

// Stats returns what s holds and has done, and forgets what has aged out.
func (s *Store) Stats() Stats {
	if s == nil {
		return Stats{}
	}
	now := s.clock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire(now)
	stats := s.stats
	stats.Sessions = len(s.sessions)
	stats.Bytes = s.verified.bytes + s.others.bytes
	return stats
}

func (s *Store) clock() time.Time {
	if s.now == nil {
		return time.Time{}
	}
	return s.now()
}

// aged is true also of a lineage from the future: the clock was put back, and
// how old it is nobody knows.
func (s *Store) aged(began, now time.Time) bool {
	age := now.Sub(began)
	return age < 0 || age >= s.lifetime
}

// find returns the session that an offered ticket stands for, if it may be
// resumed by a handshake with this binding, version and need of a certificate.
func (s *Store) find(offered []byte, binding [sha256.Size]byte, version uint16, certificate bool) *entry {
	if len(offered) == 0 {
		return nil // none was offered: crypto/tls asks nevertheless in TLS 1.2
	}
	now := s.clock()
	s.mu.Lock()
	defer s.mu.Unlock()
	var e *entry
	if len(offered) == len(ticket{}) {
		e = s.sessions[ticket(offered)]
	}
	switch {
	case e == nil:
		s.stats.Unknown++
	case s.aged(e.began, now):
		s.remove(e)
		s.stats.Aged++
	case e.binding != binding || e.version != version || e.certificate != certificate:
		s.stats.Mismatched++
	default:
		s.stats.Taken++
		return e
	}
	return nil
}

// keep makes a session usable, unless there was a kill after s.kills had the
// given value. resumed is the session that it continues, nil for none.
func (s *Store) keep(e, resumed *entry, kills uint64, verified bool) {
	now := s.clock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire(now)
	e.pool = &s.others
	if verified {
		e.pool = &s.verified
	}
	if s.kills.Load() != kills || s.aged(e.began, now) || e.cost() > e.pool.max {
		s.stats.Refused++
		return
	}
	siblings := s.byLineage[e.lineage]
	if e.certificate {
		siblings = s.byLeaf[e.leaf]
	}
	// A client that resumes again and again must not push out the only session
	// of another one.
	full := len(siblings) >= s.perClient || e.pool.bytes+e.cost() > e.pool.max
	if full && resumed != nil && s.sessions[resumed.ticket] == resumed {
		s.evict(resumed)
	} else if len(siblings) >= s.perClient {
		s.evict(siblings[0])
	}
	for e.pool.bytes+e.cost() > e.pool.max {
		s.evict(e.pool.order.Front().Value.(*entry))
	}
	s.serial++
	e.serial = s.serial
	s.sessions[e.ticket] = e
	s.byLineage[e.lineage] = append(s.byLineage[e.lineage], e)
	if e.certificate {
		s.byLeaf[e.leaf] = append(s.byLeaf[e.leaf], e)
	}
	e.place = e.pool.order.PushBack(e)
	e.pool.bytes += e.cost()
	s.stats.Kept++
	select {
	case s.fresh <- struct{}{}:
	default:
	}
}

func (s *Store) refuse() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.Refused++
}

// expire drops the aged from the front of each order. A session is never older
// than its lineage, so none outlives the next keep or Stats after its lifetime.
func (s *Store) expire(now time.Time) {
	for _, p := range []*pool{&s.verified, &s.others} {
		for first := p.order.Front(); first != nil; first = p.order.Front() {
			e := first.Value.(*entry)
			if !s.aged(e.began, now) {
				break
			}
			s.remove(e)
		}
	}
}

func (s *Store) evict(e *entry) {
	s.remove(e)
	s.stats.Evicted++
}

func (s *Store) remove(e *entry) {
	delete(s.sessions, e.ticket)
	cut(s.byLineage, e.lineage, e)
	cut(s.byLeaf, e.leaf, e)
	e.pool.order.Remove(e.place)
	e.pool.bytes -= e.cost()
}

// cut takes e out of the entries under key, of which there are a few at most.
func cut[K comparable](index map[K][]*entry, key K, e *entry) {
	i := slices.Index(index[key], e)
	switch {
	case i < 0:
	case len(index[key]) == 1:
		delete(index, key)
	default:
		index[key] = slices.Delete(index[key], i, i+1)
	}
}
