package revocation

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"testing"
	"time"
)

// The tests write CRLs element by element, so that each defect can be put where
// no library would put it.

var (
	t0 = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) // thisUpdate of lists, unless said otherwise
	t1 = t0.Add(24 * time.Hour)                       // their nextUpdate
)

// tlv is a DER element of the concatenated parts.
func tlv(tag byte, parts ...[]byte) []byte { return appendElement(nil, tag, cat(parts...)) }

func cat(parts ...[]byte) []byte {
	var all []byte
	for _, part := range parts {
		all = append(all, part...)
	}
	return all
}

func seq(parts ...[]byte) []byte { return tlv(tagSequence, parts...) }

func integer(n int64) []byte { return tlv(tagInteger, integerOctets(big.NewInt(n))) }

func utc(t time.Time) []byte { return tlv(tagUTCTime, []byte(t.Format("060102150405Z"))) }

func ext(id string, critical bool, value ...[]byte) []byte {
	flag := []byte(nil)
	if critical {
		flag = []byte{tagBoolean, 1, 0xff}
	}
	return seq(tlv(tagOID, []byte(id)), flag, tlv(tagOctetString, value...))
}

const oidUnheardOf = "\x2b\x06\x01\x04\x01\x83\xff\x7f\x01" // 1.3.6.1.4.1.65535.1

func revoke(serial int64, extensions ...[]byte) []byte {
	return revokeAt(integer(serial), t0.Add(-time.Hour), extensions...)
}

func revokeAt(serial []byte, at time.Time, extensions ...[]byte) []byte {
	if len(extensions) == 0 {
		return seq(serial, utc(at))
	}
	return seq(serial, utc(at), seq(extensions...))
}

func reasonExt(r Reason) []byte {
	return ext(oidReasonCode, false, tlv(tagEnumerated, []byte{byte(r)}))
}

func numberExt(n int64) []byte { return ext(oidCRLNumber, false, integer(n)) }

func deltaExt(base int64) []byte { return ext(oidDeltaCRLIndicator, true, integer(base)) }

func idpExt(fields ...[]byte) []byte { return ext(oidIssuingDistribution, true, seq(fields...)) }

func only(field byte) []byte { return []byte{tagContext | field, 1, 0xff} }

func uri(u string) []byte { return tlv(tagURI, []byte(u)) }

// pointOf is a DistributionPointName field [0] with a fullName.
func pointOf(names ...[]byte) []byte { return tlv(0xa0, tlv(0xa0, names...)) }

func onlySome(bits ...int) []byte { return tlv(tagContext|3, flagBits(bits...)) }

func flagBits(bits ...int) []byte {
	content := []byte{7, 0, 0} // bits 0 to 8
	for _, bit := range bits {
		content[1+bit/8] |= 0x80 >> (bit % 8)
	}
	return content
}

// testCA is a CA with its key.
type testCA struct {
	cert   *x509.Certificate
	key    crypto.Signer
	random io.Reader // of signatures; nil: the same each time
}

var lastSerial int64 = 1 << 40

func newCA(t testing.TB, name string, change ...func(*x509.Certificate)) *testCA {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return newCAWithKey(t, name, key, change...)
}

func newCAWithKey(t testing.TB, name string, key crypto.Signer, change ...func(*x509.Certificate)) *testCA {
	t.Helper()
	lastSerial++
	template := &x509.Certificate{
		SerialNumber: big.NewInt(lastSerial), Subject: pkix.Name{CommonName: name},
		NotBefore: t0.Add(-time.Hour), NotAfter: t0.AddDate(10, 0, 0),
		BasicConstraintsValid: true, IsCA: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	for _, c := range change {
		c(template)
	}
	return &testCA{createCert(t, template, template, key.Public(), key), key, rand.Reader}
}

func createCert(t testing.TB, template, parent *x509.Certificate, pub crypto.PublicKey, signer crypto.Signer) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, pub, signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// issue makes a leaf with the serial.
func (ca *testCA) issue(t testing.TB, serial *big.Int, change ...func(*x509.Certificate)) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "leaf"},
		NotBefore: t0.Add(-time.Hour), NotAfter: t0.AddDate(1, 0, 0),
	}
	for _, c := range change {
		c(template)
	}
	return createCert(t, template, ca.cert, ca.key.Public(), ca.key)
}

func (ca *testCA) link(t testing.TB, serial int64, change ...func(*x509.Certificate)) *Link {
	t.Helper()
	return Prepare(ca.issue(t, big.NewInt(serial), change...), ca.cert)
}

// withPoints gives a certificate a CRLDistributionPoints of these points.
func withPoints(points ...[]byte) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: asn1CRLDistributionPoints, Value: seq(points...)})
	}
}

// parts is a CRL taken apart; each part is a whole element, nil to leave it out.
type parts struct {
	version, inner, issuer, this, next, revoked, extensions, extra []byte
	outer, signature                                               []byte
	behind                                                         []byte        // data after the signature, in the outermost sequence
	signer                                                         crypto.Signer // nil: the CA's key
}

var ecdsaSHA256 = seq(tlv(tagOID, []byte("\x2a\x86\x48\xce\x3d\x04\x03\x02")))

// base is a version 2 list with number 1 that revokes serial 7.
func (ca *testCA) base() *parts {
	return &parts{
		version: integer(1), inner: ecdsaSHA256, outer: ecdsaSHA256, issuer: ca.cert.RawSubject,
		this: utc(t0), next: utc(t1),
		revoked:    seq(revoke(7, reasonExt(KeyCompromise))),
		extensions: tlv(0xa0, seq(numberExt(1))),
	}
}

// der puts the parts together and signs them.
func (p *parts) der(t testing.TB, ca *testCA) []byte {
	t.Helper()
	tbs := seq(p.version, p.inner, p.issuer, p.this, p.next, p.revoked, p.extensions, p.extra)
	signature := p.signature
	if signature == nil {
		var opts crypto.SignerOpts = crypto.SHA256
		digest := sha256.Sum256(tbs)
		message := digest[:]
		if _, ok := ca.key.(ed25519.PrivateKey); ok {
			opts, message = crypto.Hash(0), tbs
		}
		signer := p.signer
		if signer == nil {
			signer = ca.key
		}
		raw, err := signer.Sign(ca.random, message, opts)
		if err != nil {
			t.Fatal(err)
		}
		signature = tlv(tagBitString, []byte{0}, raw)
	}
	return seq(tbs, p.outer, signature, p.behind)
}

// list is what most tests want: a list of the CA from entries and extensions.
func (ca *testCA) list(t testing.TB, this time.Time, entries, extensions [][]byte) *List {
	t.Helper()
	p := ca.base()
	p.this, p.next = utc(this), utc(this.Add(t1.Sub(t0)))
	p.revoked, p.extensions = nil, nil
	if len(entries) > 0 {
		p.revoked = seq(entries...)
	}
	if len(extensions) > 0 {
		p.extensions = tlv(0xa0, seq(extensions...))
	}
	return parseOne(t, p.der(t, ca))
}

func parseOne(t testing.TB, der []byte) *List {
	t.Helper()
	lists, err := Parse(der)
	if err != nil {
		t.Fatal(err)
	}
	if len(lists) != 1 {
		t.Fatalf("got %d lists, want 1", len(lists))
	}
	return lists[0]
}

func all(b ...[]byte) [][]byte { return b }
