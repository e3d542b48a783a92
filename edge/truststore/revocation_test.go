package truststore

import (
	"encoding/asn1"
	"math/big"
	"testing"
	"time"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/reason"
	"github.com/sallyport/sallyport/loadtest/pki"
)

func TestRevocationPolicy(t *testing.T) {
	now := time.Now()
	ago := func(h int) time.Time { return now.Add(-time.Duration(h) * time.Hour) }
	top := root()
	mid := below(top)
	good, bad := issue(mid), issue(mid)
	below2 := issue(top) // directly below the root

	fresh := crl(mid, pki.Revoke(bad))
	expired := crl(mid, pki.Revoke(bad), pki.ThisUpdate(ago(48)), pki.NextUpdate(ago(1)))
	open := crl(mid, pki.Revoke(bad), pki.ThisUpdate(ago(48)), pki.NoNextUpdate())
	future := crl(mid, pki.ThisUpdate(ago(-2)), pki.NextUpdate(ago(-9)))
	critical := crl(mid, pki.Extension(asn1.ObjectIdentifier{2, 999, 1}, true, []byte{5, 0}))
	topFresh := crl(top)
	topRevokes := crl(top, pki.Revoke(mid))
	topExpired := crl(top, pki.ThisUpdate(ago(48)), pki.NextUpdate(ago(1)))

	const (
		hit     = reason.ClientCertCrlHit
		unknown = reason.ClientCertCrlProcessingError
		ok      = reason.Success
	)
	grace := func(h int) config.ExpiredCRL {
		return config.ExpiredCRL{Grace: config.Duration(time.Duration(h) * time.Hour), Then: config.ThenDeny}
	}
	allow := config.ExpiredCRL{Then: config.ThenAllow}
	type codes struct{ require, auto, off reason.Code }
	for _, c := range []struct {
		name    string
		lists   [][]byte
		scope   config.RevocationScope
		expired config.ExpiredCRL
		leaf    *pki.Leaf
		want    codes
	}{
		{"no list at all", nil, config.ScopeChain, grace(0), good, codes{unknown, ok, ok}},
		{"all lists fresh", [][]byte{fresh, topFresh}, config.ScopeChain, grace(0), good, codes{ok, ok, ok}},
		{"leaf listed", [][]byte{fresh, topFresh}, config.ScopeChain, grace(0), bad, codes{hit, hit, ok}},
		{"leaf listed, root has none", [][]byte{fresh}, config.ScopeChain, grace(0), bad, codes{hit, hit, ok}},
		{"root has none", [][]byte{fresh}, config.ScopeChain, grace(0), good, codes{unknown, ok, ok}},
		{"root has none, scope leaf", [][]byte{fresh}, config.ScopeLeaf, grace(0), good, codes{ok, ok, ok}},
		{"intermediate listed", [][]byte{fresh, topRevokes}, config.ScopeChain, grace(0), good, codes{hit, hit, ok}},
		{"intermediate listed, leaf unknown", [][]byte{topRevokes}, config.ScopeChain, grace(0), good, codes{hit, hit, ok}},
		{"intermediate listed, scope leaf", [][]byte{fresh, topRevokes}, config.ScopeLeaf, grace(0), good, codes{ok, ok, ok}},
		{"only the root's list", [][]byte{topFresh}, config.ScopeChain, grace(0), good, codes{unknown, ok, ok}},
		{"only the root's list, leaf of the root", [][]byte{topFresh}, config.ScopeChain, grace(0), below2, codes{ok, ok, ok}},
		{"expired", [][]byte{expired, topFresh}, config.ScopeChain, grace(0), good, codes{unknown, unknown, ok}},
		{"expired, within grace", [][]byte{expired, topFresh}, config.ScopeChain, grace(2), good, codes{ok, ok, ok}},
		{"expired, past grace", [][]byte{expired, topFresh}, config.ScopeChain, config.ExpiredCRL{Grace: config.Duration(time.Minute)}, good, codes{unknown, unknown, ok}},
		{"expired, allowed", [][]byte{expired, topFresh}, config.ScopeChain, allow, good, codes{ok, ok, ok}},
		{"expired but listed, allowed", [][]byte{expired, topFresh}, config.ScopeChain, allow, bad, codes{hit, hit, ok}},
		{"expired but listed", [][]byte{expired, topFresh}, config.ScopeChain, grace(0), bad, codes{hit, hit, ok}},
		{"the root's expired", [][]byte{fresh, topExpired}, config.ScopeChain, grace(0), good, codes{unknown, unknown, ok}},
		{"the root's expired, scope leaf", [][]byte{fresh, topExpired}, config.ScopeLeaf, grace(0), good, codes{ok, ok, ok}},
		{"no nextUpdate", [][]byte{open, topFresh}, config.ScopeChain, grace(0), good, codes{unknown, unknown, ok}},
		{"no nextUpdate, grace from thisUpdate", [][]byte{open, topFresh}, config.ScopeChain, grace(49), good, codes{ok, ok, ok}},
		{"no nextUpdate, allowed", [][]byte{open, topFresh}, config.ScopeChain, allow, good, codes{ok, ok, ok}},
		{"no nextUpdate but listed", [][]byte{open, topFresh}, config.ScopeChain, allow, bad, codes{hit, hit, ok}},
		{"from the future", [][]byte{future, topFresh}, config.ScopeChain, allow, good, codes{unknown, unknown, ok}},
		{"unknown critical extension", [][]byte{critical, topFresh}, config.ScopeChain, allow, good, codes{unknown, unknown, ok}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t, top)
			if c.lists != nil {
				f.crl("lists.pem", c.lists...)
			}
			f.cfg.Revocation.Scope, f.cfg.Revocation.OnExpiredCRL = c.scope, c.expired
			for mode, want := range map[config.CRLMode]reason.Code{
				config.CRLRequire: c.want.require,
				config.CRLAuto:    c.want.auto,
				config.CRLOff:     c.want.off,
				"":                c.want.require,
			} {
				f.cfg.Revocation.CRL = mode
				_, err := f.open().Verify(chainOf(t, c.leaf), alb, now)
				if got, _ := reason.Of(err); err == nil && want != ok || err != nil && got != want {
					t.Errorf("crl %q: got %v, want %v", mode, err, want)
				}
			}
		})
	}
}

func TestFailingOpenIsCounted(t *testing.T) {
	top := root()
	mid := below(top)
	long := []pki.CRLOption{pki.ThisUpdate(time.Now().Add(-48 * time.Hour)), pki.NextUpdate(time.Now().Add(-time.Hour))}
	f := newFixture(t, top)
	f.crl("lists.pem", crl(top, long...), crl(mid, long...))
	f.cfg.Revocation.OnExpiredCRL.Then = config.ThenAllow
	s := f.open()
	chain := chainOf(t, issue(mid))
	for want := uint64(2); want <= 4; want += 2 {
		if _, err := s.Verify(chain, alb, time.Now()); err != nil {
			t.Fatal(err)
		}
		if got := s.Status().ExpiredCRLAllowed; got != want {
			t.Errorf("counted %d, want %d", got, want)
		}
	}
	f.crl("lists.pem", crl(top), crl(mid))
	if err := s.Reload(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Verify(chain, alb, time.Now()); err != nil {
		t.Fatal(err)
	}
	if got := s.Status().ExpiredCRLAllowed; got != 4 {
		t.Errorf("counted %d with fresh lists, want still 4", got)
	}
}

// An anchor does not escape its own issuer by being listed itself.
func TestAnchorRevokedByAnotherAnchor(t *testing.T) {
	top := root()
	mid, sound, old := below(top), below(top), below(top, pki.SHA1())
	leaf := issue(mid)
	stale := crl(top, pki.Revoke(mid), pki.ThisUpdate(time.Now().Add(-48*time.Hour)), pki.NextUpdate(time.Now().Add(-time.Hour)))
	for _, c := range []struct {
		name    string
		anchors []*pki.CA
		list    []byte
		mode    config.CRLMode
		scope   config.RevocationScope
		leaf    *pki.Leaf
		want    reason.Code
	}{
		{"revoked", []*pki.CA{mid, top}, crl(top, pki.Revoke(mid)), config.CRLAuto, config.ScopeChain, leaf, reason.ClientCertCrlHit},
		{"revoked, presented too", []*pki.CA{top, mid}, crl(top, pki.Revoke(mid)), config.CRLAuto, config.ScopeChain, leaf.Present(mid), reason.ClientCertCrlHit},
		{"revoked by an expired list", []*pki.CA{mid, top}, stale, config.CRLAuto, config.ScopeChain, leaf, reason.ClientCertCrlHit},
		{"revoked, once signed with SHA-1", []*pki.CA{old, top}, crl(top, pki.Revoke(old)), config.CRLAuto, config.ScopeChain, issue(old), reason.ClientCertCrlHit},
		{"another one revoked", []*pki.CA{mid, top}, crl(top, pki.Revoke(sound)), config.CRLAuto, config.ScopeChain, leaf, reason.Success},
		{"its issuer is no anchor", []*pki.CA{mid}, crl(top, pki.Revoke(mid)), config.CRLAuto, config.ScopeChain, leaf.Present(), reason.Success},
		{"scope leaf", []*pki.CA{mid, top}, crl(top, pki.Revoke(mid)), config.CRLAuto, config.ScopeLeaf, leaf.Present(), reason.Success},
		{"off", []*pki.CA{mid, top}, crl(top, pki.Revoke(mid)), config.CRLOff, config.ScopeChain, leaf, reason.Success},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t, c.anchors...)
			f.crl("root.crl", c.list)
			f.cfg.Revocation.CRL, f.cfg.Revocation.Scope = c.mode, c.scope
			_, err := f.open().Verify(chainOf(t, c.leaf), alb, time.Now())
			wantCode(t, err, c.want)
		})
	}
}

// A list of a CA that only clients bring is checked with that CA's key.
func TestListOfAnIssuerOutsideTheBundle(t *testing.T) {
	top := root()
	mid := below(top)
	leaf := issue(mid)
	f := newFixture(t, top)
	f.crl("mid.crl", crl(mid, pki.Revoke(leaf), pki.SignedBy(root())))
	s := f.open()
	_, err := s.Verify(chainOf(t, leaf), alb, time.Now())
	wantCode(t, err, reason.ClientCertCrlProcessingError)

	f.crl("mid.crl", crl(mid, pki.Number(big.NewInt(2)), pki.Revoke(leaf)))
	if err := s.Reload(); err != nil {
		t.Fatal(err)
	}
	_, err = s.Verify(chainOf(t, leaf), alb, time.Now())
	wantCode(t, err, reason.ClientCertCrlHit)
}

func TestChainOfAnAnchorThatIsGone(t *testing.T) {
	old, next := root(), root()
	f := newFixture(t, old, next)
	s := f.open()
	c, err := s.Build(chainOf(t, issue(old)), alb, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	wantCode(t, s.CheckRevocation(c, time.Now()), reason.Success)
	f.write("ca.pem", pki.Bundle(next))
	if err := s.Reload(); err != nil {
		t.Fatal(err)
	}
	wantCode(t, s.CheckRevocation(c, time.Now()), reason.ClientCertUntrusted)
	_, err = s.Admit(c, time.Now())
	wantCode(t, err, reason.ClientCertUntrusted)
}
