package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLoadWhatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	big := filepath.Join(dir, "big.yaml")
	if err := os.WriteFile(big, []byte(strings.Repeat("#", maxFileSize+1)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ path, want string }{
		{filepath.Join(dir, "none.yaml"), "open: no such file or directory"},
		{dir, "read: is a directory"},
		{big, "want at most 1MiB of configuration"},
	} {
		c, problems := Load(test.path)
		if c != nil {
			t.Errorf("%s: got a Config", test.path)
		}
		want := Problems{{File: test.path, Text: test.want}}
		if diff := cmp.Diff(want, problems); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.path, diff)
		}
	}
}

// TestBroken holds Load to giving back what it could read along with the
// problems.
func TestBroken(t *testing.T) {
	c, problems := Load("testdata/bad/mode-misspelt.yaml")
	if c == nil {
		t.Fatal("got no Config")
	}
	if len(problems) != 1 || problems[0].Line != 10 || problems[0].Column != 13 {
		t.Errorf("want one problem in 10:13, got:\n%v", problems)
	}
	if got := c.TrustStores["partners"].CABundle.File; got != "ca.pem" {
		t.Errorf("ca_bundle: want ca.pem, got %q", got)
	}
	if got := c.Listeners["public"].MutualAuthentication.Mode; got != ModeOff {
		t.Errorf("mode: want its default, got %q", got)
	}
	want, err := filepath.Abs("testdata/bad/ca.pem")
	if err != nil {
		t.Fatal(err)
	}
	if got := c.ResolvePath("ca.pem"); got != want {
		t.Errorf("ResolvePath: want %s, got %s", want, got)
	}
	if got := c.ResolvePath("/ca.pem"); got != "/ca.pem" {
		t.Errorf("ResolvePath of an absolute name: got %s", got)
	}
	if got := c.Name(); got != "testdata/bad/mode-misspelt.yaml" {
		t.Errorf("Name: got %s", got)
	}
}

func TestProblemf(t *testing.T) {
	c, problems := Parse("a.yaml", []byte(`admin: {metrics: 127.0.0.1:9901}
trust_stores:
  partners:
    ca_bundle: {file: ca.pem}
    crls:
      - {file: issuing.crl}
      - file: root.crl
certificates: [{name: api, file: {cert: api.pem, key: api.key}}]
listeners:
  devices:
    address: 127.0.0.1:0
    mutual_authentication: {mode: verify, trust_store: partners}
    default_action: {fixed_response: {status_code: 503}}
`), "/etc/sallyport")
	if problems.Err() != nil {
		t.Fatal(problems)
	}
	for _, test := range []struct{ path, want string }{
		{"trust_stores.partners.ca_bundle.file", "a.yaml:4:23: trust_stores.partners.ca_bundle.file: x"},
		{"trust_stores.partners.crls[1].file", "a.yaml:7:15: trust_stores.partners.crls[1].file: x"},
		{"trust_stores.partners.crls[1].file.more", "a.yaml:7:15: trust_stores.partners.crls[1].file.more: x"},
		{"trust_stores.partners.crls[2]", "a.yaml:5:5: trust_stores.partners.crls[2]: x"},
		{"listeners.devices.address[0]", "a.yaml:11:14: listeners.devices.address[0]: x"},
		{"listeners.devices.limits.handshakes", "a.yaml:10:3: listeners.devices.limits.handshakes: x"},
		{`listeners."no such".address`, `a.yaml:9:1: listeners."no such".address: x`},
		{"elsewhere", "a.yaml: elsewhere: x"},
		{"", "a.yaml: x"},
	} {
		if got := c.Problemf(test.path, "%s", "x").String(); got != test.want {
			t.Errorf("want %s\ngot  %s", test.want, got)
		}
	}
	if got := c.Warningf("admin", "x").String(); got != "a.yaml:1:1: warning: admin: x" {
		t.Errorf("Warningf: got %s", got)
	}
}

func TestProblems(t *testing.T) {
	warning := Problem{File: "b", Line: 1, Column: 2, Text: "w", Severity: Warning}
	early := Problem{File: "b", Line: 1, Column: 1, Text: "e"}
	other := Problem{File: "a", Line: 9, Column: 9, Text: "o"}

	if err := (Problems{warning}).Err(); err != nil {
		t.Errorf("a warning is no error, got %v", err)
	}
	if err := Problems(nil).Err(); err != nil {
		t.Errorf("nothing is no error, got %v", err)
	}
	ps := Problems{warning, early, other}
	ps.Sort()
	if diff := cmp.Diff(Problems{other, early, warning}, ps); diff != "" {
		t.Errorf("Sort (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(Problems{warning}, ps.Warnings()); diff != "" {
		t.Errorf("Warnings (-want +got):\n%s", diff)
	}
	var errs Problems
	if !errors.As(ps.Err(), &errs) || errs.Error() != "a:9:9: o\nb:1:1: e" {
		t.Errorf("Err: got %v", errs)
	}
}

func TestParent(t *testing.T) {
	for _, test := range []struct{ path, want string }{
		{"a", ""},
		{"a.b", "a"},
		{"a.b[0]", "a.b"},
		{"a[0].b", "a[0]"},
		{"a[0][1]", "a[0]"},
		{child("a", "b.c"), "a"},
		{child(child("a", `b".[0]`), "c"), child("a", `b".[0]`)},
		{child("", "x y"), ""},
		{child("a", ""), "a"},
		{`a."unclosed`, ""},
		{"", ""},
	} {
		if got := parent(test.path); got != test.want {
			t.Errorf("parent(%s): want %q, got %q", test.path, test.want, got)
		}
	}
}

// TestHostileSyntax is about inputs that take a parser's stack or time. A quarter
// of what a file may hold shows it, and leaves the race detector some patience.
func TestHostileSyntax(t *testing.T) {
	fill := func(head, part string) string {
		return head + strings.Repeat(part, maxFileSize/4/len(part))
	}
	for name, text := range map[string]string{
		"sequences":       fill("a: ", "["),
		"mappings":        fill("", "{a: "),
		"block-sequences": fill("", "- "),
		"complex-keys":    fill("", "? "),
		"tags":            fill("a: ", "!x "),
		"anchors":         fill("a: ", "&x "),
		"tag-lines":       fill("a:\n", " !x\n"),
		"keys":            fill("", "a:\n"),
		"flow-keys":       fill("{", "a: b,"),
		"colons":          fill("", ": "),
		"quotes":          fill("a: ", `"`),
		"closings":        fill("a: ", "]"),
		"documents":       fill("", "---\n"),
		"directives":      fill("", "%A\n"),
		"literals":        fill("", "|\n"),
	} {
		t.Run(name, func(t *testing.T) {
			if _, problems := Parse(name, []byte(text), ""); problems.Err() == nil {
				t.Error("want a problem")
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*/*.yaml")
	if err != nil || len(files) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, problems := Parse("f.yaml", data, "/etc/sallyport")
		if c == nil && problems.Err() == nil {
			t.Error("got neither a Config nor an error")
		}
		for _, p := range problems {
			if p.File != "f.yaml" || p.Text == "" || p.Line < 0 || (p.Line > 0) != (p.Column > 0) {
				t.Errorf("problem without a place: %+v", p)
			}
		}
		if problems.Err() != nil {
			return
		}
		// What may be used holds to what the edge relies on.
		if len(c.Listeners) == 0 {
			t.Error("accepted without a listener")
		}
		for name, l := range c.Listeners {
			m := l.MutualAuthentication
			_, known := c.TrustStores[m.TrustStore]
			if (m.Mode == ModeVerify) != known || l.Protocol == HTTP && m.Mode != ModeOff {
				t.Errorf("%s: accepted %s with mode %s and trust store %q", name, l.Protocol, m.Mode, m.TrustStore)
			}
			if len(l.Address) == 0 || l.DefaultAction == (Action{}) {
				t.Errorf("%s: accepted without an address or an action", name)
			}
		}
	})
}
