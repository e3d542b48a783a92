package truststore

import (
	"testing"
	"time"

	"github.com/sallyport/sallyport/edge/reason"
	"github.com/sallyport/sallyport/loadtest/pki"
)

func TestStillAdmits(t *testing.T) {
	now := time.Now()
	top, mate := root(), root()
	mid := below(top)
	leaf := issue(mid, pki.NotAfter(now.Add(time.Hour)))
	ignoring := alb
	ignoring.IgnoreExpiry = true
	stale := []pki.CRLOption{pki.ThisUpdate(now.Add(-48 * time.Hour)), pki.NextUpdate(now.Add(-time.Hour))}
	for _, c := range []struct {
		name   string
		policy Policy
		change func(f *fixture, s *Store)
		later  time.Duration
		want   reason.Code
		anew   reason.Code // what a new handshake gets
	}{
		{"nothing happened", alb, func(*fixture, *Store) {}, 0, reason.Success, reason.Success},
		{"last moment", alb, func(*fixture, *Store) {}, leaf.Cert.NotAfter.Sub(now), reason.Success, reason.Success},
		{"expired", alb, func(*fixture, *Store) {}, leaf.Cert.NotAfter.Sub(now) + 1, reason.ClientCertExpired, reason.ClientCertExpired},
		{"expired and ignored", ignoring, func(*fixture, *Store) {}, 2 * time.Hour, reason.Success, reason.Success},
		{"another anchor gone", alb, func(f *fixture, s *Store) { f.write("ca.pem", pki.Bundle(top)) }, 0, reason.Success, reason.Success},
		{"anchor gone", alb, func(f *fixture, s *Store) { f.write("ca.pem", pki.Bundle(mate)) }, 0, reason.ClientCertUntrusted, reason.ClientCertUntrusted},
		{"anchor gone, and expired", alb, func(f *fixture, s *Store) { f.write("ca.pem", pki.Bundle(mate)) }, 2 * time.Hour, reason.ClientCertUntrusted, reason.ClientCertUntrusted},
		{"revoked by a list", alb, func(f *fixture, s *Store) { f.crl("lists.pem", crl(top), crl(mid, number(2), pki.Revoke(leaf))) }, 0, reason.ClientCertCrlHit, reason.ClientCertCrlHit},
		{"intermediate revoked by a list", alb, func(f *fixture, s *Store) { f.crl("lists.pem", crl(top, number(2), pki.Revoke(mid)), crl(mid)) }, 0, reason.ClientCertCrlHit, reason.ClientCertCrlHit},
		{"revoked by a list, expired", ignoring, func(f *fixture, s *Store) {
			f.crl("lists.pem", crl(top), crl(mid, append(stale, number(2), pki.Revoke(leaf))...))
		}, 0, reason.ClientCertCrlHit, reason.ClientCertCrlHit},
		{"revoked by hand", alb, func(f *fixture, s *Store) { revoke(t, s, leaf) }, 0, reason.ClientCertCrlHit, reason.ClientCertCrlHit},
		{"intermediate revoked by hand", alb, func(f *fixture, s *Store) { s.RevokeCertificate(mid.Cert, "", now) }, 0, reason.ClientCertCrlHit, reason.ClientCertCrlHit},
		{"somebody else revoked", alb, func(f *fixture, s *Store) { revoke(t, s, issue(mid)) }, 0, reason.Success, reason.Success},
		{"list gone", alb, func(f *fixture, s *Store) { f.crl("lists.pem", crl(top)) }, 0, reason.Success, reason.ClientCertCrlProcessingError},
		{"list gone, revoked by hand", alb, func(f *fixture, s *Store) { f.crl("lists.pem", crl(top)); revoke(t, s, leaf) }, 0, reason.ClientCertCrlHit, reason.ClientCertCrlHit},
		{"list of the leaf's issuer gone, intermediate revoked", alb, func(f *fixture, s *Store) { f.crl("lists.pem", crl(top, number(2), pki.Revoke(mid))) }, 0, reason.ClientCertCrlHit, reason.ClientCertCrlHit},
		{"lists expired since", ignoring, func(*fixture, *Store) {}, 1000 * time.Hour, reason.Success, reason.ClientCertCrlProcessingError},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t, top, mate)
			start := pki.ThisUpdate(now.Add(-72 * time.Hour))
			f.crl("lists.pem", crl(top, start, pki.NextUpdate(now.Add(3*time.Hour))), crl(mid, start, pki.NextUpdate(now.Add(3*time.Hour))))
			s := f.open()
			v, err := s.Verify(chainOf(t, leaf), c.policy, now)
			if err != nil {
				t.Fatal(err)
			}
			c.change(f, s)
			if err := s.Reload(); err != nil {
				t.Fatal(err)
			}
			at := now.Add(c.later)
			allowed := s.Status().ExpiredCRLAllowed
			wantCode(t, s.StillAdmits(v, at), c.want)
			if s.Status().ExpiredCRLAllowed != allowed {
				t.Error("counted as an admission")
			}
			_, err = s.Verify(chainOf(t, leaf), c.policy, at)
			wantCode(t, err, c.anew)

			// A store that a reload has put in its place says the same.
			wantCode(t, f.open().StillAdmits(v, at), c.want)
		})
	}
}

// The path that let a client in ends its connection, though another would do.
func TestStillAdmitsByItsOwnPath(t *testing.T) {
	now := time.Now()
	long, short := root(), root(pki.NotAfter(now.Add(2*time.Hour)))
	mid := below(long)
	crossed := pki.Must(short.CrossSign(mid, pki.NotAfter(now.Add(time.Hour))))
	s := newStore(t, long, short)
	chain := chainOf(t, issue(mid).Present(mid, crossed))
	r, err := s.RevokeCertificate(mid.Cert, "", now)
	if err != nil {
		t.Fatal(err)
	}
	v, err := s.Verify(chain, alb, now)
	if err != nil || !v.NotAfter.Equal(crossed.Cert.NotAfter) {
		t.Fatalf("%+v, %v", v, err)
	}
	if err := s.Unrevoke(r.ID, "test", now); err != nil {
		t.Fatal(err)
	}
	later := now.Add(90 * time.Minute)
	_, err = s.Verify(chain, alb, later)
	wantCode(t, err, reason.Success)
	wantCode(t, s.StillAdmits(v, later), reason.ClientCertExpired)
}

func TestStillAdmitsDeniesZeroValues(t *testing.T) {
	anchor := root()
	s := newStore(t, anchor)
	v, err := s.Verify(chainOf(t, issue(anchor)), alb, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	wantCode(t, s.StillAdmits(nil, time.Now()), reason.ClientCertUntrusted)
	wantCode(t, s.StillAdmits(&Verified{}, time.Now()), reason.ClientCertUntrusted)
	wantCode(t, s.StillAdmits(&Verified{Path: v.Path, Chain: v.Chain, NotAfter: v.NotAfter}, time.Now()), reason.ClientCertUntrusted)
	wantCode(t, new(Store).StillAdmits(v, time.Now()), reason.TrustStoreUnavailable)
}

func TestChanged(t *testing.T) {
	anchor := root()
	leaf := issue(anchor)
	f := newFixture(t, anchor)
	f.crl("a.crl", crl(anchor, number(1)))
	s := f.open()
	closed := func(c <-chan struct{}) bool {
		select {
		case <-c:
			return true
		default:
			return false
		}
	}
	var id string
	for i, step := range []struct {
		name   string
		change func()
		want   bool
	}{
		{"nothing", func() {}, false},
		{"list", func() { f.crl("a.crl", crl(anchor, number(2), pki.ThisUpdate(time.Now().Add(-time.Minute)))) }, true},
		{"bundle", func() { f.write("ca.pem", pki.Bundle(anchor, root())) }, true},
		{"broken bundle", func() { f.write("ca.pem", []byte("garbage")) }, false},
		{"revoked by hand", func() { id = revoke(t, s, leaf).ID }, true},
		{"revoked twice", func() { revoke(t, s, leaf) }, false},
		{"undone", func() {
			if err := s.Unrevoke(id, "test", time.Now()); err != nil {
				t.Error(err)
			}
		}, true},
	} {
		changed, generation := s.Changed(), s.Generation()
		if closed(changed) {
			t.Fatalf("%d: closed already", i)
		}
		step.change()
		s.Reload()
		if closed(changed) != step.want || (s.Generation() > generation) != step.want || s.Generation() > generation+1 {
			t.Errorf("%s: told %v, generation %d after %d", step.name, closed(changed), s.Generation(), generation)
		}
	}
	if zero := new(Store); zero.Changed() != nil || zero.Generation() != 0 {
		t.Error("the zero store has a generation")
	}
}
