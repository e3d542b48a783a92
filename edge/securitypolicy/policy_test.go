package securitypolicy

import (
	"bytes"
	"crypto/tls"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden file anew")

// TestPolicies prints every row of AWS's page as it comes out here.
func TestPolicies(t *testing.T) {
	var out bytes.Buffer
	for _, name := range Names() {
		p, err := Lookup(name)
		if err != nil {
			fmt.Fprintf(&out, "%s\n  refused: %v\n", name, err)
			continue
		}
		fmt.Fprintf(&out, "%s\n  versions: %s to %s\n", name, VersionName(p.MinVersion), VersionName(p.MaxVersion))
		out.WriteString("  suites:")
		for _, id := range p.CipherSuites {
			out.WriteString(" " + CipherSuiteName(id))
		}
		out.WriteString("\n  groups:")
		for _, id := range p.Curves {
			out.WriteString(" " + GroupName(id))
		}
		out.WriteString("\n")
		for _, warning := range p.Warnings {
			fmt.Fprintf(&out, "  warning: %s\n", warning)
		}
	}
	const golden = "testdata/policies.golden"
	if *update {
		if err := os.WriteFile(golden, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), out.String()); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
}

func TestNames(t *testing.T) {
	names := Names()
	if len(names) != 44 {
		t.Errorf("%d policies, want 44", len(names))
	}
	slices.Sort(names)
	if n := len(slices.Compact(names)); n != 44 {
		t.Errorf("%d distinct policies, want 44", n)
	}
}

// TestNearest holds that what a refusal advises can be had, and that it does not
// widen the versions.
func TestNearest(t *testing.T) {
	for _, row := range albPolicies {
		_, err := Lookup(Prefix + row.name)
		if refused := err != nil; refused != (row.nearest != "") {
			t.Errorf("%s: nearest is %q, error %v", row.name, row.nearest, err)
			continue
		}
		if row.nearest == "" {
			continue
		}
		p, err := Lookup(Prefix + row.nearest)
		if err != nil {
			t.Errorf("%s: %v", row.name, err)
			continue
		}
		if p.MinVersion != row.min || p.MaxVersion != row.max {
			t.Errorf("%s: %s is of other versions", row.name, row.nearest)
		}
		if slices.Contains(p.Curves, tls.X25519MLKEM768) != row.postQuantum() {
			t.Errorf("%s: %s is of other groups", row.name, row.nearest)
		}
		for _, id := range p.CipherSuites {
			in := slices.ContainsFunc(row.ciphers, func(n int) bool { return ciphers[n-1].id == id })
			// RFC 9151 leaves out AES-128, and no policy that can be had does.
			if !in && !isTLS13(id) && !strings.Contains(row.name, "-RFC9151-") {
				t.Errorf("%s: %s offers %s as well", row.name, row.nearest, CipherSuiteName(id))
			}
		}
	}
}

func TestLookupSuggests(t *testing.T) {
	tests := []struct{ name, want string }{
		{"TLS13-1-2-Res-2021-06", "did you mean ELBSecurityPolicy-TLS13-1-2-Res-2021-06 or "},
		{"elbsecuritypolicy-tls13-1-2-res-pq-2025-09", "did you mean ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09 or "},
		{"ELBSecurityPolicy-TLS13-1-2-2021-07", "did you mean ELBSecurityPolicy-TLS13-1-2-2021-06 or "},
		{"ELBSecurityPolicy-2015-05", "did you mean ELBSecurityPolicy-2016-08 or "},
		{"ELBSecurityPolicy-", "did you mean ELBSecurityPolicy-"},
		{"", `security policy "": no such policy`},
		{strings.Repeat("x", 1<<20), "did you mean ELBSecurityPolicy-"},
	}
	for _, test := range tests {
		p, err := Lookup(test.name)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%.60q: got %v and error %.300v, want error %q", test.name, p, err, test.want)
		}
	}
}

func TestLookupReturnsCopies(t *testing.T) {
	const name = "ELBSecurityPolicy-TLS13-1-2-2021-06"
	p, err := Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	p.Curves[0], p.CipherSuites[0] = tls.X25519MLKEM768, tls.TLS_RSA_WITH_RC4_128_SHA
	var c tls.Config
	p.Apply(&c)
	c.CurvePreferences[1] = tls.X25519MLKEM768
	again, err := Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	if again.Curves[0] != tls.X25519 || again.Curves[1] != tls.CurveP256 || again.CipherSuites[0] != tls.TLS_AES_128_GCM_SHA256 {
		t.Errorf("one policy's change shows in the next: %+v", again)
	}
}

func TestNamesOfWhatIsNegotiated(t *testing.T) {
	for got, want := range map[string]string{
		CipherSuiteName(0): "",
		CipherSuiteName(tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256): "ECDHE-RSA-AES128-GCM-SHA256",
		CipherSuiteName(tls.TLS_AES_128_GCM_SHA256):                "TLS_AES_128_GCM_SHA256",
		CipherSuiteName(tls.TLS_RSA_WITH_RC4_128_SHA):              "TLS_RSA_WITH_RC4_128_SHA",
		CipherSuiteName(0x0A0A):                                    "0x0A0A",
		VersionName(0):                                             "",
		VersionName(tls.VersionTLS10):                              "TLSv1",
		VersionName(tls.VersionTLS13):                              "TLSv1.3",
		VersionName(0x0305):                                        "0x0305",
		GroupName(0):                                               "",
		GroupName(tls.X25519MLKEM768):                              "X25519MLKEM768",
		GroupName(tls.CurveP256):                                   "secp256r1",
		GroupName(0x0A1A):                                          "0x0A1A",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
