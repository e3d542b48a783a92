package ocsp

import (
	"bytes"
	"crypto"
	"crypto/rand"
	_ "crypto/sha1" // names and keys are hashed with it by nearly everyone; nothing is signed with it
	_ "crypto/sha256"
	_ "crypto/sha512"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

var (
	oidBasic       = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 1}
	oidNonce       = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 2}
	oidNoCheck     = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 5}
	oidSHA1        = asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}
	oidSHA256      = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}
	oidSHA384      = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 2}
	oidSHA512      = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 3}
	certIDHashes   = map[string]crypto.Hash{oidSHA1.String(): crypto.SHA1, oidSHA256.String(): crypto.SHA256, oidSHA384.String(): crypto.SHA384, oidSHA512.String(): crypto.SHA512}
	nonceLength    = 32 // octets, as RFC 9654 section 2.1 wants of a client
	errNoQuestion  = errors.New("no certificate and issuer given")
	errNoPublicKey = errors.New("issuer has no subjectPublicKey")
)

// Question is about one certificate. It is immutable and may be used by many
// goroutines.
type Question struct {
	issuer     *x509.Certificate
	issuerName []byte // DER, as the certificate has it
	issuerKey  []byte // content of subjectPublicKey
	serial     *big.Int
}

// NewQuestion is about cert, which issuer has issued, both as parsed by
// crypto/x509. The caller must have verified cert's signature with issuer's key:
// the answer is the one of that key's holder.
func NewQuestion(cert, issuer *x509.Certificate) (*Question, error) {
	if cert == nil || issuer == nil || cert.SerialNumber == nil {
		return nil, errNoQuestion
	}
	key, err := subjectPublicKey(issuer.RawSubjectPublicKeyInfo)
	if err != nil {
		return nil, fmt.Errorf("read issuer %q: %w", issuer.Subject, err)
	}
	return &Question{issuer: issuer, issuerName: cert.RawIssuer, issuerKey: key, serial: cert.SerialNumber}, nil
}

// subjectPublicKey is what OCSP hashes of a key: the bits, without what says of
// which algorithm they are.
func subjectPublicKey(spki []byte) ([]byte, error) {
	in, content := cryptobyte.String(spki), cryptobyte.String(nil)
	var key []byte
	if !in.ReadASN1(&content, cbasn1.SEQUENCE) || !content.SkipASN1(cbasn1.SEQUENCE) || !content.ReadASN1BitStringAsBytes(&key) {
		return nil, errNoPublicKey
	}
	return key, nil
}

// ID tells questions apart: two with equal IDs ask the same of the same CA. It is
// the certID (RFC 6960 section 4.1.1) with SHA-256.
func (q *Question) ID() string {
	var b cryptobyte.Builder
	q.addCertID(&b, crypto.SHA256, oidSHA256)
	return string(b.BytesOrPanic()) // nothing in it can fail
}

// RequestOptions say how a request is made. The zero value: SHA-1 in the
// certID, which every responder knows and where nobody gains by a collision, and
// no nonce, so that caches can answer (RFC 5019 section 2.1).
type RequestOptions struct {
	Hash  crypto.Hash // of issuer name and key: crypto.SHA1, crypto.SHA256; 0: SHA-1
	Nonce bool        // with 32 random octets
}

// Request makes the DER of an unsigned OCSPRequest. nonce is to be given to
// Check.Nonce with the response; nil where none was asked for.
func (q *Question) Request(o RequestOptions) (der, nonce []byte, err error) {
	if o.Nonce {
		nonce = make([]byte, nonceLength)
		rand.Read(nonce) // crypto/rand: never fails
	}
	hash, id := crypto.SHA1, oidSHA1
	switch o.Hash {
	case 0, crypto.SHA1:
	case crypto.SHA256:
		hash, id = crypto.SHA256, oidSHA256
	default:
		return nil, nil, fmt.Errorf("make OCSP request: hash %v: want SHA-1 or SHA-256", o.Hash)
	}
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { // OCSPRequest
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { // tbsRequest
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { // requestList
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { q.addCertID(b, hash, id) })
			})
			if nonce != nil {
				b.AddASN1(cbasn1.Tag(2).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
					b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
						b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
							b.AddASN1ObjectIdentifier(oidNonce)
							b.AddASN1(cbasn1.OCTET_STRING, func(b *cryptobyte.Builder) { b.AddASN1OctetString(nonce) })
						})
					})
				})
			}
		})
	})
	der, err = b.Bytes()
	return der, nonce, err
}

func (q *Question) addCertID(b *cryptobyte.Builder, hash crypto.Hash, id asn1.ObjectIdentifier) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(id)
			b.AddASN1NULL()
		})
		b.AddASN1OctetString(digest(hash, q.issuerName))
		b.AddASN1OctetString(digest(hash, q.issuerKey))
		b.AddASN1BigInt(q.serial)
	})
}

// isAbout says whether a certID is the question's, by all three of its parts: a
// serial alone is that of a certificate of every CA.
func (q *Question) isAbout(id certID) bool {
	hash, ok := certIDHashes[id.hash.String()]
	return ok && id.serial.Cmp(q.serial) == 0 &&
		bytes.Equal(id.nameHash, digest(hash, q.issuerName)) &&
		bytes.Equal(id.keyHash, digest(hash, q.issuerKey))
}

func digest(hash crypto.Hash, b []byte) []byte {
	h := hash.New()
	h.Write(b)
	return h.Sum(nil)
}
