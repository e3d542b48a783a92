package identity

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// fieldNames are identity headers as they are met in the field.
var fieldNames = []string{
	"X-Amzn-Mtls-Clientcert", "X-Amzn-Mtls-Clientcert-Serial-Number", "X-Amzn-Mtls-Clientcert-Issuer",
	"X-Amzn-Mtls-Clientcert-Subject", "X-Amzn-Mtls-Clientcert-Validity", "X-Amzn-Mtls-Clientcert-Leaf",
	"X-Amzn-Tls-Version", "X-Amzn-Tls-Cipher-Suite",
	"X-Forwarded-Client-Cert", "Client-Cert", "Client-Cert-Chain",
	"X-Forwarded-Tls-Client-Cert", "X-Forwarded-Tls-Client-Cert-Info",
	"X-SSL-Client-Verify", "X-SSL-Client-Cert", "X-SSL-Client-S-DN", "X-SSL-Issuer", "X-SSL",
	"SSL-Client-Cert", "SSL_CLIENT_S_DN_CN",
	"CloudFront-Viewer-Cert-Present", "CloudFront-Viewer-Cert-Pem",
	"client_cert_present", "client_cert_spiffe_id", "X-Client-Cert-Present",
	"Cf-Client-Cert-Der-Base64", "X-ARR-ClientCert",
	"X-Mtls-Anything",
}

// spellings are ways to write a name by which some target reads the same.
func spellings(name string) []string {
	mixed := []byte(strings.ToLower(name))
	for i := 0; i < len(mixed); i += 2 {
		mixed[i] = strings.ToUpper(string(mixed[i]))[0]
	}
	all := []string{
		name, strings.ToLower(name), strings.ToUpper(name), string(mixed),
		name + " ", " " + name, "\t" + name + "\t", name + "\r", name + "\x00", name + "\xA0", name + "\x85",
		name + "-Too-Large",
	}
	for _, other := range []string{"_", ".", "~", " ", "\x00", "\xFF"} {
		all = append(all, strings.ReplaceAll(strings.ReplaceAll(name, "_", "-"), "-", other), strings.Replace(name, "-", other, 1))
	}
	return all
}

func TestMatch(t *testing.T) {
	s := NewStripper("X-Client-Subject", "tenant.id", "")
	for _, name := range append([]string{"X-Client-Subject", "Tenant-Id", "tenant.id"}, fieldNames...) {
		for _, spelling := range spellings(name) {
			if !s.Match(spelling) {
				t.Errorf("%q passes", spelling)
			}
		}
	}
	for _, name := range ordinaryNames {
		for _, spelling := range []string{name, strings.ToUpper(name)} {
			if s.Match(spelling) {
				t.Errorf("%q does not pass", spelling)
			}
		}
	}
}

var ordinaryNames = []string{
	"", " ", "-", "Host", "Accept", "Accept-Encoding", "User-Agent", "Cookie", "Content-Length", "Content-Type", "Authorization",
	"X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Amzn-Trace-Id", "X-Amzn-Mtl", "X-Amzn-Mtlsx",
	"Client-Certificate", "Clientcert", "X-Client-Subjects", "X-Client-Subject-Alt", "X-Client-Subjec", "Tenantid",
	"X-Request-Id", "X-Sslx", "CloudFront-Viewer-Country", "Cf-Connecting-Ip", "X-Client-Ip", "Client-Ip",
	strings.Repeat("x", 500),
}

func TestStrip(t *testing.T) {
	h := http.Header{
		"X-Amzn-Mtls-Clientcert-Subject":  {"CN=a", "CN=b"},
		"x_amzn_mtls_clientcert_subject":  {"CN=c"},
		"X-AMZN-MTLS-CLIENTCERT-LEAF ":    {"pem"},
		"X-Client-Subject":                {"CN=d"},
		"X-Client-Subject-Too-Large":      {"1"},
		"X-Client-Subject-Too-Large-Also": {"1"},
		"Accept":                          {"*/*"},
	}
	NewStripper("x-client-subject").Strip(h)
	want := http.Header{"X-Client-Subject-Too-Large-Also": {"1"}, "Accept": {"*/*"}}
	if diff := cmp.Diff(want, h); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
	NewStripper().Strip(nil)
}

func TestMatchDoesNotAllocate(t *testing.T) {
	s := NewStripper("X-Client-Subject", strings.Repeat("x", maxNameLength))
	for _, name := range slices.Concat(ordinaryNames, fieldNames) {
		if n := testing.AllocsPerRun(10, func() { s.Match(name) }); n > 0 {
			t.Errorf("%q: %v allocations", name, n)
		}
	}
}

// TestZeroStripperLetsNothingPass: one forgotten must not open the way.
func TestZeroStripperLetsNothingPass(t *testing.T) {
	for name, s := range map[string]*Stripper{"nil": nil, "zero": {}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			s.Match("X-Amzn-Mtls-Clientcert")
		}()
	}
}

// FuzzMatch compares Match with its definition.
func FuzzMatch(f *testing.F) {
	for _, name := range slices.Concat(fieldNames, ordinaryNames) {
		f.Add(name)
	}
	s := NewStripper("X-Client-Subject")
	f.Fuzz(func(t *testing.T, name string) {
		folded := fold(name)
		want := folded == "x-client-subject" || folded == "x-client-subject-too-large"
		for _, family := range families {
			want = want || folded == family || strings.HasPrefix(folded, family+"-")
		}
		if got := s.Match(name); got != want {
			t.Errorf("%q, folded %q: got %v, want %v", name, folded, got, want)
		}
	})
}

func BenchmarkMatch(b *testing.B) {
	s := NewStripper("X-Client-Subject")
	for _, name := range []string{"Accept-Encoding", "X-Forwarded-For", "X-Amzn-Mtls-Clientcert-Subject"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s.Match(name)
			}
		})
	}
}
