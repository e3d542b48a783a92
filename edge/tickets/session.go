package tickets

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"time"
)

// ticket is what the client keeps: random, and nothing but a name.
type ticket [32]byte

// Session is the tickets' side of one connection's handshake. It is for the
// goroutine of that handshake. The zero Session gives and takes no tickets.
type Session struct {
	store   *Store
	config  *tls.Config
	binding [sha256.Size]byte
	kills   uint64

	// offered is what the ticket last looked at stands for, nil for nothing.
	// crypto/tls looks at a client's tickets in turn until one suits it, so in a
	// resumed handshake this is the session that is resumed.
	offered *entry
	issued  *entry // waits for Complete
	resumed *entry // what issued continues, nil after a full handshake
	lineage Lineage
	began   time.Time // of this handshake, and of the lineage once that is known
}

// For begins a handshake under a binding, the result of Binding. It is to be
// called when the ClientHello is known and before crypto/tls looks at the
// client's tickets: in tls.Config.GetConfigForClient.
func (s *Store) For(binding [sha256.Size]byte) *Session {
	if s == nil || s.sessions == nil {
		return &Session{}
	}
	return &Session{store: s, binding: binding, kills: s.kills.Load(), began: s.clock()}
}

// Attach makes c give and take tickets by this Session, or none by the zero
// Session. c must be the configuration in use for this connection, and for no
// other.
func (s *Session) Attach(c *tls.Config) {
	s.config = c
	c.SessionTicketsDisabled = s.store == nil
	c.WrapSession, c.UnwrapSession = nil, nil
	if s.store != nil {
		c.WrapSession, c.UnwrapSession = s.wrap, s.unwrap
	}
}

// Complete makes the session issued in this handshake usable. It is to be called
// when the handshake has returned nil and the connection is admitted, and only
// then; without it everything this handshake left is garbage. verified says
// that a trust store vouched for the client.
func (s *Session) Complete(verified bool) {
	if s.issued != nil {
		s.store.keep(s.issued, s.resumed, s.kills, verified)
		s.issued = nil
	}
}

// Lineage returns the lineage that the connection belongs to and the time when
// the client last did a full handshake, once the handshake has returned nil. The
// lineage is zero if no ticket was issued.
func (s *Session) Lineage() (Lineage, time.Time) { return s.lineage, s.began }

// asksForCertificate is of the configuration as it is now, since the callbacks
// of a handshake may still change it.
func (s *Session) asksForCertificate() bool { return s.config.ClientAuth != tls.NoClientCert }

// unwrap is tls.Config.UnwrapSession. Whatever is wrong with a ticket, the
// answer is the same: a full handshake.
func (s *Session) unwrap(offered []byte, cs tls.ConnectionState) (*tls.SessionState, error) {
	s.offered = nil
	e := s.store.find(offered, s.binding, cs.Version, s.asksForCertificate())
	if e == nil {
		return nil, nil
	}
	state, err := tls.ParseSessionState(e.state)
	if err != nil {
		return nil, nil
	}
	state.EarlyData = false
	s.offered = e
	return state, nil
}

// wrap is tls.Config.WrapSession. In a resumed handshake of TLS 1.3 it is called
// before VerifyConnection, so what it issues is not yet worth anything.
func (s *Session) wrap(cs tls.ConnectionState, state *tls.SessionState) ([]byte, error) {
	e := &entry{binding: s.binding, version: cs.Version, certificate: len(cs.PeerCertificates) > 0}
	rand.Read(e.ticket[:])
	switch {
	case !cs.DidResume:
		rand.Read(e.lineage[:])
		e.began = s.began
		if e.certificate {
			e.leaf = sha256.Sum256(cs.PeerCertificates[0].Raw)
		}
	case s.offered != nil:
		e.lineage, e.began, e.leaf = s.offered.lineage, s.offered.began, s.offered.leaf
		s.resumed = s.offered
	default: // resumed what was not ours
		s.store.refuse()
		return e.ticket[:], nil
	}
	s.lineage, s.began = e.lineage, e.began

	// A client that came without the certificate it was asked for shall be asked
	// again, which resumption would skip: find would never give such a session.
	if e.certificate != s.asksForCertificate() {
		s.store.refuse()
		return e.ticket[:], nil
	}
	state.EarlyData = false
	var err error
	if e.state, err = state.Bytes(); err != nil || len(e.state) > maxState {
		s.store.refuse()
		return e.ticket[:], nil
	}
	s.issued = e
	return e.ticket[:], nil
}
