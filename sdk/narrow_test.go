package sdk_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/sdk"
	"github.com/sallyport/sallyport/sdk/sdktest"
)

// narrowing needs less than it declares, once it is configured.
type narrowing struct {
	needs func() []sdk.Field
}

func (*narrowing) Manifest() sdk.Manifest {
	return sdk.Manifest{Name: "narrowing", Needs: []sdk.Field{sdk.CertSubject, sdk.CertIssuer, sdk.Path, sdk.AllHeaders}}
}

func (n *narrowing) Needs() []sdk.Field { return n.needs() }

func (*narrowing) AuthorizeRequest(_ context.Context, r sdk.Request) sdk.Verdict {
	switch ask := r.Header("X-Ask"); {
	case ask == "path":
		return sdk.Allow().SetHeader("X-Path", r.Path())
	case ask == "depends":
		return sdk.Allow().DependsOn(sdk.Header("x-ask"))
	case ask == "subject" && r.Peer().Verified():
		return sdk.Allow().SetHeader("X-Subject", r.Peer().Subject())
	case ask == "other":
		return sdk.Allow().SetHeader("X-Other", r.Header("X-Other"))
	}
	return sdk.Allow()
}

func TestNarrower(t *testing.T) {
	plugin := sdktest.Start(t, &narrowing{func() []sdk.Field {
		return []sdk.Field{sdk.Header("X-Ask"), sdk.CertSubject, sdk.Header("x-ask")}
	}}, nil)
	ask := func(what string) sdktest.Verdict {
		return plugin.AuthorizeRequest(sdktest.Request{
			Connection: sdktest.Connection{Peer: sdktest.NewPeer(t, sdktest.WithCN("a"))}, Path: "/secret",
			Header: http.Header{"X-Ask": {what}, "X-Other": {"b"}},
		})
	}
	if got := ask("subject"); !got.Allowed || !strings.Contains(got.Header("X-Subject"), "CN=a") {
		t.Errorf("a field that is left, and cert.verified with it: %v", got)
	}
	if got := ask("depends"); !got.Allowed || strings.Join(got.DependsOn, " ") != "header:x-ask" {
		t.Errorf("to depend on a header that is left of all: %v", got)
	}
	for _, gone := range []string{"path", "other"} {
		if got := ask(gone); got.Allowed || got.Status != 500 {
			t.Errorf("%s, which is not needed any more: %v", gone, got)
		}
	}
}

func TestNarrowerToNothing(t *testing.T) {
	plugin := sdktest.Start(t, &narrowing{func() []sdk.Field { return nil }}, nil)
	if got := plugin.AuthorizeRequest(sdktest.Request{}); got.Allowed || got.Status != 500 {
		t.Errorf("a field where none is needed: %v", got)
	}
}

func TestNarrowerIsRefused(t *testing.T) {
	for want, needs := range map[string]func() []sdk.Field{
		"all of the manifest":     func() []sdk.Field { return []sdk.Field{sdk.Method} },
		`"nonsense"`:              func() []sdk.Field { return []sdk.Field{"nonsense"} },
		"plugin panicked: at war": func() []sdk.Field { panic("at war") },
	} {
		if err := sdktest.StartError(t, &narrowing{needs}, nil); !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
