package truststore

import (
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/reason"
	"github.com/sallyport/sallyport/loadtest/pki"
)

// allowedFile writes leaves into a file.
func allowedFile(t testing.TB, leaves ...*pki.Leaf) string {
	t.Helper()
	var data []byte
	for _, l := range leaves {
		data = append(data, l.CertPEM()...)
	}
	path := filepath.Join(t.TempDir(), "allowed.pem")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAllowedCertificates(t *testing.T) {
	anchor := root()
	s := newStore(t, anchor)
	first, second, third := issue(anchor), issue(anchor), issue(anchor)
	twin := issue(anchor, pki.ExistingKey(first.Key), pki.Serial(first.Serial()))
	stranger := issue(root())
	p := filtered(t, config.IdentityFilters{AllowedCertificates: []config.File{
		{File: allowedFile(t, first, second)}, {File: allowedFile(t, third, stranger)},
	}})
	for _, c := range []struct {
		name string
		leaf *pki.Leaf
		want reason.Code
	}{
		{"first of a file", first, reason.Success},
		{"last of a file", second, reason.Success},
		{"of another file", third, reason.Success},
		{"in none", issue(anchor), reason.ClientCertRejected},
		{"same key and serial number", twin, reason.ClientCertRejected},
		{"allowed, but of no CA of the store", stranger, reason.ClientCertUntrusted},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := s.Verify(chainOf(t, c.leaf), p, time.Now())
			wantCode(t, err, c.want)
		})
	}
}

func TestAllowedCertificatesThatAreNone(t *testing.T) {
	anchor := root()
	leaf := issue(anchor)
	dir := t.TempDir()
	for _, c := range []struct {
		name string
		data []byte // nil: no file
		say  string
	}{
		{"missing.pem", nil, "no such file"},
		{"empty.pem", []byte{}, "no CERTIFICATE block"},
		{"garbage.pem", []byte("garbage"), "line 1"},
		{"damaged.pem", append(leaf.CertPEM(), "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"...), "decode certificate"},
		{"no-certificate.pem", []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), "line 1: parse certificate"},
		{"chain.pem", append(leaf.CertPEM(), anchor.CertPEM()...), "is a CA, want clients' own certificates"},
		{"key.pem", append(leaf.CertPEM(), pki.Must(leaf.KeyPEM())...), "a private key has no place"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.data != nil {
				if err := os.WriteFile(filepath.Join(dir, c.name), c.data, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			cfg := config.IdentityFilters{AllowedCertificates: []config.File{{File: allowedFile(t, leaf)}, {File: c.name}}}
			f, err := CompileFilters(cfg, func(name string) string {
				if filepath.IsAbs(name) {
					return name
				}
				return filepath.Join(dir, name)
			})
			var field *FieldError
			if f != nil || !errors.As(err, &field) || field.Field != "allowed_certificates[1].file" || !strings.Contains(err.Error(), c.say) {
				t.Errorf("filters %v, error %v, want %q", f, err, c.say)
			}
		})
	}
}

// A configuration made in code has not been through config.Parse.
func TestCompileFiltersRefusesWhatConfigDoes(t *testing.T) {
	cfg := config.IdentityFilters{
		Subject:             config.NameFilter{CommonName: []string{"*"}, Organization: []string{}},
		DNS:                 []string{"a.example", "*"},
		URI:                 []string{},
		SPIFFEID:            []string{"spiffe://Example.org/a"},
		Email:               []string{"@"},
		IP:                  []config.Network{{}},
		SPKISHA256:          []config.Fingerprint{{}},
		AllowedCertificates: []config.File{{}},
	}
	f, err := CompileFilters(cfg, nil)
	if f != nil || err == nil {
		t.Fatalf("filters %v, error %v", f, err)
	}
	var got []string
	for _, err := range err.(interface{ Unwrap() []error }).Unwrap() {
		got = append(got, err.(*FieldError).Field)
	}
	want := "subject.common_name[0] subject.organization dns[1] uri spiffe_id[0] email[0] ip[0] spki_sha256[0] allowed_certificates[0].file"
	if strings.Join(got, " ") != want {
		t.Errorf("fields %q, want %q", got, want)
	}
}

func TestNoFilters(t *testing.T) {
	f, err := CompileFilters(config.IdentityFilters{}, nil)
	if f != nil || err != nil {
		t.Errorf("filters %v, error %v, want neither", f, err)
	}
	if f.ID() != [32]byte{} {
		t.Error("the ID of no filters is not zero")
	}
	if err := f.check(&x509.Certificate{}); err != nil {
		t.Error(err)
	}
}

func TestFiltersID(t *testing.T) {
	anchor := root()
	one, two := issue(anchor), issue(anchor)
	cn := func(list ...string) config.IdentityFilters {
		return config.IdentityFilters{Subject: config.NameFilter{CommonName: list}}
	}
	same := [][2]config.IdentityFilters{
		{cn("a", "b*"), cn("b*", "a")},
		{{DNS: []string{"a.example", "*.b.example"}}, {DNS: []string{"*.B.example", "A.example"}}},
		{{URI: []string{"https://A.example/b"}}, {URI: []string{"HTTPS://a.example/b"}}},
		{{Email: []string{"a@A.example"}}, {Email: []string{"a@a.example"}}},
		{{IP: networks("10.0.0.1")}, {IP: networks("10.0.0.1/32")}},
		{
			{AllowedCertificates: []config.File{{File: allowedFile(t, one, two)}}},
			{AllowedCertificates: []config.File{{File: allowedFile(t, two)}, {File: allowedFile(t, one, two)}}},
		},
	}
	for i, pair := range same {
		if filters(t, pair[0]).ID() != filters(t, pair[1]).ID() {
			t.Errorf("pair %d: different IDs", i)
		}
	}
	pin := config.Fingerprint(sha256.Sum256(one.Cert.Raw))
	ids := map[[32]byte]int{{}: -1}
	for i, cfg := range []config.IdentityFilters{
		cn("a"), cn("a*"), cn("*a"), cn("a", "b"), cn("ab"), cn("A"),
		{Issuer: config.NameFilter{CommonName: []string{"a"}}},
		{Subject: config.NameFilter{Organization: []string{"a"}}},
		{Subject: config.NameFilter{CommonName: []string{"a"}, Organization: []string{"a"}}},
		{DNS: []string{"a.example"}}, {DNS: []string{"*.a.example"}}, {DNS: []string{"a.example", "b.example"}},
		{URI: []string{"https://a.example/"}}, {URI: []string{"https://a.example/*"}}, {URI: []string{"https://a.example/B"}}, {URI: []string{"https://a.example/b"}},
		{SPIFFEID: []string{"spiffe://example.org/a"}}, {SPIFFEID: []string{"spiffe://example.org/a/*"}},
		{Email: []string{"*@a.example"}}, {Email: []string{"a@a.example"}}, {Email: []string{"A@a.example"}},
		{IP: networks("10.0.0.0/8")}, {IP: networks("10.0.0.0/9")},
		{SPKISHA256: []config.Fingerprint{pin}}, {CertificateSHA256: []config.Fingerprint{pin}},
		{AllowedCertificates: []config.File{{File: allowedFile(t, one)}}},
		{AllowedCertificates: []config.File{{File: allowedFile(t, one, two)}}},
	} {
		id := filters(t, cfg).ID()
		if other, ok := ids[id]; ok {
			t.Errorf("configurations %d and %d have one ID", other, i)
		}
		ids[id] = i
	}
	// Tickets outlive the process, so the digest must not change by itself.
	const want = "54ec8d14d27be3a7a136d2094719bacf5b5de3554b7f0d77d90970436a9836c3"
	if got := config.Fingerprint(filters(t, cn("payments-*")).ID()).String(); got != want {
		t.Errorf("ID %s, want %s", got, want)
	}
}

// rich uses every kind of pattern.
func rich(t testing.TB) config.IdentityFilters {
	return config.IdentityFilters{
		Subject:  config.NameFilter{CommonName: []string{"other", "Pay*"}, Organization: []string{"*Söhne"}},
		Issuer:   config.NameFilter{CommonName: []string{"CA"}},
		DNS:      []string{"b.example", "*.a.example"},
		URI:      []string{"spiff:x", "https://a.example/*", "urn:a:b"},
		SPIFFEID: []string{"spiffe://example.org/a/*"},
		Email:    []string{"ops@a.example", "*@b.example"},
		IP:       networks("10.0.0.0/8", "2001:db8::/32"),
	}
}

func satisfying(t testing.TB) *x509.Certificate {
	anchor := root(pki.CommonName("CA"))
	return issue(anchor, pki.Subject(pkix.Name{CommonName: "Payments", Organization: []string{"Müller & Söhne"}}),
		san("dns:x.A.example", "dns:y.example", "email:anyone@B.example", "uri:spiffe://example.org/a/b", "ip:\x0a\x00\x00\x01")).Cert
}

func TestFilterCheckAllocatesNothing(t *testing.T) {
	leaf := satisfying(t)
	cfg := rich(t)
	cfg.URI = nil // a SPIFFE ID is the one URI
	cfg.SPKISHA256 = []config.Fingerprint{config.Fingerprint(sha256.Sum256(leaf.RawSubjectPublicKeyInfo))}
	cfg.CertificateSHA256 = []config.Fingerprint{config.Fingerprint(sha256.Sum256(leaf.Raw))}
	f := filters(t, cfg)
	if n := testing.AllocsPerRun(100, func() {
		if err := f.check(leaf); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
	plain := issue(root(), pki.URI(parseURL("https://A.example/b/c"))).Cert
	byURI := filters(t, config.IdentityFilters{URI: rich(t).URI})
	if n := testing.AllocsPerRun(100, func() {
		if err := byURI.check(plain); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("by URI: %v allocations, want none", n)
	}
}

func BenchmarkFilterCheck(b *testing.B) {
	leaf := satisfying(b)
	cfg := rich(b)
	cfg.URI = nil
	f := filters(b, cfg)
	b.ReportAllocs()
	for b.Loop() {
		if err := f.check(leaf); err != nil {
			b.Fatal(err)
		}
	}
}

// FuzzFilterCheck feeds names that no CA would sign. Whoever is let in must hold
// a name of the right type that says so in plain text.
func FuzzFilterCheck(f *testing.F) {
	oid := asn1.ObjectIdentifier{2, 5, 29, 17}
	leaf := satisfying(f)
	for _, e := range leaf.Extensions {
		if e.Id.Equal(oid) {
			f.Add(leaf.RawSubject, leaf.RawIssuer, e.Value)
		}
	}
	f.Add([]byte{0x30, 0}, []byte{0x30, 0}, sanDER("uri:https://a.example/b", "dns:c.a.example\x00"))
	f.Add([]byte{0x30, 0}, []byte{}, sanDER("uri:https://a.example/../b", "email:x@b.example@a", "ip:\x0a"))
	all := rich(f)
	held := []struct {
		filters *Filters
		in      func(raw string) bool // what the certificate must hold at the least
	}{
		{filters(f, config.IdentityFilters{Subject: all.Subject}), func(raw string) bool { return strings.Contains(raw, "hne") }},
		{filters(f, config.IdentityFilters{DNS: all.DNS}), func(raw string) bool {
			lower := strings.ToLower(raw)
			return strings.Contains(raw, "\x82") && (strings.Contains(lower, "b.example") || strings.Contains(lower, ".a.example"))
		}},
		{filters(f, config.IdentityFilters{URI: all.URI}), func(raw string) bool {
			lower := strings.ToLower(raw)
			return strings.Contains(raw, "\x86") && (strings.Contains(lower, "https://a.example/") || strings.Contains(lower, "urn:") || strings.Contains(lower, "spiff:"))
		}},
		{filters(f, config.IdentityFilters{SPIFFEID: all.SPIFFEID}), func(raw string) bool {
			return strings.Contains(raw, "spiffe://example.org/a/")
		}},
		{filters(f, config.IdentityFilters{Email: all.Email}), func(raw string) bool {
			return strings.Contains(raw, "\x81") && strings.Contains(raw, "@")
		}},
		{filters(f, config.IdentityFilters{IP: all.IP}), func(raw string) bool { return strings.Contains(raw, "\x87") }},
		{filters(f, all), func(string) bool { return false }}, // no URI is of both kinds
	}
	f.Fuzz(func(t *testing.T, subject, issuer, names []byte) {
		c := &x509.Certificate{RawSubject: subject, RawIssuer: issuer, Extensions: []pkix.Extension{{Id: oid, Value: names}}}
		for i, h := range held {
			if h.filters.check(c) == nil && !h.in(string(subject)+"|"+string(issuer)+"|"+string(names)) {
				t.Errorf("filters %d let in subject %q, issuer %q, names %q", i, subject, issuer, names)
			}
		}
	})
}

// FuzzFilterPattern holds that whatever config takes can be enforced, and that a
// pattern without a * matches the name that it is.
func FuzzFilterPattern(f *testing.F) {
	for _, s := range []string{"a.example", "*.a.example", "https://A.example:8443/b?c", "https://[::1]/*", "urn:a:b", "spiffe://example.org/a", "a@B.example", "Müller*", "x://%41/"} {
		f.Add(s)
	}
	oid := asn1.ObjectIdentifier{2, 5, 29, 17}
	f.Fuzz(func(t *testing.T, s string) {
		for typ, cfg := range map[string]config.IdentityFilters{
			"subject": {Subject: config.NameFilter{CommonName: []string{s}}},
			"dns":     {DNS: []string{s}},
			"uri":     {URI: []string{s}},
			"spiffe":  {SPIFFEID: []string{s}},
			"email":   {Email: []string{s}},
		} {
			taken := true
			cfg.Check(func(string, error) { taken = false })
			filters, err := CompileFilters(cfg, nil)
			if taken != (err == nil) {
				t.Fatalf("%s %q: taken by config: %v, compiled: %v", typ, s, taken, err)
			}
			if !taken || strings.Contains(s, "*") {
				continue
			}
			c := &x509.Certificate{RawSubject: pki.Must(asn1.Marshal([]partSET{{partOf(oidCN, utf8String, s)}}))}
			if name := strings.Replace(typ, "spiffe", "uri", 1); name != "subject" {
				c.Extensions = []pkix.Extension{{Id: oid, Value: sanDER(name + ":" + s)}}
			}
			if err := filters.check(c); err != nil {
				t.Errorf("%s %q does not match itself: %v", typ, s, err)
			}
		}
	})
}
