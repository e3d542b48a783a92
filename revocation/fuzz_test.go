package revocation

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"testing"
)

// FuzzParse has crypto/x509 as the second opinion: of what both take, they must
// read the same.
func FuzzParse(f *testing.F) {
	ca := newCA(f, "Fuzz CA")
	link := ca.link(f, 7)
	p := ca.base()
	f.Add(p.der(f, ca))
	f.Add(pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: p.der(f, ca)}))
	p.extensions = tlv(0xa0, seq(numberExt(2), deltaExt(1), ext(oidAuthorityKeyID, false, seq(tlv(0x80, []byte{1}))),
		idpExt(pointOf(uri("http://crl.example/")), flag(1), onlySome(1, 2))))
	p.revoked = seq(revoke(7, reasonExt(RemoveFromCRL)), revoke(-1), revoke(300, ext(oidUnheardOf, true)))
	f.Add(p.der(f, ca))
	p = ca.base()
	p.version, p.revoked, p.extensions, p.next = nil, nil, nil, nil
	f.Add(p.der(f, ca))
	p.issuer = seq(rdn(attribute(oidCommonName, tagBMPString, "\x00a")), rdn(attribute(oidCommonName, tagT61String, "\xe9")))
	f.Add(cat([]byte("\xef\xbb\xbf0 text\r\n"), pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: p.der(f, ca)})))

	f.Fuzz(func(t *testing.T, data []byte) {
		lists, err := Parse(data)
		if (err == nil) != (len(lists) > 0) {
			t.Fatalf("%d lists and error %v", len(lists), err)
		}
		ix := NewIndex(lists)
		ix.Check(link, t0)
		for _, l := range lists {
			l.Scope()
			l.Unusable()
			if known, err := l.CheckIssuer([]*x509.Certificate{ca.cert}); err != nil && !known {
				t.Errorf("CheckIssuer: unknown and %v", err)
			}
		}
		if len(lists) != 1 || !isDER(data) {
			return
		}
		l := lists[0]
		want, err := x509.ParseRevocationList(data)
		if err != nil {
			return
		}
		if l.Entries() != len(want.RevokedCertificateEntries) || !bytes.Equal(l.Issuer(), want.RawIssuer) ||
			!bytes.Equal(l.AuthorityKeyID(), want.AuthorityKeyId) || !l.ThisUpdate().Equal(want.ThisUpdate) ||
			!l.NextUpdate().Equal(want.NextUpdate) || (l.number == nil) != (want.Number == nil) ||
			l.number != nil && l.number.Cmp(want.Number) != 0 {
			t.Errorf("fields differ from those crypto/x509 reads")
		}
		worst := map[string]entry{}
		for _, e := range want.RevokedCertificateEntries {
			octets := integerOctets(e.SerialNumber)
			got := entry{serial: octets, revoked: e.RevocationTime, reason: Reason(e.ReasonCode)}
			if other, listed := worst[string(octets)]; !listed || got.worse(other) {
				worst[string(octets)] = got
			}
		}
		for serial, want := range worst {
			got, listed := l.entries.find([]byte(serial), hashSerial([]byte(serial)))
			if !listed || got.reason != want.reason || !got.revoked.Equal(want.revoked) {
				t.Errorf("serial %x: %v, %+v: want %+v", serial, listed, got, want)
			}
		}
	})
}

func TestIntegerOctets(t *testing.T) {
	for n := int64(-70000); n < 70000; n++ {
		octets := integerOctets(big.NewInt(n))
		if err := checkInteger(octets); err != nil {
			t.Fatalf("%d: %x: %v", n, octets, err)
		}
		if got := (&Link{serial: octets}).Serial(); got.Int64() != n {
			t.Fatalf("%d: %x is %s", n, octets, got)
		}
	}
}
