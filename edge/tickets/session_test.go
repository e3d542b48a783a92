package tickets

import (
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestResumes(t *testing.T) {
	versions(t, func(t *testing.T, version uint16) {
		e := serve(t, Options{})
		conf := client(version, people().alice)
		first := e.full(t, conf)
		if first.lineage == (Lineage{}) {
			t.Error("a full handshake has no lineage")
		}
		var offered [][]byte
		for range 3 {
			offered = append(offered, cacheOf(conf).ticket(t))
			if o := e.resumed(t, conf); o.lineage != first.lineage || !o.began.Equal(first.began) {
				t.Errorf("resumed as %s of %s, want %s of %s", o.lineage, o.began, first.lineage, first.began)
			}
		}
		for i, ticket := range offered {
			if len(ticket) != 32 {
				t.Errorf("ticket of %d bytes, want 32", len(ticket))
			}
			if slices.ContainsFunc(offered[:i], func(other []byte) bool { return slices.Equal(other, ticket) }) {
				t.Error("the same ticket was issued twice")
			}
		}
		if another := e.full(t, client(version, people().alice)); another.lineage == first.lineage {
			t.Error("two full handshakes have one lineage")
		}
	})
}

// TestOrder pins the order of crypto/tls's calls, which the package is built
// around.
func TestOrder(t *testing.T) {
	for _, c := range []struct {
		name          string
		version       uint16
		auth          tls.ClientAuthType
		full, resumed []string
	}{
		{"TLS 1.2", tls.VersionTLS12, tls.RequireAnyClientCert,
			[]string{"unwrap nothing", "verify", "wrap"}, []string{"unwrap", "verify resumed", "wrap resumed"}},
		{"TLS 1.2 without a certificate", tls.VersionTLS12, tls.NoClientCert,
			[]string{"unwrap nothing", "verify", "wrap"}, []string{"unwrap", "verify resumed", "wrap resumed"}},
		{"TLS 1.3", tls.VersionTLS13, tls.RequireAnyClientCert,
			[]string{"verify", "wrap"}, []string{"unwrap", "wrap resumed", "verify resumed"}},
		{"TLS 1.3 without a certificate", tls.VersionTLS13, tls.NoClientCert,
			[]string{"wrap", "verify"}, []string{"unwrap", "wrap resumed", "verify resumed"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := serve(t, Options{})
			var calls []string
			note := func(call string, cs tls.ConnectionState) {
				if cs.DidResume {
					call += " resumed"
				}
				calls = append(calls, call)
			}
			e.clientAuth = c.auth
			e.verify = func(cs tls.ConnectionState) error {
				note("verify", cs)
				return nil
			}
			e.attached = func(conf *tls.Config) {
				wrap, unwrap := conf.WrapSession, conf.UnwrapSession
				conf.WrapSession = func(cs tls.ConnectionState, s *tls.SessionState) ([]byte, error) {
					note("wrap", cs)
					return wrap(cs, s)
				}
				conf.UnwrapSession = func(ticket []byte, cs tls.ConnectionState) (*tls.SessionState, error) {
					call := "unwrap"
					if len(ticket) == 0 {
						call = "unwrap nothing"
					}
					note(call, cs)
					return unwrap(ticket, cs)
				}
			}
			conf := client(c.version, people().alice)
			e.full(t, conf)
			if diff := cmp.Diff(c.full, calls); diff != "" {
				t.Errorf("full handshake (-want +got):\n%s", diff)
			}
			calls = nil
			e.resumed(t, conf)
			if diff := cmp.Diff(c.resumed, calls); diff != "" {
				t.Errorf("resumed handshake (-want +got):\n%s", diff)
			}
		})
	}
}

func TestVerifyConnectionSeesTheCertificateOnEveryResumption(t *testing.T) {
	versions(t, func(t *testing.T, version uint16) {
		e := serve(t, Options{})
		var seen [][]byte
		e.verify = func(cs tls.ConnectionState) error {
			if len(cs.PeerCertificates) != 2 {
				t.Errorf("%d certificates, want 2", len(cs.PeerCertificates))
				return errors.New("no chain")
			}
			seen = append(seen, cs.PeerCertificates[0].Raw)
			return nil
		}
		conf := client(version, people().alice)
		e.full(t, conf)
		e.resumed(t, conf)
		e.resumed(t, conf)
		alice := people().alice.Certificate[0]
		if diff := cmp.Diff([][]byte{alice, alice, alice}, seen); diff != "" {
			t.Errorf("leaves (-want +got):\n%s", diff)
		}
	})
}

func TestBinding(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*edge, *tls.Config)
	}{
		{"other listener", func(e *edge, _ *tls.Config) { e.name = "other" }},
		{"other server name", func(_ *edge, c *tls.Config) { c.ServerName = "other.test" }},
		{"other case of the server name", func(_ *edge, c *tls.Config) { c.ServerName = "Edge.test" }},
		{"other policy", func(e *edge, _ *tls.Config) { e.policy[31]++ }},
		{"other anchors", func(e *edge, _ *tls.Config) { e.anchors[0]++ }},
	} {
		t.Run(c.name, func(t *testing.T) {
			versions(t, func(t *testing.T, version uint16) {
				e := serve(t, Options{})
				conf := client(version, people().alice)
				e.full(t, conf)
				e.resumed(t, conf)
				e.set(func() { c.change(e, conf) })
				e.full(t, conf)
				if n := e.store.Stats().Mismatched; n != 1 {
					t.Errorf("%d tickets mismatched, want 1", n)
				}
				e.resumed(t, conf)
			})
		})
	}
	t.Run("names do not run together", func(t *testing.T) {
		if Binding("ab", "c", [32]byte{}, [32]byte{}) == Binding("a", "bc", [32]byte{}, [32]byte{}) {
			t.Error("listener ab, name c and listener a, name bc have one binding")
		}
		if Binding("a", "b", [32]byte{1}, [32]byte{}) == Binding("a", "b", [32]byte{}, [32]byte{1}) {
			t.Error("policy and anchors are interchangeable")
		}
	})
}

func TestOtherVersion(t *testing.T) {
	e := serve(t, Options{})
	conf := client(tls.VersionTLS13, people().alice)
	e.full(t, conf)
	ticket := cacheOf(conf).ticket(t)

	conf = client(tls.VersionTLS12, people().alice)
	e.full(t, conf)
	cacheOf(conf).forge(t, func(_, state []byte) (_, _ []byte) { return ticket, state })
	e.full(t, conf)
	if n := e.store.Stats().Mismatched; n != 1 {
		t.Errorf("%d tickets mismatched, want 1", n)
	}
}

// TestNeedOfCertificate has one binding for both modes, which the edge would not
// do: this line of defence has to hold by itself.
func TestNeedOfCertificate(t *testing.T) {
	for _, c := range []struct {
		name          string
		before, after tls.ClientAuthType
	}{
		{"off then required", tls.NoClientCert, tls.RequireAnyClientCert},
		{"off then optional", tls.NoClientCert, tls.RequestClientCert},
		{"required then off", tls.RequireAnyClientCert, tls.NoClientCert},
	} {
		t.Run(c.name, func(t *testing.T) {
			versions(t, func(t *testing.T, version uint16) {
				e := serve(t, Options{})
				e.clientAuth = c.before
				conf := client(version, people().alice)
				e.full(t, conf)
				e.resumed(t, conf)
				e.set(func() { e.clientAuth = c.after })
				e.full(t, conf)
				if n := e.store.Stats().Mismatched; n != 1 {
					t.Errorf("%d tickets mismatched, want 1", n)
				}
			})
		})
	}
}

func TestClientWithoutTheCertificateAskedForIsAskedAgain(t *testing.T) {
	versions(t, func(t *testing.T, version uint16) {
		e := serve(t, Options{})
		e.clientAuth = tls.RequestClientCert
		conf := client(version)
		e.full(t, conf)
		if s := e.store.Stats(); s.Kept != 0 || s.Refused != 1 {
			t.Errorf("%+v", s)
		}
		conf.Certificates = []tls.Certificate{people().alice}
		e.full(t, conf)
		e.resumed(t, conf)
	})
}

func TestLineageAgesOut(t *testing.T) {
	versions(t, func(t *testing.T, version uint16) {
		now := newClock()
		e := serve(t, Options{Lifetime: MaxLifetime, Now: now.Now})
		e.time = now.Now
		conf := client(version, people().alice)
		first := e.full(t, conf)
		for range 6 {
			now.pass(MaxLifetime / 7)
			if o := e.resumed(t, conf); !o.began.Equal(first.began) {
				t.Fatalf("the lineage began at %s, want %s", o.began, first.began)
			}
		}
		// For crypto/tls the client's ticket is a day old: it is ours that ends it.
		now.pass(MaxLifetime / 7)
		second := e.full(t, conf)
		if second.lineage == first.lineage || !second.began.Equal(now.Now()) {
			t.Errorf("a full handshake at %s continues lineage %s of %s", now.Now(), second.lineage, second.began)
		}
		e.resumed(t, conf)
	})
}

func TestClockPutBack(t *testing.T) {
	now := newClock()
	e := serve(t, Options{Now: now.Now})
	conf := client(tls.VersionTLS13, people().alice)
	e.full(t, conf)
	now.pass(-1)
	e.full(t, conf)
}

func TestKill(t *testing.T) {
	for _, c := range []struct {
		name string
		kill func(*Store, outcome) int
	}{
		{"lineage", func(s *Store, o outcome) int { return s.Kill(o.lineage) }},
		{"certificate", func(s *Store, _ outcome) int { return s.KillCertificate(leafHash(people().alice)) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			versions(t, func(t *testing.T, version uint16) {
				e := serve(t, Options{})
				alice, bert := client(version, people().alice), client(version, people().bert)
				old := client(version, people().alice)
				e.full(t, bert)
				first := e.full(t, alice)
				*cacheOf(old) = cache{last: cacheOf(alice).last, frozen: true}
				e.resumed(t, alice)
				if n := c.kill(e.store, first); n != 2 {
					t.Errorf("%d sessions killed, want 2", n)
				}
				e.full(t, alice)
				e.full(t, old)
				e.resumed(t, alice) // one that began after the kill
				e.resumed(t, bert)
				if n := c.kill(New(Options{}), first) + c.kill(nil, first); n != 0 {
					t.Errorf("%d sessions killed where there are none", n)
				}
			})
		})
	}
}

// TestKillOvertakesHandshake kills between the look at the ticket and the end of
// the handshake, or in the middle of a full one.
func TestKillOvertakesHandshake(t *testing.T) {
	versions(t, func(t *testing.T, version uint16) {
		for _, resume := range []bool{false, true} {
			e := serve(t, Options{})
			conf := client(version, people().alice)
			if resume {
				e.full(t, conf)
			}
			e.set(func() {
				e.verify = func(cs tls.ConnectionState) error {
					e.store.KillCertificate(sha256.Sum256(cs.PeerCertificates[0].Raw))
					return nil
				}
			})
			e.admitted(t, conf, resume)
			e.set(func() { e.verify = nil })
			e.full(t, conf)
			e.resumed(t, conf)
		}
	})
}

// TestSeveralTickets has crypto/tls look at several tickets, and turn down what
// it is given, as it may.
func TestSeveralTickets(t *testing.T) {
	state, cs := handshaken(t)
	store := New(Options{})
	conf := &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	begin := func() *Session {
		s := store.For([32]byte{})
		s.Attach(conf)
		return s
	}
	wrap := func(s *Session, resumed bool) []byte {
		connection := cs
		connection.DidResume = resumed
		ticket, err := conf.WrapSession(connection, state)
		if err != nil {
			t.Fatal(err)
		}
		s.Complete(true)
		return ticket
	}
	a := begin()
	ticketA := wrap(a, false)
	b := begin()
	ticketB := wrap(b, false)
	for _, c := range []struct {
		name    string
		offered [][]byte
		resumed bool
		want    Lineage // zero: a new one
	}{
		{"the last is taken", [][]byte{ticketA, ticketB}, true, b.lineage},
		{"the first is taken", [][]byte{ticketA}, true, a.lineage},
		{"none suited", [][]byte{ticketA, ticketB}, false, Lineage{}},
		{"the last is unknown", [][]byte{ticketA, []byte("what is this")}, false, Lineage{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := begin()
			for _, ticket := range c.offered {
				if _, err := conf.UnwrapSession(ticket, cs); err != nil {
					t.Fatal(err)
				}
			}
			wrap(s, c.resumed)
			l, _ := s.Lineage()
			if c.want == (Lineage{}) && (l == a.lineage || l == b.lineage || l == c.want) || c.want != (Lineage{}) && l != c.want {
				t.Errorf("lineage %s, want %s; a is %s and b %s", l, c.want, a.lineage, b.lineage)
			}
		})
	}
	t.Run("resumed what is not ours", func(t *testing.T) {
		for _, offered := range [][][]byte{nil, {ticketA, []byte("what is this")}} {
			before := store.Stats()
			s := begin()
			for _, ticket := range offered {
				if _, err := conf.UnwrapSession(ticket, cs); err != nil {
					t.Fatal(err)
				}
			}
			wrap(s, true)
			if after := store.Stats(); after.Kept != before.Kept || after.Refused != before.Refused+1 {
				t.Errorf("%+v, before %+v", after, before)
			}
		}
	})
}

func TestZeroValuesGiveAndTakeNone(t *testing.T) {
	for name, session := range map[string]func() *Session{
		"zero Session": func() *Session { return &Session{} },
		"nil Store":    func() *Session { return (*Store)(nil).For([32]byte{}) },
		"zero Store":   func() *Session { return (&Store{}).For([32]byte{}) },
	} {
		t.Run(name, func(t *testing.T) {
			versions(t, func(t *testing.T, version uint16) {
				e := serve(t, Options{})
				conf := client(version, people().alice)
				e.full(t, conf)
				e.resumed(t, conf)
				e.set(func() {
					e.attached = func(c *tls.Config) { session().Attach(c) }
				})
				e.full(t, conf)
				if conf = client(version, people().alice); e.connect(t, conf).resumed || cacheOf(conf).last != nil {
					t.Error("a session was resumed, or a ticket given")
				}
				s := session()
				s.Complete(true)
				if l, _ := s.Lineage(); l != (Lineage{}) {
					t.Errorf("lineage %s, want none", l)
				}
			})
		})
	}
	if s := (*Store)(nil).Stats(); s != (Stats{}) {
		t.Errorf("%+v, want nothing", s)
	}
	if s := (&Store{}).Stats(); s != (Stats{}) {
		t.Errorf("%+v, want nothing", s)
	}
}

func TestManyAtOnce(t *testing.T) {
	versions(t, func(t *testing.T, version uint16) {
		e := serve(t, Options{PerClient: 4})
		e.verify = func(tls.ConnectionState) error { return nil }
		var clients sync.WaitGroup
		shared := client(version, people().alice)
		for i := range 8 {
			clients.Go(func() {
				conf := shared
				if i%2 == 1 {
					conf = client(version, people().bert)
				}
				for n := range 25 {
					if err := e.dial(conf); err != nil {
						t.Error(err)
					}
					if n%5 == i%5 {
						e.store.KillCertificate(leafHash(people().bert))
						e.store.Stats()
					}
				}
			})
		}
		clients.Wait()
		for range 8 * 25 {
			if o := <-e.outcomes; o.err != nil {
				t.Error(o.err)
			}
		}
		checkStore(t, e.store)
		e.connect(t, shared)
		e.resumed(t, shared)
	})
}
