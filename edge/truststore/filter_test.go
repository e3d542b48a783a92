package truststore

import (
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/reason"
	"github.com/sallyport/sallyport/loadtest/pki"
)

// filters are compiled from a configuration that is right.
func filters(t testing.TB, cfg config.IdentityFilters) *Filters {
	t.Helper()
	f, err := CompileFilters(cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// filtered is ALB's policy with filters.
func filtered(t testing.TB, cfg config.IdentityFilters) Policy {
	p := alb
	p.Filters = filters(t, cfg)
	return p
}

// san is a subject alternative names extension of names of one type each, with
// any bytes in them.
func san(names ...string) pki.Option {
	return pki.Extension(asn1.ObjectIdentifier{2, 5, 29, 17}, false, sanDER(names...))
}

// sanDER takes names with their type before them: "dns:a.example".
func sanDER(names ...string) []byte {
	tags := map[string]int{"other": 0, "email": 1, "dns": 2, "uri": 6, "ip": 7}
	var list []asn1.RawValue
	for _, name := range names {
		typ, value, _ := strings.Cut(name, ":")
		list = append(list, asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: tags[typ], IsCompound: typ == "other", Bytes: []byte(value)})
	}
	return pki.Must(asn1.Marshal(list))
}

func parseURL(s string) *url.URL { return pki.Must(url.Parse(s)) }

func networks(texts ...string) []config.Network {
	var list []config.Network
	for _, s := range texts {
		var n config.Network
		if err := n.UnmarshalText([]byte(s)); err != nil {
			panic(err)
		}
		list = append(list, n)
	}
	return list
}

func TestFiltersByAlternativeName(t *testing.T) {
	anchor := root()
	s := newStore(t, anchor)
	dns := func(patterns ...string) config.IdentityFilters { return config.IdentityFilters{DNS: patterns} }
	uri := func(patterns ...string) config.IdentityFilters { return config.IdentityFilters{URI: patterns} }
	spiffe := func(patterns ...string) config.IdentityFilters { return config.IdentityFilters{SPIFFEID: patterns} }
	email := func(patterns ...string) config.IdentityFilters { return config.IdentityFilters{Email: patterns} }
	ip := func(texts ...string) config.IdentityFilters { return config.IdentityFilters{IP: networks(texts...)} }
	label63 := strings.Repeat("a", 63)
	for _, c := range []struct {
		cfg   config.IdentityFilters
		names string // of the client, apart by spaces
		in    bool
	}{
		{dns("a.example"), "dns:a.example", true},
		{dns("a.example"), "dns:A.EXAMPLE", true},
		{dns("A.Example"), "dns:a.example", true},
		{dns("a.example"), "dns:a.example.", false},
		{dns("a.example"), "dns:b.a.example", false},
		{dns("a.example"), "dns:xa.example", false},
		{dns("a.example"), "dns:a.example\x00", false},
		{dns("a.example"), "dns:a.example\x00.evil.example", false},
		{dns("a.example"), "dns:b.example dns:a.example dns:c.example", true},
		{dns("a.example", "b.example"), "dns:b.example", true},
		{dns("a.example"), "", false},
		{dns("a.example"), "dns:", false},
		{dns("*.a.example"), "dns:b.a.example", true},
		{dns("*.A.example"), "dns:B.a.EXAMPLE", true},
		{dns("*.a.example"), "dns:xn--mnchen-3ya.a.example", true},
		{dns("*.a.example"), "dns:_b.a.example", true},
		{dns("*.a.example"), "dns:a.example", false},
		{dns("*.a.example"), "dns:.a.example", false},
		{dns("*.a.example"), "dns:c.b.a.example", false},
		{dns("*.a.example"), "dns:*.a.example", false},
		{dns("*.a.example"), "dns:x*.a.example", false},
		{dns("*.a.example"), "dns:b.a.example.", false},
		{dns("*.a.example"), "dns:b.a.example.evil.example", false},
		{dns("*.a.example"), "dns:-b.a.example", false},
		{dns("*.a.example"), "dns:b-.a.example", false},
		{dns("*.a.example"), "dns:b\x00.a.example", false},
		{dns("*.a.example"), "dns:\x00.a.example", false},
		{dns("*.a.example"), "dns:evil.example/b.a.example", false},
		{dns("*.a.example"), "dns:" + label63 + ".a.example", true},
		{dns("*.a.example"), "dns:" + label63 + "a.a.example", false},
		{dns("*.a.example"), "dns:" + strings.Repeat("b.", 200) + "a.example", false},

		// CVE-2022-21656, and the other ways round.
		{dns("a.example"), "uri:https://a.example", false},
		{dns("a.example"), "uri:https://a.example dns:b.example", false},
		{dns("a.example"), "email:me@a.example", false},
		{dns("a.example"), "other:\x0c\x09a.example", false},
		{dns("*.a.example"), "uri:https://b.a.example/", false},
		{uri("https://a.example/b"), "dns:https://a.example/b", false},
		{uri("https://a.example/*"), "dns:https://a.example/b", false},
		{spiffe("spiffe://example.org/a"), "dns:spiffe://example.org/a", false},
		{email("*@a.example"), "dns:me@a.example", false},
		{email("*@a.example"), "uri:mailto:me@a.example", false},
		{ip("10.0.0.0/8"), "dns:10.0.0.1", false},
		{ip("10.0.0.0/8"), "uri:https://10.0.0.1/", false},

		{uri("https://a.example/b"), "uri:https://a.example/b", true},
		{uri("https://a.example/b"), "uri:HTTPS://A.Example/b", true},
		{uri("HTTPS://A.Example/b"), "uri:https://a.example/b", true},
		{uri("https://a.example/b"), "uri:https://a.example/B", false},
		{uri("https://a.example/b"), "uri:https://a.example/b/", false},
		{uri("https://a.example/b"), "uri:https://a.example/%62", false},
		{uri("https://a.example/%62"), "uri:https://a.example/%62", true},
		{uri("https://a.example/b"), "uri:https://a.example:443/b", false},
		{uri("https://a.example:8443/b"), "uri:https://a.example:8443/b", true},
		{uri("https://a.example/b"), "uri:https://a.example/b?c", false},
		{uri("https://a.example/b?c"), "uri:https://a.example/b?c", true},
		{uri("https://a.example"), "uri:https://a.example/", false},
		{uri("https://a.example/b"), "uri:http://a.example/b", false},
		{uri("https://a.example/b"), "uri:https://c.example/ uri:https://a.example/b", true},
		{uri("https://a.example/b"), "uri:https://me@a.example/b", false},
		{uri("urn:uuid:6e8bc430"), "uri:urn:uuid:6e8bc430", true},
		{uri("urn:uuid:6e8bc430"), "uri:URN:uuid:6e8bc430", true},
		{uri("urn:uuid:6e8bc430"), "uri:urn:UUID:6e8bc430", false},
		{uri("https://a.example/*"), "uri:https://A.example/b", true},
		{uri("https://a.example/*"), "uri:https://a.example/b/c.d", true},
		{uri("https://a.example/*"), "uri:https://a.example/..b", true},
		{uri("https://a.example/*"), "uri:https://a.example/", false},
		{uri("https://a.example/*"), "uri:https://a.example", false},
		{uri("https://a.example/*"), "uri:https://a.example.evil.example/b", false},
		{uri("https://a.example/*"), "uri:https://a.example@evil.example/b", false},
		{uri("https://a.example/*"), "uri:https://evil.example/https://a.example/b", false},
		{uri("https://a.example/b/*"), "uri:https://a.example/bc", false},
		{uri("https://a.example/b/*"), "uri:https://a.example/B/c", false},
		{uri("https://a.example/b/*"), "uri:https://a.example/b/c", true},
		{uri("https://a.example/b/*"), "uri:https://a.example/b/../c", false},
		{uri("https://a.example/b/*"), "uri:https://a.example/b/c/..", false},
		{uri("https://a.example/b/*"), "uri:https://a.example/b/./c", false},
		{uri("https://a.example/b/*"), "uri:https://a.example/b//c", false},
		{uri("https://a.example/b/*"), "uri:https://a.example/b/c/", false},
		{uri("https://a.example/b/*"), "uri:https://a.example/b/%2e%2e/c", false},
		{uri("https://a.example/b/*"), "uri:https://a.example/b/c?d", false},
		{uri("https://a.example/b/*"), "uri:https://a.example/b/?d", false},
		{uri("https://a.example/b/*"), "uri:https://a.example/b/c#d", false},

		{spiffe("spiffe://example.org/ns/prod"), "uri:spiffe://example.org/ns/prod", true},
		{spiffe("spiffe://example.org/ns/prod"), "uri:spiffe://example.org/ns/prod dns:a.example email:a@a.example", true},
		{spiffe("spiffe://example.org/ns/prod"), "uri:spiffe://example.org/ns/prod uri:https://a.example/", false},
		{spiffe("spiffe://example.org/ns/prod"), "uri:https://a.example/ uri:spiffe://example.org/ns/prod", false},
		{spiffe("spiffe://example.org/ns/prod"), "uri:spiffe://example.org/ns/prod uri:spiffe://example.org/ns/prod", false},
		{spiffe("spiffe://example.org/a", "spiffe://example.org/b"), "uri:spiffe://example.org/a uri:spiffe://example.org/b", false},
		{spiffe("spiffe://example.org/ns/prod"), "uri:spiffe://Example.org/ns/prod", false},
		{spiffe("spiffe://example.org/ns/prod"), "uri:SPIFFE://example.org/ns/prod", false},
		{spiffe("spiffe://example.org/ns/prod"), "uri:spiffe://example.org/ns/Prod", false},
		{spiffe("spiffe://example.org/ns/prod"), "uri:spiffe://example.org/ns/prod/", false},
		{spiffe("spiffe://example.org/ns/prod"), "uri:spiffe://other.org/ns/prod", false},
		{spiffe("spiffe://example.org/*"), "uri:spiffe://example.org/ns/prod/sa/a-b_c.d", true},
		{spiffe("spiffe://example.org/ns/prod/*"), "uri:spiffe://example.org/ns/prod/sa", true},
		{spiffe("spiffe://example.org/ns/prod/*"), "uri:spiffe://example.org/ns/prod", false},
		{spiffe("spiffe://example.org/ns/prod/*"), "uri:spiffe://example.org/ns/production", false},
		{spiffe("spiffe://example.org/ns/prod/*"), "uri:spiffe://example.org/ns/prod/../test", false},
		{spiffe("spiffe://example.org/*"), "uri:spiffe://example.org", false},
		{spiffe("spiffe://example.org/*"), "uri:spiffe://example.org/", false},
		{spiffe("spiffe://example.org/*"), "uri:spiffe://example.org.evil.org/a", false},
		{spiffe("spiffe://example.org/*"), "uri:spiffe://example.org:443/a", false},
		{spiffe("spiffe://example.org/*"), "uri:spiffe://me@example.org/a", false},
		{spiffe("spiffe://example.org/*"), "uri:spiffe://example.org/a?b", false},
		{spiffe("spiffe://example.org/*"), "uri:spiffe://example.org/a%20b", false},
		{spiffe("spiffe://example.org/*"), "uri:https://example.org/a", false},
		{spiffe("spiffe://example.org/*"), "uri:spiffe://example.org/" + strings.Repeat("a", 2048), false},

		{email("ops@a.example"), "email:ops@A.Example", true},
		{email("ops@A.example"), "email:ops@a.example", true},
		{email("ops@a.example"), "email:Ops@a.example", false},
		{email("ops@a.example"), "email:ops@a.example.evil.example", false},
		{email("ops@a.example"), "email:x@b.example email:ops@a.example", true},
		{email("*@a.example"), "email:anybody+x@a.example", true},
		{email("*@a.example"), "email:@a.example", false},
		{email("*@a.example"), "email:x@b.a.example", false},
		{email("*@a.example"), "email:x@xa.example", false},
		{email("*@a.example"), "email:evil@b.example@a.example", false},
		{email("*@a.example"), `email:"evil@b.example"@a.example`, false},
		{email("*@a.example"), "email:e\x00vil@a.example", false},
		{email("*@a.example"), "email:*@a.example", false},
		{email("*@a.example"), "email:.x@a.example", false},
		{email("*@a.example"), "email:x..y@a.example", false},
		{email("*@a.example"), "email:a.example", false},
		{email("*@a.example"), "email:" + strings.Repeat("a", 65) + "@a.example", false},

		{ip("10.0.0.0/8"), "ip:\x0a\x01\x02\x03", true},
		{ip("10.0.0.0/8"), "ip:\x0b\x01\x02\x03", false},
		{ip("10.0.0.1"), "ip:\x0a\x00\x00\x01", true},
		{ip("10.0.0.1"), "ip:\x0a\x00\x00\x02", false},
		{ip("10.0.0.1", "192.0.2.0/24"), "ip:\xc0\x00\x02\x07", true},
		{ip("10.0.0.0/8"), "ip:" + string(net.ParseIP("10.0.0.1").To16()), false},
		{ip("fd00::/16"), "ip:" + string(net.ParseIP("fd00::1")), true},
		{ip("fd00::/16"), "ip:" + string(net.ParseIP("fd01::1")), false},
		{ip("fd00::/16"), "ip:\x0a\x00\x00\x01 ip:" + string(net.ParseIP("fd00::1")), true},
	} {
		var options []pki.Option
		if names := strings.Split(c.names, " "); c.names != "" {
			options = append(options, san(names...))
		}
		leaf := issue(anchor, options...)
		name := fmt.Sprintf("%+v, presented %q", written(c.cfg), c.names)
		want := reason.ClientCertRejected
		if c.in {
			want = reason.Success
		}
		if leaf.Cert == nil {
			// crypto/x509 refuses it before us; the matcher is held all the same.
			if c.in {
				t.Errorf("%s: crypto/x509 does not read it", name)
			}
			der := sanDER(strings.Split(c.names, " ")...)
			made := &x509.Certificate{Extensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Value: der}}}
			if filters(t, c.cfg).check(made) == nil {
				t.Errorf("%s: let in", name)
			}
			continue
		}
		_, err := s.Verify(chainOf(t, leaf), filtered(t, c.cfg), time.Now())
		if got, _ := reason.Of(err); err != nil && got != want || (err == nil) != c.in {
			t.Errorf("%s: got %v, want %v", name, err, want)
		}
	}
}

// written is what a test's configuration holds, in short.
func written(cfg config.IdentityFilters) string {
	var ips []netip.Prefix
	for _, n := range cfg.IP {
		ips = append(ips, n.Prefix())
	}
	return strings.ReplaceAll(fmt.Sprint(cfg.DNS, cfg.URI, cfg.SPIFFEID, cfg.Email, ips), "[]", "")
}

// A common name that looks like another kind of name is none.
func TestCommonNameIsNoAlternativeName(t *testing.T) {
	anchor := root()
	s := newStore(t, anchor)
	for _, c := range []struct {
		name string
		cfg  config.IdentityFilters
	}{
		{"a.example", config.IdentityFilters{DNS: []string{"a.example"}}},
		{"b.a.example", config.IdentityFilters{DNS: []string{"*.a.example"}}},
		{"https://a.example/b", config.IdentityFilters{URI: []string{"https://a.example/*"}}},
		{"spiffe://example.org/a", config.IdentityFilters{SPIFFEID: []string{"spiffe://example.org/*"}}},
		{"me@a.example", config.IdentityFilters{Email: []string{"*@a.example"}}},
		{"10.0.0.1", config.IdentityFilters{IP: networks("10.0.0.0/8")}},
	} {
		_, err := s.Verify(chainOf(t, issue(anchor, pki.CommonName(c.name))), filtered(t, c.cfg), time.Now())
		wantCode(t, err, reason.ClientCertRejected)
	}
	cfg := config.IdentityFilters{Subject: config.NameFilter{CommonName: []string{"a.example"}}}
	_, err := s.Verify(chainOf(t, issue(anchor, pki.CommonName("x"), pki.DNS("a.example"))), filtered(t, cfg), time.Now())
	wantCode(t, err, reason.ClientCertRejected)
}

// Every key must be satisfied, each by one of its values.
func TestFiltersAreAllSatisfied(t *testing.T) {
	anchor := root()
	s := newStore(t, anchor)
	leaf := issue(anchor, pki.Subject(pkix.Name{CommonName: "payments-7", Organization: []string{"Acme"}}),
		pki.DNS("a.example"), pki.URI(parseURL("spiffe://example.org/a")))
	spki := config.Fingerprint(sha256.Sum256(leaf.Cert.RawSubjectPublicKeyInfo))
	whole := config.Fingerprint(sha256.Sum256(leaf.Cert.Raw))
	right := config.IdentityFilters{
		Subject:           config.NameFilter{CommonName: []string{"orders-*", "payments-*"}, Organization: []string{"Acme"}},
		Issuer:            config.NameFilter{CommonName: []string{anchor.Cert.Subject.CommonName}},
		DNS:               []string{"b.example", "a.example"},
		SPIFFEID:          []string{"spiffe://example.org/*"},
		SPKISHA256:        []config.Fingerprint{{1}, spki},
		CertificateSHA256: []config.Fingerprint{whole},
	}
	for _, c := range []struct {
		name   string
		change func(f *config.IdentityFilters)
		say    string // "" for let in
	}{
		{"all", func(*config.IdentityFilters) {}, ""},
		{"subject", func(f *config.IdentityFilters) { f.Subject.Country = []string{"DE"} }, "identity_filters.subject.country: no C of its subject"},
		{"issuer", func(f *config.IdentityFilters) { f.Issuer.CommonName = []string{"payments-7"} }, "identity_filters.issuer.common_name: no CN of its issuer"},
		{"dns", func(f *config.IdentityFilters) { f.DNS = []string{"b.example"} }, "identity_filters.dns: none of its 1 DNS names"},
		{"uri", func(f *config.IdentityFilters) { f.URI = []string{"https://a.example/*"} }, "identity_filters.uri: none of its 1 URIs"},
		{"spiffe", func(f *config.IdentityFilters) { f.SPIFFEID = []string{"spiffe://example.org/a/*"} }, "identity_filters.spiffe_id: its URI is no"},
		{"email", func(f *config.IdentityFilters) { f.Email = []string{"*@a.example"} }, "identity_filters.email: none of its 0 email"},
		{"ip", func(f *config.IdentityFilters) { f.IP = networks("0.0.0.0/0", "::/0") }, "identity_filters.ip: none of its 0 IP"},
		{"key", func(f *config.IdentityFilters) { f.SPKISHA256 = []config.Fingerprint{whole} }, "identity_filters.spki_sha256: its key has the SHA-256 " + spki.String()},
		{"certificate", func(f *config.IdentityFilters) { f.CertificateSHA256 = []config.Fingerprint{spki} }, "identity_filters.certificate_sha256: it has the SHA-256 " + whole.String()},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := right
			c.change(&cfg)
			_, err := s.Verify(chainOf(t, leaf), filtered(t, cfg), time.Now())
			if c.say == "" {
				wantCode(t, err, reason.Success)
				return
			}
			wantRefusal(t, err, reason.ClientCertRejected, c.say)
		})
	}
}

// A refusal goes into logs that more people read than the configuration.
func TestRefusalTellsNoPin(t *testing.T) {
	pin := config.Fingerprint(sha256.Sum256([]byte("secret")))
	leaf := issue(root()).Cert
	for _, cfg := range []config.IdentityFilters{{SPKISHA256: []config.Fingerprint{pin}}, {CertificateSHA256: []config.Fingerprint{pin}}} {
		if err := filters(t, cfg).check(leaf); err == nil || strings.Contains(err.Error(), pin.String()) {
			t.Errorf("refusal %v", err)
		}
	}
}

func TestFiltersInTheOrderOfRows(t *testing.T) {
	anchor := root()
	mid := below(anchor)
	past := pki.NotAfter(time.Now().Add(-time.Minute))
	good := pki.DNS("a.example")
	revoked, revokedGood := issue(mid), issue(mid, good)
	f := newFixture(t, anchor)
	f.crl("lists.pem", crl(anchor), crl(mid, pki.Revoke(revoked, revokedGood)))
	s := f.open()
	p := filtered(t, config.IdentityFilters{DNS: []string{"a.example"}})
	strict := p
	strict.Strict = true
	for _, c := range []struct {
		name   string
		policy Policy
		leaf   *pki.Leaf
		want   reason.Code
	}{
		{"satisfied", p, issue(mid, good), reason.Success},
		{"not satisfied", p, issue(mid), reason.ClientCertRejected},
		{"stranger", p, issue(root()), reason.ClientCertUntrusted},
		{"stranger who satisfies", p, issue(root(), good), reason.ClientCertUntrusted},
		{"forged", p, issue(mid, good).FlipSignature(), reason.ClientCertInvalid},
		{"weak key", p, issue(mid, pki.Key(pki.RSA(1024))), reason.ClientCertTypeUnsupported},
		{"expired, and fails the filter", p, issue(mid, past), reason.ClientCertExpired},
		{"expired, and satisfies", p, issue(mid, past, good), reason.ClientCertExpired},
		{"for servers, and fails the filter", p, issue(mid, pki.EKU(x509.ExtKeyUsageServerAuth)), reason.ClientCertPurposeInvalid},
		{"strict purpose comes first", strict, issue(mid, pki.KeyUsage(0)), reason.ClientCertPurposeInvalid},
		{"strict, and fails the filter", strict, issue(mid), reason.ClientCertRejected},
		{"revoked, and fails the filter", p, revoked, reason.ClientCertRejected},
		{"revoked, and satisfies", p, revokedGood, reason.ClientCertCrlHit},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := s.Verify(chainOf(t, c.leaf), c.policy, time.Now())
			wantCode(t, err, c.want)
		})
	}

	ignoring := p
	ignoring.IgnoreExpiry = true
	_, err := s.Verify(chainOf(t, issue(mid, past)), ignoring, time.Now())
	wantCode(t, err, reason.ClientCertRejected)
}

// Only the leaf is looked at, whatever comes with it.
func TestFiltersLookAtTheLeaf(t *testing.T) {
	anchor := root(pki.DNS("a.example"))
	mid := below(anchor, pki.DNS("a.example"))
	s := newStore(t, anchor)
	p := filtered(t, config.IdentityFilters{DNS: []string{"a.example"}})
	other := issue(anchor, pki.DNS("a.example"))
	chain := append(chainOf(t, issue(mid)), other.Cert)
	_, err := s.Verify(chain, p, time.Now())
	wantCode(t, err, reason.ClientCertRejected)
}

// What was let in without filters is judged anew with them, and the other way
// round, whatever is remembered of a chain.
func TestFiltersAreNotForgotten(t *testing.T) {
	anchor := root()
	s := newStore(t, anchor)
	chain := chainOf(t, issue(anchor))
	p := filtered(t, config.IdentityFilters{DNS: []string{"a.example"}})
	for range 2 {
		_, err := s.Verify(chain, alb, time.Now())
		wantCode(t, err, reason.Success)
		_, err = s.Verify(chain, p, time.Now())
		wantCode(t, err, reason.ClientCertRejected)
	}
}

func TestZeroFiltersDeny(t *testing.T) {
	anchor := root()
	p := alb
	p.Filters = &Filters{}
	_, err := newStore(t, anchor).Verify(chainOf(t, issue(anchor)), p, time.Now())
	wantCode(t, err, reason.ClientCertRejected)
}
