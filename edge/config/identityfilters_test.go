package config

import (
	"reflect"
	"strings"
	"testing"
)

// A key that Parts leaves out would be taken and not enforced.
func TestPartsAreAllKeysOfANameFilter(t *testing.T) {
	typ := reflect.TypeFor[NameFilter]()
	if n := len((NameFilter{}).Parts()); n != typ.NumField() {
		t.Fatalf("%d parts of %d keys", n, typ.NumField())
	}
	for i, f := range keysOf(typ) {
		var filter NameFilter
		reflect.ValueOf(&filter).Elem().Field(f.index).Set(reflect.ValueOf([]string{"x"}))
		if part := filter.Parts()[i]; part.Key != f.key || len(part.Values) != 1 || part.Type == "" {
			t.Errorf("%s: part %+v", f.key, part)
		}
		if filter.IsZero() {
			t.Errorf("%s: taken for nothing", f.key)
		}
	}
}

func TestFingerprint(t *testing.T) {
	const digits = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
	var pairs []string
	for i := 0; i < len(digits); i += 2 {
		pairs = append(pairs, digits[i:i+2])
	}
	colons := strings.Join(pairs, ":")
	for _, good := range []string{digits, strings.ToUpper(digits), colons, strings.ToUpper(colons)} {
		var f Fingerprint
		if err := f.UnmarshalText([]byte(good)); err != nil || f.String() != digits {
			t.Errorf("%s: got %v, error %v", good, f, err)
		}
	}
	for _, bad := range []string{
		"", digits[1:], digits + "00", "0x" + digits[2:], digits[:62] + "zz", " " + digits,
		strings.Join(pairs[:31], ":"), colons + ":", ":" + colons, strings.Repeat(":", 31) + digits,
		strings.Replace(colons, ":86:", "8:6:", 1), strings.ReplaceAll(colons, ":", "-"),
	} {
		var f Fingerprint
		if err := f.UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("took %q", bad)
		}
	}
}

func TestIsSPIFFEID(t *testing.T) {
	for id, want := range map[string]bool{
		"spiffe://example.org/a":                      true,
		"spiffe://a_b-c.1/A/b.c/.../_-":               true,
		"spiffe://" + strings.Repeat("a", 255) + "/b": true,
		"spiffe://" + strings.Repeat("a", 256) + "/b": false,
		"spiffe://a/" + strings.Repeat("b", 2048-11):  true,
		"spiffe://a/" + strings.Repeat("b", 2048-10):  false,
		"":                            false,
		"spiffe:":                     false,
		"spiffe://":                   false,
		"spiffe:///a":                 false,
		"spiffe://example.org":        false,
		"spiffe://example.org/":       false,
		"spiffe://example.org/a/":     false,
		"spiffe://example.org//a":     false,
		"spiffe://example.org/.":      false,
		"spiffe://example.org/a/../b": false,
		"spiffe://example.org/*":      false,
		"spiffe://example.org/a%41":   false,
		"spiffe://example.org/a?b":    false,
		"spiffe://example.org/a#b":    false,
		"spiffe://example.org/é":      false,
		"spiffe://example.org/a\x00":  false,
		"spiffe://Example.org/a":      false,
		"spiffe://me@example.org/a":   false,
		"spiffe://example.org:1/a":    false,
		"Spiffe://example.org/a":      false,
		"https://example.org/a":       false,
	} {
		if got := IsSPIFFEID(id); got != want {
			t.Errorf("%q: got %v", id, got)
		}
		if got := IsSPIFFEID([]byte(id)); got != want {
			t.Errorf("%q as bytes: got %v", id, got)
		}
	}
}
