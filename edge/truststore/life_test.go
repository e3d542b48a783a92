package truststore

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/reason"
	"github.com/sallyport/sallyport/loadtest/pki"
)

func number(n int64) pki.CRLOption { return pki.Number(big.NewInt(n)) }

func TestNewRefusesWhatIsMissingOrBroken(t *testing.T) {
	anchor := root()
	for _, c := range []struct {
		name   string
		change func(f *fixture)
		fields []string
		say    string
	}{
		{"bundle missing", func(f *fixture) { os.Remove(filepath.Join(f.dir, "ca.pem")) }, []string{"ca_bundle"}, "no such file"},
		{"bundle empty", func(f *fixture) { f.write("ca.pem", nil) }, []string{"ca_bundle"}, "no CERTIFICATE block"},
		{"bundle garbage", func(f *fixture) { f.write("ca.pem", []byte("garbage")) }, []string{"ca_bundle"}, "line 1"},
		{"bundle a directory", func(f *fixture) { f.cfg.CABundle.File = "." }, []string{"ca_bundle"}, "want a regular file"},
		{"CRL missing", func(f *fixture) { f.cfg.CRLs = []config.CRL{{File: "no.crl"}} }, []string{"crls[0]"}, "no such file"},
		{"CRL empty", func(f *fixture) { f.crl("a.crl", crl(anchor)); f.write("a.crl", nil) }, []string{"crls[0]"}, "a.crl"},
		{"second CRL garbage", func(f *fixture) {
			f.crl("a.crl", crl(anchor))
			f.crl("b.crl")
			f.write("b.crl", []byte("garbage"))
		}, []string{"crls[1]"}, "b.crl"},
		{"CRL signed by another key", func(f *fixture) { f.crl("a.crl", crl(anchor, pki.SignedBy(root()))) }, []string{"crls[0]"}, "signature does not verify"},
		{"CRL tampered with", func(f *fixture) { f.crl("a.crl", crl(anchor), pki.FlipSignature(crl(anchor))) }, []string{"crls[0]"}, "list 2"},
		{"both", func(f *fixture) {
			f.write("ca.pem", nil)
			f.cfg.CRLs = []config.CRL{{File: "no.crl"}}
		}, []string{"ca_bundle", "crls[0]"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t, anchor)
			c.change(f)
			s, _, err := New("partners", f.cfg, f.options())
			if err == nil || s != nil {
				t.Fatalf("store %v, error %v", s, err)
			}
			if !strings.Contains(err.Error(), c.say) {
				t.Errorf("error %q, want it to contain %q", err, c.say)
			}
			errs := err.(interface{ Unwrap() []error }).Unwrap()
			if len(errs) != len(c.fields) {
				t.Fatalf("%d errors (%v), want %d", len(errs), err, len(c.fields))
			}
			for i, want := range c.fields {
				var field *FieldError
				if !errors.As(errs[i], &field) || field.Field != want {
					t.Errorf("error %v, want field %s", errs[i], want)
				}
			}
		})
	}
}

func TestReload(t *testing.T) {
	old, next := root(), root()
	oldLeaf, nextLeaf, revoked := issue(old), issue(next), issue(old)
	f := newFixture(t, old)
	f.crl("old.crl", crl(old, number(5), pki.Revoke(revoked)))
	s := f.open()
	check := func(t *testing.T, leaf *pki.Leaf, want reason.Code) {
		t.Helper()
		_, err := s.Verify(chainOf(t, leaf), alb, time.Now())
		wantCode(t, err, want)
	}
	generation := func() uint64 { return s.Status().Generation }
	id, advertised := s.AnchorsID(), s.ClientCAs()
	onlyOld := x509.NewCertPool()
	onlyOld.AddCert(old.Cert)
	check(t, oldLeaf, reason.Success)
	check(t, revoked, reason.ClientCertCrlHit)
	check(t, nextLeaf, reason.ClientCertUntrusted)
	if generation() != 1 || !advertised.Equal(onlyOld) {
		t.Fatalf("generation %d, or others than the bundle's CAs are advertised", generation())
	}

	// Nothing changed.
	if err := s.Reload(); err != nil || generation() != 1 {
		t.Fatalf("reload of the same: generation %d, %v", generation(), err)
	}
	if s.ClientCAs() != advertised {
		t.Error("the CAs are another pool though the bundle did not change")
	}

	// Broken files leave everything as it was, and are told.
	f.write("ca.pem", []byte("garbage"))
	f.write("old.crl", []byte("garbage"))
	err := s.Reload()
	var field *FieldError
	if err == nil || !errors.As(err, &field) || generation() != 1 {
		t.Fatalf("reload of garbage: generation %d, error %v", generation(), err)
	}
	check(t, oldLeaf, reason.Success)
	check(t, revoked, reason.ClientCertCrlHit)
	if st := s.Status(); len(st.Errors) != 2 || !strings.Contains(st.Errors["ca_bundle"], "line 1") {
		t.Errorf("status errors %v", st.Errors)
	}
	if !strings.Contains(f.log.String(), "level=ERROR") {
		t.Errorf("log without an error: %s", f.log.String())
	}

	// A good file beside a broken one comes into force.
	f.write("ca.pem", pki.Bundle(next, old))
	if err := s.Reload(); err == nil || generation() != 2 {
		t.Fatalf("generation %d, error %v", generation(), err)
	}
	check(t, nextLeaf, reason.Success)
	check(t, revoked, reason.ClientCertCrlHit)
	if st := s.Status(); len(st.Errors) != 1 || st.Errors["crls[0]"] == "" {
		t.Errorf("status errors %v, want one of crls[0]", st.Errors)
	}
	if s.AnchorsID() == id {
		t.Error("another bundle has the same id")
	}

	// The same set in another order is no change.
	id = s.AnchorsID()
	f.write("ca.pem", pki.Bundle(old, next))
	f.write("old.crl", pki.CRLPEM(crl(old, number(6))))
	if err := s.Reload(); err != nil || generation() != 3 || s.AnchorsID() != id {
		t.Fatalf("generation %d, id changed %v, error %v", generation(), s.AnchorsID() != id, err)
	}
	check(t, revoked, reason.Success)

	// The anchor goes.
	f.write("ca.pem", pki.Bundle(next))
	if err := s.Reload(); err != nil {
		t.Fatal(err)
	}
	check(t, oldLeaf, reason.ClientCertUntrusted)
	os.Remove(filepath.Join(f.dir, "ca.pem"))
	if err := s.Reload(); err == nil {
		t.Error("reload without a bundle went well")
	}
	check(t, nextLeaf, reason.Success)
}

func TestRollbackIsRefused(t *testing.T) {
	anchor, other := root(), root()
	leaf := issue(anchor)
	at := func(h int) pki.CRLOption { return pki.ThisUpdate(time.Now().Add(time.Duration(h) * time.Hour)) }
	revokes := pki.Revoke(leaf)
	users := pki.Scope(pki.IssuingDistributionPoint{OnlyUserCerts: true})
	for _, c := range []struct {
		name          string
		before, after [][]byte
		refused       bool
		want          reason.Code
	}{
		{"lower number", [][]byte{crl(anchor, number(5), at(-3), revokes)}, [][]byte{crl(anchor, number(4), at(-2))}, true, reason.ClientCertCrlHit},
		{"earlier thisUpdate", [][]byte{crl(anchor, number(5), at(-3), revokes)}, [][]byte{crl(anchor, number(6), at(-4))}, true, reason.ClientCertCrlHit},
		{"no numbers, earlier thisUpdate", [][]byte{crl(anchor, pki.Number(nil), at(-3), revokes)}, [][]byte{crl(anchor, pki.Number(nil), at(-4))}, true, reason.ClientCertCrlHit},
		{"newer", [][]byte{crl(anchor, number(5), at(-3), revokes)}, [][]byte{crl(anchor, number(6), at(-2))}, false, reason.Success},
		{"same number, later", [][]byte{crl(anchor, number(5), at(-3), revokes)}, [][]byte{crl(anchor, number(5), at(-2))}, false, reason.Success},
		{"one of several goes back", [][]byte{crl(other, number(1)), crl(anchor, number(5), at(-3), revokes)}, [][]byte{crl(other, number(2)), crl(anchor, number(4), at(-3))}, true, reason.ClientCertCrlHit},
		{"old editions kept beside the new", [][]byte{crl(anchor, number(4), at(-4)), crl(anchor, number(5), at(-3), revokes)}, [][]byte{crl(anchor, number(4), at(-4)), crl(anchor, number(5), at(-3), revokes), crl(anchor, number(6), at(-2))}, false, reason.Success},
		{"another scope", [][]byte{crl(anchor, number(5), at(-3))}, [][]byte{crl(anchor, number(2), at(-4), users, revokes)}, false, reason.ClientCertCrlHit},
		{"list gone", [][]byte{crl(anchor, number(5), at(-3), revokes)}, [][]byte{crl(other)}, false, reason.ClientCertCrlProcessingError},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t, anchor, other)
			f.crl("a.crl", c.before...)
			s := f.open()
			f.crl("a.crl", c.after...)
			err := s.Reload()
			if (err != nil) != c.refused || err != nil && !strings.Contains(err.Error(), "older than the one held before") {
				t.Errorf("reload: %v, want refused %v", err, c.refused)
			}
			if gone := c.want == reason.ClientCertCrlProcessingError; (c.refused || gone) != strings.Contains(f.log.String(), "level=WARN") {
				t.Errorf("log: %s", f.log.String())
			}
			_, err = s.Verify(chainOf(t, leaf), alb, time.Now())
			wantCode(t, err, c.want)
		})
	}
}

// A CA and its list are replaced in either order.
func TestCRLRefusedForWantOfItsCAIsTriedAgain(t *testing.T) {
	old := root()
	renewed := pki.Must(old.Impostor(pki.SubjectKeyID(old.Cert.SubjectKeyId)))
	leaf := issue(renewed)
	f := newFixture(t, old)
	f.crl("a.crl", crl(old, number(1)))
	s := f.open()
	f.crl("a.crl", crl(renewed, number(2), pki.AuthorityKeyID(old.Cert.SubjectKeyId), pki.Revoke(leaf)))
	if err := s.Reload(); err == nil {
		t.Fatal("list of a CA that did not sign it was taken")
	}
	f.write("ca.pem", pki.Bundle(renewed))
	s.loading.Lock()
	err := s.load([]string{s.bundle.path})
	s.loading.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Verify(chainOf(t, leaf), alb, time.Now())
	wantCode(t, err, reason.ClientCertCrlHit)
}

func TestRunFollowsFiles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		anchor := root()
		leaf := issue(anchor)
		f := newFixture(t, anchor)
		f.crl("a.crl", crl(anchor, number(1)))
		s := f.open()
		f.crl("a.crl", crl(anchor, number(2), pki.Revoke(leaf))) // before Run, and not missed
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- s.Run(ctx) }()
		verify := func() error {
			_, err := s.Verify(chainOf(t, leaf), alb, time.Now())
			return err
		}
		second := func() { time.Sleep(time.Second); synctest.Wait() }

		wantCode(t, verify(), reason.Success)
		second()
		wantCode(t, verify(), reason.ClientCertCrlHit)

		f.crl("a.crl", crl(anchor, number(3), pki.ThisUpdate(time.Now().Add(-time.Minute))))
		second()
		wantCode(t, verify(), reason.Success)

		f.write("ca.pem", []byte("garbage"))
		second()
		wantCode(t, verify(), reason.Success)
		if st := s.Status(); st.Generation != 3 || st.Errors["ca_bundle"] == "" {
			t.Errorf("generation %d, errors %v", st.Generation, st.Errors)
		}

		f.write("ca.pem", pki.Bundle(root()))
		second()
		wantCode(t, verify(), reason.ClientCertUntrusted)

		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run = %v", err)
		}
	})
}

func TestVerifyWhileReloading(t *testing.T) {
	a, b := root(), root()
	always, revoked := issue(a), issue(a)
	f := newFixture(t, a)
	f.crl("a.crl", crl(a, number(1), pki.Revoke(revoked)))
	s := f.open()
	good, bad := chainOf(t, always), chainOf(t, revoked)
	c, err := s.Build(good, alb, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if v, err := s.Verify(good, alb, time.Now()); err != nil || v.Generation == 0 {
					t.Errorf("good client refused: %v", err)
				}
				if err := s.CheckRevocation(c, time.Now()); err != nil {
					t.Errorf("good chain refused: %v", err)
				}
				if _, err := s.Verify(bad, alb, time.Now()); err == nil {
					t.Error("revoked client let in")
				}
				s.ClientCAs()
				s.Status()
			}
		})
	}
	for n := int64(2); n < 22; n++ {
		f.write("ca.pem", pki.Bundle([]*pki.CA{a, b}[:1+n%2]...))
		f.crl("a.crl", crl(a, number(n), pki.ThisUpdate(time.Now().Add(-time.Minute)), pki.Revoke(revoked)))
		if err := s.Reload(); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	wg.Wait()
	if got := s.Status().Generation; got != 21 {
		t.Errorf("generation %d, want 21", got)
	}
}

func TestStatus(t *testing.T) {
	now := time.Now()
	anchor := root(pki.CommonName("Root, Inc"), pki.NotAfter(now.Add(40*24*time.Hour)))
	f := newFixture(t, anchor)
	f.crl("a.crl", crl(anchor, number(300), pki.Revoke(issue(anchor), issue(anchor))), crl(root()))
	s := f.open()
	st := s.Status()
	if st.Name != "partners" || st.Generation != 1 || len(st.CAs) != 1 || len(st.CRLs) != 2 || st.Errors != nil {
		t.Errorf("status %+v", st)
	}
	if ca := st.CAs[0]; ca.Subject != `CN=Root\, Inc` || ca.Key != "ECDSA P-256" || len(ca.SHA256) != 64 || !ca.NotAfter.Equal(anchor.Cert.NotAfter) {
		t.Errorf("CA %+v", ca)
	}
	if l := st.CRLs[0]; l.File != "a.crl" || l.Issuer != `CN=Root\, Inc` || l.Number != "300" || l.Entries != 2 || l.Expired || l.Scope == "" {
		t.Errorf("CRL %+v", l)
	}
	if len(st.Warnings) != 0 || !st.CRLs[0].Verified || st.CRLs[1].Verified {
		t.Errorf("warnings %q, CRLs %+v", st.Warnings, st.CRLs)
	}
	if _, err := json.Marshal(st); err != nil {
		t.Error(err)
	}

	// Warnings are about the time of asking.
	f.now = now.Add(20 * 24 * time.Hour)
	st = s.Status()
	all := strings.Join(st.Warnings, "\n")
	if !st.CRLs[0].Expired || !strings.Contains(all, "crls[0]: CRL of \"CN=Root\\, Inc\" expired at") || !strings.Contains(all, "expires at") {
		t.Errorf("later: %+v %s", st.CRLs[0], all)
	}

	f.cfg.Revocation.CRL, f.cfg.CRLs = config.CRLRequire, nil
	_, warnings, err := New("partners", f.cfg, f.options())
	if err != nil || !strings.Contains(strings.Join(warnings, "\n"), "all are required") {
		t.Errorf("warnings %q, error %v", warnings, err)
	}
}

// TestRollbackByWayOfSomethingElse has an older CRL come back after the file has
// held another issuer's only, and after the store has been made anew under
// another configuration: both would let a revoked client in.
func TestRollbackByWayOfSomethingElse(t *testing.T) {
	a, b := root(), root()
	revoked := issue(a)
	older := crl(a, number(1))
	newer := crl(a, number(2), pki.Revoke(revoked))
	f := newFixture(t, a, b)
	f.crl("a.crl", newer, crl(b))
	s := f.open()

	f.crl("a.crl", crl(b))
	if err := s.Reload(); err != nil {
		t.Fatal(err)
	}
	f.crl("a.crl", older, crl(b))
	if err := s.Reload(); !errors.Is(err, errRollback) {
		t.Errorf("by way of a file without it: %v", err)
	}

	f.cfg.Revocation.OnExpiredCRL.Grace = 1
	options := f.options()
	if _, _, err := New("partners", f.cfg, options); err != nil {
		t.Fatalf("a store of its own: %v", err)
	}
	options.Replaces = s
	if _, _, err := New("partners", f.cfg, options); !errors.Is(err, errRollback) {
		t.Errorf("by way of another configuration: %v", err)
	}
	f.crl("a.crl", newer, crl(b))
	if _, _, err := New("partners", f.cfg, options); err != nil {
		t.Errorf("with the newer one: %v", err)
	}
}
