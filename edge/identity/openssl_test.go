package identity

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestDNAsOpenSSL compares DN with what prints the same name elsewhere, ALB as
// far as is known included.
func TestDNAsOpenSSL(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("openssl is missing, and CI must not skip")
		}
		t.Skip("openssl is not installed")
	}
	var corpus [][]byte
	for body, name := range shortNames {
		if name == "STREET" {
			continue // OpenSSL spells it in lower case
		}
		var oid x509.OID
		if err := oid.UnmarshalBinary([]byte(body)); err != nil {
			t.Fatal(err)
		}
		var dotted asn1.ObjectIdentifier
		if rest, err := asn1.Unmarshal(append([]byte{6, byte(len(body))}, body...), &dotted); err != nil || len(rest) > 0 {
			t.Fatalf("type %s: %v", oid, err)
		}
		corpus = append(corpus, nameDER(t, rdn(utf8Attr(oidC, "US")), rdn(utf8Attr(dotted, "a, b"))))
	}
	const seed = 7
	random := rand.New(rand.NewPCG(seed, seed))
	for range 30 {
		corpus = append(corpus, randomName(t, random))
	}
	for _, raw := range corpus {
		der := mint(t, raw, raw, big.NewInt(1))
		command := exec.Command("openssl", "x509", "-inform", "PEM", "-noout", "-subject", "-nameopt", "RFC2253")
		command.Stdin = bytes.NewReader(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
		out, err := command.CombinedOutput()
		if err != nil {
			t.Fatalf("openssl refuses %x: %v: %s", raw, err, out)
		}
		want := strings.TrimPrefix(strings.TrimSuffix(string(out), "\n"), "subject=")
		if prefix, ok := strings.CutSuffix(want, `\ `); ok {
			want = prefix + `\20`
		}
		got, err := DN(raw)
		if err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Errorf("seed %d, name %x\ngot  %q\nwant %q", seed, raw, got, want)
		}
	}
}

// randomName has values of all types that OpenSSL takes in a name, of characters
// that need care. A value that is "#" alone is left out: OpenSSL forgets to
// escape it.
func randomName(t *testing.T, random *rand.Rand) []byte {
	alphabet := []rune("aZ09 ,+\"\\<>;=#/*'\r\n\t\x00\x7féß€漢")
	types := []asn1.ObjectIdentifier{oidC, oidST, oidL, oidO, oidOU, oidCN, oidEmail, oidOther}
	tags := []int{tagUTF8String, tagPrintableString, tagT61String, tagIA5String, tagNumericString, tagBMPString, tagUniversalString, asn1.TagBitString}
	rdns := make([]rdnSET, 0, 4)
	for range 1 + random.IntN(4) {
		var set rdnSET
		for range 1 + random.IntN(2)*random.IntN(3) {
			var chars []rune
			for range 2 + random.IntN(8) {
				chars = append(chars, alphabet[random.IntN(len(alphabet))])
			}
			tag := tags[random.IntN(len(tags))]
			set = append(set, attr(types[random.IntN(len(types))], tag, encode(tag, chars)))
		}
		rdns = append(rdns, set)
	}
	return nameDER(t, rdns...)
}

func encode(tag int, chars []rune) string {
	var b []byte
	switch tag {
	case tagUTF8String:
		return string(chars)
	case asn1.TagBitString:
		return "\x00" + string(chars)
	case tagBMPString:
		for _, c := range chars {
			b = append(b, byte(c>>8), byte(c))
		}
	case tagUniversalString:
		for _, c := range chars {
			b = append(b, byte(c>>24), byte(c>>16), byte(c>>8), byte(c))
		}
	default:
		for _, c := range chars {
			b = append(b, byte(c))
		}
	}
	return string(b)
}
