package identity

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAttributes(t *testing.T) {
	for _, c := range []struct {
		name string
		in   typeAndValue
		typ  string
		text string
		ok   bool
	}{
		{"UTF8String", utf8Attr(oidCN, "é, =+"), "CN", "é, =+", true},
		{"UTF8String that is none", utf8Attr(oidCN, "a\xff"), "CN", "", false},
		{"NUL is told", utf8Attr(oidCN, "a\x00b"), "CN", "a\x00b", true},
		{"PrintableString", attr(oidO, tagPrintableString, "Acme"), "O", "Acme", true},
		{"PrintableString beyond ASCII", attr(oidO, tagPrintableString, "Acm\xe9"), "O", "", false},
		{"IA5String", attr(oidEmail, tagIA5String, "a@b"), "emailAddress", "a@b", true},
		{"IA5String beyond ASCII", attr(oidEmail, tagIA5String, "a\x80"), "emailAddress", "", false},
		{"T61String is Latin-1", attr(oidOU, tagT61String, "\xe9"), "OU", "é", true},
		{"BMPString", attr(oidL, tagBMPString, "\x00a\x20\xac"), "L", "a€", true},
		{"BMPString of odd length", attr(oidL, tagBMPString, "\x00a\x20"), "L", "", false},
		{"BMPString with a surrogate", attr(oidL, tagBMPString, "\xd8\x00\xdc\x00"), "L", "", false},
		{"UniversalString", attr(oidST, tagUniversalString, "\x00\x01\xf6\x00"), "ST", "😀", true},
		{"UniversalString out of range", attr(oidST, tagUniversalString, "\xff\x00\x00\x00"), "ST", "", false},
		{"empty", utf8Attr(oidCN, ""), "CN", "", true},
		{"no string", attr(oidCN, 2, "\x05"), "CN", "", false},
		{"type without a name", utf8Attr(oidOther, "x"), "", "x", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			attributes, err := Attributes(nameDER(t, rdn(c.in)), nil)
			if err != nil || len(attributes) != 1 {
				t.Fatalf("%d attributes, error %v", len(attributes), err)
			}
			text, ok := attributes[0].AppendText(nil)
			if typ := attributes[0].Type(); typ != c.typ || ok != c.ok || ok && string(text) != c.text {
				t.Errorf("%q is %q, %v; want %q is %q, %v", typ, text, ok, c.typ, c.text, c.ok)
			}
		})
	}
}

func TestAttributesOfSeveralRDNs(t *testing.T) {
	raw := nameDER(t, rdn(utf8Attr(oidO, "one")), rdn(utf8Attr(oidOU, "two"), utf8Attr(oidCN, "three")))
	attributes, err := Attributes(raw, nil)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for i := range attributes {
		text, _ := attributes[i].AppendText(nil)
		got = append(got, attributes[i].Type()+"="+string(text))
	}
	if diff := cmp.Diff([]string{"O=one", "OU=two", "CN=three"}, got); diff != "" {
		t.Error(diff)
	}
	if _, err := Attributes(append(raw, 0), nil); err == nil {
		t.Error("took trailing data")
	}
}
