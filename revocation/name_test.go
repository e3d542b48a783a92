package revocation

import (
	"crypto/sha256"
	"testing"
)

const (
	oidCommonName   = "\x55\x04\x03"
	oidOrganisation = "\x55\x04\x0a"
)

func rdn(attributes ...[]byte) []byte { return tlv(tagSet, attributes...) }

func attribute(id string, tag byte, value string) []byte {
	return seq(tlv(tagOID, []byte(id)), tlv(tag, []byte(value)))
}

func cn(tag byte, value string) []byte { return seq(rdn(attribute(oidCommonName, tag, value))) }

func TestNameKeyEqual(t *testing.T) {
	tests := map[string][2][]byte{
		"case":                {cn(tagPrintableString, "Sally CA"), cn(tagPrintableString, "sALLY ca")},
		"case beyond ASCII":   {cn(tagUTF8String, "ÉCOLE Σας"), cn(tagUTF8String, "école σασ")},
		"inner white space":   {cn(tagPrintableString, "Sally CA"), cn(tagPrintableString, "Sally \t  CA")},
		"outer white space":   {cn(tagPrintableString, "Sally CA"), cn(tagPrintableString, "  Sally CA ")},
		"UTF-8 and printable": {cn(tagPrintableString, "Sally CA"), cn(tagUTF8String, "Sally CA")},
		"IA5 and visible":     {cn(tagIA5String, "Sally CA"), cn(tagVisibleString, "Sally CA")},
		"BMP":                 {cn(tagUTF8String, "Zoë"), cn(tagBMPString, "\x00Z\x00o\x00\xeb")},
		"Universal":           {cn(tagUTF8String, "Zë"), cn(tagUniversalString, "\x00\x00\x00Z\x00\x00\x00\xeb")},
		"T61":                 {cn(tagUTF8String, "Zoë"), cn(tagT61String, "Zo\xeb")},
		"order in an RDN": {
			seq(rdn(attribute(oidCommonName, tagUTF8String, "a"), attribute(oidOrganisation, tagUTF8String, "b"))),
			seq(rdn(attribute(oidOrganisation, tagUTF8String, "b"), attribute(oidCommonName, tagUTF8String, "a"))),
		},
	}
	for name, names := range tests {
		t.Run(name, func(t *testing.T) {
			if NameKeyOf(names[0]) != NameKeyOf(names[1]) {
				t.Errorf("%x and %x differ", names[0], names[1])
			}
		})
	}
}

func TestNameKeyDiffers(t *testing.T) {
	a, b := attribute(oidCommonName, tagUTF8String, "a"), attribute(oidOrganisation, tagUTF8String, "b")
	names := map[string][]byte{
		"a":                    seq(rdn(a)),
		"a, b":                 seq(rdn(a), rdn(b)),
		"b, a":                 seq(rdn(b), rdn(a)),
		"a + b":                seq(rdn(a, b)),
		"a twice":              seq(rdn(a), rdn(a)),
		"type":                 seq(rdn(attribute(oidOrganisation, tagUTF8String, "a"))),
		"text":                 cn(tagUTF8String, "ab"),
		"inner white space":    cn(tagUTF8String, "a b"),
		"no text":              cn(tagUTF8String, ""),
		"not UTF-8":            cn(tagUTF8String, "a\xff"),
		"not UTF-8, upper":     cn(tagUTF8String, "A\xff"),
		"half a BMP character": cn(tagBMPString, "\x00a\x00"),
		"octets":               cn(tagOctetString, "a"),
		"empty":                seq(),
		"nothing":              nil,
		"trailing data":        cat(seq(rdn(a)), []byte{0}),
		"no SET":               seq(a),
		"empty SET":            seq(rdn()),
	}
	seen := map[NameKey]string{{}: "zero"}
	for name, raw := range names {
		key := NameKeyOf(raw)
		if other, ok := seen[key]; ok {
			t.Errorf("%s and %s have one key", name, other)
		}
		seen[key] = name
	}
}

func TestRelativeNameEqualsFull(t *testing.T) {
	issuer := cn(tagUTF8String, "CA")
	point := attribute(oidCommonName, tagUTF8String, "CRL 1")
	relative, _, err := parsePointName(tlv(0xa1, point), issuer)
	if err != nil {
		t.Fatal(err)
	}
	full, _, err := parsePointName(tlv(0xa0, tlv(tagDirectoryName, seq(rdn(attribute(oidCommonName, tagPrintableString, "ca")), rdn(point)))), issuer)
	if err != nil {
		t.Fatal(err)
	}
	if relative[0] != full[0] {
		t.Error("relative and full name differ")
	}
}

func FuzzNameKeyOf(f *testing.F) {
	f.Add(cn(tagUTF8String, "Sally CA"))
	f.Add(cn(tagBMPString, "\x00Z\x00o\xd8\x00"))
	f.Add(cn(tagUniversalString, "\x00\x11\x00\x00"))
	f.Add([]byte(nil))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if NameKeyOf(raw) != NameKeyOf(append([]byte(nil), raw...)) {
			t.Error("not a function of its input")
		}
		if _, err := canonicalName(raw); err != nil && NameKeyOf(raw) != sha256.Sum256(cat([]byte{0}, raw)) {
			t.Error("malformed name is not compared by its bytes")
		}
	})
}
