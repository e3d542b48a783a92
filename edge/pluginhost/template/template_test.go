package template

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/sdk/frame"
)

// told is what the edge knows of a request.
func told() (b []byte) {
	b = frame.AppendString(b, frame.TagClientIP, "192.0.2.1")
	b = frame.AppendUint(b, frame.TagClientPort, 50000)
	b = frame.AppendString(b, frame.TagServerName, "")
	b = frame.AppendBool(b, frame.TagCertVerified, true)
	b = frame.AppendField(b, frame.TagCertDER, []byte{0x30, 0xFF, 0x0D})
	b = frame.AppendField(b, frame.TagCertSHA256, bytes.Repeat([]byte{0xAB}, 32))
	b = frame.AppendTime(b, frame.TagCertNotBefore, -86400)
	b = frame.AppendTime(b, frame.TagCertNotAfter, 1700000000)
	b = frame.AppendString(b, frame.TagCertCommonName, `a "b" \c`)
	b = frame.AppendString(b, frame.TagCertOrganizations, "evil\r\nX-Admin: yes")
	b = frame.AppendString(b, frame.TagCertOrganizationalUnits, "payments")
	b = frame.AppendString(b, frame.TagCertOrganizationalUnits, "Großkunden, 100%")
	b = frame.AppendString(b, frame.TagCertEmails, "\xFF")
	b = frame.AppendString(b, frame.TagCertDNSNames, "a\x00b")
	b = frame.AppendString(b, frame.TagPath, "/a b")
	b = frame.AppendPair(b, frame.TagHeader, "x-other", "no")
	b = frame.AppendPair(b, frame.TagHeader, "x-tenant", "one")
	return frame.AppendPair(b, frame.TagHeader, "x-tenant", "two")
}

func TestAppend(t *testing.T) {
	const none = "\x00none"
	for _, test := range []struct{ template, want string }{
		{"", ""},
		{"constant", "constant"},
		{"{{connection.client_ip}}", "192.0.2.1"},
		{"a {{ connection.client_ip }}:{{connection.client_port}} b", "a 192.0.2.1:50000 b"},
		{"{{cert.organizational_units[0]}}", "payments"},
		{"{{ cert.organizational_units[1] }}", "Großkunden, 100%"},
		{"{{cert.organizational_units[2]}}", none},
		{`{{cert.organizational_units[2] | default "-"}}`, "-"},
		{`{{cert.organizational_units | join "; "}}`, "payments; Großkunden, 100%"},
		{`{{cert.organizational_units | url | join ","}}`, "payments,Gro%C3%9Fkunden%2C%20100%25"},
		{`{{cert.organizational_units|sf}}`, `"payments", %"Gro%c3%9fkunden, 100%25"`},
		{`{{cert.organizational_units[1]|base64}}`, "R3Jvw59rdW5kZW4sIDEwMCU="},
		{"{{cert.common_name | sf}}", `"a \"b\" \\c"`},
		{"{{cert.uris | sf}}", none},
		{`x{{cert.uris | sf | default ""}}y`, "xy"},
		{"{{connection.server_name}}", none},
		{"a{{connection.server_name}}{{cert.verified}}", none},
		{"{{cert.verified}} {{cert.verified|sf}}", "true ?1"},
		{"{{connection.client_port|sf}} {{connection.client_port|base64}}", "50000 NTAwMDA="},
		{"{{cert.not_before}} {{cert.not_after|sf}} {{cert.not_after|url}}", "1969-12-31T00:00:00Z @1700000000 2023-11-14T22%3A13%3A20Z"},
		{"{{cert.der|base64}} {{cert.der|sf}} {{cert.der|url}}", "MP8N :MP8N: 0%FF%0D"},
		{"{{cert.sha256}}", strings.Repeat("ab", 32)},
		{"{{cert.sha256|sf}}", ":q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s=:"},
		{"{{header:X-Tenant[1]}}", "two"},
		{`{{header:x-tenant | join "+"}}`, "one+two"},
		{"{{header:x-none[0]}}", none},
		{"{{request.path|url}}", "%2Fa%20b"},
		{`{{"{{"}}{{request.path}}}}`, "{{/a b}}"},
		{"{{cert.organizations[0]|url}}", "evil%0D%0AX-Admin%3A%20yes"},
	} {
		parsed, err := Parse(test.template, false)
		if err != nil {
			t.Errorf("%s: %v", test.template, err)
			continue
		}
		got, ok, err := parsed.Append([]byte("kept"), told())
		text := strings.TrimPrefix(string(got), "kept")
		if !ok {
			text = none
		}
		if err != nil || text != test.want || !bytes.HasPrefix(got, []byte("kept")) {
			t.Errorf("%s: got %q, %v; want %q", test.template, got, err, test.want)
		}
	}
}

func TestUnprintable(t *testing.T) {
	for template, want := range map[string]string{
		"{{cert.organizations[0]}}":     "holds CR, LF or NUL",
		"{{cert.dns_names[0]}}":         "holds CR, LF or NUL",
		"{{cert.emails[0] | sf}}":       "cert.emails: is no UTF-8",
		"a {{cert.organizations[0]}} b": "holds CR, LF or NUL",
	} {
		parsed, err := Parse(template, false)
		if err != nil {
			t.Fatal(err)
		}
		got, ok, err := parsed.Append([]byte("kept"), told())
		if ok || string(got) != "kept" || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %q, %t, %v", template, got, ok, err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for template, want := range map[string]string{
		"{{":                                           `placeholder at byte 1: no field ""`,
		"ab{{cert.subjekt}}":                           `placeholder at byte 3: no field "cert.subjekt"`,
		"{{cert.subject":                               "want }} or |",
		"{{cert.subject}":                              "want }} or |",
		"{{cert.uris}}":                                `cert.uris is a list: want an entry, as cert.uris[0]`,
		"{{cert.subject[0]}}":                          "cert.subject is no list",
		"{{cert.uris[x]}}":                             "index [x]",
		"{{cert.uris[-1]}}":                            "index [-1]",
		"{{cert.uris[0}}":                              "want a number",
		`{{cert.uris[0] | join ","}}`:                  "cert.uris is one value",
		`{{cert.uris | join}}`:                         "want a text in double quotes",
		`{{cert.uris | join ',' }}`:                    "want a text in double quotes",
		`{{cert.uris | join "," | join ","}}`:          "join twice",
		`{{cert.uris | sf | join ","}}`:                "sf makes a List by itself",
		`{{cert.subject | default "a\nb"}}`:            "CR, LF or NUL",
		`{{cert.subject | url | base64}}`:              "encoded once",
		`{{cert.subject | upper}}`:                     `"upper": want default`,
		"{{cert.der}}":                                 "cert.der is binary",
		`{{cert.chain | join ","}}`:                    "cert.chain is binary",
		"{{headers}}":                                  "want a single one",
		"{{header:}}":                                  "no field",
		"{{response.status}}":                          "is of the response",
		"a\nb":                                         "holds CR, LF or NUL",
		strings.Repeat("x", MaxText+1):                 "want at most 4096",
		`{{"a" }} {{"b" x}}`:                           "want }} behind a text",
		`{{cert.subject | default "a" default}}`:       "want }} or |",
		`{{cert.subject | default "a" | default "b"}}`: "default twice",
	} {
		if _, err := Parse(template, false); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: got %v, want %s", template, err, want)
		}
	}
}

func TestNeeds(t *testing.T) {
	for template, want := range map[string]struct {
		needs      string
		connection bool
	}{
		"constant": {"", true},
		"{{cert.subject}}{{connection.ja4}}{{cert.subject}}": {"cert.subject connection.ja4", true},
		"{{cert.subject}} {{header:X-A[0]}}":                 {"cert.subject header:x-a", false},
		"{{request.method}}":                                 {"request.method", false},
	} {
		parsed, err := Parse(template, false)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(parsed.Needs(), " "); got != want.needs || parsed.OfConnection() != want.connection {
			t.Errorf("%s: needs %s, of connection %t", template, got, parsed.OfConnection())
		}
	}
}

func FuzzTemplate(f *testing.F) {
	for _, seed := range []string{
		"{{cert.organizational_units | sf}}", `{{header:x-tenant | join "," | default "-" | url}}`, "{{cert.organizations[0]}}",
		`{{"{{"}}`, "{{cert.der|base64}}", "{{cert.uris[99999]}}", "}}{{", "{{cert.not_after | sf}}",
	} {
		f.Add(seed, told())
	}
	f.Fuzz(func(t *testing.T, text string, body []byte) {
		parsed, err := Parse(text, false)
		if err != nil {
			return
		}
		got, ok, err := parsed.Append(nil, body)
		if ok && err != nil {
			t.Errorf("%q: a value and an error: %v", text, err)
		}
		if !ok && len(got) > 0 {
			t.Errorf("%q: %q is left of no value", text, got)
		}
		if bytes.ContainsAny(got, "\r\n\x00") {
			t.Errorf("%q: value %q", text, got)
		}
		if err != nil && errors.Is(err, ErrUnprintable) && !bytes.ContainsAny(body, "\r\n\x00") {
			t.Errorf("%q: %v, for no reason", text, err)
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	parsed, err := Parse(`{{cert.organizational_units[0]}} {{header:x-tenant | join ","}}`, false)
	if err != nil {
		b.Fatal(err)
	}
	body, room := told(), make([]byte, 0, 256)
	b.ReportAllocs()
	for b.Loop() {
		if _, ok, _ := parsed.Append(room, body); !ok {
			b.Fatal("no value")
		}
	}
}
