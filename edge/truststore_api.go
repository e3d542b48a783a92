package edge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/sallyport/sallyport/edge/admin"
	"github.com/sallyport/sallyport/edge/truststore"
)

// TrustStore is the trust store of that name in the configuration in force.
func (v adminView) TrustStore(name string) (admin.TrustStore, bool) {
	store := v.s.generation.Load().stores[name]
	return adminTrustStore{v, store}, store != nil
}

// adminTrustStore is a trust store as the admin API sees it.
type adminTrustStore struct {
	view  adminView
	store *truststore.Store
}

// change runs do as a change of the store that its successor has to know.
func (a adminTrustStore) change(ctx context.Context, action truststore.Action, do func() (truststore.Version, error)) (v admin.TrustStoreVersion, err error) {
	err = a.view.s.gate.change(ctx, a.named(action), func() (err error) {
		v, err = adminVersion(do())
		return err
	})
	return v, err
}

func (a adminTrustStore) named(action truststore.Action) string {
	return fmt.Sprintf("%s of trust store %s", action, a.store.Name())
}

func (a adminTrustStore) Put(ctx context.Context, bundle []byte, now time.Time) (admin.TrustStoreVersion, error) {
	return a.change(ctx, truststore.ActionPut, func() (truststore.Version, error) { return a.store.Put(bundle, now) })
}

func (a adminTrustStore) AddCRL(ctx context.Context, data io.Reader, now time.Time) (admin.TrustStoreVersion, error) {
	whole := &upload{ctx: ctx, gate: &a.view.s.gate, what: a.named(truststore.ActionAddCRL), data: data}
	defer whole.end()
	version, _, err := a.store.AddCRL(whole, now) // the id is the version's RevocationID
	if whole.err != nil {
		return admin.TrustStoreVersion{}, whole.err
	}
	if err == nil {
		// A reload may have put another store in its place while the upload came in,
		// which reads what is new in the directory that the two share.
		if store := a.view.s.generation.Load().stores[a.store.Name()]; store != nil && store != a.store {
			err = store.Reload()
		}
	}
	return adminVersion(version, err)
}

func (a adminTrustStore) RemoveCRL(ctx context.Context, id int64, now time.Time) (admin.TrustStoreVersion, error) {
	return a.change(ctx, truststore.ActionRemoveCRL, func() (truststore.Version, error) { return a.store.RemoveCRL(id, now) })
}

func (a adminTrustStore) Rollback(ctx context.Context, version uint64, now time.Time) (admin.TrustStoreVersion, error) {
	return a.change(ctx, truststore.ActionRollback, func() (truststore.Version, error) { return a.store.Rollback(version, now) })
}

func (a adminTrustStore) History() ([]admin.TrustStoreVersion, error) {
	list := []admin.TrustStoreVersion{}
	for _, v := range a.store.History() {
		version, _ := adminVersion(v, nil)
		list = append(list, version)
	}
	return list, a.store.FilledByAPI()
}

func (a adminTrustStore) Bundle(version uint64) ([]byte, error) {
	data, err := a.store.Bundle(version)
	return data, adminError(err)
}

func (a adminTrustStore) CRL(id int64) (io.ReadCloser, int64, error) {
	data, size, err := a.store.CRL(id)
	return data, size, adminError(err)
}

func adminVersion(v truststore.Version, err error) (admin.TrustStoreVersion, error) {
	version := admin.TrustStoreVersion{
		Version:      v.Number,
		Time:         v.Time,
		Action:       string(v.Action),
		RevocationID: v.RevocationID,
		RolledBackTo: v.RolledBackTo,
		CABundle:     admin.TrustStoreCAs(v.Bundle),
		CRLs:         []admin.TrustStoreCRL{},
		Warnings:     v.Warnings,
	}
	for _, crl := range v.CRLs {
		version.CRLs = append(version.CRLs, admin.TrustStoreCRL(crl))
	}
	return version, adminError(err)
}

func adminError(err error) error {
	if errors.Is(err, truststore.ErrNotFound) {
		return &admin.NotFoundError{Err: err}
	}
	return err
}
