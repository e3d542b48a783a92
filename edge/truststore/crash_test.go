package truststore

import (
	"errors"
	"os"
	"testing"
	"time"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/fetch"
	"github.com/sallyport/sallyport/edge/reason"
	"github.com/sallyport/sallyport/loadtest/pki"
)

// TestCrashWhileAccepting ends the process on either side of the moment at which
// the download takes the place of what was kept: there is a list afterwards.
func TestCrashWhileAccepting(t *testing.T) {
	a := root()
	revoked := issue(a)
	crash := errors.New("crash")
	for name, replaced := range map[string]bool{"before": false, "after": true} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, a)
			f.cfg.CRLs = []config.CRL{{URL: crlURL}}
			s := f.open()
			s.begin()
			if _, err := f.arrives(s, crlURL, crl(a, number(3))); err != nil {
				t.Fatal(err)
			}
			f.write("part", pki.CRLPEM(crl(a, number(4), pki.Revoke(revoked))))
			_, err := s.accept(t.Context(), crlURL, f.dir+"/part", func() error {
				if replaced {
					if err := os.Rename(f.dir+"/part", fetch.KeptFile(s.fetched, crlURL)); err != nil {
						t.Fatal(err)
					}
				}
				return crash
			})
			if !errors.Is(err, crash) {
				t.Fatal(err)
			}
			s = f.open()
			if len(s.crls[0].lists) != 1 {
				t.Fatal("no list is in force")
			}
			want := reason.Success
			if replaced {
				want = reason.ClientCertCrlHit
			}
			_, err = s.Verify(chainOf(t, revoked), alb, time.Now())
			wantCode(t, err, want)
		})
	}
}
