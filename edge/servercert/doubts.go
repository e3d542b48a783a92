package servercert

import (
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"slices"
	"time"
)

// minRSA is the smallest RSA key that today's clients take, in bits.
const minRSA = 2048

// Doubts says why clients will refuse the entry's first certificate at now, though it
// could be loaded; nil where nothing is known against it.
func (c *Certificate) Doubts(now time.Time) []string {
	leaf := c.Leaf()
	if leaf == nil {
		return nil
	}
	var doubts []string
	add := func(format string, arguments ...any) {
		doubts = append(doubts, fmt.Sprintf(format, arguments...))
	}
	switch {
	case now.After(leaf.NotAfter):
		add("expired at %s", leaf.NotAfter.UTC().Format(time.RFC3339))
	case now.Before(leaf.NotBefore):
		add("is not valid before %s", leaf.NotBefore.UTC().Format(time.RFC3339))
	}
	if len(leaf.DNSNames) == 0 && len(leaf.IPAddresses) == 0 {
		add("has no subject alternative names: clients take it for nobody's")
	}
	usages := len(leaf.ExtKeyUsage) + len(leaf.UnknownExtKeyUsage)
	if usages > 0 && !slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageServerAuth) && !slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageAny) {
		add("is not for servers: its extended key usage lacks serverAuth")
	}
	if key, ok := leaf.PublicKey.(*rsa.PublicKey); ok && key.N.BitLen() < minRSA {
		add("has an RSA key of %d bits: clients want at least %d", key.N.BitLen(), minRSA)
	}
	switch leaf.SignatureAlgorithm {
	case x509.MD5WithRSA, x509.SHA1WithRSA, x509.DSAWithSHA1, x509.ECDSAWithSHA1:
		add("is signed with %s: clients refuse that", leaf.SignatureAlgorithm)
	}
	return doubts
}
