package identity

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"testing"
	"time"
)

// typeAndValue is an AttributeTypeAndValue whose value may be of any type.
type typeAndValue struct {
	Type  asn1.ObjectIdentifier
	Value asn1.RawValue
}

// rdnSET is an RDN; encoding/asn1 takes the suffix for a SET.
type rdnSET []typeAndValue

var (
	oidCN    = asn1.ObjectIdentifier{2, 5, 4, 3}
	oidC     = asn1.ObjectIdentifier{2, 5, 4, 6}
	oidL     = asn1.ObjectIdentifier{2, 5, 4, 7}
	oidST    = asn1.ObjectIdentifier{2, 5, 4, 8}
	oidO     = asn1.ObjectIdentifier{2, 5, 4, 10}
	oidOU    = asn1.ObjectIdentifier{2, 5, 4, 11}
	oidEmail = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}
	oidOther = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 99999, 1}
)

func attr(oid asn1.ObjectIdentifier, tag int, value string) typeAndValue {
	return typeAndValue{oid, asn1.RawValue{Tag: tag, Bytes: []byte(value)}}
}

func utf8Attr(oid asn1.ObjectIdentifier, value string) typeAndValue {
	return attr(oid, tagUTF8String, value)
}

func rdn(attributes ...typeAndValue) rdnSET { return attributes }

func nameDER(t testing.TB, rdns ...rdnSET) []byte {
	t.Helper()
	if rdns == nil {
		rdns = []rdnSET{}
	}
	der, err := asn1.Marshal(rdns)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// albName is a name of plain UTF8Strings.
func albName(t testing.TB, c, st, l, o, ou, cn string) []byte {
	t.Helper()
	var rdns []rdnSET
	for _, a := range []typeAndValue{utf8Attr(oidC, c), utf8Attr(oidST, st), utf8Attr(oidL, l), utf8Attr(oidO, o), utf8Attr(oidOU, ou), utf8Attr(oidCN, cn)} {
		if len(a.Value.Bytes) > 0 {
			rdns = append(rdns, rdn(a))
		}
	}
	return nameDER(t, rdns...)
}

var testKey = func() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return key
}()

// mint makes the DER of a certificate with the given names and serial number.
func mint(t testing.TB, issuer, subject []byte, serial *big.Int) []byte {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: serial,
		RawSubject:   subject,
		NotBefore:    time.Date(2023, 9, 21, 1, 50, 17, 0, time.UTC),
		NotAfter:     time.Date(2024, 9, 20, 1, 50, 17, 0, time.UTC),
	}
	parent := &x509.Certificate{RawSubject: issuer, Subject: pkix.Name{}}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, testKey.Public(), testKey)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func parse(t testing.TB, der []byte) *x509.Certificate {
	t.Helper()
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// albClient is the client certificate of ALB's examples.
func albClient(t testing.TB) *x509.Certificate {
	t.Helper()
	return parse(t, mint(t,
		albName(t, "US", "Washington", "Seattle", "mTLS", "rootCA", "rootcamtls.com"),
		albName(t, "US", "Washington", "", "mTLS", "client-3", "client_.com"),
		big.NewInt(0x03A5B1)))
}
