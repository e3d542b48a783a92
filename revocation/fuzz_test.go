package revocation

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"reflect"
	"strings"
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
		idpExt(pointOf(uri("http://crl.example/")), only(1), onlySome(1, 2))))
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
		if len(lists) == 1 && data[0] == tagSequence {
			agree(t, lists[0], data)
		}
	})
}

// FuzzRead wants an input to be the same in memory and from a reader, in small
// pieces too, and a list to be the same in PEM.
func FuzzRead(f *testing.F) {
	files, err := filepath.Glob(filepath.Join("testdata", "*.crl"))
	if err != nil || len(files) == 0 {
		f.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		if len(data) < 1000 {
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		want, wantErr := Parse(data)
		for way, reader := range readers {
			got, err := Read(t.Context(), reader(bytes.NewReader(data)), unbounded)
			if (err == nil) != (wantErr == nil) || err != nil && err.Error() != wantErr.Error() {
				t.Fatalf("%s: error %v: want %v", way, err, wantErr)
			}
			sameLists(t, got, want)
		}
		if len(data) < 2 || data[0] != tagSequence || data[1] < 0x80 {
			return
		}
		got, err := Parse(cat([]byte("text\r\n"), pemOf(data), []byte("more")))
		if (err == nil) != (wantErr == nil) || err != nil && !strings.HasPrefix(err.Error(), "PEM block 1: ") {
			t.Fatalf("in PEM: error %v: want %v", err, wantErr)
		}
		sameLists(t, got, want)
	})
}

// FuzzScope has encoding/asn1 as the second opinion.
func FuzzScope(f *testing.F) {
	issuer := cn(tagUTF8String, "CA")
	f.Add(seq(pointOf(uri("http://crl.example/"), tlv(0xa4, issuer)), only(1)))
	f.Add(seq(tlv(0xa0, tlv(0xa1, attribute(oidCommonName, tagUTF8String, "x"))), only(2), onlySome(1, 8), []byte{0x84, 1, 0}))
	f.Add(seq(only(5)))
	f.Fuzz(func(t *testing.T, value []byte) {
		s, err := parseScope(value, issuer)
		if err != nil {
			if !reflect.DeepEqual(s, scope{}) {
				t.Errorf("%+v and an error", s)
			}
			return
		}
		if s.text == "" || s.reasons&^allReasons != 0 || s.user && s.ca || s.attr && (s.user || s.ca) {
			t.Errorf("scope %+v", s)
		}
		var point struct {
			Point    asn1.RawValue  `asn1:"optional,tag:0"`
			User     bool           `asn1:"optional,tag:1"`
			CA       bool           `asn1:"optional,tag:2"`
			Reasons  asn1.BitString `asn1:"optional,tag:3"`
			Indirect bool           `asn1:"optional,tag:4"`
			Attr     bool           `asn1:"optional,tag:5"`
		}
		if rest, err := asn1.Unmarshal(value, &point); err != nil || len(rest) > 0 {
			return // it has more to say about bit strings
		}
		if point.User != s.user || point.CA != s.ca || point.Attr != s.attr || point.Indirect || (len(point.Point.FullBytes) > 0) != (len(s.names) > 0) {
			t.Errorf("scope %+v: want %+v", s, point)
		}
		for bit := 1; bit <= 8 && point.Reasons.Bytes != nil; bit++ {
			if (point.Reasons.At(bit) == 1) != (s.reasons&(1<<bit) != 0) {
				t.Errorf("reasons %s: want %x", s.reasons, point.Reasons.Bytes)
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
