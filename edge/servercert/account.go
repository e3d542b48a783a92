package servercert

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3"
	"github.com/mholt/acmez/v3/acme"
)

// keptAccount is an account with a CA as it is kept. Entries with the same CA,
// address and binding share one: CAs bound how many may be made.
type keptAccount struct {
	Directory string       `json:"directory"`
	Account   acme.Account `json:"account"`
	Key       string       `json:"key"` // PEM
}

// accountID names the CA's account in the store.
func (c *ca) accountID() string {
	kid := ""
	if c.eab != nil {
		kid = c.eab.KeyID
	}
	sum := sha256.Sum256([]byte(c.directory + "\x00" + c.email + "\x00" + kid))
	host := "ca"
	if u, err := url.Parse(c.directory); err == nil && u.Hostname() != "" {
		host = u.Hostname()
	}
	return host + "-" + hex.EncodeToString(sum[:8])
}

func (c *ca) accountKey() string { return "accounts/" + c.accountID() + ".json" }

func (c *ca) loadAccount() (acme.Account, error) {
	var kept keptAccount
	data, err := c.manager.store.Load(c.accountKey())
	if err != nil {
		return acme.Account{}, err
	}
	if err := json.Unmarshal(data, &kept); err != nil {
		return acme.Account{}, fmt.Errorf("parse account %s: %w", c.accountKey(), err)
	}
	key, err := certmagic.PEMDecodePrivateKey([]byte(kept.Key))
	if err != nil {
		return acme.Account{}, fmt.Errorf("parse key of account %s: %w", c.accountKey(), err)
	}
	kept.Account.PrivateKey = key
	return kept.Account, nil
}

// account returns the account with the CA, and makes one if there is none.
func (c *ca) account(ctx context.Context, client *acmez.Client) (acme.Account, error) {
	account, err := c.loadAccount()
	if !errors.Is(err, fs.ErrNotExist) {
		return account, err
	}
	unlock, err := c.manager.store.Lock(ctx, "account-"+c.accountID())
	if err != nil {
		return acme.Account{}, &storeError{err}
	}
	defer unlock()
	if account, err := c.loadAccount(); !errors.Is(err, fs.ErrNotExist) {
		return account, err // made while we waited
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return acme.Account{}, fmt.Errorf("make account key: %w", err)
	}
	account = acme.Account{TermsOfServiceAgreed: true, PrivateKey: key}
	if c.email != "" {
		account.Contact = []string{"mailto:" + c.email}
	}
	if c.eab != nil {
		if err := account.SetExternalAccountBinding(ctx, client.Client, *c.eab); err != nil {
			return acme.Account{}, fmt.Errorf("bind account: %w", err)
		}
	}
	account, err = client.NewAccount(ctx, account)
	if err != nil {
		return acme.Account{}, fmt.Errorf("make account: %w", err)
	}
	account.PrivateKey = key
	text, err := certmagic.PEMEncodePrivateKey(key)
	if err != nil {
		return acme.Account{}, fmt.Errorf("encode account key: %w", err)
	}
	data, err := json.MarshalIndent(keptAccount{c.directory, account, string(text)}, "", "  ")
	if err != nil {
		return acme.Account{}, fmt.Errorf("encode account: %w", err)
	}
	if err := c.manager.store.Save(c.accountKey(), data); err != nil {
		return acme.Account{}, &storeError{err}
	}
	c.manager.log.Info("account made with CA", "ca", c.directory, "account", account.Location)
	return account, nil
}
