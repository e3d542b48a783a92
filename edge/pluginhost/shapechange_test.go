package pluginhost

import (
	"strings"
	"testing"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/http1"
	"github.com/sallyport/sallyport/sdk/frame"
)

// TestShapeAddsAndRemoves has templates change what the client and the plugin before
// them have sent, in their turn.
func TestShapeAddsAndRemoves(t *testing.T) {
	f := &fake{hello: frame.HelloBody{Name: "p", Hooks: frame.HookRequest}, answer: func(p *peer, f frame.Frame) {
		p.verdict(f.ID, frame.VerdictBody{Decision: frame.Allow, Edits: []frame.Edit{
			{Op: frame.SetHeader, Name: "X-Debug", Value: "from the plugin"},
			{Op: frame.SetHeader, Name: "X-Trace", Value: "from the plugin"},
		}})
	}}
	r := newRig(t, map[string]*fake{"p": f})
	plugins := pluginsOf("p")
	plugins["s"] = changes(config.PluginHeaders{
		Add:    map[string]string{"X-Trace": "{{connection.client_ip}}", "X-Missing": "{{header:x-nothing[0]}}"},
		Remove: []string{"x_debug"},
	})
	if err := r.configure(plugins, "p", "s"); err != nil {
		t.Fatal(err)
	}
	var first Decision
	r.chain.Connection(connection(), &first)
	var d Decision
	r.chain.Request(connection(), get("/"), first.Edits, &d)
	r.wants(&d, Admitted, 0)
	if got := lineOf(d.Edits); got != "X-Trace: from the plugin|X-Trace: 192.0.2.1" {
		t.Errorf("made %s", got)
	}
	if !d.Edits.Drops("X-Debug") || d.Edits.Drops("X-Missing") {
		t.Errorf("the client's lines: %+v", d.Edits)
	}
	// What is only added or removed, clients may send.
	if owns := r.host.Status()[1].Owns; len(owns) != 0 {
		t.Errorf("owns %v", owns)
	}
}

// TestShapeOfResponses changes a response's headers by what is in it.
func TestShapeOfResponses(t *testing.T) {
	r := newRig(t, nil)
	cfg := changes(config.PluginHeaders{Response: config.PluginResponseHeaders{
		Set:    map[string]string{"X-Status": "{{response.status}} to {{request.method}}", "Via": `{{response_header:via | join "+"}}`},
		Add:    map[string]string{"Vary": "X-Client"},
		Remove: []string{"X-Powered-By"},
	}})
	if err := r.configure(map[string]config.Plugin{"s": cfg}, "s"); err != nil {
		t.Fatal(err)
	}
	response := func(lines ...string) *http1.Response {
		answer := &http1.Response{Status: 404}
		for i := 0; i < len(lines); i += 2 {
			answer.Fields = append(answer.Fields, http1.Field{Name: lines[i], Value: lines[i+1], Kind: http1.KindOf(lines[i])})
		}
		return answer
	}
	answer := response("X_Powered_By", "PHP", "Vary", "Accept", "Via", "a", "Via", "b")
	var d Decision
	r.chain.Response(connection(), get("/"), answer, &d)
	if d.Outcome != Admitted {
		t.Fatalf("%+v", d)
	}
	var got []string
	for _, f := range d.Edits.Apply(answer.Fields) {
		got = append(got, f.Name+": "+f.Value)
	}
	if want := "Vary: Accept|Via: a+b|X-Status: 404 to GET|Vary: X-Client"; strings.Join(got, "|") != want {
		t.Errorf("got  %s\nwant %s", strings.Join(got, "|"), want)
	}
	if hooks := strings.Join(r.host.Status()[0].Hooks, " "); hooks != "shape_response" {
		t.Errorf("hooks: %s", hooks)
	}

	// A response with a value that no header may have is withheld, and that is no
	// fault of the client's.
	r.chain.Response(connection(), get("/"), response("Via", "a\r\nX: y"), &d)
	if d.Outcome != Denied || d.Status != 502 || !strings.Contains(d.Reason, "header Via: ") {
		t.Errorf("outcome %d, status %d: %s", d.Outcome, d.Status, d.Reason)
	}
}

// TestShapeChangesAreRefused holds each way of changing a header against the rules.
func TestShapeChangesAreRefused(t *testing.T) {
	r := newRig(t, map[string]*fake{"p": {hello: frame.HelloBody{Name: "p", Hooks: frame.HookRequest, Owns: []string{"x-unit"}}}})
	response := func(h config.PluginResponseHeaders) config.PluginHeaders { return config.PluginHeaders{Response: h} }
	many := map[string]string{}
	for i := range frame.MaxEdits {
		many["X-"+strings.Repeat("a", i+1)] = "a"
	}
	for want, headers := range map[string]config.PluginHeaders{
		`change header "X-Forwarded-For": it is the edge's own`:      {Add: map[string]string{"X-Forwarded-For": "a"}},
		`change header "Client_Cert": it carries a client's`:         {Remove: []string{"Client_Cert"}},
		`change header "x_unit": another plugin owns it`:             {Add: map[string]string{"x_unit": "a"}},
		`change header "X-Unit": another plugin owns it`:             {Remove: []string{"X-Unit"}},
		`change header "Host": it frames the message`:                {Remove: []string{"Host"}},
		`change header "Content-Length": it frames the message`:      response(config.PluginResponseHeaders{Set: map[string]string{"Content-Length": "1"}}),
		`change header "Transfer_Encoding": it frames the message`:   response(config.PluginResponseHeaders{Remove: []string{"Transfer_Encoding"}}),
		`response header a b: want a header name`:                    response(config.PluginResponseHeaders{Remove: []string{"a b"}}),
		`header x_a: set or removed twice`:                           {Remove: []string{"X-A", "x_a"}},
		`header X-A: placeholder at byte 1: response.status is of`:   {Add: map[string]string{"X-A": "{{response.status}}"}},
		`33 headers: want at most 32`:                                {Set: many, Remove: []string{"X-Other"}},
		`response header X-B: placeholder at byte 1: response_heade`: response(config.PluginResponseHeaders{Add: map[string]string{"X-B": "{{response_headers}}"}}),
	} {
		err := r.configure(map[string]config.Plugin{"s": changes(headers), "p": pluginConfig(nil)}, "s")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	granted := changes(config.PluginHeaders{Remove: []string{"X-Forwarded-For"}}, "X-Forwarded-For")
	if err := r.configure(map[string]config.Plugin{"s": granted}, "s"); err != nil {
		t.Errorf("a granted header: %v", err)
	}
}
