package main

import (
	"encoding/json"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/sdk"
	"github.com/sallyport/sallyport/sdk/sdktest"
)

// section makes a configuration of one rule that allows, and denies by default.
func section(t testing.TB, when string) string {
	t.Helper()
	raw, err := json.Marshal(settings{Rules: []ruleSettings{{Name: "it", When: when, Then: "allow"}}, Default: "deny"})
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func somebody(t testing.TB, more ...sdktest.PeerOption) *sdktest.Peer {
	return sdktest.NewPeer(t, append([]sdktest.PeerOption{
		sdktest.WithCN("device-7"), sdktest.WithOrganization("Example Ltd"),
		sdktest.WithOU("marketing"), sdktest.WithOU("payments"),
		sdktest.WithURI("spiffe://example.com/ns/shop/sa/cart"), sdktest.WithDNS("cart.example.com"),
		sdktest.WithEmail("ops@example.com"), sdktest.WithIP(netip.MustParseAddr("10.1.2.3")), sdktest.WithSerial(0x1F),
	}, more...)...)
}

func TestExpressions(t *testing.T) {
	request := sdktest.Request{
		Connection: sdktest.Connection{Peer: somebody(t), ClientIP: netip.MustParseAddr("192.0.2.7"), Listener: "public"},
		Method:     "GET", Path: "/accounts/7", Query: "full=1", Host: "api.example.com",
		Header: http.Header{"X-Tenant": {"a"}, "X-Twice": {"a", "b"}, "X-Other": {"secret"}},
	}
	for _, test := range []struct {
		when  string
		allow bool
		needs string // beside cert.verified, which comes with any cert field
	}{
		{`true`, true, ""},
		{`false`, false, ""},
		{`cert.verified`, true, "cert.verified"},
		{`"payments" in cert.organizational_units`, true, "cert.organizational_units cert.verified"},
		{`"payment" in cert.organizational_units`, false, "cert.organizational_units cert.verified"},
		{`cert.organizational_units.size() == 2 && cert.organizational_units.all(u, u in ["marketing", "payments"])`, true, "cert.organizational_units cert.verified"},
		{`cert.uris.exists(u, u.startsWith("spiffe://example.com/ns/shop/"))`, true, "cert.uris cert.verified"},
		{`cert.uris.exists_one(u, u == "spiffe://evil.example/ns/shop/sa/cart")`, false, "cert.uris cert.verified"},
		{`cert.common_name.matches("^device-[0-9]+$")`, true, "cert.common_name cert.verified"},
		{`cert.serial == "1F" && cert.sha256.size() == 64`, true, "cert.serial cert.sha256 cert.verified"},
		{`cert.not_after > timestamp("2099-01-01T00:00:00Z") && cert.not_before < cert.not_after`, true, "cert.not_after cert.not_before cert.verified"},
		{`cert.ips.exists(a, cidr("10.0.0.0/8").containsIP(a))`, true, "cert.ips cert.verified"},
		{`cert.emails == ["ops@example.com"] && cert.dns_names == ["cart.example.com"]`, true, "cert.dns_names cert.emails cert.verified"},
		{`cert.organizations == ["Example Ltd"] && cert.subject.contains("CN=device-7") && cert.issuer.contains("Test CA")`, true, "cert.issuer cert.organizations cert.subject cert.verified"},
		{`cidr("192.0.2.0/24").containsIP(connection.client_ip) && connection.listener == "public"`, true, "connection.client_ip connection.listener"},
		{`request.method in ["GET", "HEAD"] && request.path.startsWith("/accounts/") && request.query == "full=1"`, true, "request.method request.path request.query"},
		{`request.host == "api.example.com" && request.scheme == "https"`, true, "request.host request.scheme"},
		{`request.headers["x-tenant"] == ["a"]`, true, "header:x-tenant"},
		{`request.headers["X-Tenant"][0] == "a"`, true, "header:x-tenant"},
		{`request.headers["X-Twice"] == ["a"]`, false, "header:x-twice"},
		{`request.headers["x-none"] == []`, true, "header:x-none"},
		{`size(request.headers["x-none"]) > 0`, false, "header:x-none"},
		{`request.headers["x-none"][0] == "a"`, false, "header:x-none"}, // an error, which denies
		{`sets.intersects(cert.organizational_units, ["treasury", "payments"])`, true, "cert.organizational_units cert.verified"},
	} {
		plugin := sdktest.Start(t, &policy{}, section(t, test.when))
		if got := plugin.AuthorizeRequest(request); got.Allowed != test.allow {
			t.Errorf("%s: got %v, want allow %t", test.when, got, test.allow)
		}
		var p policy
		if err := p.Configure(sdk.Config(section(t, test.when))); err != nil {
			t.Fatalf("%s: %v", test.when, err)
		}
		needs := make([]string, len(p.needs))
		for i, f := range p.needs {
			needs[i] = string(f)
		}
		if strings.HasPrefix(test.needs, "cert.") && !slices.Contains(needs, "cert.verified") {
			needs = append(needs, "cert.verified")
		}
		slices.Sort(needs)
		if got := strings.Join(needs, " "); got != test.needs {
			t.Errorf("%s: needs %s, want %s", test.when, got, test.needs)
		}
	}
}

func TestOrder(t *testing.T) {
	plugin := sdktest.Start(t, &policy{}, settings{
		Rules: []ruleSettings{
			{Name: "strangers", When: `!cert.verified`, Then: "deny", Status: 401, Reason: "who are you", Ban: 3},
			{Name: "admin", When: `request.path.startsWith("/admin")`, Then: "deny", Status: 404},
			{Name: "payments", When: `"payments" in cert.organizational_units`, Then: "allow"},
		},
	})
	ask := func(path string, peer *sdktest.Peer) sdktest.Verdict {
		return plugin.AuthorizeRequest(sdktest.Request{Connection: sdktest.Connection{Peer: peer}, Path: path})
	}
	for _, test := range []struct {
		what    string
		got     sdktest.Verdict
		allowed bool
		status  int
		reason  string
		ban     int
		depends string
	}{
		{"the first rule", ask("/", somebody(t, sdktest.Unverified())), false, 401, "who are you", 3, "cert.verified"},
		{"nobody", ask("/admin", nil), false, 401, "who are you", 3, "cert.verified"},
		{"the second", ask("/admin/x", somebody(t)), false, 404, "rule admin", 0, "cert.verified request.path"},
		{"the third", ask("/", somebody(t)), true, 0, "", 0, "cert.verified request.path cert.organizational_units"},
		{"none", ask("/", sdktest.NewPeer(t)), false, 403, "no rule allows it", 0, "all"},
	} {
		got := test.got
		if got.Allowed != test.allowed || got.Reason != test.reason || got.Ban != test.ban || !got.Allowed && got.Status != test.status {
			t.Errorf("%s: %v", test.what, got)
		}
		depends := "all"
		if got.DependsOn != nil {
			depends = strings.Join(got.DependsOn, " ")
		}
		if depends != test.depends || got.For == 0 {
			t.Errorf("%s: depends on %s for %v, want %s", test.what, depends, got.For, test.depends)
		}
	}
}

func TestDefaultAllow(t *testing.T) {
	plugin := sdktest.Start(t, &policy{}, `{"rules": [{"name": "no", "when": "request.method == 'TRACE'", "then": "deny"}], "default": "allow"}`)
	if got := plugin.AuthorizeRequest(sdktest.Request{Method: "GET"}); !got.Allowed {
		t.Errorf("GET: %v", got)
	}
	if got := plugin.AuthorizeRequest(sdktest.Request{Method: "TRACE"}); got.Allowed {
		t.Errorf("TRACE: %v", got)
	}
}

func TestRefusedConfigurations(t *testing.T) {
	one := func(rule string) string { return `{"rules": [` + rule + `]}` }
	for _, test := range []struct{ config, want string }{
		{``, `rules: 0 of them: want 1 to 256`},
		{`{"rule": []}`, `unknown field "rule"`},
		{one(`{"when": "true", "then": "allow"}`), `rule 1 "": want a name`},
		{one(`{"name": "a", "when": "true"}`), `rule 1 "a": then: "": want allow or deny`},
		{one(`{"name": "a", "when": "true", "then": "allow", "status": 403}`), `for rules that deny`},
		{one(`{"name": "a", "when": "true", "then": "deny", "status": 200}`), `status: 200: want 400 to 599`},
		{one(`{"name": "a", "when": "true", "then": "deny", "ban": 101}`), `ban: 101: want 0 to 100`},
		{one(`{"name": "a", "when": " ", "then": "deny"}`), `when: want an expression in CEL`},
		{one(`{"name": "a", "when": "cert.subjekt == 'x'", "then": "deny"}`), `rule 1 "a": when: 1:5: undeclared reference to 'cert.subjekt'`},
		{one(`{"name": "a", "when": "true &&\n 1", "then": "deny"}`), `when: 2:2: expected type 'bool' but found 'int'`},
		{one(`{"name": "a", "when": "(true", "then": "deny"}`), `when: 1:6: Syntax error`},
		{one(`{"name": "a", "when": "cert.subject", "then": "deny"}`), `the expression is a string: want a bool`},
		{one(`{"name": "a", "when": "dyn(true)", "then": "deny"}`), `want a bool`},
		{one(`{"name": "a", "when": "request.headers.exists(h, h == 'x')", "then": "deny"}`), `when: 1:8: request.headers: want the name of a header in quotes`},
		{one(`{"name": "a", "when": "'x' in request.headers", "then": "deny"}`), `want the name of a header`},
		{one(`{"name": "a", "when": "request.headers[request.path] == []", "then": "deny"}`), `want the name of a header`},
		{one(`{"name": "a", "when": "request.headers['x y'] == []", "then": "deny"}`), `want the name of a header`},
		{one(`{"name": "a", "when": "true", "then": "deny"}, {"name": "a", "when": "true", "then": "deny"}`), `rule 2 "a": another rule has that name`},
		{one(`{"name": "a", "when": "x", "then": "deny"}, {"name": "b", "when": "y", "then": "deny"}`), `; rule 2 "b": when: 1:1: undeclared`},
		{`{"rules": [{"name": "a", "when": "true", "then": "deny"}], "default": "maybe"}`, `default: "maybe": want allow or deny`},
	} {
		err := sdktest.StartError(t, &policy{}, test.config)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s:\n got %v\nwant %s", test.config, err, test.want)
		}
	}
}

// TestCostLimit has an expression whose time grows with the cube of what a client
// sends.
func TestCostLimit(t *testing.T) {
	when := `request.path.split("/").all(a, request.path.split("/").all(b, request.path.split("/").all(c, a + b != c + "x")))`
	plugin := sdktest.Start(t, &policy{}, section(t, when))
	if got := plugin.AuthorizeRequest(sdktest.Request{Path: "/a/b"}); !got.Allowed {
		t.Errorf("a short path: %v", got)
	}
	got := plugin.AuthorizeRequest(sdktest.Request{Path: strings.Repeat("/a", 4000)})
	if got.Allowed || got.Status != 403 || !strings.Contains(got.Reason, "cost limit") {
		t.Errorf("a long path: %v", got)
	}
}

func TestConformance(t *testing.T) {
	sdktest.Conformance(t, func(t *testing.T) *sdktest.Plugin {
		return sdktest.Start(t, &policy{}, section(t, `cert.verified && request.headers["x-tenant"] != ["b"]`))
	})
}

// FuzzConfigure compiles whatever operators might write, and asks the result.
func FuzzConfigure(f *testing.F) {
	for _, when := range []string{
		`true`, `cert.uris.exists(u, u.startsWith("spiffe://"))`, `request.headers["x"][0] == 'a'`,
		`cidr("10.0.0.0/8").containsIP(connection.client_ip)`, `request.headers`, `(((`, "\x00", `cert.not_after - cert.not_before > duration("1h")`,
	} {
		f.Add(when)
	}
	f.Fuzz(func(t *testing.T, when string) {
		var p policy
		s := settings{Rules: []ruleSettings{{Name: "it", When: when, Then: "allow"}}}
		next, err := s.compile()
		if err != nil {
			return
		}
		p = *next
		for _, field := range p.needs {
			if !strings.HasPrefix(string(field), "header:") && byName[string(field)] == nil {
				t.Errorf("%q needs %s, which no variable has", when, field)
			}
		}
		if _, _, err := p.rules[0].program.ContextEval(t.Context(), map[string]any{}); err == nil && len(p.needs) > 0 && !strings.ContainsAny(when, "|&?.(") {
			t.Errorf("%q was decided without what it needs", when)
		}
	})
}
