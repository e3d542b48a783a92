package peers

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
)

// listed is a revoked certificate: its issuer's name in DER, its serial number's
// bytes.
type listed struct{ issuer, serial string }

// revokedSet is the plain Go edge's CRLs.
type revokedSet map[listed]struct{}

// readCRLs reads a PEM file of CRLs. It leaves their signatures unchecked: the
// files are this run's own, and reading them is not measured.
func readCRLs(file string) (revokedSet, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	revoked := revokedSet{}
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			break
		}
		crl, err := x509.ParseRevocationList(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("parse %s: %w", file, err)
		}
		issuer := string(crl.RawIssuer)
		for _, entry := range crl.RevokedCertificateEntries {
			revoked[listed{issuer, string(entry.SerialNumber.Bytes())}] = struct{}{}
		}
	}
	if len(revoked) == 0 {
		return nil, fmt.Errorf("no entry in %s", file)
	}
	return revoked, nil
}

// check refuses chains of which any certificate but the root is listed.
func (r revokedSet) check(chains [][]*x509.Certificate) error {
	if len(chains) == 0 {
		return errors.New("no verified chain")
	}
	for _, chain := range chains {
		for _, cert := range chain[:len(chain)-1] {
			if _, found := r[listed{string(cert.RawIssuer), string(cert.SerialNumber.Bytes())}]; found {
				return fmt.Errorf("certificate %x is revoked", cert.SerialNumber)
			}
		}
	}
	return nil
}
