package frame

import (
	"slices"
	"testing"
)

func TestConfiguredNeeds(t *testing.T) {
	for _, needs := range [][]string{nil, {}, {"cert.subject"}, {"cert.subject", "header:x-a"}} {
		body := ConfiguredBody{Needs: needs}
		got, err := ParseConfigured(body.Append(nil))
		if err != nil || !slices.Equal(got.Needs, needs) || (got.Needs == nil) != (needs == nil) {
			t.Errorf("%#v: got %#v, %v", needs, got.Needs, err)
		}
	}
	need := func(names ...string) (b []byte) {
		for _, name := range names {
			b = AppendString(b, TagNeed, name)
		}
		return b
	}
	for what, body := range map[string][]byte{
		"twice":                   need("cert.subject", "cert.subject"),
		"no field":                need("cert.subjekt"),
		"nothing, then one":       need("", "cert.subject"),
		"one, then nothing":       need("cert.subject", ""),
		"nothing twice":           need("", ""),
		"a version, out of place": AppendString(nil, TagVersion, "1"),
	} {
		if got, err := ParseConfigured(body); err == nil {
			t.Errorf("%s: got %+v, want an error", what, got)
		}
	}
}

func TestCovers(t *testing.T) {
	for _, test := range []struct {
		many, few []string
		want      bool
	}{
		{nil, nil, true},
		{[]string{"cert.subject"}, nil, true},
		{[]string{"cert.subject", "headers"}, []string{"header:x-a", "cert.subject"}, true},
		{[]string{"headers"}, []string{"headers"}, true},
		{[]string{"header:x-a"}, []string{"header:x-a"}, true},
		{[]string{"response_headers"}, []string{"response_header:x-a"}, true},
		{[]string{"headers"}, []string{"response_header:x-a"}, false},
		{[]string{"header:x-a"}, []string{"headers"}, false},
		{[]string{"header:x-a"}, []string{"header:x-b"}, false},
		{[]string{"cert.subject"}, []string{"cert.issuer"}, false},
		{[]string{"headers"}, []string{"nonsense"}, false},
		{nil, []string{"cert.subject"}, false},
	} {
		if got := Covers(test.many, test.few); got != test.want {
			t.Errorf("%v covers %v: got %t", test.many, test.few, got)
		}
	}
}
