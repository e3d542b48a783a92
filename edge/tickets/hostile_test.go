package tickets

import (
	"crypto/rand"
	"crypto/tls"
	"errors"
	"testing"
)

// entries is the memory that a Store has of clients.
func (s *Store) entries() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sessions) + len(s.byLeaf) + len(s.byLineage) + s.verified.order.Len() + s.others.order.Len()
}

func TestRefusedClientGainsNothing(t *testing.T) {
	const tries = 1000
	refuse := func(tls.ConnectionState) error { return errors.New("revoked") }
	refused := func(t *testing.T, e *edge, conf *tls.Config) {
		t.Helper()
		if o := e.connect(t, conf); o.err == nil {
			t.Fatal("a revoked client was let in")
		}
	}
	versions(t, func(t *testing.T, version uint16) {
		t.Run("with what it gets", func(t *testing.T) {
			e := serve(t, Options{})
			conf := client(version, people().alice)
			e.full(t, conf)
			before := e.store.entries()
			e.set(func() { e.verify = refuse })
			for range tries {
				refused(t, e, conf)
			}
			if after := e.store.entries(); after != before {
				t.Errorf("%d entries after %d refusals, %d before", after, tries, before)
			}
			e.set(func() { e.verify = nil })
			if version == tls.VersionTLS13 {
				e.full(t, conf) // it holds a ticket of its refused resumption
			}
		})
		t.Run("with its old session", func(t *testing.T) {
			e := serve(t, Options{})
			conf := client(version, people().alice)
			e.full(t, conf)
			cacheOf(conf).frozen = true
			before := e.store.entries()
			e.set(func() { e.verify = refuse })
			for range tries {
				refused(t, e, conf)
			}
			if after := e.store.entries(); after != before {
				t.Errorf("%d entries after %d refusals, %d before", after, tries, before)
			}
			if s := e.store.Stats(); s.Taken != tries {
				t.Errorf("%d sessions taken, want %d", s.Taken, tries)
			}
		})
		t.Run("that was never let in", func(t *testing.T) {
			e := serve(t, Options{})
			e.verify = refuse
			conf := client(version, people().alice)
			for range tries / 5 {
				refused(t, e, conf)
			}
			if n := e.store.entries(); n != 0 {
				t.Errorf("%d entries, want none", n)
			}
		})
	})
}

func TestWithoutCompleteNothingIsUsable(t *testing.T) {
	state, cs := handshaken(t)
	store := New(Options{})
	conf := &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	session := store.For([32]byte{})
	session.Attach(conf)
	ticket, err := conf.WrapSession(cs, state)
	if err != nil {
		t.Fatal(err)
	}
	look := func() *tls.SessionState {
		store.For([32]byte{}).Attach(conf)
		resumed, err := conf.UnwrapSession(ticket, cs)
		if err != nil {
			t.Fatal(err)
		}
		return resumed
	}
	if look() != nil {
		t.Error("a session is usable before its handshake has returned")
	}
	session.Complete(true)
	if look() == nil {
		t.Error("a session is not usable after its handshake has returned")
	}
	session.Complete(true)
	if s := store.Stats(); s.Kept != 1 || s.Sessions != 1 {
		t.Errorf("after two calls of Complete: %+v", s)
	}
}

// TestStolenTicket offers somebody's ticket without the secret that belongs to
// it: tickets travel in the clear.
func TestStolenTicket(t *testing.T) {
	versions(t, func(t *testing.T, version uint16) {
		e := serve(t, Options{})
		conf := client(version, people().alice)
		e.full(t, conf)
		before := e.store.entries()
		cacheOf(conf).forge(t, func(ticket, state []byte) (_, _ []byte) {
			const secret = 2 + 1 + 2 + 8 + 1 // where it begins
			state[secret] ^= 1
			return ticket, state
		})
		cacheOf(conf).frozen = true
		for range 10 {
			if o := e.connect(t, conf); o.err == nil {
				t.Fatal("a client without the secret was let in")
			}
		}
		if after := e.store.entries(); after != before {
			t.Errorf("%d entries, %d before", after, before)
		}
	})
}

func TestBadTickets(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func([]byte) []byte
	}{
		{"first bit", func(b []byte) []byte { b[0] ^= 0x80; return b }},
		{"last bit", func(b []byte) []byte { b[31] ^= 1; return b }},
		{"truncated", func(b []byte) []byte { return b[:31] }},
		{"one byte", func(b []byte) []byte { return b[:1] }},
		{"extended", func(b []byte) []byte { return append(b, 0) }},
		{"random", func([]byte) []byte { b := make([]byte, 32); rand.Read(b); return b }},
		{"zeros", func([]byte) []byte { return make([]byte, 32) }},
		{"large", func([]byte) []byte { return make([]byte, 32<<10) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			versions(t, func(t *testing.T, version uint16) {
				e := serve(t, Options{})
				conf := client(version, people().alice)
				e.full(t, conf)
				cacheOf(conf).forge(t, func(ticket, state []byte) (_, _ []byte) { return c.change(ticket), state })
				e.full(t, conf)
				if n := e.store.Stats().Unknown; n != 1 {
					t.Errorf("%d unknown tickets, want 1", n)
				}
				e.resumed(t, conf)
			})
		})
	}
}
