package truststore

import (
	"context"
	"encoding/asn1"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/fetch"
	"github.com/sallyport/sallyport/edge/reason"
	"github.com/sallyport/sallyport/loadtest/pki"
)

// follow has a store follow its points while time passes.
func follow(t *testing.T, f *fixture, do func(s *Store)) {
	t.Helper()
	s := f.open()
	if err := s.begin(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); s.followPoints(ctx) }()
	do(s)
	cancel()
	<-done
}

func passing(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// sources are the URLs that s follows.
func (s *Store) urls() (urls []string) {
	for _, f := range s.crlsNow() {
		urls = append(urls, f.url)
	}
	return urls
}

const day = 24 * time.Hour

// freshest is the extension by which a list names its delta (RFC 5280 section 5.2.6).
func freshest(url string) pki.CRLOption {
	wrap := func(tag int, compound bool, content []byte) []byte {
		return pki.Must(asn1.Marshal(asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: tag, IsCompound: compound, Bytes: content}))
	}
	point := struct{ Name asn1.RawValue }{asn1.RawValue{FullBytes: wrap(0, true, wrap(0, true, wrap(6, false, []byte(url))))}}
	return pki.Extension(asn1.ObjectIdentifier{2, 5, 29, 46}, false, pki.Must(asn1.Marshal([]any{point})))
}

// TestForgetPoints: a CA names a new URL for each period. The old ones go when their
// lists have expired and nobody has come with them for a month, and whoever does
// come again is refused until the list is there.
func TestForgetPoints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := root(pki.NotAfter(time.Now().Add(1000 * day)))
		f := newFixture(t, a)
		f.cfg.Revocation.DistributionPoints = []string{"crl.example"}
		url := func(n int) string { return fmt.Sprintf("http://crl.example/%d.crl", n) }
		long := pki.NotAfter(time.Now().Add(900 * day))
		old, revokedOld := issue(a, long, pki.CRLDistributionPoints(url(1))), issue(a, long, pki.CRLDistributionPoints(url(1)))
		young := issue(a, long, pki.CRLDistributionPoints(url(2)))
		nameless := issue(a, long) // needs a list since its CA's were there
		shard := func(n int64, days time.Duration, opts ...pki.CRLOption) []byte {
			return crl(a, append(opts, number(n), pki.NextUpdate(time.Now().Add(days*day)), pki.Scope(pki.IssuingDistributionPoint{URIs: []string{url(int(n))}}))...)
		}
		come := func(s *Store, leaf *pki.Leaf, want reason.Code) {
			t.Helper()
			_, err := s.Verify(chainOf(t, leaf), alb, time.Now())
			wantCode(t, err, want)
			synctest.Wait()
		}
		var kept string
		follow(t, f, func(s *Store) {
			come(s, old, reason.ClientCertCrlProcessingError)
			if _, err := f.arrives(s, url(1), shard(1, 7, pki.Revoke(revokedOld))); err != nil {
				t.Fatal(err)
			}
			kept = fetch.KeptFile(s.fetched, url(1))
			come(s, old, reason.Success)
			come(s, revokedOld, reason.ClientCertCrlHit)
			come(s, nameless, reason.ClientCertCrlProcessingError)
			passing(5 * day)
			come(s, young, reason.ClientCertCrlProcessingError)
			if _, err := f.arrives(s, url(2), shard(2, 100)); err != nil {
				t.Fatal(err)
			}
			passing(20 * day)
			come(s, old, reason.ClientCertCrlProcessingError) // expired, and still named
		})
		follow(t, f, func(s *Store) {
			passing(29 * day)
			if got := s.urls(); len(got) != 2 {
				t.Fatalf("after 29 days it follows %q", got)
			}
			come(s, revokedOld, reason.ClientCertCrlHit) // which names it, too
			passing(31 * day)
			if got := s.urls(); len(got) != 1 || got[0] != url(2) {
				t.Fatalf("after 31 days it follows %q", got)
			}
			if _, err := os.Stat(kept); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("its list is still there: %v", err)
			}
			for _, st := range s.Status().Sources {
				if st.URL == url(1) {
					t.Error("it is shown as a source")
				}
			}
			come(s, young, reason.Success)
			come(s, nameless, reason.ClientCertCrlProcessingError)
		})
		follow(t, f, func(s *Store) {
			if got := s.urls(); len(got) != 1 {
				t.Errorf("after a restart it follows %q", got)
			}
			come(s, nameless, reason.ClientCertCrlProcessingError)
			come(s, revokedOld, reason.ClientCertCrlProcessingError)
			if got := s.urls(); len(got) != 2 {
				t.Errorf("who comes again does not bring it back: %q", got)
			}
			if _, err := f.arrives(s, url(1), shard(1, 7, pki.Revoke(revokedOld))); err != nil {
				t.Fatal(err)
			}
			come(s, revokedOld, reason.ClientCertCrlHit)
			come(s, old, reason.Success)
		})
		// What the memory has is bound to the points: without them it goes.
		f.cfg.Revocation.DistributionPoints = nil
		s := f.open()
		if err := s.begin(); err != nil {
			t.Fatal(err)
		}
		come(s, nameless, reason.Success)
	})
}

// TestForgetLast: where the forgotten list was all that its issuer had, the memory
// goes on to ask for one, over a restart too.
func TestForgetLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := root(pki.NotAfter(time.Now().Add(1000 * day)))
		f := newFixture(t, a)
		f.cfg.Revocation.DistributionPoints = []string{"crl.example"}
		named, nameless := issue(a, pki.NotAfter(time.Now().Add(900*day)), pki.CRLDistributionPoints(crlURL)), issue(a, pki.NotAfter(time.Now().Add(900*day)))
		refused := func(s *Store) {
			t.Helper()
			_, err := s.Verify(chainOf(t, nameless), alb, time.Now())
			wantCode(t, err, reason.ClientCertCrlProcessingError)
		}
		follow(t, f, func(s *Store) {
			_, err := s.Verify(chainOf(t, named), alb, time.Now())
			wantCode(t, err, reason.ClientCertCrlProcessingError)
			synctest.Wait()
			if _, err := f.arrives(s, crlURL, crl(a, pki.NextUpdate(time.Now().Add(day)))); err != nil {
				t.Fatal(err)
			}
			_, err = s.Verify(chainOf(t, nameless), alb, time.Now())
			wantCode(t, err, reason.Success)
			passing(32 * day)
			if got := s.urls(); len(got) != 0 {
				t.Fatalf("it follows %q", got)
			}
			refused(s)
		})
		for range 2 {
			follow(t, f, refused)
		}
	})
}

// TestNotForgotten: what would open something is kept, however long ago it was named.
func TestNotForgotten(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(f *fixture, a *pki.CA)
		list   []pki.CRLOption
		want   int
	}{
		"nobody else's":  {nil, nil, 0},
		"in force":       {nil, []pki.CRLOption{pki.NextUpdate(time.Date(2000, 6, 1, 0, 0, 0, 0, time.UTC))}, 1},
		"within grace":   {func(f *fixture, _ *pki.CA) { f.cfg.Revocation.OnExpiredCRL.Grace = config.Duration(100 * day) }, nil, 1},
		"expired allows": {func(f *fixture, _ *pki.CA) { f.cfg.Revocation.OnExpiredCRL.Then = config.ThenAllow }, nil, 1},
		"older stands in": {func(f *fixture, a *pki.CA) {
			f.crl("old.pem", crl(a, number(1), pki.ThisUpdate(time.Now().Add(-day)), pki.NextUpdate(time.Now().Add(500*day))))
		}, nil, 2},
		"newer is there": {func(f *fixture, a *pki.CA) {
			f.crl("new.pem", crl(a, number(9), pki.NextUpdate(time.Now().Add(500*day))))
		}, nil, 1},
		"another CA's": {func(f *fixture, a *pki.CA) {
			b := root()
			f.write("ca.pem", pki.Bundle(a, b))
			f.crl("other.pem", crl(b, number(1), pki.ThisUpdate(time.Now().Add(-day)), pki.NextUpdate(time.Now().Add(500*day))))
		}, nil, 1},
		"named as a delta": {func(f *fixture, a *pki.CA) {
			f.crl("base.pem", crl(a, number(9), freshest(crlURL), pki.NextUpdate(time.Now().Add(500*day))))
		}, nil, 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := root(pki.NotAfter(time.Now().Add(1000 * day)))
				f := newFixture(t, a)
				f.cfg.Revocation.DistributionPoints = []string{"crl.example"}
				if tt.change != nil {
					tt.change(f, a)
				}
				leaf := issue(a, pki.CRLDistributionPoints(crlURL))
				follow(t, f, func(s *Store) {
					s.Verify(chainOf(t, leaf), alb, time.Now())
					synctest.Wait()
					before := len(s.urls())
					if _, err := f.arrives(s, crlURL, crl(a, append([]pki.CRLOption{number(5), pki.NextUpdate(time.Now().Add(day)), pki.Revoke(leaf)}, tt.list...)...)); err != nil {
						t.Fatal(err)
					}
					passing(40 * day)
					if got := s.urls(); len(got) != tt.want {
						t.Errorf("of %d lists it has %q, want %d", before, got, tt.want)
					}
					_, err := s.Verify(chainOf(t, leaf), alb, time.Now())
					if tells := name == "newer is there" || name == "named as a delta"; (err == nil) != tells {
						t.Errorf("the revoked: %v", err) // a newer list, if there is one, says so
					}
				})
			})
		})
	}
}

// TestCrowdedPoints: where there are as many as may be, those that were not named for
// a day make room.
func TestCrowdedPoints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := root()
		f := newFixture(t, a)
		f.cfg.Revocation.DistributionPoints = []string{"crl.example"}
		follow(t, f, func(s *Store) {
			for i := range maxPoints {
				p := point{"http://crl.example/" + strings.Repeat("x", i), a.Cert}
				s.points.note(p, time.Now())
				s.addPoint(p, nil)
			}
			one := point{"http://crl.example/one-more", a.Cert}
			s.takePoint(one)
			if n := len(s.urls()); n != maxPoints || !s.Status().Full {
				t.Errorf("%d points, full %t", n, s.Status().Full)
			}
			passing(23 * time.Hour)
			s.points.tell(point{"http://crl.example/xx", a.Cert}, time.Now())
			passing(2 * time.Hour)
			s.takePoint(one)
			if got := s.urls(); len(got) != 2 || s.Status().Full {
				t.Errorf("it follows %d: %q", len(got), got)
			}
		})
	})
}
