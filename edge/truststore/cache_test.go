package truststore

import (
	"bytes"
	"crypto/x509"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/edge/reason"
	"github.com/sallyport/sallyport/loadtest/pki"
)

// verifyUncached is Verify as it is without a cache.
func verifyUncached(s *Store, chain []*x509.Certificate, p Policy, now time.Time) (*Verified, error) {
	c, err := s.Build(chain, p, now)
	if err != nil {
		return nil, err
	}
	return s.Admit(c, now)
}

func samePath(a, b []*x509.Certificate) bool {
	return slices.EqualFunc(a, b, func(a, b *x509.Certificate) bool { return bytes.Equal(a.Raw, b.Raw) })
}

// wantCounts checks what the cache has counted since before.
func wantCounts(t *testing.T, s *Store, before CacheStats, hits, misses uint64) {
	t.Helper()
	st := s.CacheStats()
	if st.Hits-before.Hits != hits || st.Misses-before.Misses != misses {
		t.Errorf("%d hits and %d misses, want %d and %d", st.Hits-before.Hits, st.Misses-before.Misses, hits, misses)
	}
}

// A returning client gets what it got the first time, and what it would get
// without a cache.
func TestCacheChangesNoVerdict(t *testing.T) {
	now := time.Now()
	top := root()
	mid, other := below(top), root()
	crossed := pki.Must(other.CrossSign(mid))
	catalogue := pki.Must(pki.Bad(top))
	f := newFixture(t, top, other)
	f.crl("all.crl", catalogue.CRLs...)
	s := f.open()

	type client struct {
		name  string
		chain []*x509.Certificate
		good  bool
	}
	clients := []client{
		{"leaf of the root", chainOf(t, issue(top)), true},
		{"leaf of an intermediate", chainOf(t, issue(mid)), true},
		{"two paths", chainOf(t, issue(mid).Present(mid, crossed)), true},
		{"more than it needs", chainOf(t, issue(top).Present(mid, below(root()))), true},
		{"expired", chainOf(t, issue(top, pki.NotBefore(now.Add(-48*time.Hour)), pki.NotAfter(now.Add(-time.Hour)))), false},
		{"no certificate that is parsed", []*x509.Certificate{nil}, false},
		{"certificate without its bytes", []*x509.Certificate{{}}, false},
	}
	for _, c := range catalogue.Clients {
		var chain []*x509.Certificate
		for _, der := range c.TLS.Certificate {
			if cert, err := x509.ParseCertificate(der); err == nil {
				chain = append(chain, cert)
			}
		}
		clients = append(clients, client{name: c.Name, chain: chain})
	}
	policies := map[string]Policy{"alb": alb, "ignoring": alb, "strict": alb, "shallow": alb, "small": alb, "zero": {}}
	for name, p := range policies {
		switch name {
		case "ignoring":
			p.IgnoreExpiry = true
		case "strict":
			p.Strict = true
		case "shallow":
			p.MaxChainDepth = 1
		case "small":
			p.MaxSize = 700
		}
		policies[name] = p
	}
	for name, p := range policies {
		for _, c := range clients {
			t.Run(name+"/"+c.name, func(t *testing.T) {
				want, wantErr := verifyUncached(s, c.chain, p, now)
				if name == "alb" && c.good && wantErr != nil {
					t.Fatal(wantErr)
				}
				_, buildErr := s.Build(c.chain, p, now)
				before := s.CacheStats()
				for range 3 {
					got, err := s.Verify(c.chain, p, now)
					if (err == nil) != (wantErr == nil) || err != nil && err.Error() != wantErr.Error() {
						t.Fatalf("got %v, without a cache %v", err, wantErr)
					}
					if err == nil && (!samePath(got.Path, want.Path) || !got.NotAfter.Equal(want.NotAfter) ||
						got.ExpiryIgnored != want.ExpiryIgnored || got.Generation != want.Generation) {
						t.Errorf("got %+v, without a cache %+v", got, want)
					}
				}
				if buildErr == nil {
					wantCounts(t, s, before, 2, 1)
				} else {
					wantCounts(t, s, before, 0, 3) // failures are not remembered
				}
			})
		}
	}
}

func TestCacheKeepsToDates(t *testing.T) {
	anchor := root()
	leaf := issue(anchor, pki.NotAfter(time.Now().Add(time.Hour)))
	chain := chainOf(t, leaf)
	ignoring := alb
	ignoring.IgnoreExpiry = true
	inside := leaf.Cert.NotBefore.Add(time.Minute)
	for _, c := range []struct {
		name              string
		at                time.Time
		strictly, ignored reason.Code
		hit               bool // under the strict policy
	}{
		{"just before notBefore", leaf.Cert.NotBefore.Add(-1), reason.ClientCertNotYetValid, reason.ClientCertNotYetValid, false},
		{"notBefore", leaf.Cert.NotBefore, reason.Success, reason.Success, true},
		{"notAfter", leaf.Cert.NotAfter, reason.Success, reason.Success, true},
		{"just after notAfter", leaf.Cert.NotAfter.Add(1), reason.ClientCertExpired, reason.Success, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStore(t, anchor)
			for _, p := range []Policy{alb, ignoring} {
				if _, err := s.Verify(chain, p, inside); err != nil {
					t.Fatal(err)
				}
			}
			before := s.CacheStats()
			_, err := s.Verify(chain, alb, c.at)
			wantCode(t, err, c.strictly)
			if c.hit {
				wantCounts(t, s, before, 1, 0)
			} else {
				wantCounts(t, s, before, 0, 1)
			}
			v, err := s.Verify(chain, ignoring, c.at)
			wantCode(t, err, c.ignored)
			if err == nil && v.ExpiryIgnored != (c.strictly == reason.ClientCertExpired) {
				t.Errorf("ExpiryIgnored = %v", v.ExpiryIgnored)
			}
		})
	}
}

// A chain that is judged anew takes the place of what it was before.
func TestCacheReplacesWhatIsOutOfDate(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	top, later := root(), root()
	mid := below(top)
	crossed := pki.Must(later.CrossSign(mid, pki.NotBefore(now.Add(time.Hour))))
	s := newStore(t, top, later)
	chain := chainOf(t, issue(mid).Present(mid, crossed))
	for _, at := range []time.Time{now, now.Add(time.Hour), now.Add(time.Hour)} {
		if _, err := s.Verify(chain, alb, at); err != nil {
			t.Fatal(err)
		}
	}
	if st := s.CacheStats(); st != (CacheStats{Hits: 1, Misses: 2, Entries: 1}) {
		t.Errorf("%+v", st)
	}
}

func TestCacheTellsChainsAndPoliciesApart(t *testing.T) {
	now := time.Now()
	top := root()
	mid, unrelated := below(top), below(root())
	leaf, other := issue(mid), issue(mid)
	s := newStore(t, top)
	verify := func(leaf *pki.Leaf, p Policy, want reason.Code, hits, misses uint64) {
		t.Helper()
		before := s.CacheStats()
		_, err := s.Verify(chainOf(t, leaf), p, now)
		wantCode(t, err, want)
		wantCounts(t, s, before, hits, misses)
	}
	verify(leaf, alb, reason.Success, 0, 1)
	verify(leaf, alb, reason.Success, 1, 0)

	verify(leaf.Present(), alb, reason.ClientCertUntrusted, 0, 1)
	verify(leaf.Present(unrelated), alb, reason.ClientCertUntrusted, 0, 1)
	verify(leaf.Present(mid, unrelated), alb, reason.Success, 0, 1)
	verify(leaf.Present(unrelated, mid), alb, reason.Success, 0, 1)
	verify(leaf.Present(mid, unrelated), alb, reason.Success, 1, 0)

	// Somebody's good chain behind a leaf of one's own.
	stranger := issue(root())
	stolen := pki.Must(pki.SelfSigned())
	for _, own := range []*pki.Leaf{stranger, stolen} {
		own.Chain = [][]byte{leaf.DER, mid.DER}
		verify(own, alb, reason.ClientCertUntrusted, 0, 1)
	}
	verify(other, alb, reason.Success, 0, 1)

	strict := alb
	strict.Strict = true
	verify(leaf, strict, reason.Success, 0, 1)
	verify(leaf, strict, reason.Success, 1, 0)
	shallow := alb
	shallow.MaxChainDepth = 1
	verify(leaf, shallow, reason.ClientCertMaxChainDepthExceeded, 0, 1)
	small := alb
	small.MaxSize = 10
	verify(leaf, small, reason.ClientCertMaxSizeExceeded, 0, 1)
	verify(leaf, Policy{}, reason.ClientCertMaxSizeExceeded, 0, 1)
	verify(leaf, alb, reason.Success, 1, 0)
}

// Each field of a policy, those to come included, keeps chains apart.
func TestCacheKeyHasTheWholePolicy(t *testing.T) {
	now := time.Now()
	s := newStore(t, root())
	cc := s.gen.Load().anchors.cache
	chain := chainOf(t, issue(root()))
	k, ok := cc.keyOf(chain, alb)
	if !ok {
		t.Fatal("not cacheable")
	}
	cc.add(k, alb, &Chain{NotAfter: endOfTime}, now)
	if cc.find(k, alb, now) == nil {
		t.Fatal("not found")
	}
	fields := reflect.ValueOf(alb).Type()
	for i := range fields.NumField() {
		p := alb
		field := reflect.ValueOf(&p).Elem().Field(i)
		switch field.Kind() {
		case reflect.Bool:
			field.SetBool(!field.Bool())
		case reflect.Int, reflect.Int64:
			field.SetInt(field.Int() + 1)
		case reflect.Pointer:
			field.Set(reflect.New(field.Type().Elem()))
		case reflect.String:
			field.SetString("other")
		default:
			if field.IsZero() && field.Kind() == reflect.Struct {
				continue // a comparable struct: == looks into it
			}
			t.Fatalf("field %s: say how to change a %v", fields.Field(i).Name, field.Kind())
		}
		if cc.find(k, p, now) != nil {
			t.Errorf("field %s changes nothing", fields.Field(i).Name)
		}
	}
}

func TestCacheWhileReloading(t *testing.T) {
	a, b := root(), root()
	mid := below(a)
	f := newFixture(t, a, b)
	f.crl("a.crl", crl(a, number(1)))
	s := f.open()
	var chains [][]*x509.Certificate
	for range 8 {
		chains = append(chains, chainOf(t, issue(mid)))
	}
	lost := chainOf(t, issue(b))
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for i := range 4 {
		wg.Go(func() {
			for n := i; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				chain := chains[n%len(chains)]
				v, err := s.Verify(chain, alb, time.Now())
				if err != nil || !bytes.Equal(v.Path[0].Raw, chain[0].Raw) || !bytes.Equal(v.Path[2].Raw, a.DER) {
					t.Errorf("good client: %+v, %v", v, err)
					return
				}
				if code, _ := reason.Of(s.StillAdmits(v, time.Now())); code == reason.ClientCertUntrusted {
					t.Error("a good client's anchor is missing")
				}
				generation := s.Generation()
				v, err = s.Verify(lost, alb, time.Now())
				if err == nil && v.Generation >= generation && v.Generation%2 == 0 {
					t.Errorf("client of a CA that is gone let in by generation %d", v.Generation)
				}
				s.CacheStats()
			}
		})
	}
	for n := range 40 { // even generations are without b
		f.write("ca.pem", pki.Bundle([]*pki.CA{a, b}[:1+n%2]...))
		if err := s.Reload(); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	wg.Wait()
	if st := s.CacheStats(); st.Hits == 0 || st.Misses == 0 || s.Generation() != 41 {
		t.Errorf("%+v, generation %d", st, s.Generation())
	}
}

func TestHitAllocatesNothing(t *testing.T) {
	s, good, _, _ := benchmarked(t)
	chain, now := chainOf(t, good), time.Now()
	if _, err := s.Verify(chain, alb, now); err != nil {
		t.Fatal(err)
	}
	if _, err := s.RevokeCertificate(issue(root()).Cert, "so that there is an overlay", now); err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() {
		v, err := s.Verify(chain, alb, now)
		if err != nil || v == nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

// What is remembered of a verdict is not the verdict: with time a list expires,
// and another path is taken by the same generation.
func TestHitTakesThePathThatStandsNow(t *testing.T) {
	now := time.Now()
	a, b := root(), root()
	mid := below(a)
	crossed := pki.Must(b.CrossSign(mid, pki.NotAfter(now.Add(3*time.Hour))))
	f := newFixture(t, a, b)
	f.crl("lists.pem", crl(a, pki.NextUpdate(now.Add(time.Hour))), crl(b), crl(mid))
	s := f.open()
	chain := chainOf(t, issue(mid).Present(mid, crossed))
	for _, step := range []struct {
		at     time.Time
		anchor *pki.CA
	}{{now, a}, {now.Add(2 * time.Hour), b}, {now, a}} {
		v, err := s.Verify(chain, alb, step.at)
		if err != nil {
			t.Fatal(err)
		}
		if !v.Path[2].Equal(step.anchor.Cert) || v.NotAfter.Equal(crossed.Cert.NotAfter) != (step.anchor == b) || v.Generation != 1 {
			t.Errorf("at %v: %+v", step.at, v)
		}
		wantCode(t, s.StillAdmits(v, step.at), reason.Success)
	}
	wantCounts(t, s, CacheStats{}, 2, 1)
}

// A reload can bring other policies: what is left of earlier ones keeps no
// leaf's present chains out.
func TestCacheOutlivesPolicies(t *testing.T) {
	now := time.Now()
	anchor := root()
	s := newStore(t, anchor)
	chain := chainOf(t, issue(anchor))
	for reload := range int64(20) {
		two := []Policy{alb, alb}
		two[0].MaxSize, two[1].MaxSize = 10000+reload, 20000+reload
		var before CacheStats
		for round := range 20 {
			if round == 15 {
				before = s.CacheStats()
			}
			for _, p := range two {
				if _, err := s.Verify(chain, p, now); err != nil {
					t.Fatal(err)
				}
			}
		}
		wantCounts(t, s, before, 10, 0)
	}
}
