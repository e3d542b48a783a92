package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"math/big"
	"sync"
)

// KeyType says which key a certificate gets. The zero KeyType is P256; any
// value of 512 and up is an RSA modulus in bits, which RSA makes.
type KeyType int

// The key types that are not RSA.
const (
	P256 KeyType = iota
	P224         // accepted by crypto/x509, by no TLS version's signature schemes
	P384
	P521
	Ed25519
)

// RSA is an RSA key of the given modulus size in bits, of which 512 is the
// least. A key under 1024 bits can be certified, but Go refuses to sign with it.
func RSA(bits int) KeyType { return KeyType(bits) }

func (t KeyType) String() string {
	switch t {
	case P256:
		return "P-256"
	case P224:
		return "P-224"
	case P384:
		return "P-384"
	case P521:
		return "P-521"
	case Ed25519:
		return "Ed25519"
	}
	return fmt.Sprintf("RSA %d", int(t))
}

// NewKey makes a key that nobody else in the process has, RSA included.
func NewKey(t KeyType) (crypto.Signer, error) {
	switch t {
	case P256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case P224:
		return ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	case P384:
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case P521:
		return ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case Ed25519:
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	}
	if t < 512 {
		return nil, fmt.Errorf("make key of type %d: want a named type, or an RSA size of 512 bits or more", int(t))
	}
	return newRSA(int(t))
}

// leafRSA holds, by size, the one RSA key that all leaves of that size share.
var leafRSA sync.Map // KeyType → func() (crypto.Signer, error)

// leafKey is NewKey with RSA made once per size and process. CAs never share:
// two roots with one key would each verify what the other signed.
func leafKey(t KeyType) (crypto.Signer, error) {
	if t < 512 {
		return NewKey(t)
	}
	once, _ := leafRSA.LoadOrStore(t, sync.OnceValues(func() (crypto.Signer, error) { return NewKey(t) }))
	return once.(func() (crypto.Signer, error))()
}

// newRSA makes sizes that rsa.GenerateKey refuses (under 1024) or is slow at
// (over 4096: half a minute and more) from primes of its own. Large ones are
// products of several primes, as RFC 8017 section 3.1 allows; the public key
// shows nothing of it. OpenSSL takes private keys of four primes under 8192 bits
// and of five above, which is heeded while an edge may accept the size.
func newRSA(bits int) (crypto.Signer, error) {
	primes := 2
	switch {
	case bits >= 1024 && bits <= 4096:
		return rsa.GenerateKey(rand.Reader, bits)
	case bits > 8192:
		primes = bits/1024 + 1
	case bits == 8192:
		primes = 5
	case bits > 4096:
		primes = 4
	}
	e := big.NewInt(65537)
	for {
		key := &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: big.NewInt(1), E: int(e.Int64())}}
		totient := big.NewInt(1)
		for i := range primes {
			prime, err := nextPrime(key.N, bits, primes-i)
			if err != nil {
				return nil, fmt.Errorf("make RSA key of %d bits: %w", bits, err)
			}
			key.N.Mul(key.N, prime)
			totient.Mul(totient, new(big.Int).Sub(prime, big.NewInt(1)))
			key.Primes = append(key.Primes, prime)
		}
		if key.D = new(big.Int).ModInverse(e, totient); key.D == nil {
			continue // a prime is 1 modulo e: one in 65537
		}
		key.Precompute()
		if err := key.Validate(); err != nil && bits >= 1024 {
			return nil, fmt.Errorf("make RSA key of %d bits: %w", bits, err)
		}
		return key, nil
	}
}

// nextPrime finds a factor for a modulus of the given bits that is the product
// n so far and lacks left factors. The last one brings it to its exact length.
func nextPrime(n *big.Int, bits, left int) (*big.Int, error) {
	want := bits - n.BitLen()
	if left > 1 {
		return rand.Prime(rand.Reader, (want+left-1)/left)
	}
	for try := 0; ; try++ {
		prime, err := rand.Prime(rand.Reader, want+try%2)
		if err != nil {
			return nil, err
		}
		if new(big.Int).Mul(n, prime).BitLen() == bits {
			return prime, nil
		}
	}
}
