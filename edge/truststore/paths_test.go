package truststore

import (
	"crypto/x509"
	"testing"
	"time"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/reason"
	"github.com/sallyport/sallyport/loadtest/pki"
)

func TestDates(t *testing.T) {
	now := time.Now()
	hour := func(n int) time.Time { return now.Add(time.Duration(n) * time.Hour) }
	expiredRoot := root(pki.NotBefore(hour(-9)), pki.NotAfter(hour(-1)))
	futureRoot := root(pki.NotBefore(hour(1)))
	anchor := root(pki.NotBefore(hour(-9)))
	s := newStore(t, anchor, expiredRoot, futureRoot)

	late := []pki.Option{pki.NotBefore(hour(-8)), pki.NotAfter(hour(-2))}
	early := []pki.Option{pki.NotBefore(hour(1))}
	for _, c := range []struct {
		name             string
		leaf             *pki.Leaf
		strictly, ignore reason.Code // without and with IgnoreExpiry
	}{
		{"valid", issue(anchor), reason.Success, reason.Success},
		{"expired leaf", issue(anchor, late...), reason.ClientCertExpired, reason.Success},
		{"expired intermediate", issue(below(anchor, late...)), reason.ClientCertExpired, reason.Success},
		{"expired leaf and intermediate", issue(below(anchor, late...), late...), reason.ClientCertExpired, reason.Success},
		{"lives that never overlapped", issue(below(anchor, pki.NotBefore(hour(-9)), pki.NotAfter(hour(-8))), pki.NotBefore(hour(-3)), pki.NotAfter(hour(-2))), reason.ClientCertExpired, reason.Success},
		{"expired anchor", issue(expiredRoot), reason.ClientCertExpired, reason.ClientCertExpired},
		{"leaf not yet valid", issue(anchor, early...), reason.ClientCertNotYetValid, reason.ClientCertNotYetValid},
		{"intermediate not yet valid", issue(below(anchor, early...)), reason.ClientCertNotYetValid, reason.ClientCertNotYetValid},
		{"anchor not yet valid", issue(futureRoot), reason.ClientCertNotYetValid, reason.ClientCertNotYetValid},
		{"not yet valid comes before expired", issue(below(anchor, early...), late...), reason.ClientCertNotYetValid, reason.ClientCertNotYetValid},
		{"expired with a bad signature", issue(anchor, late...).FlipSignature(), reason.ClientCertInvalid, reason.ClientCertInvalid},
		{"expired and for servers", issue(anchor, append(late, pki.EKU(x509.ExtKeyUsageServerAuth))...), reason.ClientCertExpired, reason.ClientCertPurposeInvalid},
		{"expired and of a weak key", issue(anchor, append(late, pki.Key(pki.RSA(1024)))...), reason.ClientCertTypeUnsupported, reason.ClientCertTypeUnsupported},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := s.Verify(chainOf(t, c.leaf), alb, now)
			wantCode(t, err, c.strictly)
			ignoring := alb
			ignoring.IgnoreExpiry = true
			v, err := s.Verify(chainOf(t, c.leaf), ignoring, now)
			wantCode(t, err, c.ignore)
			if wantIgnored := c.strictly == reason.ClientCertExpired; err == nil && v.ExpiryIgnored != wantIgnored {
				t.Errorf("ExpiryIgnored = %v, want %v", v.ExpiryIgnored, wantIgnored)
			}
		})
	}
}

func TestLastSecondOfValidity(t *testing.T) {
	anchor := root(pki.NotBefore(time.Now().AddDate(-5, 0, 0)), pki.NotAfter(time.Now().AddDate(5, 0, 0)))
	s := newStore(t, anchor)
	leaf := issue(anchor)
	chain := chainOf(t, leaf)
	for _, c := range []struct {
		name string
		at   time.Time
		want reason.Code
	}{
		{"notBefore", leaf.Cert.NotBefore, reason.Success},
		{"just before", leaf.Cert.NotBefore.Add(-1), reason.ClientCertNotYetValid},
		{"notAfter", leaf.Cert.NotAfter, reason.Success},
		{"just after", leaf.Cert.NotAfter.Add(1), reason.ClientCertExpired},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := s.Build(chain, alb, c.at)
			wantCode(t, err, c.want)
		})
	}
}

func TestChainIsGoodForAsLongAsItSays(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	hour := func(n int) time.Time { return now.Add(time.Duration(n) * time.Hour).UTC() }
	anchor := root(pki.NotBefore(hour(-9)), pki.NotAfter(hour(9)))
	other := root(pki.NotBefore(hour(-9)), pki.NotAfter(hour(9)))
	s := newStore(t, anchor, other)
	mid := below(anchor, pki.NotBefore(hour(-4)), pki.NotAfter(hour(4)))
	leaf := issue(mid, pki.NotBefore(hour(-5)), pki.NotAfter(hour(5)))
	gone := pki.Must(other.CrossSign(mid, pki.NotBefore(hour(-8)), pki.NotAfter(hour(-2))))
	yet := pki.Must(other.CrossSign(mid, pki.NotBefore(hour(2)), pki.NotAfter(hour(8))))
	old := issue(mid, pki.NotBefore(hour(-5)), pki.NotAfter(hour(-1)))

	ignoring := alb
	ignoring.IgnoreExpiry = true
	for _, c := range []struct {
		name        string
		leaf        *pki.Leaf
		policy      Policy
		from, until time.Time
		ends        time.Time // Verified.NotAfter
	}{
		{"one path", leaf, alb, hour(-4), hour(4), hour(4)},
		{"expiry ignored", leaf, ignoring, hour(-4), hour(9), hour(9)},
		{"expired, and that ignored", old, ignoring, hour(-4), hour(9), hour(9)},
		{"another path ended before", leaf.Present(mid, gone), alb, hour(-2).Add(1), hour(4), hour(4)},
		{"another path begins later", leaf.Present(mid, yet), alb, hour(-4), hour(2).Add(-1), hour(4)},
	} {
		t.Run(c.name, func(t *testing.T) {
			v, err := s.Verify(chainOf(t, c.leaf), c.policy, now)
			wantCode(t, err, reason.Success)
			if err != nil {
				return
			}
			if !v.Chain.NotBefore.Equal(c.from) || !v.Chain.NotAfter.Equal(c.until) {
				t.Errorf("good from %v to %v, want %v to %v", v.Chain.NotBefore, v.Chain.NotAfter, c.from, c.until)
			}
			if !v.NotAfter.Equal(c.ends) {
				t.Errorf("path ends at %v, want %v", v.NotAfter, c.ends)
			}
		})
	}
}

// One passing path is enough, whichever of the others fails at what.
func TestSeveralPaths(t *testing.T) {
	now := time.Now()
	oldRoot, newRoot := root(pki.CommonName("old root")), root(pki.CommonName("new root"))
	mid := below(oldRoot)
	crossed := pki.Must(newRoot.CrossSign(mid))
	expired := pki.Must(newRoot.CrossSign(mid, pki.NotBefore(now.Add(-3*time.Hour)), pki.NotAfter(now.Add(-time.Hour))))
	servers := pki.Must(newRoot.CrossSign(mid, pki.EKU(x509.ExtKeyUsageServerAuth)))
	sha1 := pki.Must(newRoot.CrossSign(mid, pki.SHA1()))
	leaf := issue(mid)

	for _, c := range []struct {
		name    string
		revoked *pki.CA // by its own issuer
		leaf    *pki.Leaf
		anchors []*pki.CA
		want    reason.Code
		through *pki.CA // the intermediate of the path taken
	}{
		{"both good", nil, leaf.Present(mid, crossed), []*pki.CA{oldRoot, newRoot}, reason.Success, nil},
		{"one anchor only", nil, leaf.Present(mid, crossed), []*pki.CA{newRoot}, reason.Success, crossed},
		{"one expired", nil, leaf.Present(expired, mid), []*pki.CA{oldRoot, newRoot}, reason.Success, mid},
		{"one for servers", nil, leaf.Present(servers, mid), []*pki.CA{oldRoot, newRoot}, reason.Success, mid},
		{"one with SHA-1", nil, leaf.Present(sha1, mid), []*pki.CA{oldRoot, newRoot}, reason.Success, mid},
		{"one revoked", mid, leaf.Present(mid, crossed), []*pki.CA{oldRoot, newRoot}, reason.Success, crossed},
		{"other revoked", crossed, leaf.Present(mid, crossed), []*pki.CA{oldRoot, newRoot}, reason.Success, mid},
		{"one revoked, other expired", mid, leaf.Present(mid, expired), []*pki.CA{oldRoot, newRoot}, reason.ClientCertCrlHit, nil},
		{"expired and for servers: purpose is further", nil, leaf.Present(expired, servers), []*pki.CA{oldRoot, newRoot}, reason.ClientCertPurposeInvalid, nil},
		{"SHA-1 only", nil, leaf.Present(sha1), []*pki.CA{oldRoot, newRoot}, reason.ClientCertIncompatible, nil},
		{"SHA-1 or a path that verifies but expired", nil, leaf.Present(sha1, expired), []*pki.CA{oldRoot, newRoot}, reason.ClientCertExpired, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t, c.anchors...)
			oldCRL, newCRL := crl(oldRoot), crl(newRoot)
			switch c.revoked {
			case mid:
				oldCRL = crl(oldRoot, pki.Revoke(mid))
			case crossed:
				newCRL = crl(newRoot, pki.Revoke(crossed))
			}
			f.crl("crls.pem", oldCRL, newCRL, crl(mid))
			v, err := f.open().Verify(chainOf(t, c.leaf), alb, now)
			wantCode(t, err, c.want)
			if err == nil && c.through != nil && !v.Path[1].Equal(c.through.Cert) {
				t.Errorf("path through serial %v, want %v", v.Path[1].SerialNumber, c.through.Serial())
			}
		})
	}
}

func TestIntermediateAsAnchor(t *testing.T) {
	top := root()
	mid := below(top)
	lower := below(mid)
	s := newStore(t, mid)
	for _, leaf := range []*pki.Leaf{issue(mid).Present(), issue(mid), issue(mid).Present(mid, top), issue(lower)} {
		v, err := s.Verify(chainOf(t, leaf), alb, time.Now())
		wantCode(t, err, reason.Success)
		if err == nil && !v.Path[len(v.Path)-1].Equal(mid.Cert) {
			t.Errorf("path ends at %v, want the intermediate", v.Path[len(v.Path)-1].Subject)
		}
	}
	_, err := s.Verify(chainOf(t, issue(top)), alb, time.Now())
	wantCode(t, err, reason.ClientCertUntrusted)
}

// An anchor may be a client too, with nobody above it; not where a CA is none.
func TestAnchorAsClient(t *testing.T) {
	top := root()
	mid := below(top)
	f := newFixture(t, top, mid)
	f.cfg.Revocation.Scope = config.ScopeLeaf
	s := f.open()
	v, err := s.Verify([]*x509.Certificate{mid.Cert}, alb, time.Now())
	wantCode(t, err, reason.Success)
	if err == nil && len(v.Path) != 1 {
		t.Errorf("path of %d, want 1", len(v.Path))
	}
	strict := alb
	strict.Strict = true
	_, err = s.Verify([]*x509.Certificate{mid.Cert}, strict, time.Now())
	wantCode(t, err, reason.ClientCertPurposeInvalid)

	f.crl("root.crl", crl(top, pki.Revoke(mid)))
	_, err = f.open().Verify([]*x509.Certificate{mid.Cert}, alb, time.Now())
	wantCode(t, err, reason.ClientCertCrlHit)
}

// A renewed anchor has the name and key of the one it replaces.
func TestRenewedAnchor(t *testing.T) {
	old := root(pki.NotAfter(time.Now().Add(-time.Minute)))
	renewed := root(pki.RawSubject(old.Cert.RawSubject), pki.ExistingKey(old.Key))
	leaf := issue(old)
	_, err := newStore(t, old).Verify(chainOf(t, leaf), alb, time.Now())
	wantCode(t, err, reason.ClientCertExpired)
	v, err := newStore(t, old, renewed).Verify(chainOf(t, leaf), alb, time.Now())
	wantCode(t, err, reason.Success)
	if err == nil && !v.Path[1].Equal(renewed.Cert) {
		t.Error("path ends at the expired anchor")
	}
}
