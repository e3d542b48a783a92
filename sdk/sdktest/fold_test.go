package sdktest_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/sdk"
	"github.com/sallyport/sallyport/sdk/sdktest"
)

// tenants answers with what it is told of one header, and of one of the response.
type tenants struct{}

func (tenants) Manifest() sdk.Manifest {
	return sdk.Manifest{Name: "tenants", Needs: []sdk.Field{sdk.Header("X-Tenant"), sdk.ResponseHeader("X-Served-By")}}
}

func (tenants) AuthorizeRequest(_ context.Context, r sdk.Request) sdk.Verdict {
	return sdk.Allow().SetHeader("X-Told", strings.Join(r.HeaderValues("X-Tenant"), ","))
}

func (tenants) ShapeResponse(_ context.Context, r sdk.Response) sdk.Verdict {
	return sdk.Allow().SetHeader("X-Told", strings.Join(r.ResponseHeaderValues("X-Served-By"), ","))
}

// TestSpellingsOfHeaders: a plugin is told of a header in every spelling that a target
// could take for it, as the edge tells it.
func TestSpellingsOfHeaders(t *testing.T) {
	plugin := sdktest.Start(t, tenants{}, nil)
	got := plugin.AuthorizeRequest(sdktest.Request{Header: http.Header{
		"X_Tenant": {"b"}, "X-Tenant": {"a"}, "x.TENANT": {"c"}, "XTenant": {"no"}, "X-Tenants": {"no"},
	}})
	if told := got.Header("x_told"); told != "a,b,c" {
		t.Errorf("told %q", told)
	}
	got = plugin.ShapeResponse(sdktest.Response{ResponseHeader: http.Header{"x_served_by": {"a"}, "X-Served": {"no"}}})
	if told := got.Header("X-Told"); told != "a" {
		t.Errorf("told %q of the response", told)
	}
	if got.Header("XTold") != "" {
		t.Error("another header is taken for it")
	}
}
