package pluginhost

import (
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/sdk/frame"
)

// counting answers with verdicts that hold, and counts the calls.
type counting struct {
	calls   atomic.Int64
	verdict frame.VerdictBody
}

func (c *counting) answer(p *peer, f frame.Frame) {
	c.calls.Add(1)
	p.verdict(f.ID, c.verdict)
}

// lasting is a host whose plugin allows for a minute, told of path and
// certificate.
func lasting(t *testing.T, needs []string, change func(*config.Plugin)) (*rig, *counting, *fake) {
	c := &counting{verdict: frame.VerdictBody{Decision: frame.Allow, TTL: time.Minute}}
	f := &fake{hello: frame.HelloBody{Needs: needs}, answer: c.answer}
	return one(t, f, change), c, f
}

// verified is a connection of a client with this certificate.
func verified(der string) *Connection {
	c := connection()
	c.Chain = []*x509.Certificate{{Raw: []byte(der)}}
	return c
}

func (c *counting) wants(t *testing.T, n int64, what string) {
	t.Helper()
	if got := c.calls.Load(); got != n {
		t.Errorf("%s: %d calls so far, want %d", what, got, n)
	}
}

func TestCacheKeyIsWhatWasSent(t *testing.T) {
	r, c, _ := lasting(t, []string{"cert.der", "request.path", "header:x-tenant"}, nil)
	alice, bob := verified("alice"), verified("bob")
	r.ask(alice, get("/a"))
	r.ask(verified("alice"), get("/a"))
	r.ask(alice, get("/a", "User-Agent", "other"))
	c.wants(t, 1, "the same")
	r.ask(bob, get("/a"))
	c.wants(t, 2, "another certificate")
	r.ask(alice, get("/b"))
	c.wants(t, 3, "another path")
	r.ask(alice, get("/a", "X-Tenant", ""))
	c.wants(t, 4, "a header that is empty")
	r.ask(alice, get("/a", "X-Tenant", "t"))
	r.ask(alice, get("/a", "x-tenant", "t"))
	c.wants(t, 5, "a header")
	r.ask(alice, get("/a", "X-Tenant", "t", "X-Tenant", "t"))
	c.wants(t, 6, "a header twice")
	r.ask(connection(), get("/a"))
	c.wants(t, 7, "nobody")
}

func TestCacheEpoch(t *testing.T) {
	r, c, _ := lasting(t, []string{"cert.der"}, nil)
	var generation atomic.Uint64
	conn := verified("alice")
	conn.Epoch = func() Epoch { return Epoch{Store: 1, Generation: generation.Load()} }
	r.ask(conn, get("/"))
	r.ask(conn, get("/"))
	c.wants(t, 1, "the same generation")
	generation.Add(1)
	r.ask(conn, get("/"))
	c.wants(t, 2, "after a revocation")
	other := verified("alice")
	other.Epoch = func() Epoch { return Epoch{Store: 2, Generation: generation.Load()} }
	r.ask(other, get("/"))
	c.wants(t, 3, "another trust store of the same generation")
}

// TestCacheLifetimes: the shortest of the verdict's, the configuration's and the
// certificate's counts.
func TestCacheLifetimes(t *testing.T) {
	cfg := config.PluginCache{TTL: config.Duration(time.Minute), DenyTTL: config.Duration(time.Second)}
	p := &Plugin{cfg: config.Plugin{Cache: cfg}}
	forever, soon := &Connection{}, &Connection{NotAfter: time.Now().Add(10 * time.Second)}
	past := &Connection{NotAfter: time.Now().Add(-time.Second)}
	for _, test := range []struct {
		name string
		v    verdict
		c    *Connection
		most time.Duration
	}{
		{"its own", verdict{allow: true, ttl: 5 * time.Second}, forever, 5 * time.Second},
		{"the configuration's", verdict{allow: true, ttl: time.Hour}, forever, time.Minute},
		{"a denial's", verdict{ttl: time.Hour}, forever, time.Second},
		{"the certificate's", verdict{allow: true, ttl: time.Hour}, soon, 10 * time.Second},
		{"none", verdict{allow: true}, forever, 0},
		{"past", verdict{allow: true, ttl: time.Hour}, past, 0},
	} {
		if got := p.life(&test.v, test.c); got > test.most || got < test.most-2*time.Second {
			t.Errorf("%s: %v, want %v", test.name, got, test.most)
		}
	}
}

func TestCacheForgetsWhatIsOver(t *testing.T) {
	c := newCache(16, cacheBytes, 0)
	q := &question{hook: OnRequest, body: []byte("k"), ends: []int{1}, now: time.Second}
	c.put(q, plainAllow, nil, time.Second, 0)
	if c.get(q) == nil {
		t.Fatal("not kept")
	}
	q.now = 2*time.Second - 1
	if c.get(q) == nil {
		t.Error("forgotten too early")
	}
	q.now = 2 * time.Second
	if c.get(q) != nil {
		t.Error("kept beyond its time")
	}
}

func TestCacheIsOff(t *testing.T) {
	r, c, _ := lasting(t, nil, func(p *config.Plugin) { p.Cache.Entries = 0 })
	r.ask(connection(), get("/"))
	r.ask(connection(), get("/"))
	c.wants(t, 2, "no entries")
}

// TestNarrowed verdicts hold for all that differs only in what they do not depend
// on, and a denial goes before an allow.
func TestNarrowed(t *testing.T) {
	r, c, _ := lasting(t, []string{"cert.der", "request.path", "request.method"}, nil)
	c.verdict.Depends = []string{"cert.der"}
	r.ask(verified("alice"), get("/a"))
	r.ask(verified("alice"), get("/b"))
	c.wants(t, 1, "the same certificate")
	c.verdict = frame.VerdictBody{Decision: frame.Deny, TTL: time.Minute, Depends: []string{"request.path"}}
	if d := r.ask(verified("bob"), get("/secret")); d.Outcome != Denied {
		t.Fatal("not denied")
	}
	c.wants(t, 2, "another certificate")
	if d := r.ask(verified("alice"), get("/secret")); d.Outcome != Denied {
		t.Error("an allow for the certificate beats a denial of the path")
	}
	c.wants(t, 2, "both known")
	c.verdict = frame.VerdictBody{Decision: frame.Allow, TTL: time.Minute, Depends: []string{}}
	r.ask(verified("carol"), get("/x"))
	r.ask(verified("dave"), get("/y"))
	c.wants(t, 3, "depends on nothing")
}

func TestInvalidate(t *testing.T) {
	r, c, f := lasting(t, []string{"cert.der"}, nil)
	ask := func() {
		r.ask(verified("alice"), get("/"))
		r.ask(verified("bob"), get("/"))
	}
	ask()
	ask()
	c.wants(t, 2, "kept")
	send := func(body frame.InvalidateBody) {
		before := r.chain.Version()
		f.peer().send(frame.End(body.Append(frame.Begin(nil, frame.Invalidate, 0)), 0))
		r.await("invalidated", func() bool { return r.chain.Version() != before })
	}
	send(frame.InvalidateBody{One: true, Leaf: sha256.Sum256([]byte("alice"))})
	ask()
	c.wants(t, 3, "one certificate forgotten")
	send(frame.InvalidateBody{})
	ask()
	c.wants(t, 5, "all forgotten")
}

// TestInvalidatedMeanwhile: what was asked before is not kept afterwards.
func TestInvalidatedMeanwhile(t *testing.T) {
	c := newCache(16, cacheBytes, 0)
	q := &question{hook: OnRequest, body: []byte("k"), ends: []int{1}}
	version := c.version.Load()
	f, mine := c.board(q)
	if !mine {
		t.Fatal("a flight of nobody")
	}
	c.forget(nil)
	if other, _ := c.board(q); other == f {
		t.Error("joined a flight that began before")
	}
	c.put(q, plainAllow, nil, time.Minute, version)
	if c.get(q) != nil {
		t.Error("kept")
	}
	c.land(f, nil, Down)
}

// TestOneFlight: many with one question ask once, unless the verdict may not be
// kept: then each asks.
func TestOneFlight(t *testing.T) {
	hold := make(chan struct{})
	var calls atomic.Int64
	ttl := atomic.Int64{}
	ttl.Store(int64(time.Minute))
	f := &fake{hello: frame.HelloBody{Needs: []string{"request.path"}}}
	f.answer = func(p *peer, f frame.Frame) {
		calls.Add(1)
		go func() {
			<-hold
			p.verdict(f.ID, frame.VerdictBody{Decision: frame.Allow, TTL: time.Duration(ttl.Load())})
		}()
	}
	r := one(t, f, nil)
	warm := make(chan struct{})
	go func() { defer close(warm); r.ask(connection(), get("/warm")) }()
	r.await("asked", func() bool { return calls.Load() == 1 })
	close(hold)
	<-warm
	for _, test := range []struct {
		ttl  time.Duration
		want int64
	}{{time.Minute, 1}, {0, 8}} {
		ttl.Store(int64(test.ttl))
		hold = make(chan struct{})
		calls.Store(0)
		var group sync.WaitGroup
		for range 8 {
			group.Go(func() { r.wants(r.ask(connection(), get(fmt.Sprint("/", test.ttl))), Admitted, 0) })
		}
		r.await("asked", func() bool { return calls.Load() >= 1 })
		close(hold)
		group.Wait()
		if n := calls.Load(); n != test.want {
			t.Errorf("with a lifetime of %v: %d calls, want %d", test.ttl, n, test.want)
		}
	}
}

// TestCacheIsBounded, keeps what is used, and never answers one question with
// another's verdict.
func TestCacheIsBounded(t *testing.T) {
	const entries = 256
	c := newCache(entries, cacheBytes, 0)
	verdicts := map[string]*verdict{}
	ask := func(i int) (*question, string) {
		key := fmt.Sprintf("key %d", i)
		return &question{hook: OnRequest, body: []byte(key), ends: []int{len(key)}}, key
	}
	hot, _ := ask(0)
	c.put(hot, plainAllow, nil, time.Hour, 0)
	for i := 1; i < 20*entries; i++ {
		q, key := ask(i)
		verdicts[key] = &verdict{allow: true, mask: everything}
		c.put(q, verdicts[key], nil, time.Hour, 0)
		if c.get(hot) == nil {
			t.Fatalf("what is used all the time was pushed out after %d", i)
		}
	}
	for i := 1; i < 20*entries; i++ {
		q, key := ask(i)
		if v := c.get(q); v != nil && v != verdicts[key] {
			t.Fatal("another's verdict")
		}
	}
	if n := c.len(); n > entries+len(c.shards) {
		t.Errorf("%d entries, want about %d", n, entries)
	}
}

// TestEqualHashes: a hash is no proof.
func TestEqualHashes(t *testing.T) {
	c := newCache(1, cacheBytes, 0)
	one, two := &question{body: []byte("one"), ends: []int{3}}, &question{body: []byte("two"), ends: []int{3}}
	c.put(one, plainAllow, nil, time.Hour, 0)
	one.under(everything)
	two.under(everything)
	if c.shard(0).get(c.hash(one), two) != nil {
		t.Error("a verdict for another question of the same hash")
	}
	if maphash.Bytes(c.seed, []byte("x")) == maphash.Bytes(newCache(1, cacheBytes, 0).seed, []byte("x")) {
		t.Error("two caches have one seed")
	}
}

// BenchmarkHit is a request whose verdict is kept, from the fields to the
// decision.
func BenchmarkHit(b *testing.B) {
	c := &counting{verdict: frame.VerdictBody{Decision: frame.Allow, TTL: time.Hour, Edits: []frame.Edit{{Op: frame.SetHeader, Name: "X-Unit", Value: "payments"}}}}
	f := &fake{hello: frame.HelloBody{Name: "fake", Hooks: frame.HookRequest, Needs: []string{"cert.verified", "cert.organizational_units", "cert.sha256", "request.method", "request.path", "header:x-tenant"}}, answer: c.answer}
	r := oneBench(b, f)
	conn := verified("alice")
	req := get("/v1/payments/1234567890", "Host", "a", "Accept", "*/*", "Accept-Encoding", "gzip", "User-Agent", "bench", "X-Tenant", "blue",
		"A", "1", "B", "2", "C", "3", "D", "4", "E", "5", "F", "6", "G", "7", "H", "8", "I", "9", "J", "10", "K", "11", "L", "12", "M", "13", "N", "14")
	var d Decision
	r.Request(conn, req, nil, &d)
	b.ReportAllocs()
	for b.Loop() {
		r.Request(conn, req, nil, &d)
	}
	if d.Outcome != Admitted || c.calls.Load() != 1 {
		b.Fatalf("outcome %d after %d calls", d.Outcome, c.calls.Load())
	}
}

// BenchmarkCall is one that asks the plugin, in another goroutine of this process.
func BenchmarkCall(b *testing.B) {
	f := &fake{hello: frame.HelloBody{Name: "fake", Hooks: frame.HookRequest, Needs: []string{"cert.sha256", "request.method", "request.path"}}}
	r := oneBench(b, f)
	b.ReportAllocs()
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		conn, req := verified("alice"), get("/v1/payments/1234567890")
		var d Decision
		for pb.Next() {
			if r.Request(conn, req, nil, &d); d.Outcome != Admitted {
				b.Errorf("outcome %d, failure %v", d.Outcome, d.Failure)
				return
			}
		}
	})
}

func TestHitDoesNotAllocate(t *testing.T) {
	r, _, _ := lasting(t, []string{"cert.sha256", "request.method", "request.path", "header:x-tenant"}, nil)
	conn, req := verified("alice"), get("/a", "X-Tenant", "b")
	var d Decision
	r.chain.Request(conn, req, nil, &d)
	if n := testing.AllocsPerRun(1000, func() { r.chain.Request(conn, req, nil, &d) }); n > 0 && !raceEnabled {
		t.Errorf("%v allocations, want none", n)
	}
}
