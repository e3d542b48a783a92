package edge

import (
	"errors"
	"time"

	"github.com/sallyport/sallyport/edge/admin"
	"github.com/sallyport/sallyport/edge/truststore"
)

// TrustStore is the trust store of that name in the configuration in force.
func (v adminView) TrustStore(name string) (admin.TrustStore, bool) {
	store := v.s.generation.Load().stores[name]
	return adminTrustStore{store}, store != nil
}

// adminTrustStore is a trust store as the admin API sees it.
type adminTrustStore struct{ store *truststore.Store }

func (a adminTrustStore) Put(bundle []byte, now time.Time) (admin.TrustStoreVersion, error) {
	return adminVersion(a.store.Put(bundle, now))
}

func (a adminTrustStore) AddCRL(data []byte, now time.Time) (admin.TrustStoreVersion, error) {
	version, _, err := a.store.AddCRL(data, now) // the id is the version's RevocationID
	return adminVersion(version, err)
}

func (a adminTrustStore) RemoveCRL(id int64, now time.Time) (admin.TrustStoreVersion, error) {
	return adminVersion(a.store.RemoveCRL(id, now))
}

func (a adminTrustStore) Rollback(version uint64, now time.Time) (admin.TrustStoreVersion, error) {
	return adminVersion(a.store.Rollback(version, now))
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

func (a adminTrustStore) CRL(id int64) ([]byte, error) {
	data, err := a.store.CRL(id)
	return data, adminError(err)
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
