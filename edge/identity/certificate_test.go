package identity

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestSerial(t *testing.T) {
	long, _ := new(big.Int).SetString("0123456789abcdef0123456789abcdef01234567", 16)
	tests := []struct {
		serial *big.Int
		want   string
	}{
		{nil, ""},
		{big.NewInt(0), "00"},
		{big.NewInt(1), "01"},
		{big.NewInt(0x03A5B1), "03A5B1"},
		{big.NewInt(0xFF), "FF"},
		{big.NewInt(-0x3A), "-3A"},
		{long, "0123456789ABCDEF0123456789ABCDEF01234567"},
		{new(big.Int).Lsh(big.NewInt(0xA), 160), "0A" + strings.Repeat("00", 20)},
	}
	for _, test := range tests {
		if got := Serial(&x509.Certificate{SerialNumber: test.serial}); got != test.want {
			t.Errorf("serial %v: got %q, want %q", test.serial, got, test.want)
		}
	}
}

func TestValidity(t *testing.T) {
	zone := time.FixedZone("", 2*60*60)
	c := &x509.Certificate{
		NotBefore: time.Date(2023, 9, 21, 3, 50, 17, 999, zone),
		NotAfter:  time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
	}
	const want = "NotBefore=2023-09-21T01:50:17Z;NotAfter=9999-12-31T23:59:59Z"
	if got := Validity(c); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestSubjectOfUnprintableName(t *testing.T) {
	c := &x509.Certificate{RawSubject: []byte{0x30, 0x02, 0x31, 0x00}, RawIssuer: []byte("\r\n")}
	if got := Subject(c); got != "#30023100" {
		t.Errorf("subject: got %q", got)
	}
	if got := Issuer(c); got != "#0D0A" {
		t.Errorf("issuer: got %q", got)
	}
}

// TestEscapePEM undoes the escaping for every length of certificate around the
// edges of base64 and of PEM's lines.
func TestEscapePEM(t *testing.T) {
	var chain []*x509.Certificate
	var plain bytes.Buffer
	for n := range 200 {
		raw := bytes.Repeat([]byte{0xFB, 0xEF, 0xBE, 0xFF, byte(n)}, n)[:n]
		chain = append(chain, &x509.Certificate{Raw: raw})
		if err := pem.Encode(&plain, &pem.Block{Type: "CERTIFICATE", Bytes: raw}); err != nil {
			t.Fatal(err)
		}
	}
	chain = append(chain, albClient(t))
	if err := pem.Encode(&plain, &pem.Block{Type: "CERTIFICATE", Bytes: chain[200].Raw}); err != nil {
		t.Fatal(err)
	}
	escaped := EscapePEM(chain...)
	if len(escaped) != escapedLen(chain) {
		t.Errorf("%d bytes, foreseen were %d", len(escaped), escapedLen(chain))
	}
	got, err := url.PathUnescape(escaped)
	if err != nil {
		t.Fatal(err)
	}
	if got != plain.String() {
		t.Errorf("got  %q\nwant %q", got, plain.String())
	}
	for i := range len(escaped) {
		c := escaped[i]
		if !isAlphanumeric(c) && !strings.ContainsRune("-_.~+=/%", rune(c)) {
			t.Fatalf("byte %q in %q", c, escaped)
		}
	}
	if got := EscapePEM(); got != "" {
		t.Errorf("no certificate: got %q", got)
	}
}
