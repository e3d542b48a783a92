package truststore

import (
	"crypto/x509"
	"encoding/asn1"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/reason"
	"github.com/sallyport/sallyport/loadtest/pki"
)

// part is an attribute of a name, whose value may be of any string type.
type part struct {
	Type  asn1.ObjectIdentifier
	Value asn1.RawValue
}

// partSET is an RDN; encoding/asn1 takes the suffix for a SET.
type partSET []part

const (
	utf8String      = 12
	printableString = 19
	bmpString       = 30
)

var (
	oidCN = asn1.ObjectIdentifier{2, 5, 4, 3}
	oidO  = asn1.ObjectIdentifier{2, 5, 4, 10}
	oidOU = asn1.ObjectIdentifier{2, 5, 4, 11}
)

func partOf(oid asn1.ObjectIdentifier, tag int, value string) part {
	return part{oid, asn1.RawValue{Tag: tag, Bytes: []byte(value)}}
}

func subject(rdns ...partSET) pki.Option { return pki.RawSubject(pki.Must(asn1.Marshal(rdns))) }

func TestFiltersBySubject(t *testing.T) {
	anchor := root()
	s := newStore(t, anchor)
	cn := func(value string) pki.Option { return subject(partSET{partOf(oidCN, utf8String, value)}) }
	cnFilter := func(patterns ...string) config.NameFilter { return config.NameFilter{CommonName: patterns} }
	ouFilter := func(patterns ...string) config.NameFilter {
		return config.NameFilter{OrganizationalUnit: patterns}
	}
	for _, c := range []struct {
		name    string
		filter  config.NameFilter
		subject pki.Option
		in      bool
	}{
		{"exact", cnFilter("payments"), cn("payments"), true},
		{"case matters", cnFilter("payments"), cn("Payments"), false},
		{"spaces matter", cnFilter("payments"), cn(" payments"), false},
		{"no substring", cnFilter("payments"), cn("payments2"), false},
		{"one of several values", cnFilter("orders", "payments"), cn("payments"), true},
		{"beginning", cnFilter("payments-*"), cn("payments-7"), true},
		{"beginning alone", cnFilter("payments-*"), cn("payments-"), false},
		{"beginning elsewhere", cnFilter("payments-*"), cn("x-payments-7"), false},
		{"beginning in another case", cnFilter("payments-*"), cn("PAYMENTS-7"), false},
		{"end", cnFilter("*.example.com"), cn("a.b.example.com"), true},
		{"end alone", cnFilter("*.example.com"), cn(".example.com"), false},
		{"end elsewhere", cnFilter("*.example.com"), cn("a.example.com.evil"), false},
		{"a * of the client's is a character", cnFilter("payments-*"), cn("payments-*"), true},
		{"not a pattern of the client's", cnFilter("payments"), cn("*"), false},
		{"empty", cnFilter("payments"), cn(""), false},
		{"NUL behind", cnFilter("payments"), cn("payments\x00"), false},
		{"NUL within what * stands for", cnFilter("payments-*"), cn("payments-\x00evil"), false},
		{"NUL before the end", cnFilter("*.example.com"), cn("evil\x00.example.com"), false},
		{"control", cnFilter("payments-*"), cn("payments-\x1b[2J"), false},
		{"C1 control", cnFilter("payments-*"), cn("payments-\u0085"), false},
		{"invisible", cnFilter("payments-*"), cn("payments-\u200b"), false},
		{"written right to left", cnFilter("payments-*"), cn("payments-\u202eevil"), false},
		{"not ASCII", cnFilter("Müller *"), cn("Müller & Söhne"), true},
		{"composed otherwise", cnFilter("Müller"), cn("Mu\u0308ller"), false},
		{"as long as can be", cnFilter("a*"), cn(strings.Repeat("a", 4000)), true},

		{"PrintableString", cnFilter("payments"), subject(partSET{partOf(oidCN, printableString, "payments")}), true},
		{"BMPString", cnFilter("pay"), subject(partSET{partOf(oidCN, bmpString, "\x00p\x00a\x00y")}), true},
		{"BMPString is not read as bytes", cnFilter("pay"), subject(partSET{partOf(oidCN, bmpString, "pay!")}), false},
		{"several RDNs, the first", ouFilter("a"), subject(partSET{partOf(oidOU, utf8String, "a")}, partSET{partOf(oidOU, utf8String, "b")}), true},
		{"several RDNs, the last", ouFilter("b"), subject(partSET{partOf(oidOU, utf8String, "a")}, partSET{partOf(oidOU, utf8String, "b")}), true},
		{"several RDNs, none", ouFilter("c", "ab", "a,b"), subject(partSET{partOf(oidOU, utf8String, "a")}, partSET{partOf(oidOU, utf8String, "b")}), false},
		{"RDN of several values", ouFilter("b"), subject(partSET{partOf(oidOU, utf8String, "a"), partOf(oidOU, utf8String, "b")}), true},
		{"RDN of several types", cnFilter("b"), subject(partSET{partOf(oidOU, utf8String, "a"), partOf(oidCN, utf8String, "b")}), true},
		{"another type", ouFilter("a"), subject(partSET{partOf(oidO, utf8String, "a")}), false},
		{"written into another value", ouFilter("Payments"), cn("x,OU=Payments"), false},
		{"both keys", config.NameFilter{CommonName: []string{"b"}, OrganizationalUnit: []string{"a"}},
			subject(partSET{partOf(oidOU, utf8String, "a")}, partSET{partOf(oidCN, utf8String, "b")}), true},
		{"one of two keys", config.NameFilter{CommonName: []string{"b"}, OrganizationalUnit: []string{"a"}},
			subject(partSET{partOf(oidOU, utf8String, "x")}, partSET{partOf(oidCN, utf8String, "b")}), false},
		{"no subject", cnFilter("payments"), pki.RawSubject([]byte{0x30, 0}), false},
		{"many attributes", ouFilter("99"), manyUnits(), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			leaf := issue(anchor, c.subject)
			if leaf.Cert == nil {
				t.Fatal("crypto/x509 does not read it")
			}
			want := reason.ClientCertRejected
			if c.in {
				want = reason.Success
			}
			_, err := s.Verify(chainOf(t, leaf), filtered(t, config.IdentityFilters{Subject: c.filter}), time.Now())
			wantCode(t, err, want)
			if asIssuer := filters(t, config.IdentityFilters{Issuer: c.filter}).check(&x509.Certificate{RawIssuer: leaf.Cert.RawSubject}); (asIssuer == nil) != c.in {
				t.Errorf("as an issuer: %v", asIssuer)
			}
		})
	}
}

func manyUnits() pki.Option {
	var rdns []partSET
	for n := range 100 {
		rdns = append(rdns, partSET{partOf(oidOU, printableString, string(rune('0'+n/10))+string(rune('0'+n%10)))})
	}
	return subject(rdns...)
}

func TestFiltersByIssuer(t *testing.T) {
	sales, ops := root(pki.CommonName("Sales CA")), root(pki.CommonName("Ops CA"))
	s := newStore(t, sales, ops)
	p := filtered(t, config.IdentityFilters{Issuer: config.NameFilter{CommonName: []string{"Ops CA"}}})
	_, err := s.Verify(chainOf(t, issue(ops)), p, time.Now())
	wantCode(t, err, reason.Success)
	_, err = s.Verify(chainOf(t, issue(sales, pki.CommonName("Ops CA"))), p, time.Now())
	wantCode(t, err, reason.ClientCertRejected)
	// The issuer is who signed the leaf, not who is above.
	_, err = s.Verify(chainOf(t, issue(below(ops))), p, time.Now())
	wantCode(t, err, reason.ClientCertRejected)
}

// TestEveryKeyIsEnforced writes each key alone, and nothing of it in the
// client's certificate: a key that is taken and not enforced lets everyone in.
func TestEveryKeyIsEnforced(t *testing.T) {
	bare := &x509.Certificate{Raw: []byte{1}, RawSubject: []byte{0x30, 0}, RawIssuer: []byte{0x30, 0}}
	samples := map[string]any{
		"dns":                  []string{"a.example"},
		"uri":                  []string{"https://a.example/"},
		"spiffe_id":            []string{"spiffe://example.org/a"},
		"email":                []string{"*@a.example"},
		"ip":                   networks("0.0.0.0/0"),
		"spki_sha256":          []config.Fingerprint{{1}},
		"certificate_sha256":   []config.Fingerprint{{1}},
		"allowed_certificates": []config.File{{File: allowedFile(t, issue(root()))}},
	}
	hold := func(key string, cfg config.IdentityFilters) {
		t.Helper()
		if err := filters(t, cfg).check(bare); err == nil || !strings.Contains(err.Error(), "identity_filters."+key+":") {
			t.Errorf("%s: %v", key, err)
		}
	}
	held := 0
	for i := range reflect.TypeFor[config.IdentityFilters]().NumField() {
		field := reflect.TypeFor[config.IdentityFilters]().Field(i)
		key := field.Tag.Get("yaml")
		if field.Type == reflect.TypeFor[config.NameFilter]() {
			for j := range field.Type.NumField() {
				var cfg config.IdentityFilters
				reflect.ValueOf(&cfg).Elem().Field(i).Field(j).Set(reflect.ValueOf([]string{"x"}))
				hold(key+"."+field.Type.Field(j).Tag.Get("yaml"), cfg)
				held++
			}
			continue
		}
		if samples[key] == nil {
			t.Fatalf("no sample of %s", key)
		}
		var cfg config.IdentityFilters
		reflect.ValueOf(&cfg).Elem().Field(i).Set(reflect.ValueOf(samples[key]))
		hold(key, cfg)
		held++
	}
	if held < 26 {
		t.Errorf("held %d keys", held)
	}
}
