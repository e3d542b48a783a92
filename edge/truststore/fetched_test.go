package truststore

import (
	"context"
	"errors"
	"io/fs"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/fetch"
	"github.com/sallyport/sallyport/edge/reason"
	"github.com/sallyport/sallyport/loadtest/pki"
)

const crlURL = "http://crl.example/ca.crl"

// arrives is what the fetcher does with a file: it has it accepted, and keeps it.
func (f *fixture) arrives(s *Store, url string, ders ...[]byte) (time.Time, error) {
	f.t.Helper()
	part := filepath.Join(f.dir, "part")
	if err := os.WriteFile(part, pki.CRLPEM(ders...), 0o600); err != nil {
		f.t.Fatal(err)
	}
	next, err := s.accept(context.Background(), url, part, func() error { return os.Rename(part, fetch.KeptFile(s.fetched, url)) })
	return next, err
}

func TestFetchedLists(t *testing.T) {
	a, b := root(), root()
	f := newFixture(t, a, b)
	f.cfg.CRLs = []config.CRL{{URL: crlURL}}
	s := f.open()
	leaf, ofB := issue(a), issue(b)

	// Whose lists they are is not known: everybody needs one.
	for _, who := range []*pki.Leaf{leaf, ofB} {
		_, err := s.Verify(chainOf(t, who), alb, time.Now())
		wantRefusal(t, err, reason.ClientCertCrlProcessingError, "nothing has come from "+crlURL)
	}
	now := time.Now().Truncate(time.Second)
	next, err := f.arrives(s, crlURL, crl(a, number(3), pki.ThisUpdate(now.Add(-time.Hour)), pki.NextUpdate(now.Add(9*time.Hour))))
	if err != nil || !next.Equal(now.Add(6*time.Hour)) {
		t.Fatalf("next is %s, error %v", next, err)
	}
	_, err = s.Verify(chainOf(t, leaf), alb, time.Now())
	wantCode(t, err, reason.Success)
	_, err = s.Verify(chainOf(t, ofB), alb, time.Now()) // has no CRL, and needs none
	wantCode(t, err, reason.Success)

	for name, tt := range map[string]struct {
		ders [][]byte
		want string
	}{
		"older":            {[][]byte{crl(a, number(2))}, "is older than"},
		"only b's":         {[][]byte{crl(b, number(9))}, "has no CRL of"},
		"a delta alone":    {[][]byte{crl(a, number(9), pki.DeltaTo(number3))}, "has no CRL of"},
		"and a stranger's": {[][]byte{crl(a, number(9)), crl(root())}, "want one of a CA of the bundle"},
		"future":           {[][]byte{crl(a, number(9), pki.ThisUpdate(now.Add(time.Hour)))}, "from the future"},
	} {
		if _, err := f.arrives(s, crlURL, tt.ders...); err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "crls[0]") {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
	if got := s.Status(); got.Generation != 2 || got.WentBack != 1 || len(got.Errors) != 0 {
		t.Errorf("status %+v", got)
	}
	if _, err := s.accept(t.Context(), "http://crl.example/other.crl", "x", nil); err == nil {
		t.Error("a URL that nobody has configured is taken")
	}

	// What was kept is in force again from the start, if it is still good.
	again := f.open()
	_, err = again.Verify(chainOf(t, leaf), alb, time.Now())
	wantCode(t, err, reason.Success)
	if err := os.Remove(fetch.KeptFile(s.fetched, crlURL)); err != nil {
		t.Fatal(err)
	}
	// Once it had lists, it is known whose are missing.
	again = f.open()
	_, err = again.Verify(chainOf(t, leaf), alb, time.Now())
	wantRefusal(t, err, reason.ClientCertCrlProcessingError, "nothing has come")
	_, err = again.Verify(chainOf(t, ofB), alb, time.Now())
	wantCode(t, err, reason.Success)
	// One who takes the URL out of the configuration has done with all of that.
	f.cfg.CRLs = nil
	if err := f.open().begin(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(s.fetched); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what was fetched is still there: %v", err)
	}
	f.cfg.CRLs = []config.CRL{{URL: crlURL}}
	f.open()
	f.write("state/fetched/"+filepath.Base(fetch.KeptFile("", crlURL)), []byte("spoilt"))
	again = f.open()
	_, err = again.Verify(chainOf(t, leaf), alb, time.Now())
	wantCode(t, err, reason.ClientCertCrlProcessingError)
}

var number3 = big.NewInt(3)

func TestCAOfURL(t *testing.T) {
	a := root()
	issuing := below(a)
	f := newFixture(t, a)
	f.cfg.CRLs = []config.CRL{{URL: crlURL, CA: "issuing.pem"}}
	if _, _, err := New("partners", f.cfg, f.options()); err == nil || !strings.Contains(err.Error(), "crls[0].ca: read CAs of CRL") {
		t.Errorf("without the file: %v", err)
	}
	f.write("issuing.pem", pki.Bundle(issuing))
	s := f.open()
	leaf := issue(issuing)
	if _, err := f.arrives(s, crlURL, crl(issuing, pki.Revoke(leaf))); err != nil {
		t.Fatal(err)
	}
	_, err := s.Verify(chainOf(t, leaf), alb, time.Now())
	wantCode(t, err, reason.ClientCertCrlHit)

	f.write("issuing.pem", []byte("spoilt"))
	if err := s.Reload(); err == nil || !strings.Contains(s.Status().Errors["crls[0].ca"], "read CAs of CRL") {
		t.Errorf("spoilt: %v, %v", err, s.Status().Errors)
	}
	if _, err := f.arrives(s, crlURL, crl(issuing, number(9))); err != nil {
		t.Errorf("the CAs before still count: %v", err)
	}
	f.write("issuing.pem", pki.Bundle(issuing))
	if err := s.Reload(); err != nil || len(s.Status().Errors) > 0 {
		t.Errorf("mended: %v, %v", err, s.Status().Errors)
	}
}

// TestPoints has certificates name distribution points, of which few are taken up.
func TestPoints(t *testing.T) {
	a := root()
	f := newFixture(t, a)
	f.cfg.Revocation.DistributionPoints = []string{"crl.example"}
	s := f.open()
	s.begin()
	const where = "http://crl.example/a.crl"
	elsewhere := issue(a, pki.CRLDistributionPoints("http://other.example/a.crl", "ldap://crl.example/a"))
	_, err := s.Verify(chainOf(t, elsewhere), alb, time.Now())
	wantCode(t, err, reason.Success)
	if n := len(s.points.found); n != 0 {
		t.Errorf("%d points found where none is allowed", n)
	}
	leaf := issue(a, pki.CRLDistributionPoints(where))
	_, err = s.Verify(chainOf(t, leaf), alb, time.Now())
	wantCode(t, err, reason.ClientCertCrlProcessingError)
	s.takePoint(<-s.points.found)
	if _, err := f.arrives(s, where, crl(root())); err == nil || !strings.Contains(err.Error(), "want one of a CA") {
		t.Errorf("another CA's: %v", err)
	}
	if _, err := f.arrives(s, where, crl(a, pki.Revoke(issue(a)))); err != nil {
		t.Fatal(err)
	}
	_, err = s.Verify(chainOf(t, leaf), alb, time.Now())
	wantCode(t, err, reason.Success)
	if n := len(s.points.found); n != 0 {
		t.Errorf("it is found again, %d times", n)
	}
	if st := s.Status(); len(st.Sources) != 1 || !st.Sources[0].Point || st.Sources[0].URL != where {
		t.Errorf("sources %+v", st.Sources)
	}

	again := f.open()
	_, err = again.Verify(chainOf(t, leaf), alb, time.Now())
	wantCode(t, err, reason.Success)
	f.cfg.Revocation.DistributionPoints = []string{"*.example"} // which stands for one label
	if again = f.open(); len(again.crls) != 1 {
		t.Errorf("%d lists where the host is still allowed", len(again.crls))
	}
	f.cfg.Revocation.DistributionPoints = []string{"other.example"}
	if again = f.open(); len(again.crls) != 0 {
		t.Errorf("%d lists where the host is no longer allowed", len(again.crls))
	}
	f.write("state/"+pointsFile, []byte("{"))
	f.open()
	if !strings.Contains(f.log.String(), "distribution points not remembered") {
		t.Error("nothing is said of a broken file")
	}
}

func TestTooManyPoints(t *testing.T) {
	ps := &points{hosts: []string{"a"}, known: map[string]*knownPoint{}}
	ca, now := root().Cert, time.Now()
	for i := range maxPoints {
		if !ps.note(point{"http://a/" + strings.Repeat("x", i), ca}, now) {
			t.Fatalf("point %d is not taken", i)
		}
	}
	if ps.isFull() || ps.note(point{"http://a/one-more", ca}, now) || !ps.isFull() {
		t.Error("one more is taken")
	}
	for i := range maxPointCAs {
		if got := ps.note(point{"http://a/", root().Cert}, now); got != (i < maxPointCAs-1) {
			t.Errorf("CA %d: %v", i+2, got)
		}
	}
}

// An operator reads in the log that a list does not come, and why.
func TestFailedFetchIsLogged(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	f := newFixture(t, root())
	f.cfg.CRLs = []config.CRL{{URL: server.URL}}
	o := f.options()
	o.Network.Allow = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	s, _, err := New("partners", f.cfg, o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Run(ctx)
	}()
	for begun := time.Now(); s.Status().Sources[0].Failures == 0; time.Sleep(5 * time.Millisecond) {
		if time.Since(begun) > 30*time.Second {
			t.Fatal("nothing is fetched")
		}
	}
	cancel()
	<-done
	for _, want := range []string{`level=WARN msg="fetch failed" trust_store=partners url=` + server.URL, "404"} {
		if !strings.Contains(f.log.String(), want) {
			t.Errorf("no %q in the log: %s", want, f.log.String())
		}
	}
}
