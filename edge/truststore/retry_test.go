package truststore

import (
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/edge/reason"
	"github.com/sallyport/sallyport/loadtest/pki"
)

// TestHostFailure has no place to keep a CRL for a while. When there is one again,
// nothing about the CRL's file has changed, and whom it revokes must be refused.
func TestHostFailure(t *testing.T) {
	anchor := root()
	revoked := issue(anchor)
	many := pki.RevokeSeq(func(yield func(pki.Entry) bool) { // a file of 64 KiB and more is kept
		for i := range int64(3000) {
			if !yield(pki.Entry{Serial: new(big.Int).Lsh(big.NewInt(i+1), 64)}) {
				return
			}
		}
	})
	f := newFixture(t, anchor)
	f.crl("a.crl", crl(anchor, number(1), many))
	newer := crl(anchor, number(2), many, pki.Revoke(revoked))
	crls := filepath.Join(f.options().Dir, "crls")
	f.now = time.Now()
	synctest.Test(t, func(t *testing.T) {
		s := f.open()
		stop := run(t, s)
		defer stop()
		want := func(code reason.Code) {
			t.Helper()
			_, err := s.Verify(chainOf(t, revoked), alb, f.now)
			wantCode(t, err, code)
		}
		if err := os.Rename(crls, crls+".away"); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(crls, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		f.crl("a.crl", newer)
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		want(reason.Success)
		if n := strings.Count(f.log.String(), "trust store file refused"); n < 5 || n > 20 {
			t.Errorf("refused %d times in ten minutes, want one a minute and some before\n%s", n, f.log.String())
		}

		if err := os.Remove(crls); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(crls+".away", crls); err != nil {
			t.Fatal(err)
		}
		time.Sleep(lastRetry)
		synctest.Wait()
		want(reason.ClientCertCrlHit)
		if st := s.Status(); len(st.Errors) != 0 {
			t.Errorf("errors %q are left", st.Errors)
		}
	})
}

// TestContentIsNotRetried leaves a broken file alone: to read it again costs, and
// changes nothing.
func TestContentIsNotRetried(t *testing.T) {
	anchor := root()
	f := newFixture(t, anchor)
	f.crl("a.crl", crl(anchor, number(1)))
	f.now = time.Now()
	synctest.Test(t, func(t *testing.T) {
		stop := run(t, f.open())
		defer stop()
		synctest.Wait() // it has been looked at once more
		f.write("a.crl", []byte("no CRL"))
		time.Sleep(time.Hour)
		f.write("a.crl", nil)
		time.Sleep(time.Hour)
		if err := os.Remove(filepath.Join(f.dir, "a.crl")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if n := strings.Count(f.log.String(), "trust store file refused"); n != 3 {
			t.Errorf("refused %d times, want 3:\n%s", n, f.log.String())
		}
	})
}
