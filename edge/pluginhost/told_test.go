package pluginhost

import (
	"slices"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/edge/http1"
	"github.com/sallyport/sallyport/sdk/frame"
)

// TestNeededHeaderInEverySpelling: a target that makes variables of headers takes
// X_Tenant for X-Tenant, and so must the plugin that judges by it.
func TestNeededHeaderInEverySpelling(t *testing.T) {
	told := make(chan []string, 1)
	f := &fake{
		hello:  frame.HelloBody{Hooks: frame.HookRequest | frame.HookShapeResponse, Needs: []string{"header:x-tenant", "response_header:x-class"}},
		answer: func(p *peer, f frame.Frame) { told <- fields(f); allow(p, f) },
	}
	r := one(t, f, nil)
	head := get("/", "X_Tenant", "1", "x-tenant", "2", "X.TENANT", "3", "X-Tenants", "4", "XTenant", "5", "X~tenant", "6")
	edits := http1.Edits{{{Op: http1.AddField, Name: "x_teNant", Value: "7"}, {Op: http1.AddField, Name: "X-Other", Value: "8"}}}
	var d Decision
	r.chain.Request(connection(), head, edits, &d)
	r.wants(&d, Admitted, 0)
	want := []string{}
	for _, value := range strings.Fields("1 2 3 6 7") {
		want = append(want, frame.TagHeader.String()+"=x-tenant\x00"+value)
	}
	if got := <-told; !slices.Equal(got, want) {
		t.Errorf("of a request: told %q, want %q", got, want)
	}

	response := &http1.Response{Status: 200, Fields: []http1.Field{{Name: "X_Class", Value: "a"}, {Name: "X-Classy", Value: "b"}}}
	r.chain.Response(connection(), head, response, &d)
	r.wants(&d, Admitted, 0)
	if got, line := <-told, frame.TagResponseHeader.String()+"=x-class\x00a"; !slices.Contains(got, line) || slices.ContainsFunc(got, func(s string) bool { return strings.Contains(s, "classy") }) {
		t.Errorf("of a response: told %q, want %q", got, line)
	}
}

// TestAllHeadersAsTheyCame: who needs all sees how each is spelt.
func TestAllHeadersAsTheyCame(t *testing.T) {
	told := make(chan []string, 1)
	f := &fake{
		hello:  frame.HelloBody{Needs: []string{"headers"}},
		answer: func(p *peer, f frame.Frame) { told <- fields(f); allow(p, f) },
	}
	r := one(t, f, nil)
	r.wants(r.ask(connection(), get("/", "X_Tenant", "1")), Admitted, 0)
	if got, want := <-told, frame.TagHeader.String()+"=x_tenant\x001"; !slices.Equal(got, []string{want}) {
		t.Errorf("told %q, want %q", got, want)
	}
}
