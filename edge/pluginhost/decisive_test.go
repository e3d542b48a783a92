package pluginhost

import (
	"testing"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/sdk/frame"
)

// TestDecisive: headers that plugins are told of by name, under any name that a
// target takes for the same.
func TestDecisive(t *testing.T) {
	f := &fake{hello: frame.HelloBody{Name: "f", Hooks: frame.HookRequest, Needs: []string{"header:x-tenant", "response_header:x-answer", "request.path"}}}
	r := newRig(t, map[string]*fake{"p": f})
	plugins := map[string]config.Plugin{"p": pluginConfig(nil), "t": templates(map[string]string{"X-Out": "{{header:x-in[0]}}"})}
	if err := r.configure(plugins, "p", "t"); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"X-Tenant": true, "x_tenant": true, "X-In": true, "X-Out": false, "X-Answer": false, "X-Tenants": false} {
		if got := r.chain.Decisive(name); got != want {
			t.Errorf("%s: got %t", name, got)
		}
	}
}
