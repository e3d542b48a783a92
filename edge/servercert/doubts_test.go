package servercert

import (
	"crypto/x509"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/loadtest/pki"
)

// TestDoubts: an operator is told of a certificate that loads and that no client will
// take.
func TestDoubts(t *testing.T) {
	ca, server, now := pki.Must(pki.NewRoot()), pki.Server("a.example"), time.Now()
	rsa := pki.Must(pki.NewRoot(pki.Key(pki.RSA(2048))))
	for name, test := range map[string]struct {
		ca      *pki.CA
		options []pki.Option
		want    string // "" for no doubt
	}{
		"good":           {ca, []pki.Option{server}, ""},
		"any usage":      {ca, []pki.Option{server, pki.EKU(x509.ExtKeyUsageAny)}, ""},
		"no usage":       {ca, []pki.Option{server, pki.EKU()}, ""},
		"good, RSA":      {rsa, []pki.Option{server, pki.Key(pki.RSA(2048))}, ""},
		"client's":       {ca, []pki.Option{server, pki.EKU(x509.ExtKeyUsageClientAuth)}, "lacks serverAuth"},
		"no name":        {ca, []pki.Option{pki.CommonName("a.example"), pki.EKU(x509.ExtKeyUsageServerAuth)}, "no subject alternative names"},
		"expired":        {ca, []pki.Option{server, pki.NotBefore(now.Add(-2 * time.Hour)), pki.NotAfter(now.Add(-time.Hour))}, "expired at"},
		"to come":        {ca, []pki.Option{server, pki.NotBefore(now.Add(time.Hour))}, "not valid before"},
		"weak key":       {ca, []pki.Option{server, pki.Key(pki.RSA(1024))}, "1024 bits: clients want at least 2048"},
		"weak signature": {rsa, []pki.Option{server, pki.SHA1()}, "signed with SHA1-RSA"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			c := pki.Must(Load(files(t, dir, "c", pki.Must(test.ca.Issue(test.options...))), in(dir)))
			doubts := c.Doubts(now)
			if test.want == "" {
				if len(doubts) > 0 {
					t.Errorf("doubts %q, want none", doubts)
				}
			} else if len(doubts) != 1 || !strings.Contains(doubts[0], test.want) {
				t.Errorf("doubts %q, want one: %s", doubts, test.want)
			}
		})
	}
}
