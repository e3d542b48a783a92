package servercert

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"time"

	"github.com/caddyserver/certmagic"
)

// orderTime bounds one attempt, with all CAs.
const orderTime = 10 * time.Minute

// order gets a certificate and puts it in force.
func (m *managed) order(ctx context.Context) error {
	manager := m.entry.manager
	select {
	case manager.orders <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-manager.orders }()
	ctx, cancel := context.WithTimeout(ctx, orderTime)
	defer cancel()
	// One order for a name at a time, also among processes: its challenges would
	// get in each other's way. A wildcard's record has the name that its domain's has.
	unlock, err := manager.store.Lock(ctx, "order-"+strings.TrimPrefix(m.host, "*."))
	if err != nil {
		return err
	}
	defer unlock()
	had := m.current()
	switch err := m.takeStored(); {
	case err == nil && m.current() != had:
		return nil // another process has it by now
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		// What cannot be used would be taken for what was asked for.
		if err := manager.store.Delete(m.key(".pem")); err != nil {
			return err
		}
	}
	m.mu.Lock()
	ca := m.ca
	m.mu.Unlock()
	cfg := certmagic.New(m.entry.cache, certmagic.Config{
		Issuers:             []certmagic.Issuer{m.entry.authority},
		Storage:             &magicStorage{store: manager.store, key: m.key(".pem")},
		KeySource:           certmagic.StandardKeyGenerator{KeyType: keyTypes[m.entry.cfg.KeyType]},
		OCSP:                certmagic.OCSPConfig{DisableStapling: true}, // ours: see care.go
		DisableStorageCheck: true,
		DisableARI:          true, // ours: see askWindow
		Logger:              manager.zap(),
	})
	if had == nil {
		err = cfg.ObtainCertSync(ctx, m.host)
	} else {
		err = cfg.RenewCertSync(context.WithValue(ctx, replacesKey{}, replaces{had.Leaf(), ca}), m.host, true)
	}
	if err != nil {
		return plain(err)
	}
	if err := m.takeStored(); err != nil {
		return err
	}
	if m.current() == had {
		return errors.New("the CA has issued the same certificate again")
	}
	return nil
}

// plain takes off what certmagic puts around an error, which says nothing more.
func plain(err error) error {
	var joined interface{ Unwrap() []error }
	if errors.As(err, &joined) {
		return joined.(error)
	}
	return err
}
