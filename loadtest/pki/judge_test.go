package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"
)

// judge is a plain reading of the reason-code table for clients with one defect
// each: what an edge that trusts root should say to what it was shown.
type judge struct {
	root   *CA
	crls   []*x509.RevocationList
	strict bool
}

// handshake presents cert to a server that asks for any certificate, and
// returns what the server saw and how its handshake ended.
func handshake(t *testing.T, server *Leaf, cert tls.Certificate, version uint16) ([]*x509.Certificate, error) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		conn, err := tls.Dial("tcp", listener.Addr().String(), &tls.Config{
			InsecureSkipVerify:   true,
			GetClientCertificate: PresentAlways(cert),
			MaxVersion:           version,
		})
		if err != nil {
			return // the server's side of it is what counts
		}
		io.Copy(io.Discard, conn)
		conn.Close()
	}()
	conn, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	var seen []*x509.Certificate
	err = tls.Server(conn, &tls.Config{
		Certificates: []tls.Certificate{server.TLSCertificate()},
		ClientAuth:   tls.RequireAnyClientCert,
		VerifyConnection: func(state tls.ConnectionState) error {
			seen = state.PeerCertificates
			return nil
		},
	}).Handshake()
	return seen, err
}

func (j judge) code(seen []*x509.Certificate, err error) string {
	if len(seen) == 0 {
		return refusedByTLS(err)
	}
	sum := 0
	for _, cert := range seen {
		sum += len(cert.Raw)
	}
	switch {
	case sum > 64<<10:
		return "ClientCertMaxSizeExceeded"
	case len(seen) > 4:
		return "ClientCertMaxChainDepthExceeded"
	case j.strict && (seen[0].SerialNumber.Sign() <= 0 || len(seen[0].SerialNumber.Bytes()) > 20):
		return "ClientCertInvalid"
	}
	path, code := j.path(seen)
	if code != "" {
		return code
	}
	if code := j.verify(path, seen); code != "" {
		return code
	}
	leaf := seen[0]
	if j.strict && (len(leaf.ExtKeyUsage) == 0 || leaf.KeyUsage&x509.KeyUsageDigitalSignature == 0 || leaf.IsCA) {
		return "ClientCertPurposeInvalid"
	}
	if code := j.revocation(path); code != "" {
		return code
	}
	if err != nil {
		return refusedByTLS(err)
	}
	return "Success"
}

// refusedByTLS maps what crypto/tls ends a handshake with by itself.
func refusedByTLS(err error) string {
	if err == nil {
		return "Success"
	}
	for text, code := range map[string]string{
		"didn't provide a certificate":      "ClientCertMissing",
		"exceeds maximum":                   "ClientCertMaxSizeExceeded",
		"failed to parse client cert":       "ClientCertInvalid",
		"RSA key larger than":               "ClientCertTypeUnsupported",
		"unsupported public key":            "ClientCertTypeUnsupported",
		"invalid signature by the client c": "ClientCertIntentInvalid",
	} {
		if strings.Contains(err.Error(), text) {
			return code
		}
	}
	return err.Error()
}

// path follows the issuers' names from the leaf to the root, root included.
func (j judge) path(seen []*x509.Certificate) ([]*x509.Certificate, string) {
	path := []*x509.Certificate{seen[0]}
	for {
		cert := path[len(path)-1]
		if cert.Version != 3 || !keyAllowed(cert) {
			return nil, "ClientCertTypeUnsupported"
		}
		if cert == j.root.Cert {
			return path, ""
		}
		i := slices.IndexFunc(append(seen[1:len(seen):len(seen)], j.root.Cert), func(c *x509.Certificate) bool {
			return string(c.RawSubject) == string(cert.RawIssuer)
		})
		if i < 0 || len(path) > len(seen) {
			return nil, "ClientCertUntrusted"
		}
		issuer := append(seen[1:len(seen):len(seen)], j.root.Cert)[i]
		err := issuer.CheckSignature(cert.SignatureAlgorithm, cert.RawTBSCertificate, cert.Signature)
		var insecure x509.InsecureAlgorithmError
		if err != nil && !errors.As(err, &insecure) {
			return nil, "ClientCertInvalid"
		}
		path = append(path, issuer)
	}
}

func keyAllowed(cert *x509.Certificate) bool {
	switch key := cert.PublicKey.(type) {
	case *rsa.PublicKey:
		return key.N.BitLen() >= 2048 && key.N.BitLen() <= 8192
	case *ecdsa.PublicKey:
		return key.Curve != elliptic.P224()
	}
	return false
}

// verify is crypto/x509's opinion of a path that signatures bear out.
func (j judge) verify(path, seen []*x509.Certificate) string {
	for _, cert := range path[:len(path)-1] {
		switch cert.SignatureAlgorithm {
		case x509.SHA1WithRSA, x509.ECDSAWithSHA1, x509.MD5WithRSA:
			return "ClientCertIncompatible"
		}
	}
	between := x509.NewCertPool()
	for _, cert := range seen[1:] {
		between.AddCert(cert)
	}
	_, err := path[0].Verify(x509.VerifyOptions{
		Roots:         j.root.Pool(),
		Intermediates: between,
		KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	var invalid x509.CertificateInvalidError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && time.Now().Before(invalid.Cert.NotBefore):
		return "ClientCertNotYetValid"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "ClientCertExpired"
	case errors.As(err, &invalid) && invalid.Reason == x509.IncompatibleUsage:
		return "ClientCertPurposeInvalid"
	}
	return "ClientCertUntrusted"
}

// revocation looks up every link of which there is a CRL.
func (j judge) revocation(path []*x509.Certificate) string {
	for i, cert := range path[:len(path)-1] {
		for _, crl := range j.crls {
			if string(crl.RawIssuer) != string(cert.RawIssuer) {
				continue
			}
			if crl.CheckSignatureFrom(path[i+1]) != nil || time.Now().After(crl.NextUpdate) {
				return "ClientCertCrlProcessingError"
			}
			for _, entry := range crl.RevokedCertificateEntries {
				if entry.SerialNumber.Cmp(cert.SerialNumber) == 0 {
					return "ClientCertCrlHit"
				}
			}
		}
	}
	return ""
}
