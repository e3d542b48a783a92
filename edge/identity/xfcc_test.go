package identity

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/sallyport/sallyport/edge/config"
)

// readXFCC takes a value apart as receivers do, of which there are two kinds: one
// knows no escape in quotes but that of a quote, the other takes any byte behind a
// backslash for itself. It returns KEY=VALUE for each pair of each element.
func readXFCC(t testing.TB, value string, anyEscape bool) (elements [][]string) {
	t.Helper()
	var pairs []string
	var pair strings.Builder
	quoted := false
	end := func() {
		pairs = append(pairs, pair.String())
		pair.Reset()
	}
	for i := 0; i < len(value); i++ {
		c := value[i]
		switch {
		case quoted && c == '\\' && i+1 < len(value) && (anyEscape || value[i+1] == '"'):
			i++
			pair.WriteByte(value[i])
		case c == '"':
			quoted = !quoted
		case c == ';' && !quoted:
			end()
		case c == ',' && !quoted:
			end()
			elements, pairs = append(elements, pairs), nil
		default:
			pair.WriteByte(c)
		}
	}
	if quoted {
		t.Errorf("quotes are open at the end of %q", value)
	}
	end()
	return append(elements, pairs)
}

func keysOf(pairs []string) (keys []string) {
	for _, pair := range pairs {
		key, _, _ := strings.Cut(pair, "=")
		keys = append(keys, key)
	}
	return keys
}

// named is a leaf with this subject and these names, whether or not crypto/x509
// would parse one.
func named(t testing.TB, cn string, names ...AlternativeName) *x509.Certificate {
	t.Helper()
	c := &x509.Certificate{Raw: []byte("leaf"), SerialNumber: big.NewInt(1)}
	c.RawSubject = nameDER(t, rdn(utf8Attr(oidCN, cn)))
	var list []asn1.RawValue
	for _, name := range names {
		list = append(list, asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: int(name.Type), Bytes: name.Value})
	}
	value, err := asn1.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	c.Extensions = []pkix.Extension{{Id: oidSubjectAltName, Value: value}}
	return c
}

func uri(s string) AlternativeName { return AlternativeName{NameURI, []byte(s)} }
func dns(s string) AlternativeName { return AlternativeName{NameDNS, []byte(s)} }

// TestXFCCKeepsValuesWithinThemselves: no certificate, however its names are
// chosen, says more than one element with the keys that are due.
func TestXFCCKeepsValuesWithinThemselves(t *testing.T) {
	cfg := presetConfig(config.PresetXFCC)
	cfg.XFCCDetails = []config.XFCCDetail{config.XFCCSubject, config.XFCCURI, config.XFCCDNS}
	h := compile(t, cfg)
	tests := []struct {
		name  string
		leaf  *x509.Certificate
		want  string // behind the hash
		pairs []string
	}{
		{"nothing", named(t, "a"), `Subject="CN=a";URI=`, []string{"Subject=CN=a", "URI="}},
		{"quote in the subject", named(t, `a";URI=spiffe://x/admin;X="`), `Subject="CN=a\"\;URI=spiffe://x/admin\;X=\"";URI=`, nil},
		{"backslash at the end", named(t, `a\`, uri("u:1")), `Subject="CN=a\5C";URI=u:1`, nil},
		{"backslash before a quote", named(t, `a\";URI=x`), `Subject="CN=a\5C\"\;URI=x";URI=`, nil},
		{"line end in the subject", named(t, "a\r\nX-Admin: 1"), `Subject="CN=a\0D\0AX-Admin: 1";URI=`, nil},
		{"separators in a URI", named(t, "a", uri("u:a;Hash=0"), uri("u:b,By=c")), `Subject="CN=a";URI="u:a;Hash=0";URI="u:b,By=c"`,
			[]string{"Subject=CN=a", "URI=u:a;Hash=0", "URI=u:b,By=c"}},
		{"query in a URI", named(t, "a", uri("u:a?b=c")), `Subject="CN=a";URI="u:a?b=c"`, []string{"Subject=CN=a", "URI=u:a?b=c"}},
		{"quote in a URI", named(t, "a", uri(`u:";DNS=x`)), `Subject="CN=a";URI="u:\";DNS=x"`, []string{"Subject=CN=a", `URI=u:";DNS=x`}},
		{"what no URI can have", named(t, "a", uri("u: a"), uri("u:\r\nX: 1"), uri(`u:\`), uri("u:\xFF"), uri("u:\x00"), uri(""), uri("u:ok")),
			`Subject="CN=a";URI=u:ok`, []string{"Subject=CN=a", "URI=u:ok"}},
		{"separators in a DNS name", named(t, "a", dns("a.b;URI=x"), dns("ok.example"), dns("a\nb"), dns("a b")),
			`Subject="CN=a";URI=;DNS="a.b;URI=x";DNS=ok.example`, []string{"Subject=CN=a", "URI=", "DNS=a.b;URI=x", "DNS=ok.example"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			value := h.Verified(Client{Path: []*x509.Certificate{test.leaf}})[0].Value
			_, got, _ := strings.Cut(value, ";")
			if got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
			for _, anyEscape := range []bool{false, true} {
				elements := readXFCC(t, value, anyEscape)
				if len(elements) != 1 {
					t.Fatalf("%d elements in %s", len(elements), value)
				}
				if test.pairs != nil {
					if diff := cmp.Diff(test.pairs, elements[0][1:]); diff != "" {
						t.Errorf("any escape %v: want -, got +:\n%s", anyEscape, diff)
					}
				}
				if keys := keysOf(elements[0]); keys[0] != "Hash" || keys[1] != "Subject" || keys[2] != "URI" {
					t.Errorf("any escape %v: keys %v", anyEscape, keys)
				}
			}
		})
	}
}

// FuzzXFCC: whatever is in a certificate, the value is printable, is one element,
// and has the keys that are due, to receivers of either kind.
func FuzzXFCC(f *testing.F) {
	f.Add("a", []byte("spiffe://x/y"), []byte("a.example"))
	f.Add(`a\";URI=`, []byte(`u:",URI=x`), []byte("a;b"))
	f.Add("\r\n", []byte("\\"), []byte(`\"`))
	f.Fuzz(func(t *testing.T, cn string, u, d []byte) {
		cfg := presetConfig(config.PresetXFCC)
		cfg.XFCCDetails = []config.XFCCDetail{config.XFCCSubject, config.XFCCURI, config.XFCCDNS}
		leaf := named(t, cn, AlternativeName{NameURI, u}, AlternativeName{NameDNS, d})
		cfg.MaxSize = 1 << 20
		value := compile(t, cfg).Verified(Client{Path: []*x509.Certificate{leaf}})[0].Value
		for i := range len(value) {
			if value[i] < ' ' || value[i] > '~' {
				t.Fatalf("byte %#x in %q", value[i], value)
			}
		}
		want := []string{"Hash", "Subject", "URI"}
		if isPlain(d) {
			want = append(want, "DNS")
		}
		for _, anyEscape := range []bool{false, true} {
			elements := readXFCC(t, value, anyEscape)
			if len(elements) != 1 || !slices.Equal(keysOf(elements[0]), want) {
				t.Fatalf("any escape %v: got %q of %q, want keys %v", anyEscape, elements, value, want)
			}
		}
	})
}
