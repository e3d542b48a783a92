package tickets

import (
	"crypto/tls"
	"encoding/asn1"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/sallyport/sallyport/loadtest/pki"
)

// made is a session as wrap would issue it.
func made(s *Store, n byte, leaf byte, size int) *entry {
	e := &entry{state: make([]byte, size), began: s.now(), version: tls.VersionTLS13}
	e.ticket[0], e.lineage[0] = n, n
	if leaf != 0 {
		e.certificate, e.leaf[0] = true, leaf
	}
	return e
}

func (s *Store) has(e *entry) bool {
	return s.find(e.ticket[:], e.binding, e.version, e.certificate) == e
}

// checkStore fails if the parts of a Store do not agree, or are over a bound.
func checkStore(t *testing.T, s *Store) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	leaves, lineages := 0, 0
	for leaf, entries := range s.byLeaf {
		leaves += len(entries)
		if len(entries) == 0 || len(entries) > s.perClient {
			t.Errorf("%d sessions of certificate %x, want 1 to %d", len(entries), leaf[:4], s.perClient)
		}
	}
	for l, entries := range s.byLineage {
		lineages += len(entries)
		if len(entries) == 0 || len(entries) > s.perClient {
			t.Errorf("%d sessions of lineage %s, want 1 to %d", len(entries), l, s.perClient)
		}
	}
	with, bytes := 0, map[*pool]int64{}
	for _, e := range s.sessions {
		bytes[e.pool] += e.cost()
		if !slices.Contains(s.byLineage[e.lineage], e) {
			t.Errorf("session %x is not in its lineage", e.ticket[:4])
		}
		if e.certificate {
			with++
			if !slices.Contains(s.byLeaf[e.leaf], e) {
				t.Errorf("session %x is not with its certificate", e.ticket[:4])
			}
		}
	}
	if leaves != with || lineages != len(s.sessions) || s.verified.order.Len()+s.others.order.Len() != len(s.sessions) {
		t.Errorf("%d sessions, %d of them with a certificate; by leaf %d, by lineage %d, in order %d and %d",
			len(s.sessions), with, leaves, lineages, s.verified.order.Len(), s.others.order.Len())
	}
	for _, p := range []*pool{&s.verified, &s.others} {
		if p.bytes != bytes[p] || p.bytes > p.max {
			t.Errorf("%d bytes counted, %d there, %d allowed", p.bytes, bytes[p], p.max)
		}
	}
}

func TestPerClient(t *testing.T) {
	for _, c := range []struct {
		name string
		leaf byte
	}{{"by certificate", 1}, {"by lineage", 0}} {
		t.Run(c.name, func(t *testing.T) {
			s := New(Options{PerClient: 3})
			bystander := made(s, 100, 100, 1000)
			s.keep(bystander, nil, 0, true)
			var entries []*entry
			for n := range byte(5) {
				e := made(s, n+1, c.leaf, 1000)
				if c.leaf == 0 {
					e.lineage = Lineage{1}
				}
				s.keep(e, nil, 0, true)
				entries = append(entries, e)
			}
			for i, e := range entries {
				if kept := s.has(e); kept != (i >= 2) {
					t.Errorf("session %d kept: %v", i, kept)
				}
			}
			if !s.has(bystander) {
				t.Error("another client's session went")
			}
			if n := s.Stats().Evicted; n != 2 {
				t.Errorf("%d evicted, want 2", n)
			}
			checkStore(t, s)
		})
	}
}

// As many clients as there is room for share a certificate and resume in any
// order, some far more often than others: none ever loses its only session.
func TestResumingPushesOutNobody(t *testing.T) {
	for _, c := range []struct {
		name    string
		options Options
	}{
		{"certificate full", Options{PerClient: 4}},
		{"memory full", Options{MaxBytes: 4 * (1000 + overhead)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := New(c.options)
			var clients [4]*entry
			n := byte(0)
			next := func(resumed *entry) *entry {
				n++
				e := made(s, n, 1, 1000)
				if resumed != nil {
					e.lineage = resumed.lineage
				}
				s.keep(e, resumed, 0, true)
				return e
			}
			for i := range clients {
				clients[i] = next(nil)
			}
			random := rand.New(rand.NewPCG(1, 2))
			for range 200 {
				i := min(random.IntN(20), 3) // the last client most of the time
				if !s.has(clients[i]) {
					t.Fatalf("client %d lost its session to another one", i)
				}
				clients[i] = next(clients[i])
			}
			if newcomer := next(nil); !s.has(newcomer) {
				t.Error("a client that was not there before has no session")
			}
			checkStore(t, s)
		})
	}
}

func TestMaxBytes(t *testing.T) {
	const cost = 1000 + overhead
	s := New(Options{MaxBytes: 8 * cost})
	var known, unknown []*entry
	for n := range byte(10) {
		known = append(known, made(s, n, 50+n, 1000))
		s.keep(known[n], nil, 0, true)
	}
	for n := range byte(10) {
		unknown = append(unknown, made(s, 100+n, 150+n, 1000))
		s.keep(unknown[n], nil, 0, false)
	}
	for i, e := range known {
		if kept := s.has(e); kept != (i >= 2) {
			t.Errorf("session %d of verified clients kept: %v", i, kept)
		}
	}
	for i, e := range unknown {
		if kept := s.has(e); kept != (i >= 8) {
			t.Errorf("session %d of other clients kept: %v", i, kept)
		}
	}
	stats := s.Stats()
	if stats.Evicted != 2+8 || stats.Sessions != 10 || stats.Bytes != 10*cost {
		t.Errorf("%+v", stats)
	}
	checkStore(t, s)

	s.keep(made(s, 200, 200, 8*cost), nil, 0, true)
	if after := s.Stats(); after.Refused != 1 || after.Sessions != stats.Sessions {
		t.Errorf("a session larger than the store: %+v", after)
	}
}

func TestLargeSessionIsNotKept(t *testing.T) {
	versions(t, func(t *testing.T, version uint16) {
		e := serve(t, Options{})
		conf := client(version, people().alice)
		junk := pki.Must(pki.SelfSigned(pki.Extension(asn1.ObjectIdentifier{1, 2, 3}, false, make([]byte, maxState))))
		conf.Certificates[0].Certificate = append(slices.Clip(conf.Certificates[0].Certificate), junk.DER)
		e.full(t, conf)
		e.full(t, conf)
		if s := e.store.Stats(); s.Kept != 0 || s.Refused != 2 {
			t.Errorf("%+v", s)
		}
	})
}

func TestAgedSessionsAreForgotten(t *testing.T) {
	now := newClock()
	s := New(Options{Lifetime: time.Hour, Now: now.Now})
	for n := range byte(20) {
		s.keep(made(s, n, n%5, 1000), nil, 0, n%2 == 0)
		now.pass(time.Minute)
	}
	checkStore(t, s)
	now.pass(time.Hour)
	if stats := s.Stats(); stats.Sessions != 0 || stats.Bytes != 0 || s.entries() != 0 {
		t.Errorf("%d entries left: %+v", s.entries(), stats)
	}
	late := made(s, 1, 1, 1000)
	now.pass(time.Hour)
	s.keep(late, nil, 0, true)
	if s.entries() != 0 {
		t.Error("a session older than its lifetime was kept")
	}
}

func TestDefaults(t *testing.T) {
	for _, o := range []Options{{}, {Lifetime: -1, MaxBytes: -1, PerClient: -1}} {
		s := New(o)
		if s.lifetime != 24*time.Hour || s.verified.max != 64<<20 || s.others.max != 16<<20 || s.perClient != 64 || s.now == nil {
			t.Errorf("New(%+v): lifetime %s, %d and %d bytes, %d per client", o, s.lifetime, s.verified.max, s.others.max, s.perClient)
		}
	}
	if s := New(Options{Lifetime: 1000 * time.Hour}); s.lifetime != MaxLifetime {
		t.Errorf("lifetime %s, want %s", s.lifetime, MaxLifetime)
	}
}

func TestAnyOrderOfEvents(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	now := newClock()
	s := New(Options{Lifetime: time.Hour, MaxBytes: 40 * (1000 + overhead), PerClient: 4, Now: now.Now})
	var all []*entry
	for n := range 5000 {
		switch r.IntN(10) {
		case 0:
			now.pass(time.Duration(r.IntN(10)) * time.Minute)
		case 1:
			s.Kill(Lineage{byte(r.IntN(30))})
		case 2:
			s.KillCertificate([32]byte{byte(r.IntN(20))})
		case 3:
			if len(all) > 0 {
				s.has(all[r.IntN(len(all))])
			}
		default:
			e := made(s, 0, 0, r.IntN(3000))
			e.ticket = ticket{byte(n), byte(n >> 8), 1}
			// A lineage has one certificate, or none.
			line := byte(r.IntN(30))
			e.lineage = Lineage{line}
			if leaf := line % 20; leaf > 4 {
				e.certificate, e.leaf[0] = true, leaf
			}
			e.began = e.began.Add(-time.Duration(r.IntN(50)) * time.Minute)
			var resumed *entry // perhaps gone by now
			for i := len(all) - 1; i >= 0 && r.IntN(2) == 0 && resumed == nil; i-- {
				if all[i].lineage == e.lineage {
					resumed = all[i]
				}
			}
			s.keep(e, resumed, s.kills.Load(), r.IntN(2) == 0)
			all = append(all, e)
		}
		checkStore(t, s)
		if t.Failed() {
			t.Fatalf("after %d events", n+1)
		}
	}
	now.pass(2 * time.Hour)
	if s.Stats(); s.entries() != 0 {
		t.Errorf("%d entries left", s.entries())
	}
}

// TestBytesAreWhatIsUsed holds the estimate of Options.MaxBytes against the
// heap.
func TestBytesAreWhatIsUsed(t *testing.T) {
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	s := New(Options{})
	before := heap()
	for n := range 20000 {
		e := made(s, 0, 1, 900)
		e.ticket = ticket{byte(n), byte(n >> 8)}
		e.leaf = [32]byte{byte(n), byte(n >> 8)}
		e.lineage = Lineage{byte(n), byte(n >> 8)}
		s.keep(e, nil, 0, true)
	}
	used, counted := heap()-before, s.Stats().Bytes
	t.Logf("%d bytes used, %d counted for each session", used/20000, counted/20000)
	if used > counted*5/4 || used < counted/2 {
		t.Errorf("%d bytes used, %d counted", used, counted)
	}
	runtime.KeepAlive(s)
}
