package ocsp

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// party is somebody with a certificate and its key.
type party struct {
	cert *x509.Certificate
	key  crypto.Signer
}

func p256(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// issue makes a certificate for key, signed by ca, or by itself where ca is nil.
func issue(t testing.TB, name string, key crypto.Signer, ca *party, alter func(*x509.Certificate)) *party {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(int64(len(name))<<32 + 77),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    base.Add(-24 * time.Hour),
		NotAfter:     base.Add(24 * time.Hour),
	}
	if ca == nil {
		template.IsCA, template.BasicConstraintsValid = true, true
		template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature
	}
	if alter != nil {
		alter(template)
	}
	parent, signer := template, key
	if ca != nil {
		parent, signer = ca.cert, ca.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &party{cert, key}
}

// base is the time of the fixtures: openssl compares them with the clock.
var base = time.Now().UTC().Truncate(time.Second)

// fixture is a response that can have every defect.
type fixture struct {
	t      testing.TB
	issuer *party
	leaf   *x509.Certificate

	status     byte
	kind       asn1.ObjectIdentifier
	version    int
	signer     *party // signs
	named      *party // is said to sign
	byName     bool
	certs      []*party
	produced   time.Time
	singles    []answer
	extensions []extension
	hash       crypto.Hash // of the signature
	algorithm  []byte      // what is said of it, DER; nil: what is true
	spoil      bool        // the signature
	behind     []byte      // the response
}

// answer is a SingleResponse to be.
type answer struct {
	hash       crypto.Hash
	hashID     asn1.ObjectIdentifier
	name, key  []byte // what is hashed
	serial     *big.Int
	status     cbasn1.Tag
	reason     int // -1: none
	this, next time.Time
	extensions []extension
}

const statusGood, statusRevoked, statusUnknown = primitive0, constructed1, primitive2

func newFixture(t testing.TB) *fixture {
	issuer := issue(t, "Issuing CA", p256(t), nil, nil)
	leaf := issue(t, "leaf", p256(t), issuer, nil)
	return fixtureOf(t, issuer, leaf.cert)
}

func fixtureOf(t testing.TB, issuer *party, leaf *x509.Certificate) *fixture {
	f := &fixture{t: t, issuer: issuer, leaf: leaf, kind: oidBasic, signer: issuer, named: issuer,
		produced: base.Add(-time.Minute), hash: crypto.SHA256}
	f.singles = []answer{f.good()}
	return f
}

func (f *fixture) good() answer {
	key, err := subjectPublicKey(f.issuer.cert.RawSubjectPublicKeyInfo)
	if err != nil {
		f.t.Fatal(err)
	}
	return answer{hash: crypto.SHA1, hashID: oidSHA1, name: f.issuer.cert.RawSubject, key: key,
		serial: f.leaf.SerialNumber, status: statusGood, reason: -1, this: base.Add(-time.Hour), next: base.Add(time.Hour)}
}

func (f *fixture) revoked(reason int) answer {
	a := f.good()
	a.status, a.reason = statusRevoked, reason
	return a
}

// delegate makes a responder's certificate, and lets it sign.
func (f *fixture) delegate(alter func(*x509.Certificate)) {
	f.delegateOf(f.issuer, alter)
}

func (f *fixture) delegateOf(ca *party, alter func(*x509.Certificate)) {
	d := issue(f.t, "OCSP responder", p256(f.t), ca, func(c *x509.Certificate) {
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning}
		c.KeyUsage = x509.KeyUsageDigitalSignature
		c.ExtraExtensions = []pkix.Extension{{Id: oidNoCheck, Value: []byte{5, 0}}}
		if alter != nil {
			alter(c)
		}
	})
	f.signer, f.named, f.certs = d, d, []*party{d}
}

func (f *fixture) der() []byte {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.ENUM, func(b *cryptobyte.Builder) { b.AddUint8(f.status) })
		if f.status != 0 {
			return
		}
		b.AddASN1(constructed0, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1ObjectIdentifier(f.kind)
				b.AddASN1(cbasn1.OCTET_STRING, func(b *cryptobyte.Builder) { b.AddASN1(cbasn1.SEQUENCE, f.addBasic) })
			})
		})
	})
	return append(f.bytes(&b), f.behind...)
}

func (f *fixture) bytes(b *cryptobyte.Builder) []byte {
	f.t.Helper()
	der, err := b.Bytes()
	if err != nil {
		f.t.Fatal(err)
	}
	return der
}

func (f *fixture) addBasic(b *cryptobyte.Builder) {
	var data cryptobyte.Builder
	data.AddASN1(cbasn1.SEQUENCE, f.addData)
	signed := f.bytes(&data)
	algorithm, signature := sign(f.t, f.signer.key, f.hash, signed)
	if f.algorithm != nil {
		algorithm = f.algorithm
	}
	if f.spoil {
		signature[len(signature)-1] ^= 1
	}
	b.AddBytes(signed)
	b.AddBytes(algorithm)
	b.AddASN1BitString(signature)
	if len(f.certs) > 0 {
		b.AddASN1(constructed0, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				for _, c := range f.certs {
					b.AddBytes(c.cert.Raw)
				}
			})
		})
	}
}

func (f *fixture) addData(b *cryptobyte.Builder) {
	if f.version != 0 {
		b.AddASN1(constructed0, func(b *cryptobyte.Builder) { b.AddASN1Int64(int64(f.version)) })
	}
	if f.byName {
		b.AddASN1(constructed1, func(b *cryptobyte.Builder) { b.AddBytes(f.named.cert.RawSubject) })
	} else {
		key, err := subjectPublicKey(f.named.cert.RawSubjectPublicKeyInfo)
		if err != nil {
			f.t.Fatal(err)
		}
		b.AddASN1(constructed2, func(b *cryptobyte.Builder) { b.AddASN1OctetString(digest(crypto.SHA1, key)) })
	}
	b.AddASN1GeneralizedTime(f.produced)
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		for _, a := range f.singles {
			b.AddASN1(cbasn1.SEQUENCE, a.add)
		}
	})
	addExtensions(b, f.extensions)
}

func (a answer) add(b *cryptobyte.Builder) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(a.hashID)
			b.AddASN1NULL()
		})
		b.AddASN1OctetString(digest(a.hash, a.name))
		b.AddASN1OctetString(digest(a.hash, a.key))
		b.AddASN1BigInt(a.serial)
	})
	b.AddASN1(a.status, func(b *cryptobyte.Builder) {
		if a.status != statusRevoked {
			return
		}
		b.AddASN1GeneralizedTime(a.this.Add(-time.Hour))
		if a.reason >= 0 {
			b.AddASN1(constructed0, func(b *cryptobyte.Builder) { b.AddASN1Enum(int64(a.reason)) })
		}
	})
	b.AddASN1GeneralizedTime(a.this)
	if !a.next.IsZero() {
		b.AddASN1(constructed0, func(b *cryptobyte.Builder) { b.AddASN1GeneralizedTime(a.next) })
	}
	addExtensions(b, a.extensions)
}

func addExtensions(b *cryptobyte.Builder, all []extension) {
	if len(all) == 0 {
		return
	}
	b.AddASN1(constructed1, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			for _, e := range all {
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1ObjectIdentifier(e.id)
					if e.critical {
						b.AddASN1Boolean(true)
					}
					b.AddASN1OctetString(e.value)
				})
			}
		})
	})
}

func nonceExtension(nonce string) extension {
	return extension{id: oidNonce, value: append([]byte{4, byte(len(nonce))}, nonce...)}
}
