package main

import (
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/loadtest/pki"
	"github.com/sallyport/sallyport/revocation"
)

// TestLookUpInExpired looks a client up in lists that are good no more: an edge
// refuses it, so it must not be called good, but whom they revoke is revoked.
func TestLookUpInExpired(t *testing.T) {
	t.Parallel()
	now := time.Now()
	ca := pki.Must(pki.NewRoot())
	good, revoked := pki.Must(ca.Issue()), pki.Must(ca.Issue())
	write := func(l *pki.Leaf) string {
		path := filepath.Join(t.TempDir(), "client.pem")
		if err := os.WriteFile(path, l.CertPEM(), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	goodFile, revokedFile := write(good), write(revoked)
	cas := []*x509.Certificate{ca.Cert}
	for name, tt := range map[string]struct {
		option pki.CRLOption
		status revocation.Status
		why    string
	}{
		"current":    {pki.NextUpdate(now.Add(time.Hour)), revocation.Good, ""},
		"expired":    {pki.NextUpdate(now.Add(-time.Minute)), revocation.Unknown, "expired at 2"},
		"no promise": {pki.NoNextUpdate(), revocation.Unknown, "no nextUpdate"},
	} {
		der := pki.Must(ca.CRL(pki.Revoke(revoked), tt.option))
		lists := pki.Must(revocation.Parse(der))
		r, err := lookUp(goodFile, cas, lists, now)
		if err != nil {
			t.Fatal(err)
		}
		if r.Status != tt.status.String() || !strings.Contains(r.Why, tt.why) || (r.Why == "") != (tt.why == "") {
			t.Errorf("%s: client not listed: %s, %q; want %s, %q", name, r.Status, r.Why, tt.status, tt.why)
		}
		if r, err = lookUp(revokedFile, cas, lists, now); err != nil || r.Status != revocation.Revoked.String() {
			t.Errorf("%s: client listed: %+v, %v; want revoked", name, r, err)
		}
	}
}
