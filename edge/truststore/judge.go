package truststore

import (
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sallyport/sallyport/edge/reason"
)

// judge takes a path whose signatures verify through the rows of the table of
// codes, from the certificate type to the identity filters, and returns the
// first at which it fails, or nil.
func judge(path []*x509.Certificate, p Policy, now time.Time) *reason.Error {
	below := path[:len(path)-1]
	if p.Strict {
		for _, c := range below {
			if err := checkSerial(c, p); err != nil {
				return refuse(reason.ClientCertInvalid, c, err)
			}
		}
	}
	for _, c := range path {
		if err := checkType(c, p); err != nil {
			return refuse(reason.ClientCertTypeUnsupported, c, err)
		}
	}
	for _, c := range below {
		if err := checkHash(c); err != nil {
			return refuse(reason.ClientCertIncompatible, c, err)
		}
	}
	for _, c := range path {
		if now.Before(c.NotBefore) {
			return refuse(reason.ClientCertNotYetValid, c, fmt.Errorf("is not valid before %s", stamp(c.NotBefore)))
		}
	}
	for i, c := range path {
		if now.After(c.NotAfter) && !expiryIgnored(path, i, p) {
			return refuse(reason.ClientCertExpired, c, fmt.Errorf("expired at %s", stamp(c.NotAfter)))
		}
	}
	for i := len(path) - 1; i >= 0; i-- {
		if err := checkExtKeyUsage(path[i]); err != nil {
			return refuse(reason.ClientCertPurposeInvalid, path[i], err)
		}
	}
	if p.Strict {
		if err := checkStrict(path[0]); err != nil {
			return refuse(reason.ClientCertPurposeInvalid, path[0], err)
		}
	}
	if err := p.Filters.check(path[0]); err != nil {
		return refuse(reason.ClientCertRejected, path[0], err)
	}
	return nil
}

func refuse(code reason.Code, c *x509.Certificate, err error) *reason.Error {
	return reason.Errorf(code, "%s %w", describe(c), err)
}

// expiryIgnored reports whether p forgives the i-th certificate of path its
// notAfter. The anchor's is the operator's own to renew.
func expiryIgnored(path []*x509.Certificate, i int, p Policy) bool {
	return p.IgnoreExpiry && i < len(path)-1
}

// checkType is the row of ClientCertTypeUnsupported.
func checkType(c *x509.Certificate, p Policy) error {
	if c.Version != 3 {
		return fmt.Errorf("is X.509v%d, want v3", c.Version)
	}
	return checkKey(c, p)
}

var oidExtKeyUsage = asn1.ObjectIdentifier{2, 5, 29, 37}

// checkExtKeyUsage asks of every certificate of a path, its anchor included,
// that it does not exclude clientAuth, as crypto/x509 does: a CA that is for
// servers alone makes no clients. Without the extension any usage is meant (RFC
// 5280, section 4.2.1.12); an empty one, which is malformed, means none.
func checkExtKeyUsage(c *x509.Certificate) error {
	if slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageClientAuth) || slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageAny) {
		return nil
	}
	for _, e := range c.Extensions {
		if e.Id.Equal(oidExtKeyUsage) {
			return errors.New("has an extended key usage without clientAuth")
		}
	}
	return nil
}

// checkStrict is what certificate_rules strict asks of a leaf's purpose.
func checkStrict(leaf *x509.Certificate) error {
	switch {
	case leaf.IsCA:
		return errors.New("is a CA, which strict rules refuse as a client")
	case !slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageClientAuth):
		return errors.New("is without the extended key usage clientAuth, which strict rules want by name")
	case leaf.KeyUsage&x509.KeyUsageDigitalSignature == 0:
		return errors.New("is without the key usage digitalSignature, which strict rules want")
	}
	return nil
}
