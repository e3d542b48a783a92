package truststore

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
)

// ALB's range of RSA keys, in bits.
const (
	minRSABits = 2048
	maxRSABits = 8192
)

// checkKey tells why c's public key is of no type or size that p allows: ALB's
// are RSA of 2048 to 8192 bits, P-256, P-384 and P-521.
func checkKey(c *x509.Certificate, p Policy) error {
	switch key := c.PublicKey.(type) {
	case *rsa.PublicKey:
		if bits := key.N.BitLen(); bits < minRSABits || bits > maxRSABits {
			return fmt.Errorf("has an RSA key of %d bits, want %d to %d", bits, minRSABits, maxRSABits)
		}
		return nil
	case *ecdsa.PublicKey:
		switch key.Curve {
		case elliptic.P256(), elliptic.P384(), elliptic.P521():
			return nil
		}
		return fmt.Errorf("has a key on curve %s, want P-256, P-384 or P-521", key.Curve.Params().Name)
	case ed25519.PublicKey:
		if p.AllowEd25519 {
			return nil
		}
		return fmt.Errorf("has an Ed25519 key, which allow_ed25519 would admit")
	}
	if c.PublicKeyAlgorithm != x509.UnknownPublicKeyAlgorithm {
		return fmt.Errorf("has a %v key, want RSA or ECDSA", c.PublicKeyAlgorithm)
	}
	return fmt.Errorf("has a key of unknown type, want RSA or ECDSA")
}

// checkHash tells why the signature on c is made with no algorithm that is
// allowed. Ed25519 is not judged here: whether it is allowed is its signer's
// key's matter.
func checkHash(c *x509.Certificate) error {
	switch c.SignatureAlgorithm {
	case x509.SHA256WithRSA, x509.SHA384WithRSA, x509.SHA512WithRSA,
		x509.SHA256WithRSAPSS, x509.SHA384WithRSAPSS, x509.SHA512WithRSAPSS,
		x509.ECDSAWithSHA256, x509.ECDSAWithSHA384, x509.ECDSAWithSHA512,
		x509.PureEd25519:
		return nil
	case x509.UnknownSignatureAlgorithm:
		return fmt.Errorf("is signed with an unknown algorithm, want SHA-256, SHA-384 or SHA-512 with RSA or ECDSA")
	}
	return fmt.Errorf("is signed with %v, want SHA-256, SHA-384 or SHA-512 with RSA or ECDSA", c.SignatureAlgorithm)
}

// verifiable reports whether trying c's key on a signature is safe and makes
// sense: crypto/tls lets no larger RSA key through, but a Store may be called
// without it, and the time a check takes grows with the square of the key.
func verifiable(c *x509.Certificate) bool {
	switch key := c.PublicKey.(type) {
	case *rsa.PublicKey:
		// Below 1024 bits crypto/rsa refuses every signature.
		return key.N.BitLen() >= 1024 && key.N.BitLen() <= maxRSABits
	case *ecdsa.PublicKey, ed25519.PublicKey:
		return true
	}
	return false
}

// keyName is how Status prints a key.
func keyName(c *x509.Certificate) string {
	switch key := c.PublicKey.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA %d", key.N.BitLen())
	case *ecdsa.PublicKey:
		return "ECDSA " + key.Curve.Params().Name
	case ed25519.PublicKey:
		return "Ed25519"
	}
	return c.PublicKeyAlgorithm.String()
}
