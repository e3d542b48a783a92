package pluginhost

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/http1"
	"github.com/sallyport/sallyport/sdk/frame"
)

func pluginsOf(names ...string) map[string]config.Plugin {
	m := map[string]config.Plugin{}
	for _, name := range names {
		m[name] = pluginConfig(nil)
	}
	return m
}

// templates is a plugin that sets headers.
func templates(set map[string]string, grants ...string) config.Plugin {
	return changes(config.PluginHeaders{Set: set}, grants...)
}

// changes is a plugin of more than headers that are set.
func changes(headers config.PluginHeaders, grants ...string) config.Plugin {
	return pluginConfig(func(p *config.Plugin) { p.Command, p.Headers, p.Grants = nil, headers, grants })
}

func clientOf(units ...string) *Connection {
	c := connection()
	c.Chain = []*x509.Certificate{{Raw: []byte("der"), Subject: pkix.Name{OrganizationalUnit: units}}}
	return c
}

func lineOf(edits http1.Edits) string {
	var list []string
	edits.Lines(func(name, value string) bool { list = append(list, name+": "+value); return true })
	return strings.Join(list, "|")
}

func TestShape(t *testing.T) {
	r := newRig(t, nil)
	err := r.configure(map[string]config.Plugin{"shape": templates(map[string]string{
		"X-Unit":   "{{cert.organizational_units[0]}}",
		"X-Units":  `{{cert.organizational_units | join "+" | default "none"}}`,
		"X-Tenant": "{{header:x-tenant[0] | url}}",
		"X-From":   "{{connection.client_ip}} {{request.method}}",
		"X-Edge":   "yes",
	})}, "shape")
	if err != nil {
		t.Fatal(err)
	}
	ask := func(c *Connection, req *Request) (connection, request string) {
		var first, second Decision
		r.chain.Connection(c, &first)
		if first.Outcome != Admitted {
			t.Fatalf("connection: outcome %d: %s", first.Outcome, first.Reason)
		}
		r.chain.Request(c, req, first.Edits, &second)
		r.wants(&second, Admitted, 0)
		return lineOf(first.Edits), lineOf(second.Edits)
	}
	connected, asked := ask(clientOf("payments", "b"), get("/", "X-Tenant", "a b"))
	if want := "X-Edge: yes|X-Unit: payments|X-Units: payments+b"; connected != want || asked != want+"|X-From: 192.0.2.1 GET|X-Tenant: a%20b" {
		t.Errorf("of a client with units: %s; %s", connected, asked)
	}
	connected, asked = ask(connection(), get("/"))
	if want := "X-Edge: yes|X-Units: none"; connected != want || asked != want+"|X-From: 192.0.2.1 GET" {
		t.Errorf("of nobody: %s; %s", connected, asked)
	}
	status := r.host.Status()[0]
	if status.State != Serving || strings.Join(status.Hooks, " ") != "connection shape_request" || len(status.Owns) != 5 || len(status.Needs) != 4 {
		t.Errorf("status: %+v", status)
	}
	if c, q := status.Stats["connection"], status.Stats["request"]; c.Calls != 2 || q.Calls != 2 || c.Mean <= 0 || c.Denied != 0 {
		t.Errorf("asked twice: %+v of connections, %+v of requests", c, q)
	}
}

func TestShapeDeniesWhatNoHeaderMayHave(t *testing.T) {
	r := newRig(t, nil)
	if err := r.configure(map[string]config.Plugin{"shape": templates(map[string]string{"X-Unit": "{{cert.organizational_units[0]}}"})}, "shape"); err != nil {
		t.Fatal(err)
	}
	for unit, want := range map[string]string{
		"a\r\nX-Admin: yes": "header X-Unit: holds CR, LF or NUL",
		"a\x00":             "header X-Unit: holds CR, LF or NUL",
		strings.Repeat("a", frame.MaxEditBytes-5): "more than 8192 bytes",
	} {
		var d Decision
		r.chain.Connection(clientOf(unit), &d)
		if d.Outcome != Denied || d.Status != 403 || d.Plugin != "shape" || !strings.Contains(d.Reason, want) || len(d.Edits) > 0 {
			t.Errorf("%.20q: %+v", unit, d)
		}
	}
}

func TestShapeIsRefused(t *testing.T) {
	r := newRig(t, map[string]*fake{"p": {hello: frame.HelloBody{Name: "p", Hooks: frame.HookRequest, Owns: []string{"x-unit"}}}})
	for want, plugins := range map[string]map[string]config.Plugin{
		"header X-A: placeholder at byte 1: no field":                  {"s": templates(map[string]string{"X-A": "{{nothing}}"})},
		"header X A: want a header name":                               {"s": templates(map[string]string{"X A": "a"})},
		"header x_a: set or removed twice":                             {"s": templates(map[string]string{"X-A": "a", "x_a": "b"})},
		`plugin s owns x-amzn-mtls-clientcert: change header`:          {"s": templates(map[string]string{"X-Amzn-Mtls-Clientcert": "a"})},
		`plugin s owns content-length: change header "content-length"`: {"s": templates(map[string]string{"Content-Length": "1"})},
		`plugins p and s both own the header x-unit`:                   {"s": templates(map[string]string{"X-Unit": "a"}), "p": pluginConfig(nil)},
	} {
		err := r.configure(plugins, "s")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	granted := templates(map[string]string{"X-Amzn-Mtls-Clientcert-Subject": "{{cert.subject}}"}, "X-Amzn-Mtls-Clientcert-Subject")
	if err := r.configure(map[string]config.Plugin{"s": granted}, "s"); err != nil {
		t.Errorf("a granted header: %v", err)
	}
}

// TestShapeInAChain has a plugin behind one of templates: it sees what that has
// set, and a reload that changes the templates asks it no less.
func TestShapeInAChain(t *testing.T) {
	told := make(chan []string, 1)
	f := &fake{hello: frame.HelloBody{Name: "p", Hooks: frame.HookRequest, Needs: []string{"header:x-unit"}}, answer: func(p *peer, f frame.Frame) {
		told <- fields(f)
		allow(p, f)
	}}
	r := newRig(t, map[string]*fake{"p": f})
	for _, text := range []string{"one {{request.method}}", "two {{request.method}}"} {
		plugins := pluginsOf("p")
		plugins["s"] = templates(map[string]string{"X-Unit": text})
		if err := r.configure(plugins, "s", "p"); err != nil {
			t.Fatal(err)
		}
		r.wants(r.ask(connection(), get("/")), Admitted, 0)
		if got, want := strings.Join(<-told, " "), "x-unit\x00"+strings.Replace(text, "{{request.method}}", "GET", 1); !strings.HasSuffix(got, want) {
			t.Errorf("told %q, want %q", got, want)
		}
	}
	if f.started() != 1 {
		t.Errorf("the program was started %d times, want once", f.started())
	}
}

func BenchmarkShape(b *testing.B) {
	r := newRig(b, nil)
	if err := r.configure(map[string]config.Plugin{"shape": templates(map[string]string{"X-From": "{{connection.client_ip}} {{request.method}}"})}, "shape"); err != nil {
		b.Fatal(err)
	}
	c, req := clientOf("payments"), get("/")
	var d Decision
	b.ReportAllocs()
	for b.Loop() {
		if r.chain.Request(c, req, nil, &d); d.Outcome != Admitted {
			b.Fatal(d.Reason)
		}
	}
}
