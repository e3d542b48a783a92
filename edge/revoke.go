package edge

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/sallyport/sallyport/edge/admin"
	"github.com/sallyport/sallyport/edge/identity"
	"github.com/sallyport/sallyport/edge/truststore"
)

// Revoker is the trust store of that name, to revoke certificates of by hand.
func (v adminView) Revoker(name string) (admin.Revoker, bool) {
	_, ok := v.s.generation.Load().stores[name]
	return adminRevoker{v.s, name}, ok
}

// adminRevoker is a trust store's revocations by hand as the admin API sees them.
type adminRevoker struct {
	server *Server
	name   string
}

// change runs do on the store in force, with no reload under way that could put
// another in its place meanwhile, and none of it unknown to a successor.
func (a adminRevoker) change(ctx context.Context, do func(*truststore.Store) error) error {
	return a.server.gate.change(ctx, "revocation in trust store "+a.name, func() error {
		a.server.mu.Lock()
		defer a.server.mu.Unlock()
		store := a.server.generation.Load().stores[a.name]
		if store == nil {
			return fmt.Errorf("revoke: trust store %s is gone", a.name)
		}
		return do(store)
	})
}

func (a adminRevoker) Revoke(ctx context.Context, what admin.RevokeRequest, now time.Time) (json.RawMessage, error) {
	var made truststore.Revocation
	err := a.change(ctx, func(store *truststore.Store) (err error) {
		made, err = revoke(store, what, now)
		return err
	})
	if err != nil {
		return nil, err
	}
	return json.Marshal(struct {
		truststore.Revocation
		Warning string `json:"warning,omitempty"`
	}{made, a.doubt(what)})
}

// doubt says why a revocation may catch nobody: in an incident a mistaken file
// must not pass for done.
func (a adminRevoker) doubt(what admin.RevokeRequest) string {
	store := a.server.generation.Load().stores[a.name]
	cert, err := onlyCertificate(what.Certificate + what.Issuer)
	if store == nil || err != nil {
		return ""
	}
	// The pool's CAs are good at any time; the certificate in question need not be
	// valid now either.
	_, err = cert.Verify(x509.VerifyOptions{
		Roots:       store.ClientCAs(),
		CurrentTime: cert.NotBefore,
		KeyUsages:   []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	if err == nil {
		return ""
	}
	return fmt.Sprintf("no CA of trust store %s vouches for %s directly: unless an intermediate does that clients bring along, this catches nobody", a.name, identity.Subject(cert))
}

func revoke(store *truststore.Store, what admin.RevokeRequest, now time.Time) (truststore.Revocation, error) {
	none := truststore.Revocation{}
	byCertificate, bySerial := what.Certificate != "", what.Serial != "" || what.Issuer != ""
	switch {
	case byCertificate == bySerial:
		return none, errors.New("revoke: want either the certificate, or its serial number and its issuer")
	case byCertificate:
		cert, err := onlyCertificate(what.Certificate)
		if err != nil {
			return none, fmt.Errorf("revoke certificate: %w", err)
		}
		return store.RevokeCertificate(cert, what.Why, now)
	}
	issuer, err := onlyCertificate(what.Issuer)
	if err != nil {
		return none, fmt.Errorf("revoke by issuer: %w", err)
	}
	if !issuer.IsCA {
		return none, fmt.Errorf("revoke by issuer: the certificate of %s is no CA's: want that of the CA which issued the serial number", identity.Subject(issuer))
	}
	serial, ok := new(big.Int).SetString(strings.ReplaceAll(what.Serial, ":", ""), 16)
	if !ok {
		return none, fmt.Errorf("revoke serial number %q: want hex digits", what.Serial)
	}
	return store.RevokeSerial(issuer, serial, what.Why, now)
}

func (a adminRevoker) Unrevoke(ctx context.Context, id, why string, now time.Time) error {
	err := a.change(ctx, func(store *truststore.Store) error { return store.Unrevoke(id, why, now) })
	if truststore.IsNoRevocation(err) {
		return &admin.NotFoundError{Err: err}
	}
	return err
}

func (a adminRevoker) Revocations() []json.RawMessage {
	list := []json.RawMessage{}
	store := a.server.generation.Load().stores[a.name]
	if store == nil {
		return list
	}
	for _, r := range store.Revocations() {
		if text, err := json.Marshal(r); err == nil {
			list = append(list, text)
		}
	}
	return list
}

// onlyCertificate takes the first certificate of a PEM text: of a client's file,
// the client's own.
func onlyCertificate(text string) (*x509.Certificate, error) {
	for rest := []byte(text); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return nil, errors.New("no CERTIFICATE block found: want PEM")
		}
		if block.Type == "CERTIFICATE" {
			return x509.ParseCertificate(block.Bytes)
		}
	}
}
