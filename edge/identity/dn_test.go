package identity

import (
	"bytes"
	"encoding/asn1"
	"strings"
	"testing"
)

func TestDN(t *testing.T) {
	tests := []struct {
		name string
		rdns []rdnSET
		want string
	}{
		{"empty", nil, ""},
		{"last first", []rdnSET{rdn(utf8Attr(oidC, "US")), rdn(utf8Attr(oidO, "mTLS")), rdn(utf8Attr(oidCN, "a"))}, "CN=a,O=mTLS,C=US"},
		{"same type twice", []rdnSET{rdn(utf8Attr(oidOU, "a")), rdn(utf8Attr(oidOU, "b"))}, "OU=b,OU=a"},
		{"multi-valued", []rdnSET{rdn(utf8Attr(oidO, "x")), rdn(utf8Attr(oidCN, "a"), utf8Attr(oidOU, "b"))}, "OU=b+CN=a,O=x"},
		{"line end", []rdnSET{rdn(utf8Attr(oidCN, "évil\r\nX-Admin: 1"))}, `CN=\C3\A9vil\0D\0AX-Admin: 1`},
		{"NUL and DEL", []rdnSET{rdn(utf8Attr(oidCN, "a\x00b\x7fc"))}, `CN=a\00b\7Fc`},
		{"specials", []rdnSET{rdn(utf8Attr(oidO, `mTLS, "Inc" + <a>;\ = #`))}, `O=mTLS\, \"Inc\" \+ \<a\>\;\\ = #`},
		{"leading hash", []rdnSET{rdn(utf8Attr(oidCN, "#a"))}, `CN=\#a`},
		{"only a hash", []rdnSET{rdn(utf8Attr(oidCN, "#"))}, `CN=\#`},
		{"spaces around", []rdnSET{rdn(utf8Attr(oidO, "o")), rdn(utf8Attr(oidCN, "  a  "))}, `CN=\  a \ ,O=o`},
		{"space at the very end", []rdnSET{rdn(utf8Attr(oidCN, "a "))}, `CN=a\20`},
		{"only a space", []rdnSET{rdn(utf8Attr(oidCN, " "))}, `CN=\20`},
		{"empty value", []rdnSET{rdn(utf8Attr(oidO, "o")), rdn(utf8Attr(oidCN, ""))}, `CN=,O=o`},
		{"email", []rdnSET{rdn(attr(oidEmail, tagIA5String, "a@b.c"))}, "emailAddress=a@b.c"},
		{"T61 as Latin-1", []rdnSET{rdn(attr(oidCN, tagT61String, "\xE9"))}, `CN=\C3\A9`},
		{"BMP", []rdnSET{rdn(attr(oidCN, tagBMPString, "\x00a\x20\xAC"))}, `CN=a\E2\82\AC`},
		{"BMP line end", []rdnSET{rdn(attr(oidCN, tagBMPString, "\x00\r\x00\n"))}, `CN=\0D\0A`},
		{"BMP whose bytes look like a comma", []rdnSET{rdn(attr(oidCN, tagBMPString, "\x2C\x2C"))}, `CN=\E2\B0\AC`},
		{"BMP of odd length", []rdnSET{rdn(attr(oidCN, tagBMPString, "\x00a\x00"))}, `CN=#1E03006100`},
		{"BMP with a surrogate", []rdnSET{rdn(attr(oidCN, tagBMPString, "\x00a\xD8\x00"))}, `CN=#1E040061D800`},
		{"universal", []rdnSET{rdn(attr(oidCN, tagUniversalString, "\x00\x01\xF6\x00"))}, `CN=\F0\9F\98\80`},
		{"universal past Unicode", []rdnSET{rdn(attr(oidCN, tagUniversalString, "\xFF\x00\x00\x61"))}, `CN=#1C04FF000061`},
		{"invalid UTF-8", []rdnSET{rdn(utf8Attr(oidCN, "a\xff\xc3"))}, `CN=a\FF\C3`},
		{"bit string", []rdnSET{rdn(attr(oidCN, asn1.TagBitString, "\x00\x0A"))}, `CN=#0302000A`},
		{"unknown type", []rdnSET{rdn(utf8Attr(oidOther, "a,b"))}, `1.3.6.1.4.1.99999.1=#0C03612C62`},
		{"street", []rdnSET{rdn(utf8Attr(asn1.ObjectIdentifier{2, 5, 4, 9}, "a"))}, "STREET=a"},
		{"long", []rdnSET{rdn(utf8Attr(oidCN, strings.Repeat("é", 32<<10)))}, "CN=" + strings.Repeat(`\C3\A9`, 32<<10)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := DN(nameDER(t, test.rdns...))
			if err != nil {
				t.Fatal(err)
			}
			if got != test.want {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
		})
	}
}

func TestDNRefuses(t *testing.T) {
	good := nameDER(t, rdn(utf8Attr(oidCN, "a")))
	tests := []struct {
		name string
		raw  []byte
		want string
	}{
		{"nothing", nil, "want a SEQUENCE of RDNs"},
		{"one byte", []byte{0x30}, "want a SEQUENCE of RDNs"},
		{"SET", []byte{0x31, 0}, "want a SEQUENCE of RDNs"},
		{"truncated", good[:len(good)-1], "want a SEQUENCE of RDNs"},
		{"trailing data", append(bytes.Clone(good), 0), "trailing data"},
		{"indefinite length", []byte{0x30, 0x80, 0, 0}, "want a SEQUENCE of RDNs"},
		{"long form for a short length", []byte{0x30, 0x81, 0x02, 0x31, 0x00}, "want a SEQUENCE of RDNs"},
		{"leading zero in a length", []byte{0x30, 0x82, 0x00, 0x81}, "want a SEQUENCE of RDNs"},
		{"length past the end", []byte{0x30, 0x83, 0xFF, 0xFF, 0xFF}, "want a SEQUENCE of RDNs"},
		{"empty RDN", []byte{0x30, 0x02, 0x31, 0x00}, "empty RDN"},
		{"RDN as SEQUENCE", []byte{0x30, 0x02, 0x30, 0x00}, "malformed RDN"},
		{"attribute as SET", []byte{0x30, 0x04, 0x31, 0x02, 0x31, 0x00}, "malformed attribute:"},
		{"type missing", []byte{0x30, 0x04, 0x31, 0x02, 0x30, 0x00}, "malformed attribute type"},
		{"type empty", []byte{0x30, 0x08, 0x31, 0x06, 0x30, 0x04, 0x06, 0x00, 0x0C, 0x00}, "malformed attribute type"},
		{"type unfinished", []byte{0x30, 0x09, 0x31, 0x07, 0x30, 0x05, 0x06, 0x01, 0x80, 0x0C, 0x00}, "malformed attribute type"},
		{"value missing", []byte{0x30, 0x09, 0x31, 0x07, 0x30, 0x05, 0x06, 0x03, 0x55, 0x04, 0x03}, "malformed attribute value"},
		{"value doubled", []byte{0x30, 0x0D, 0x31, 0x0B, 0x30, 0x09, 0x06, 0x03, 0x55, 0x04, 0x03, 0x0C, 0x00, 0x0C, 0x00}, "malformed attribute value"},
		{"value with a high tag", []byte{0x30, 0x0C, 0x31, 0x0A, 0x30, 0x08, 0x06, 0x03, 0x55, 0x04, 0x03, 0x1F, 0x81, 0x00}, "malformed attribute value"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := DN(test.raw)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %q and error %v, want error %q", got, err, test.want)
			}
		})
	}
}

// FuzzDN holds DN to what its readers rely on: nothing but printable ASCII, no
// space that HTTP would trim, and as many parts as the name has attributes, so
// that no value can pass for a further one.
func FuzzDN(f *testing.F) {
	f.Add(nameDER(f, rdn(utf8Attr(oidCN, "évil\r\nX-Admin: 1")), rdn(attr(oidCN, tagBMPString, "\x00a\x20\xAC"))))
	f.Add(nameDER(f, rdn(utf8Attr(oidO, ` #,+"\<>;= `), utf8Attr(oidOther, "a"))))
	f.Add(nameDER(f, rdn(attr(oidCN, tagUniversalString, "\x00\x00\x00,")), rdn(attr(oidEmail, tagT61String, "\xE9\\"))))
	f.Add([]byte{0x30, 0x80, 0, 0})
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, err := DN(raw)
		if err != nil {
			if got != "" {
				t.Fatalf("%q with error %v", got, err)
			}
			return
		}
		for i := range len(got) {
			if got[i] < ' ' || got[i] > '~' {
				t.Fatalf("byte %#x in %q", got[i], got)
			}
		}
		if got != strings.Trim(got, " ") {
			t.Fatalf("space around %q", got)
		}
		var rdns []rdnSET
		if _, err := asn1.Unmarshal(raw, &rdns); err != nil {
			return // encoding/asn1 refuses OID arcs beyond 31 bits, for one
		}
		want := 0
		for _, set := range rdns {
			want += len(set)
		}
		if parts := countParts(got); parts != want {
			t.Fatalf("%d attributes print as %d parts: %q", want, parts, got)
		}
	})
}

// countParts counts what stands between unescaped commas and pluses.
func countParts(dn string) int {
	if dn == "" {
		return 0
	}
	n := 1
	for i := 0; i < len(dn); i++ {
		switch dn[i] {
		case '\\':
			i++
		case ',', '+':
			n++
		}
	}
	return n
}
