package edge

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/sallyport/sallyport/edge/admin"
	"github.com/sallyport/sallyport/edge/truststore"
)

// Revoker is the trust store of that name, to revoke certificates of by hand.
func (v adminView) Revoker(name string) (admin.Revoker, bool) {
	store := v.s.generation.Load().stores[name]
	return adminRevoker{store}, store != nil
}

// adminRevoker is a trust store's revocations by hand as the admin API sees them.
type adminRevoker struct{ store *truststore.Store }

func (a adminRevoker) Revoke(what admin.RevokeRequest, now time.Time) (json.RawMessage, error) {
	made, err := a.revoke(what, now)
	if err != nil {
		return nil, err
	}
	return json.Marshal(made)
}

func (a adminRevoker) revoke(what admin.RevokeRequest, now time.Time) (truststore.Revocation, error) {
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
		return a.store.RevokeCertificate(cert, what.Why, now)
	}
	issuer, err := onlyCertificate(what.Issuer)
	if err != nil {
		return none, fmt.Errorf("revoke by issuer: %w", err)
	}
	serial, ok := new(big.Int).SetString(strings.ReplaceAll(what.Serial, ":", ""), 16)
	if !ok {
		return none, fmt.Errorf("revoke serial number %q: want hex digits", what.Serial)
	}
	return a.store.RevokeSerial(issuer, serial, what.Why, now)
}

func (a adminRevoker) Unrevoke(id, why string, now time.Time) error {
	return a.store.Unrevoke(id, why, now)
}

func (a adminRevoker) Revocations() []json.RawMessage {
	list := []json.RawMessage{}
	for _, r := range a.store.Revocations() {
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
