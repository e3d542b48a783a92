package truststore

import (
	"bytes"
	"context"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/edge/reason"
	"github.com/sallyport/sallyport/loadtest/pki"
	"github.com/sallyport/sallyport/revocation"
)

// run runs s until the test has it stop, so that its state directory is its own.
func run(t *testing.T, s *Store) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	return func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

// TestRollbackOverARestart has an older CRL in the file when the edge starts
// again: whom only the newer one revokes must not be let in by that.
func TestRollbackOverARestart(t *testing.T) {
	anchor := root()
	revoked := issue(anchor)
	older, newer := crl(anchor, number(1)), crl(anchor, number(2), pki.Revoke(revoked))
	f := newFixture(t, anchor)
	f.crl("a.crl", newer)
	f.now = time.Now() // in the bubble it is long before the list was issued
	synctest.Test(t, func(t *testing.T) {
		s := f.open()
		stop := run(t, s)
		synctest.Wait()
		stop()
	})

	f.crl("a.crl", older)
	_, _, err := New("partners", f.cfg, f.options())
	file := filepath.Join(f.options().Dir, editionsFile)
	if !errors.Is(err, errRollback) || !strings.Contains(err.Error(), "number 1 ") || !strings.Contains(err.Error(), "delete "+file) {
		t.Fatalf("older list at a start: %v, want it refused and %s named", err, file)
	}
	f.crl("a.crl", newer)
	s := f.open()
	_, err = s.Verify(chainOf(t, revoked), alb, time.Now())
	wantCode(t, err, reason.ClientCertCrlHit)

	// The operator insists.
	f.crl("a.crl", older)
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	_, err = f.open().Verify(chainOf(t, revoked), alb, time.Now())
	wantCode(t, err, reason.Success)
}

// TestRollbackOfAPart has one of two lists that divide the certificates by points
// with directory names go back, while the other stays: each is a list of its own.
func TestRollbackOfAPart(t *testing.T) {
	anchor := root()
	part := func(name string, n int64) []byte {
		der, err := asn1.Marshal(pkix.Name{CommonName: name}.ToRDNSequence())
		if err != nil {
			t.Fatal(err)
		}
		return crl(anchor, number(n), pki.Scope(pki.IssuingDistributionPoint{DirectoryNames: [][]byte{der}}))
	}
	f := newFixture(t, anchor)
	f.crl("a.crl", part("part 1", 5), part("part 2", 7))
	s := f.open()
	f.crl("a.crl", part("part 1", 4), part("part 2", 7))
	if err := s.Reload(); !errors.Is(err, errRollback) {
		t.Errorf("number 4 of part 1 after 5: %v, want it refused", err)
	}
	f.crl("a.crl", part("part 1", 6), part("part 2", 7))
	if err := s.Reload(); err != nil {
		t.Errorf("number 6 of part 1, which part 2 has no say in: %v", err)
	}
}

// TestListFromTheFuture has a CA, or somebody who holds its key for a moment,
// issue a list that is dated years ahead: what the CA issues afterwards must
// still be taken.
func TestListFromTheFuture(t *testing.T) {
	anchor := root()
	revoked := issue(anchor)
	ahead := time.Now().AddDate(10, 0, 0)
	future := crl(anchor, number(1), pki.ThisUpdate(ahead), pki.NextUpdate(ahead.AddDate(0, 1, 0)))
	next := crl(anchor, number(2), pki.Revoke(revoked))

	t.Run("in the place of a good one", func(t *testing.T) {
		f := newFixture(t, anchor)
		f.crl("a.crl", crl(anchor, number(0)))
		s := f.open()
		f.crl("a.crl", future)
		if err := s.Reload(); err == nil || !strings.Contains(err.Error(), "from the future") {
			t.Fatalf("got %v, want it refused", err)
		}
		_, err := s.Verify(chainOf(t, revoked), alb, time.Now())
		wantCode(t, err, reason.Success)
		f.crl("a.crl", next)
		if err := s.Reload(); err != nil {
			t.Fatal(err)
		}
		_, err = s.Verify(chainOf(t, revoked), alb, time.Now())
		wantCode(t, err, reason.ClientCertCrlHit)
	})
	t.Run("at a start", func(t *testing.T) {
		f := newFixture(t, anchor)
		f.crl("a.crl", future)
		s := f.open()
		_, err := s.Verify(chainOf(t, revoked), alb, time.Now())
		wantCode(t, err, reason.ClientCertCrlProcessingError)
		f.crl("a.crl", next)
		if err := s.Reload(); err != nil {
			t.Fatal(err)
		}
		_, err = s.Verify(chainOf(t, revoked), alb, time.Now())
		wantCode(t, err, reason.ClientCertCrlHit)
	})
	t.Run("uploaded", func(t *testing.T) {
		s := newAPIFixture(t).open()
		mustPut(t, s, pki.Bundle(anchor))
		if _, _, err := s.AddCRL(bytes.NewReader(future), time.Now()); err == nil || !strings.Contains(err.Error(), "from the future") {
			t.Fatalf("got %v, want it refused", err)
		}
		mustAdd(t, s, next)
		judges(t, s, revoked, reason.ClientCertCrlHit)
	})
}

// A store that never ran must not decide what the one in force may hold.
func TestEditionsAreThoseOfTheStoreInForce(t *testing.T) {
	anchor := root()
	f := newFixture(t, anchor)
	f.crl("a.crl", crl(anchor, number(7)))
	f.open()
	f.crl("a.crl", crl(anchor, number(6)))
	f.open()
}

func TestDamagedEditionsRefuseTheStart(t *testing.T) {
	anchor := root()
	for name, content := range map[string]string{
		"no JSON":       `{"version": 1`,
		"other version": `{"version": 2}`,
		"bad key":       `{"version": 1, "sources": {"a.crl": [{"key": "xyz"}]}}`,
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, anchor)
			f.open() // makes the directory
			path := filepath.Join(f.options().Dir, editionsFile)
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, _, err := New("partners", f.cfg, f.options()); err == nil || !strings.Contains(err.Error(), path) {
				t.Errorf("got %v, want an error that names %s", err, path)
			}
		})
	}
}

// Whoever asks for the status while a CRL is read gets it at once, with how far
// that is.
func TestStatusWhileLoading(t *testing.T) {
	f := newFixture(t, root())
	s := f.open()
	s.loading.Lock()
	defer s.loading.Unlock()
	reading := s.reading("big.crl")
	reading.Progress(revocation.Progress{Bytes: 100, Size: 1000, Entries: 7, List: 1})
	got := s.Status().Loading
	if got == nil || got.File != "big.crl" || got.Bytes != 100 || got.Size != 1000 || got.Entries != 7 || got.Since.IsZero() {
		t.Errorf("loading: %+v", got)
	}
	s.progress.set(nil)
	if got := s.Status().Loading; got != nil {
		t.Errorf("loading when nothing is: %+v", got)
	}
}

// A delta must not vanish for a list that has less: what only it revokes would be
// let in by the complete list.
func TestDeltaMustNotVanish(t *testing.T) {
	anchor, evil := root(), root()
	revoked := issue(anchor)
	base := crl(anchor, number(20))
	delta := crl(anchor, number(21), pki.DeltaTo(big.NewInt(20)), pki.Revoke(revoked))
	foreign := []byte("12345678")
	for name, c := range map[string]struct {
		after [][]byte
		want  reason.Code
	}{
		"the complete list again":     {[][]byte{base}, reason.ClientCertCrlHit},
		"another CA's list":           {[][]byte{crl(evil)}, reason.ClientCertCrlHit},
		"a delta of a foreign key":    {[][]byte{crl(anchor, number(30), pki.DeltaTo(big.NewInt(20)), pki.SignedBy(evil), pki.AuthorityKeyID(foreign))}, reason.ClientCertCrlHit},
		"a list that has caught up":   {[][]byte{crl(anchor, number(22))}, reason.Success},
		"a newer delta without it":    {[][]byte{crl(anchor, number(22), pki.DeltaTo(big.NewInt(20)))}, reason.Success},
		"one that has caught up, old": {[][]byte{crl(anchor, number(21), pki.Revoke(revoked))}, reason.ClientCertCrlHit},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, anchor)
			f.crl("base.crl", base)
			f.crl("delta.crl", delta)
			s := f.open()
			f.crl("delta.crl", c.after...)
			s.Reload() // refuses or not: it is who is let in that counts
			_, err := s.Verify(chainOf(t, revoked), alb, time.Now())
			wantCode(t, err, c.want)
		})
	}
}

// A list with the CA's name and a key identifier of somebody's choice must not
// push the CA's own out.
func TestUnsignedListReplacesNone(t *testing.T) {
	anchor, evil := root(), root()
	leaf := issue(anchor)
	f := newFixture(t, anchor)
	f.crl("a.crl", crl(anchor, number(1)))
	s := f.open()
	f.crl("a.crl", crl(anchor, number(9), pki.SignedBy(evil), pki.AuthorityKeyID([]byte("12345678"))))
	if err := s.Reload(); err == nil || !strings.Contains(err.Error(), "signed by no CA of the bundle") {
		t.Errorf("reload: %v, want it refused", err)
	}
	_, err := s.Verify(chainOf(t, leaf), alb, time.Now())
	wantCode(t, err, reason.Success)
}
