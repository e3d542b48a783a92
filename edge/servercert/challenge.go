package servercert

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/mholt/acmez/v3"
	"github.com/mholt/acmez/v3/acme"
)

// ACMEProtocol is the ALPN protocol by which a CA checks a name (RFC 8737).
const ACMEProtocol = acmez.ACMETLS1Protocol

// challengeLife bounds how long a challenge is answered that was never taken
// back, because its process has died.
const challengeLife = time.Hour

// challenges are those under way. They are in the store, too, since the one who is
// asked may be another process than the one that ordered.
type challenges struct {
	store Store
	certs sync.Map // *tls.Certificate of tls-alpn-01, by name
}

// pendingChallenge is one in the store.
type pendingChallenge struct {
	Since     time.Time      `json:"since"`
	Challenge acme.Challenge `json:"challenge"`
}

func (c *challenges) key(kind, name string) string { return "challenges/" + kind + "/" + name }

func (c *challenges) put(kind, name string, challenge acme.Challenge) error {
	data, err := json.Marshal(pendingChallenge{time.Now(), challenge})
	if err != nil {
		return fmt.Errorf("encode challenge: %w", err)
	}
	return c.store.Save(c.key(kind, name), data)
}

// get returns what is under way; nothing that a client sends is more than a name.
func (c *challenges) get(kind, name string) (acme.Challenge, bool) {
	var pending pendingChallenge
	data, err := c.store.Load(c.key(kind, name))
	if err != nil || json.Unmarshal(data, &pending) != nil || time.Since(pending.Since) > challengeLife {
		return acme.Challenge{}, false
	}
	return pending.Challenge, true
}

// TLSALPN returns what a handshake that offers the protocol acme-tls/1 and nothing
// else is answered with (RFC 8737), nil if no CA checks this name now.
func (m *Manager) TLSALPN(serverName string) *tls.Certificate {
	name := normal(serverName)
	if cert, ok := m.challenges.certs.Load(name); ok {
		return cert.(*tls.Certificate)
	}
	challenge, ok := m.challenges.get("tls-alpn-01", name)
	if !ok {
		return nil
	}
	cert, err := acmez.TLSALPN01ChallengeCert(challenge)
	if err != nil {
		m.log.Warn("challenge of another process not answered", "host", name, "cause", err)
		return nil
	}
	return cert
}

// HTTP01 returns what a GET of /.well-known/acme-challenge/ and token is answered
// with on a plain listener (RFC 8555, section 8.3). ok is false if no CA checks this host by that
// token now. host is the request's, with a port or without.
func (m *Manager) HTTP01(host, token string) (answer string, ok bool) {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if !isToken(token) {
		return "", false
	}
	challenge, ok := m.challenges.get("http-01", token)
	if !ok || challenge.Token != token || challenge.Identifier.Value != normal(host) {
		return "", false
	}
	return challenge.KeyAuthorization, true
}

// isToken says whether text can be a token: base64url (RFC 8555, section 8.1).
func isToken(text string) bool {
	return text != "" && len(text) <= 128 && strings.Trim(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") == ""
}

// alpnSolver answers on the TLS listeners.
type alpnSolver struct{ c *challenges }

func (s alpnSolver) Present(_ context.Context, challenge acme.Challenge) error {
	cert, err := acmez.TLSALPN01ChallengeCert(challenge)
	if err != nil {
		return fmt.Errorf("make certificate for challenge: %w", err)
	}
	name := normal(challenge.Identifier.Value)
	s.c.certs.Store(name, cert)
	return s.c.put("tls-alpn-01", name, challenge)
}

func (s alpnSolver) CleanUp(_ context.Context, challenge acme.Challenge) error {
	name := normal(challenge.Identifier.Value)
	s.c.certs.Delete(name)
	return s.c.store.Delete(s.c.key("tls-alpn-01", name))
}

// httpSolver answers on the plain listeners.
type httpSolver struct{ c *challenges }

func (s httpSolver) Present(_ context.Context, challenge acme.Challenge) error {
	if !isToken(challenge.Token) {
		return errors.New("CA's token is not base64url")
	}
	return s.c.put("http-01", challenge.Token, challenge)
}

func (s httpSolver) CleanUp(_ context.Context, challenge acme.Challenge) error {
	return s.c.store.Delete(s.c.key("http-01", challenge.Token))
}
