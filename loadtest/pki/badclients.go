package pki

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"slices"
	"time"
)

func (b *badMaker) missing() error {
	b.made.Clients = append(b.made.Clients, BadClient{"no-certificate", "ClientCertMissing", tls.Certificate{}})
	return b.err
}

func (b *badMaker) tooLarge() error {
	const code = "ClientCertMaxSizeExceeded"
	ballast := func(kib int) Option { return Extension(unknownOID, false, make([]byte, kib<<10)) }
	b.add(code, "huge-certificate", b.issue(b.root, "huge", ballast(70)))
	b.add(code, "huge-beyond-tls", b.issue(b.root, "huge", ballast(300))) // crypto/tls itself stops at 256 KiB
	large := b.below(b.root, ballast(35))
	b.add(code, "huge-in-sum", b.issue(large, "large", ballast(35)))
	return b.err
}

func (b *badMaker) tooMany() error {
	const code = "ClientCertMaxChainDepthExceeded"
	deep := b.root
	for range 4 {
		deep = b.below(deep)
	}
	b.add(code, "deep-chain", b.issue(deep, "deep"))
	mid := b.below(b.root)
	b.add(code, "padded-chain", b.issue(mid, "padded").Present(mid, mid, mid, mid))
	return b.err
}

func (b *badMaker) invalid() error {
	const code = "ClientCertInvalid"
	good := b.issue(b.root, "broken")
	b.add(code, "garbage", good.WithDER([]byte("not a certificate")))
	b.add(code, "truncated", good.WithDER(good.DER[:len(good.DER)/2]))
	b.add(code, "trailing-data", good.WithDER(append(slices.Clone(good.DER), 0)))
	b.add(code, "flipped-signature", good.FlipSignature())
	b.add(code, "negative-serial", b.issue(b.root, "negative", Serial(big.NewInt(-1))))

	stranger := b.ca(func() (*CA, error) { return NewRoot() })
	b.add(code, "signed-by-another", b.issue(b.root, "forged", SignedBy(stranger)))

	mid := b.below(b.root)
	leaf := b.issue(mid, "below broken")
	leaf.Chain = [][]byte{FlipSignature(mid.DER)}
	b.add(code, "flipped-intermediate-signature", leaf)
	leaf.Chain = [][]byte{mid.DER, []byte("not a certificate")}
	b.add(code, "garbage-in-chain", leaf)
	return b.err
}

func (b *badMaker) unsupported() error {
	const code = "ClientCertTypeUnsupported"
	b.add(code, "x509-v1", b.issue(b.root, "v1", V1()))
	b.add(code, "rsa-1024", b.issue(b.root, "rsa 1024", Key(RSA(1024))))
	b.add(code, "rsa-8200", b.issue(b.root, "rsa 8200", Key(RSA(8200))).WithKey(b.standIn()))
	b.add(code, "p224", b.issue(b.root, "p224", Key(P224)).WithKey(b.standIn()))
	b.add(code, "ed25519", b.issue(b.root, "ed25519", Key(Ed25519)))
	weak := b.below(b.root, Key(RSA(1024)))
	b.add(code, "rsa-1024-intermediate", b.issue(weak, "below rsa 1024"))

	ed448, err := asn1.Marshal(struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1.BitString
	}{
		pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 3, 101, 113}},
		asn1.BitString{Bytes: make([]byte, 57), BitLength: 57 * 8},
	})
	if b.err == nil {
		b.err = err
	}
	b.add(code, "ed448", b.issue(b.root, "ed448", PublicKeyInfo(ed448), ExistingKey(b.standIn())))
	return b.err
}

func (b *badMaker) untrusted() error {
	const code = "ClientCertUntrusted"
	if b.err == nil {
		stranger, err := SelfSigned(CommonName("stranger"))
		if err != nil {
			return err
		}
		b.add(code, "self-signed", stranger)
	}
	other := b.ca(func() (*CA, error) { return NewRoot() })
	b.add(code, "unknown-root", b.issue(other, "from elsewhere"))
	b.add(code, "missing-intermediate", b.issue(b.below(b.root), "incomplete").Present())

	last := b.below(b.root, PathLen(0))
	b.add(code, "path-length", b.issue(b.below(last), "one CA too deep"))
	only := b.below(b.root, PermittedDNS("permitted.test"))
	b.add(code, "name-constraint", b.issue(only, "outside", DNS("outside.test")))

	critical := Extension(unknownOID, true, []byte{5, 0})
	b.add(code, "unknown-critical-extension", b.issue(b.root, "critical", critical))
	b.add(code, "unknown-critical-extension-intermediate", b.issue(b.below(b.root, critical), "below critical"))

	b.add(code, "issuer-not-ca", b.issue(b.below(b.root, IsCA(false)), "below a leaf"))
	noSign := b.below(b.root, KeyUsage(x509.KeyUsageCRLSign))
	b.add(code, "issuer-may-not-sign", b.issue(noSign, "below a CRL signer"))
	return b.err
}

// incompatible issues from intermediates whose keys suit the hashes, so that
// the root's key may be of any kind.
func (b *badMaker) incompatible() error {
	const code = "ClientCertIncompatible"
	b.add(code, "sha1", b.issue(b.below(b.root), "sha1", SHA1()))
	weak := b.below(b.below(b.root), SHA1())
	b.add(code, "sha1-intermediate", b.issue(weak, "below sha1"))
	rsa := b.below(b.root, Key(RSA(2048)))
	b.add(code, "md5", b.issue(rsa, "md5", SignedWith(x509.MD5WithRSA)))
	return b.err
}

func (b *badMaker) outOfDate() error {
	now := time.Now()
	early := []Option{NotBefore(now.AddDate(0, 0, 1))}
	b.add("ClientCertNotYetValid", "not-yet-valid", b.issue(b.root, "early", early...))
	b.add("ClientCertNotYetValid", "not-yet-valid-intermediate", b.issue(b.below(b.root, early...), "below early"))
	late := []Option{NotBefore(now.AddDate(0, 0, -2)), NotAfter(now.AddDate(0, 0, -1))}
	b.add("ClientCertExpired", "expired", b.issue(b.root, "late", late...))
	b.add("ClientCertExpired", "expired-intermediate", b.issue(b.below(b.root, late...), "below late"))
	return b.err
}

func (b *badMaker) wrongPurpose() error {
	const code = "ClientCertPurposeInvalid"
	b.add(code, "server-only", b.issue(b.root, "server", Server("server.test")))
	b.add(code, "code-signing-only", b.issue(b.root, "signer", EKU(x509.ExtKeyUsageCodeSigning)))
	return b.err
}

// revoked gives every intermediate that it uses a CRL, so that the codes hold
// for an edge that requires one of each issuer too.
func (b *badMaker) revoked() error {
	leaf, mid, stale := b.issue(b.root, "revoked"), b.below(b.root), b.below(b.root)
	b.crl(b.root, Revoke(leaf, mid))
	b.crl(mid)
	yesterday := time.Now().AddDate(0, 0, -1)
	b.crl(stale, ThisUpdate(yesterday.AddDate(0, 0, -1)), NextUpdate(yesterday))
	b.add("ClientCertCrlHit", "revoked", leaf)
	b.add("ClientCertCrlHit", "revoked-intermediate", b.issue(mid, "below revoked"))
	b.add("ClientCertCrlProcessingError", "expired-crl", b.issue(stale, "unknowable"))
	return b.err
}

func (b *badMaker) otherKey() error {
	b.add("ClientCertIntentInvalid", "another-key", b.issue(b.root, "someone else").WithKey(b.standIn()))
	return b.err
}

func (b *badMaker) strict() error {
	const purpose, invalid = "ClientCertPurposeInvalid", "ClientCertInvalid"
	b.add(purpose, "no-eku", b.issue(b.root, "no eku", EKU()))
	b.add(purpose, "no-digital-signature", b.issue(b.root, "agreement", KeyUsage(x509.KeyUsageKeyAgreement)))
	b.add(purpose, "ca-as-client", b.issue(b.root, "ca", IsCA(true), KeyUsage(x509.KeyUsageDigitalSignature|x509.KeyUsageCertSign)))
	b.add(invalid, "serial-zero", b.issue(b.root, "zero", Serial(new(big.Int))))
	b.add(invalid, "serial-of-21-bytes", b.issue(b.root, "long", Serial(new(big.Int).Lsh(big.NewInt(1), 160))))
	return b.err
}
