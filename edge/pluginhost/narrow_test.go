package pluginhost

import (
	"slices"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/sdk/frame"
)

// TestNarrowedNeeds has a plugin that, once it is configured, needs less than its
// HELLO has: that, and nothing else, is what it is told.
func TestNarrowedNeeds(t *testing.T) {
	for _, test := range []struct {
		narrow []string
		want   string
	}{
		{nil, "request.method=GET request.path=/a tag 1008=x-a\x00 1 tag 1008=x-b\x00 2"},
		{[]string{"header:x-b"}, "x-b"},
		{[]string{"request.path", "header:x-a"}, "request.path=/a x-a"},
		{[]string{}, ""},
	} {
		told := make(chan []string, 1)
		f := &fake{
			hello:  frame.HelloBody{Needs: []string{"request.method", "request.path", "headers"}},
			narrow: test.narrow,
			answer: func(p *peer, f frame.Frame) {
				told <- fields(f)
				allow(p, f)
			},
		}
		r := one(t, f, nil)
		r.wants(r.ask(connection(), get("/a", "X-A", "1", "X-B", "2")), Admitted, 0)
		got := <-told
		if test.narrow == nil {
			if len(got) != 4 {
				t.Errorf("all of HELLO's: told %q", got)
			}
			continue
		}
		want := len(strings.Fields(test.want))
		if len(got) != want || slices.ContainsFunc(got, func(s string) bool { return strings.Contains(s, "GET") }) {
			t.Errorf("%q: told %q, want %s", test.narrow, got, test.want)
		}
	}
}

func TestNeedsThatHelloHasNot(t *testing.T) {
	f := &fake{hello: frame.HelloBody{Name: "fake", Hooks: frame.HookRequest, Needs: []string{"header:x-a"}}, narrow: []string{"headers"}}
	r := newRig(t, map[string]*fake{"p": f})
	err := r.configure(pluginsOf("p"), "p")
	if err == nil || !strings.Contains(err.Error(), "CONFIGURED needs headers, which HELLO has not") {
		t.Errorf("got %v", err)
	}
}
