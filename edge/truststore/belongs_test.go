package truststore

import (
	"errors"
	"math/big"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/fetch"
	"github.com/sallyport/sallyport/edge/reason"
	"github.com/sallyport/sallyport/loadtest/pki"
)

// TestNarrowerListIsRefused has a URL serve genuine lists of the CA that say less
// than the one before: whom that one revokes stays out, over a restart too.
func TestNarrowerListIsRefused(t *testing.T) {
	a := root()
	sameName := pki.Must(a.Impostor())
	// Of one name and without identifiers, so that only their keys differ.
	anonymous := pki.WithoutExtension([]int{2, 5, 29, 35})
	revoked := issue(a)
	full := crl(a, number(3), pki.Revoke(revoked), anonymous)
	f := newFixture(t, a, sameName)
	f.cfg.CRLs = []config.CRL{{URL: crlURL}}
	s := f.open()
	s.begin()
	if _, err := f.arrives(s, crlURL, full); err != nil {
		t.Fatal(err)
	}
	for _, when := range []string{"first", "after a restart", "after a restart without what was kept"} {
		if when != "first" {
			s = f.open()
			s.begin()
		}
		for name, der := range map[string][]byte{
			"only CAs":           crl(a, number(9), pki.Scope(pki.IssuingDistributionPoint{OnlyCACerts: true})),
			"only users":         crl(a, number(9), pki.Scope(pki.IssuingDistributionPoint{OnlyUserCerts: true})),
			"a shard":            crl(a, number(9), pki.Scope(pki.IssuingDistributionPoint{URIs: []string{"http://crl.example/7.crl"}})),
			"a namesake's":       crl(sameName, number(9), anonymous),
			"a namesake's by id": crl(sameName, number(9)),
		} {
			_, err := f.arrives(s, crlURL, der)
			if !errors.Is(err, errGone) || !strings.Contains(err.Error(), "delete "+s.editions.path+" and "+fetch.KeptFile(s.fetched, crlURL)) {
				t.Errorf("%s, %s: %v", when, name, err)
			}
		}
		want := reason.ClientCertCrlHit
		if when == "after a restart without what was kept" {
			want = reason.ClientCertCrlProcessingError
		}
		_, err := s.Verify(chainOf(t, revoked), alb, time.Now())
		wantCode(t, err, want)
		if when == "after a restart" {
			if err := os.Remove(fetch.KeptFile(s.fetched, crlURL)); err != nil {
				t.Fatal(err)
			}
		}
	}
	// The operator insists.
	if err := os.Remove(s.editions.path); err != nil {
		t.Fatal(err)
	}
	s = f.open()
	if _, err := f.arrives(s, crlURL, crl(a, number(9), pki.Scope(pki.IssuingDistributionPoint{OnlyUserCerts: true}))); err != nil {
		t.Error(err)
	}
}

// TestStrangeListBindsNobody has somebody on the way add genuine lists to a
// download: what the URL serves otherwise must still be taken afterwards.
func TestStrangeListBindsNobody(t *testing.T) {
	a, b := root(), root()
	for name, extra := range map[string][]byte{
		"of another CA":    crl(b, number(1)),
		"of another scope": crl(a, number(3), pki.Scope(pki.IssuingDistributionPoint{OnlyCACerts: true})),
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, a, b)
			f.cfg.CRLs = []config.CRL{{URL: crlURL}}
			s := f.open()
			s.begin()
			for _, ders := range [][][]byte{{crl(a, number(2))}, {crl(a, number(3)), extra}, {crl(a, number(4))}} {
				if _, err := f.arrives(s, crlURL, ders...); err != nil {
					t.Fatal(err)
				}
				if n := len(s.crls[0].lists); n != 1 {
					t.Errorf("%d lists are taken", n)
				}
				if told := strings.Contains(strings.Join(s.Status().Warnings, "\n"), "is ignored"); told != (len(ders) > 1) {
					t.Errorf("warnings with %d lists: %q", len(ders), s.Status().Warnings)
				}
			}
			if n := strings.Count(f.log.String(), "fetched CRL ignored"); n != 1 {
				t.Errorf("logged %d times", n)
			}
			_, err := s.Verify(chainOf(t, issue(b)), alb, time.Now()) // needs no list for that
			wantCode(t, err, reason.Success)
		})
	}
}

// TestDeltaBelongsToItsList has a delta beside its list, and gone once a complete
// list has caught up with it.
func TestDeltaBelongsToItsList(t *testing.T) {
	a := root()
	revoked := issue(a)
	f := newFixture(t, a)
	f.cfg.CRLs = []config.CRL{{URL: crlURL}}
	s := f.open()
	base, delta := crl(a, number(3)), crl(a, number(5), pki.DeltaTo(big.NewInt(3)), pki.Revoke(revoked))
	for _, ders := range [][][]byte{{base}, {base, delta}, {crl(a, number(6), pki.Revoke(revoked))}} {
		if _, err := f.arrives(s, crlURL, ders...); err != nil || len(s.crls[0].lists) != len(ders) {
			t.Fatalf("%d lists of %d: %v", len(s.crls[0].lists), len(ders), err)
		}
	}
	_, err := s.Verify(chainOf(t, revoked), alb, time.Now())
	wantCode(t, err, reason.ClientCertCrlHit)
}

// TestCAsOfURL: where the configuration names a CA for a URL, the bundle's are
// not taken there, and what was taken of others before binds nobody.
func TestCAsOfURL(t *testing.T) {
	a, b := root(), root()
	f := newFixture(t, a, b)
	f.cfg.CRLs = []config.CRL{{URL: crlURL}}
	s := f.open()
	s.begin()
	if _, err := f.arrives(s, crlURL, crl(a, number(3)), crl(b, number(1))); err != nil {
		t.Fatal(err)
	}
	if _, err := f.arrives(s, crlURL, crl(a, number(4))); !errors.Is(err, errGone) {
		t.Fatalf("without b's: %v", err)
	}
	f.write("a.pem", pki.Bundle(a))
	f.cfg.CRLs[0].CA = "a.pem"
	s = f.open()
	if _, err := f.arrives(s, crlURL, crl(a, number(4))); err != nil {
		t.Errorf("for a alone: %v", err)
	}
	if _, err := f.arrives(s, crlURL, crl(b, number(4))); err == nil {
		t.Error("b's is taken for a's")
	}
	s.addPoint(point{crlURL, b.Cert}, nil)
	if _, err := f.arrives(s, crlURL, crl(a, number(5)), crl(b, number(4))); err != nil || len(s.crls[0].lists) != 1 {
		t.Errorf("a certificate that names the URL: %d lists, %v", len(s.crls[0].lists), err)
	}
}

// TestPointIsOfItsCA: at a distribution point only the CA is listened to whose
// certificates name it, also where another one is in the bundle.
func TestPointIsOfItsCA(t *testing.T) {
	a, b := root(), root()
	f := newFixture(t, a, b)
	f.cfg.Revocation.DistributionPoints = []string{"crl.example"}
	s := f.open()
	s.begin()
	s.takePoint(point{crlURL, a.Cert})
	if _, err := f.arrives(s, crlURL, crl(b)); err == nil || !strings.Contains(err.Error(), "no CRL of a CA whose lists are taken") {
		t.Errorf("b's alone: %v", err)
	}
	takes := func(want int, ders ...[]byte) {
		t.Helper()
		if _, err := f.arrives(s, crlURL, ders...); err != nil || len(s.crls[0].lists) != want {
			t.Errorf("%d lists are taken, want %d; %v", len(s.crls[0].lists), want, err)
		}
	}
	takes(1, crl(a, number(3)), crl(b))
	s.takePoint(point{crlURL, b.Cert})
	takes(2, crl(a, number(4)), crl(b))
	if _, err := f.arrives(s, crlURL, crl(a, number(5))); !errors.Is(err, errGone) {
		t.Errorf("without b's: %v", err)
	}
}
