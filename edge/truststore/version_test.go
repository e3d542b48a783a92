package truststore

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/reason"
	"github.com/sallyport/sallyport/loadtest/pki"
)

// newAPIFixture is a fixture of a store with source api. It has no files.
func newAPIFixture(t testing.TB) *fixture {
	f := newFixture(t)
	os.Remove(filepath.Join(f.dir, "ca.pem"))
	f.cfg.Source, f.cfg.CABundle = config.SourceAPI, config.File{}
	return f
}

func (f *fixture) state(parts ...string) string {
	return filepath.Join(append([]string{f.dir, "state"}, parts...)...)
}

func mustPut(t testing.TB, s *Store, bundle []byte) Version {
	t.Helper()
	v, err := s.Put(bundle, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func mustAdd(t testing.TB, s *Store, ders ...[]byte) int64 {
	t.Helper()
	v, id, err := addCRL(s, pki.CRLPEM(ders...), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if v.RevocationID != id || v.Action != ActionAddCRL {
		t.Errorf("version %+v of adding CRL %d", v, id)
	}
	return id
}

// judges is what a store says of leaf by every way in.
func judges(t *testing.T, s *Store, leaf *pki.Leaf, want reason.Code) {
	t.Helper()
	_, err := s.Verify(chainOf(t, leaf), alb, time.Now())
	wantCode(t, err, want)
}

func numbers(history []Version) []uint64 {
	var list []uint64
	for _, v := range history {
		list = append(list, v.Number)
	}
	return list
}

func idsOf(v Version) []int64 {
	ids := []int64{}
	for _, c := range v.CRLs {
		ids = append(ids, c.ID)
	}
	return ids
}

func TestNobodyIsLetInBeforeTheFirstPut(t *testing.T) {
	anchor := root()
	leaf := issue(anchor)
	f := newAPIFixture(t)
	s, warnings, err := New("devices", f.cfg, f.options())
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(strings.Join(warnings, "\n"), "all clients are refused") {
		t.Errorf("warnings %q", warnings)
	}
	judges(t, s, leaf, reason.TrustStoreUnavailable)
	runBriefly(t, s)
	judges(t, s, leaf, reason.TrustStoreUnavailable)
	if st := s.Status(); st.Generation != 0 || st.Version != 0 || len(st.Warnings) != 1 || len(st.Errors) != 0 {
		t.Errorf("status %+v", st)
	}
	if s.ClientCAs() != nil || s.AnchorsID() != [32]byte{} || len(s.History()) != 0 {
		t.Error("an empty store has CAs")
	}
	if err := s.Reload(); err != nil {
		t.Error(err)
	}
	if _, _, err := addCRL(s, pki.CRLPEM(crl(anchor)), time.Now()); err == nil || !strings.Contains(err.Error(), "put a CA bundle first") {
		t.Errorf("CRL without a bundle: %v", err)
	}
	for _, err := range []error{
		second(s.Rollback(1, time.Now())), second(s.Bundle(0)), second(s.Bundle(1)), second(readCRL(s, 1)), second(s.RemoveCRL(1, time.Now())),
	} {
		if !errors.Is(err, ErrNotFound) {
			t.Errorf("got %v, want ErrNotFound", err)
		}
	}
	for name, bundle := range map[string][]byte{"empty": nil, "garbage": []byte("garbage"), "large": bytes.Repeat([]byte("#\n"), maxBundleSize/2+1)} {
		if _, err := s.Put(bundle, time.Now()); err == nil {
			t.Errorf("%s bundle was put", name)
		}
	}
	judges(t, s, leaf, reason.TrustStoreUnavailable)
	if v := mustPut(t, s, pki.Bundle(anchor)); v.Number != 1 || v.Action != ActionPut || v.Bundle.CAs != 1 || len(v.CRLs) != 0 {
		t.Errorf("first version %+v", v)
	}
	judges(t, s, leaf, reason.Success)
}

func addCRL(s *Store, data []byte, now time.Time) (Version, int64, error) {
	return s.AddCRL(bytes.NewReader(data), now)
}

// readCRL is a whole upload.
func readCRL(s *Store, id int64) ([]byte, error) {
	data, size, err := s.CRL(id)
	if err != nil {
		return nil, err
	}
	defer data.Close()
	all, err := io.ReadAll(data)
	if err == nil && int64(len(all)) != size {
		err = fmt.Errorf("%d bytes, want %d", len(all), size)
	}
	return all, err
}

func second[T any](_ T, err error) error { return err }

func TestVersions(t *testing.T) {
	old, next := root(), root()
	oldLeaf, nextLeaf, revoked := issue(old), issue(next), issue(old)
	f := newAPIFixture(t)
	s := f.open()
	first := append([]byte("# by hand\r\n"), pki.Bundle(old)...)
	both := pki.Bundle(old, next)
	lists := append([]byte("comment\n"), pki.CRLPEM(crl(old, number(5), pki.Revoke(revoked)), crl(next))...)

	at := time.Date(2026, 1, 2, 3, 4, 5, 6, time.Local)
	v, err := s.Put(first, at)
	if err != nil || !v.Time.Equal(at) {
		t.Fatalf("%+v, %v", v, err)
	}
	judges(t, s, revoked, reason.Success)
	judges(t, s, nextLeaf, reason.ClientCertUntrusted)

	// The same again is the same version.
	if v := mustPut(t, s, first); v.Number != 1 || !v.Time.Equal(at) {
		t.Errorf("put again: %+v", v)
	}

	v, id, err := addCRL(s, lists, at.Add(time.Hour))
	if err != nil || v.Number != 2 || id != 1 || len(v.CRLs) != 1 {
		t.Fatalf("%+v, %d, %v", v, id, err)
	}
	if c := v.CRLs[0]; c.ID != 1 || c.Lists != 2 || c.Entries != 1 || c.Size != int64(len(lists)) || !c.Added.Equal(at.Add(time.Hour)) {
		t.Errorf("CRL %+v", c)
	}
	judges(t, s, revoked, reason.ClientCertCrlHit)
	judges(t, s, oldLeaf, reason.Success)
	if st := s.Status(); st.Version != 2 || len(st.CRLs) != 2 || st.CRLs[0].ID != 1 || st.CRLs[0].File != "" || !st.CRLs[0].Verified {
		t.Errorf("status %+v", st)
	}

	mustPut(t, s, both) // 3; the CRL stays
	judges(t, s, nextLeaf, reason.Success)
	judges(t, s, revoked, reason.ClientCertCrlHit)
	if v, err := s.RemoveCRL(1, time.Now()); err != nil || v.Number != 4 || v.RevocationID != 1 || len(v.CRLs) != 0 {
		t.Errorf("remove: %+v, %v", v, err)
	}
	judges(t, s, revoked, reason.Success)
	if id := mustAdd(t, s, crl(next)); id != 2 { // 5
		t.Errorf("id %d was used before", id)
	}
	if v, err := s.Rollback(2, time.Now()); err != nil || v.Number != 6 || v.RolledBackTo != 2 || !slices.Equal(idsOf(v), []int64{1}) {
		t.Errorf("rollback: %+v, %v", v, err)
	}
	judges(t, s, revoked, reason.ClientCertCrlHit)
	judges(t, s, nextLeaf, reason.ClientCertUntrusted)
	if log := f.log.String(); !strings.Contains(log, "level=WARN msg=\"trust store rolled back\"") || !strings.Contains(log, "CRL 2 is out of force") {
		t.Errorf("log of the rollback: %s", log)
	}
	if id := mustAdd(t, s, crl(old, number(6), pki.Revoke(revoked))); id != 3 { // 7
		t.Errorf("id %d was used before", id)
	}

	// A restart changes nothing of all that.
	again := f.open()
	for _, s := range []*Store{s, again} {
		judges(t, s, revoked, reason.ClientCertCrlHit)
		judges(t, s, nextLeaf, reason.ClientCertUntrusted)
		history := s.History()
		if !slices.Equal(numbers(history), []uint64{7, 6, 5, 4, 3, 2, 1}) || !slices.Equal(idsOf(history[0]), []int64{1, 3}) {
			t.Errorf("history %+v", history)
		}
		for version, want := range map[uint64][]byte{0: first, 1: first, 2: first, 3: both, 5: both, 7: first} {
			if got, err := s.Bundle(version); err != nil || !bytes.Equal(got, want) {
				t.Errorf("bundle of version %d: %q, %v", version, got, err)
			}
		}
		if got, err := readCRL(s, 1); err != nil || !bytes.Equal(got, lists) {
			t.Errorf("CRL 1: %q, %v", got, err)
		}
		if _, err := readCRL(s, 2); err != nil {
			t.Errorf("CRL 2, which was removed: %v", err)
		}
		if _, err := readCRL(s, 4); !errors.Is(err, ErrNotFound) {
			t.Errorf("CRL 4: %v", err)
		}
		if _, err := s.Bundle(8); !errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), "1 to 7") {
			t.Errorf("bundle of version 8: %v", err)
		}
	}
	if diff := cmp.Diff(s.History(), again.History()); diff != "" {
		t.Errorf("history after a restart (-before +after):\n%s", diff)
	}

	// What versions have in common is there once.
	uploads, err := os.ReadDir(f.state(uploadDir))
	if err != nil || len(uploads) != 5 {
		t.Errorf("%d uploads kept (%v), want 2 bundles and 3 CRLs", len(uploads), err)
	}
	for path, want := range map[string]os.FileMode{
		f.state(): 0o700, f.state(uploadDir): 0o700, f.state(versionFile): 0o600, f.state(uploadDir, uploads[0].Name()): 0o600,
	} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v, want %v", path, info.Mode(), err, want)
		}
	}
}

func TestRefusedUploadsChangeNothing(t *testing.T) {
	anchor := root()
	revoked := issue(anchor)
	at := func(h int) pki.CRLOption { return pki.ThisUpdate(time.Now().Add(time.Duration(h) * time.Hour)) }
	f := newAPIFixture(t)
	f.cfg.Limits.CACertificates = 2
	s := f.open()
	mustPut(t, s, pki.Bundle(anchor))
	mustAdd(t, s, crl(anchor, number(5), at(-3), pki.Revoke(revoked)))
	before := s.History()
	for _, c := range []struct {
		name string
		do   func() error
		say  string
	}{
		{"garbage bundle", func() error { return second(s.Put([]byte("garbage"), time.Now())) }, "put partners: parse CA bundle: line 1"},
		{"bundle beyond a limit", func() error { return second(s.Put(pki.Bundle(root(), root(), root()), time.Now())) }, "more than ca_certificates 2"},
		{"garbage CRL", func() error { _, _, err := addCRL(s, []byte("garbage"), time.Now()); return err }, "crl-add partners: load CRL"},
		{"CRL signed by another key", func() error {
			_, _, err := addCRL(s, crl(anchor, number(6), pki.SignedBy(root())), time.Now())
			return err
		}, "signature does not verify"},
		{"older number", func() error { _, _, err := addCRL(s, crl(anchor, number(4), at(-2)), time.Now()); return err }, "older than the one held before"},
		{"earlier thisUpdate", func() error { _, _, err := addCRL(s, crl(anchor, number(6), at(-4)), time.Now()); return err }, "older than the one held before"},
		{"removing what is not there", func() error { return second(s.RemoveCRL(2, time.Now())) }, "CRL 2: not found"},
		{"rolling back to what is not there", func() error { return second(s.Rollback(3, time.Now())) }, "version 3: not found: those kept are 1 to 2"},
		{"rolling back to nothing", func() error { return second(s.Rollback(0, time.Now())) }, "version 0: not found"},
	} {
		err := c.do()
		if err == nil || !strings.Contains(err.Error(), c.say) {
			t.Errorf("%s: %v, want it to contain %q", c.name, err, c.say)
		}
		if diff := cmp.Diff(before, s.History()); diff != "" {
			t.Errorf("%s changed the history:\n%s", c.name, diff)
		}
		judges(t, s, revoked, reason.ClientCertCrlHit)
	}
	if uploads, _ := os.ReadDir(f.state(uploadDir)); len(uploads) != 2 {
		t.Errorf("%d uploads kept, want 2", len(uploads))
	}
}

// Removing the newest list would bring the older one of its issuer back.
func TestRemovingMustNotUnrevoke(t *testing.T) {
	anchor := root()
	leaf := issue(anchor)
	s := newAPIFixture(t).open()
	mustPut(t, s, pki.Bundle(anchor))
	older := mustAdd(t, s, crl(anchor, number(1)))
	newer := mustAdd(t, s, crl(anchor, number(2), pki.Revoke(leaf)))
	judges(t, s, leaf, reason.ClientCertCrlHit)
	if _, err := s.RemoveCRL(newer, time.Now()); err == nil || !strings.Contains(err.Error(), "remove the older one first") {
		t.Errorf("removing the newer: %v", err)
	}
	judges(t, s, leaf, reason.ClientCertCrlHit)
	for _, id := range []int64{older, newer} {
		if _, err := s.RemoveCRL(id, time.Now()); err != nil {
			t.Error(err)
		}
	}
	judges(t, s, leaf, reason.Success)

	// An operator who asks for an old version gets it, and the log tells.
	f := newAPIFixture(t)
	s = f.open()
	mustPut(t, s, pki.Bundle(anchor))
	mustAdd(t, s, crl(anchor, number(1)))
	mustAdd(t, s, crl(anchor, number(2), pki.Revoke(leaf)))
	if _, err := s.Rollback(2, time.Now()); err != nil {
		t.Fatal(err)
	}
	judges(t, s, leaf, reason.Success)
	if log := f.log.String(); !strings.Contains(log, "older than the one held before") {
		t.Errorf("log: %s", log)
	}
}

// Under auto, an issuer needs a list as long as an upload that names it is in
// force, over replaced bundles and restarts.
func TestAutoOfUploads(t *testing.T) {
	top := root()
	mid := below(top)
	leaf := issue(mid)
	f := newAPIFixture(t)
	s := f.open()
	mustPut(t, s, pki.Bundle(top))
	judges(t, s, leaf, reason.Success)
	// An expired list names its issuer and vouches for nobody.
	expired := crl(mid, pki.ThisUpdate(time.Now().Add(-48*time.Hour)), pki.NextUpdate(time.Now().Add(-2*time.Hour)))
	id := mustAdd(t, s, crl(top), expired)
	judges(t, s, leaf, reason.ClientCertCrlProcessingError)
	runBriefly(t, s)
	mustPut(t, s, pki.Bundle(top, root()))
	judges(t, s, leaf, reason.ClientCertCrlProcessingError)
	s = f.open()
	judges(t, s, leaf, reason.ClientCertCrlProcessingError)
	if _, err := s.RemoveCRL(id, time.Now()); err != nil {
		t.Fatal(err)
	}
	judges(t, s, leaf, reason.Success)
	runBriefly(t, s)
	judges(t, f.open(), leaf, reason.Success)
}

// The CA of a list may leave the bundle and come back with another key.
func TestBundleThatDoesNotFitTheCRLs(t *testing.T) {
	old := root()
	renewed := pki.Must(old.Impostor(pki.SubjectKeyID(old.Cert.SubjectKeyId)))
	f := newAPIFixture(t)
	s := f.open()
	mustPut(t, s, pki.Bundle(old))
	mustAdd(t, s, crl(old, pki.AuthorityKeyID(old.Cert.SubjectKeyId)))
	v := mustPut(t, s, pki.Bundle(renewed))
	if !strings.Contains(strings.Join(v.Warnings, "\n"), "CRL 1: ") {
		t.Errorf("warnings %q", v.Warnings)
	}
	for _, s := range []*Store{s, f.open()} {
		judges(t, s, issue(renewed), reason.ClientCertCrlProcessingError)
	}
}

func TestOnlyTheLastVersionsAreKept(t *testing.T) {
	a, b := root(), root()
	f := newAPIFixture(t)
	s := f.open()
	mustPut(t, s, pki.Bundle(a))
	gone := pki.CRLPEM(crl(a, pki.Revoke(issue(a))))
	_, id, err := addCRL(s, gone, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.RemoveCRL(id, time.Now()); err != nil {
		t.Fatal(err)
	}
	bundles := [][]byte{pki.Bundle(b), pki.Bundle(a, b)}
	for i := range maxVersions - 2 {
		mustPut(t, s, bundles[i%2])
	}
	if _, err := readCRL(s, id); err != nil {
		t.Errorf("CRL of a version that is kept: %v", err)
	}
	mustPut(t, s, pki.Bundle(a))
	for _, s := range []*Store{s, f.open()} {
		history := s.History()
		if len(history) != maxVersions || history[0].Number != maxVersions+2 || history[maxVersions-1].Number != 3 {
			t.Fatalf("%d versions from %d to %d", len(history), history[0].Number, history[len(history)-1].Number)
		}
		if _, err := readCRL(s, id); !errors.Is(err, ErrNotFound) {
			t.Errorf("CRL of no version kept: %v", err)
		}
		if _, err := s.Bundle(2); !errors.Is(err, ErrNotFound) {
			t.Errorf("version 2: %v", err)
		}
	}
	if uploads, _ := os.ReadDir(f.state(uploadDir)); len(uploads) != 3 {
		t.Errorf("%d uploads kept, want 3 bundles", len(uploads))
	}
	if id := mustAdd(t, s, crl(a)); id != 2 {
		t.Errorf("id %d, want 2: 1 was used", id)
	}
}

func TestSourceFileTakesNoUploads(t *testing.T) {
	anchor := root()
	s := newStore(t, anchor)
	for _, err := range []error{
		second(s.Put(pki.Bundle(anchor), time.Now())), second(s.RemoveCRL(1, time.Now())), second(s.Rollback(1, time.Now())),
		func() error { _, _, err := addCRL(s, crl(anchor), time.Now()); return err }(), second(s.Bundle(0)), second(readCRL(s, 1)),
	} {
		if err == nil || !strings.Contains(err.Error(), "one source only") {
			t.Errorf("got %v", err)
		}
	}
	if len(s.History()) != 0 {
		t.Error("a store of files has versions")
	}
	f := newAPIFixture(t)
	f.cfg.CABundle.File = "ca.pem"
	if _, _, err := New("both", f.cfg, f.options()); err == nil {
		t.Error("a store with two sources")
	}
}

func TestReadOnlyTakesNoUploads(t *testing.T) {
	anchor := root()
	f := newAPIFixture(t)
	o := f.options()
	o.ReadOnly = true
	if _, _, err := New("devices", f.cfg, o); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(o.Dir); !os.IsNotExist(err) {
		t.Errorf("state directory was made: %v", err)
	}
	mustPut(t, f.open(), pki.Bundle(anchor))
	s, _, err := New("devices", f.cfg, o)
	if err != nil {
		t.Fatal(err)
	}
	judges(t, s, issue(anchor), reason.Success)
	if _, err := s.Put(pki.Bundle(root()), time.Now()); err == nil {
		t.Error("a store open for reading only took a bundle")
	}
	if _, _, err := New("devices", f.cfg, Options{ReadOnly: true}); err != nil {
		t.Errorf("without a state directory: %v", err)
	}
}
