package servercert

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/servercert/pebble"
	"github.com/sallyport/sallyport/loadtest/pki"
)

// failing is a store whose saves of some keys fail.
type failing struct {
	Store
	suffix atomic.Pointer[string]
}

func (f *failing) Save(key string, value []byte) error {
	if suffix := *f.suffix.Load(); suffix != "" && strings.HasSuffix(key, suffix) {
		return syscall.ENOSPC
	}
	return f.Store.Save(key, value)
}

// TestFullStore: nothing is ordered that could not be kept; and what could not be
// kept all the same serves, and is saved once that works, without another order.
func TestFullStore(t *testing.T) {
	t.Setenv("PEBBLE_VA_ALWAYS_VALID", "1")
	authority, err := pebble.Start(t.TempDir(), pebble.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer authority.Close()
	dir := t.TempDir()
	store := &failing{Store: Dir(filepath.Join(dir, "state"))}
	fail := func(suffix string) { store.suffix.Store(&suffix) }
	fail(".probe")
	o := in(dir)
	o.Manager = NewManager(store, slog.New(slog.DiscardHandler))
	cfg := config.Certificate{Name: "c", Hosts: []string{"c.example"}, ACME: &config.ACME{Directory: authority.Directory, CAFile: authority.CAFile, Profile: "default", KeyType: config.KeyP256}}
	c := pki.Must(Load(cfg, o))
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	defer func() {
		cancel()
		<-ended
	}()
	await(t, "failed", func() bool { return c.LastError() != "" })
	if wait := time.Until(c.Status()[0].NextTry); !strings.Contains(c.LastError(), "could not be kept") || len(authority.Orders()) > 0 || wait < 40*time.Second {
		t.Errorf("%q, orders %q, next try in %v", c.LastError(), authority.Orders(), wait)
	}
	fail(".pem")
	renewing, stop := context.WithTimeout(ctx, time.Minute)
	defer stop()
	if err := c.Renew(renewing); err != nil || c.Leaf() == nil || !c.Status()[0].Unsaved {
		t.Fatalf("issued and not kept: %v, %+v", err, c.Status())
	}
	if err := c.Renew(renewing); err == nil || !strings.Contains(err.Error(), "renewed by hand") {
		t.Errorf("renewed by hand twice in a minute: %v", err)
	}
	fail("")
	await(t, "kept", func() bool { return !c.Status()[0].Unsaved })
	if n := len(authority.Orders()); n != 1 || c.LastError() != "" {
		t.Errorf("%d orders, %q", n, c.LastError())
	}
	again := pki.Must(Load(cfg, in(dir)))
	m := again.source.(*acmeEntry).names["c.example"]
	if again.Leaf() == nil || !again.Leaf().Equal(c.Leaf()) || time.Since(m.ordered) > 10*time.Minute || m.ordered.IsZero() {
		t.Errorf("on disk: %v, ordered at %v", again.Leaf(), m.ordered)
	}
	if left, err := os.ReadDir(filepath.Join(dir, "state", "locks")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestTakeNewer: what another process has had issued is taken, unless it is no better.
func TestTakeNewer(t *testing.T) {
	root, now := pki.Must(pki.NewRoot()), time.Now()
	for _, test := range []struct {
		what       string
		from, life time.Duration
		had        time.Duration // 0 for none
		want       bool
	}{
		{"none before", -time.Hour, 90 * day, 0, true},
		{"newer", -time.Hour, 90 * day, 30 * day, true},
		{"older", -50 * day, 90 * day, 60 * day, false},
		{"expired", -100 * day, 90 * day, 0, false},
		{"due for renewal", -80 * day, 90 * day, 0, false},
	} {
		m, _ := inForce(t, false, nil)
		leaf := pki.Must(root.Issue(pki.Server("a.example"), pki.NotBefore(now.Add(test.from)), pki.NotAfter(now.Add(test.from+test.life))))
		b := bundle{meta: []byte("{}"), cert: leaf.ChainPEM(), key: keyPEM(t, leaf)}
		if err := m.entry.manager.store.Save(m.key(".pem"), b.encode()); err != nil {
			t.Fatal(err)
		}
		had := m.pair
		had.tls.Leaf = lasting(now, test.had)
		if test.had == 0 {
			had, m.pair = nil, nil
		}
		if got, err := m.takeNewer(had); err != nil || got != test.want || (m.pair != had) != test.want {
			t.Errorf("%s: taken %v, %v", test.what, got, err)
		}
	}
}

func keyPEM(t *testing.T, leaf *pki.Leaf) []byte {
	t.Helper()
	dir := t.TempDir()
	if err := leaf.WriteFiles(dir, "a"); err != nil {
		t.Fatal(err)
	}
	return pki.Must(os.ReadFile(filepath.Join(dir, "a.key")))
}

// TestDemandedAfterStart: of what is kept, only names that the rules still have, and
// none of it is anybody's default.
func TestDemandedAfterStart(t *testing.T) {
	dir := t.TempDir()
	store := Dir(filepath.Join(dir, "state"))
	root := pki.Must(pki.NewRoot())
	for _, name := range []string{"a.allowed.example", "gone.example"} {
		leaf := pki.Must(root.Issue(pki.Server(name)))
		b := bundle{meta: []byte("{}"), cert: leaf.ChainPEM(), key: keyPEM(t, leaf)}
		if err := store.Save("issued/c/"+name+".pem", b.encode()); err != nil {
			t.Fatal(err)
		}
	}
	c := pki.Must(Load(config.Certificate{Name: "c", ACME: &config.ACME{Directory: "https://127.0.0.1:1/", KeyType: config.KeyP256,
		OnDemand: &config.OnDemand{Allow: []string{"*.allowed.example"}, MaxNames: 10}}}, in(dir)))
	for _, refuse := range []bool{true, false} {
		s := NewSelector([]*Certificate{c}, refuse)
		for name, want := range map[string]bool{"a.allowed.example": true, "gone.example": false, "other.example": false, "": false} {
			pair, err := s.Pick(helloFor(name))
			if err != nil || (pair != nil) != want || s.Serves(name) != want {
				t.Errorf("%q: %+v, %v; serves %v", name, pair, err, s.Serves(name))
			}
		}
	}
	if c.Leaf() != nil {
		t.Error("a customer's certificate is the entry's")
	}
	// The rule cannot be asked: that is no refusal.
	c = pki.Must(Load(config.Certificate{Name: "d", ACME: &config.ACME{Directory: "https://127.0.0.1:1/", OnDemand: &config.OnDemand{Ask: "http://127.0.0.1:1/", MaxNames: 10}}}, in(dir)))
	var unavailable *UnavailableError
	if err := c.Obtain(t.Context(), "a.example"); !errors.As(err, &unavailable) || errors.Is(err, ErrNotAllowed) {
		t.Errorf("the rule's service is down: %v", err)
	}
}

// TestValidFirst: one that has expired is shown only when there is no other.
func TestValidFirst(t *testing.T) {
	dir := t.TempDir()
	root, now := pki.Must(pki.NewRoot()), time.Now()
	over := []pki.Option{pki.NotBefore(now.Add(-2 * day)), pki.NotAfter(now.Add(-day))}
	load := func(name string, host string, options ...pki.Option) *Certificate {
		return pki.Must(Load(files(t, dir, name, pki.Must(root.Issue(append(options, pki.Server(host))...))), in(dir)))
	}
	old, fresh := load("old", "x.example", over...), load("fresh", "x.example")
	wild, oldWild := load("wild", "*.example"), load("old-wild", "*.example", over...)
	for _, test := range []struct {
		list []*Certificate
		want string
	}{
		{[]*Certificate{old, fresh}, "fresh"},
		{[]*Certificate{old, wild}, "wild"},
		{[]*Certificate{oldWild, wild}, "wild"},
		{[]*Certificate{oldWild, old}, "old"},
		{[]*Certificate{wild, fresh}, "fresh"},
	} {
		for _, refuse := range []bool{true, false} {
			if pair, err := NewSelector(test.list, refuse).Pick(helloFor("x.example")); err != nil || pair == nil || pair.Name() != test.want {
				t.Errorf("%+v, %v, want %s", pair, err, test.want)
			}
		}
	}
	if pair, err := NewSelector([]*Certificate{old, fresh}, false).Pick(helloFor("")); err != nil || pair.Name() != "fresh" {
		t.Errorf("the default: %+v, %v", pair, err)
	}
}

// TestPauses: what a CA has asked for, and what it has refused, counts for all
// entries and after a start.
func TestPauses(t *testing.T) {
	store, now := Dir(t.TempDir()), time.Now()
	m := NewManager(store, slog.New(slog.DiscardHandler))
	const ca = "https://ca.example/dir"
	m.pauses.asked(ca, now.Add(time.Hour))
	var waited []int
	for range 2 {
		m.pauses.refused(ca, "a.example", now, func(n int) time.Duration {
			waited = append(waited, n)
			return 2 * time.Hour
		})
	}
	for _, p := range []*pauses{&m.pauses, &NewManager(store, slog.New(slog.DiscardHandler)).pauses} {
		for _, test := range []struct {
			ca, host string
			byHand   bool
			want     time.Duration
		}{{ca, "a.example", false, 2 * time.Hour}, {ca, "a.example", true, time.Hour}, {ca, "b.example", false, time.Hour}, {"https://other.example/", "a.example", false, -1}} {
			got := p.until(test.ca, test.host, test.byHand, now)
			if test.want < 0 != got.IsZero() || test.want > 0 && !got.Equal(now.Add(test.want)) {
				t.Errorf("%+v: until %v", test, got)
			}
		}
		if at := p.until(ca, "a.example", false, now.Add(-2*day)); !at.IsZero() {
			t.Errorf("after the clock was set back: until %v", at)
		}
	}
	if len(waited) != 2 || waited[1] != 2 {
		t.Errorf("refusals in a row: %v", waited)
	}
	m.pauses.issued(ca, "a.example")
	if at := NewManager(store, slog.New(slog.DiscardHandler)).pauses.until(ca, "a.example", false, now); !at.Equal(now.Add(time.Hour)) {
		t.Errorf("after a certificate was issued: until %v", at)
	}
	// An entry under a CA's pause does not ask it.
	one, asked := inForce(t, false, nil)
	one.entry.manager.pauses.asked(one.entry.authority.cas[0].directory, time.Now().Add(time.Hour))
	if err := one.try(t.Context()); !errors.Is(err, errAskedToWait) || asked.Load() > 0 || time.Until(one.retry) < 50*time.Minute {
		t.Errorf("during a pause: %v, CA asked %d times, next try %v", err, asked.Load(), one.retry)
	}
}

func FuzzPauses(f *testing.F) {
	const ca = "https://ca.example/dir"
	f.Add([]byte(`{"directory":"https://ca.example/dir","until":"2026-01-01T00:00:00Z","hosts":{"a":{"failures":3,"until":"2026-01-01T00:00:00Z"},"b":null}}`))
	f.Add([]byte(`{"directory":"https://ca.example/dir","hosts":null}`))
	dir := Dir(f.TempDir())
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := dir.Save(pauseKey(ca), data); err != nil {
			t.Fatal(err)
		}
		p := &NewManager(dir, slog.New(slog.DiscardHandler)).pauses
		now := time.Now()
		if at := p.until(ca, "a", false, now); at.After(now.Add(maxRetryAfter)) {
			t.Errorf("paused until %v", at)
		}
		p.refused(ca, "b", now, func(n int) time.Duration { return backoff(n, true) })
	})
}
