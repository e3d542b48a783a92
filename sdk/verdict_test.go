package sdk_test

import (
	"context"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/sdk"
	"github.com/sallyport/sallyport/sdk/sdktest"
)

// edits makes a list of threes: what is done, to which header, and its value.
func edits(list ...string) (edits []sdktest.Edit) {
	for ; len(list) > 0; list = list[3:] {
		edits = append(edits, sdktest.Edit{Op: list[0], Name: list[1], Value: list[2]})
	}
	return edits
}

// judge gives what the edge reads of a verdict.
func judge(t *testing.T, v sdk.Verdict, needs ...sdk.Field) sdktest.Verdict {
	t.Helper()
	plugin := sdktest.Start(t, deciding(func(context.Context, sdk.Request) sdk.Verdict { return v }, needs...), nil)
	return plugin.AuthorizeRequest(sdktest.Request{})
}

func TestVerdicts(t *testing.T) {
	for _, c := range []struct {
		verdict sdk.Verdict
		want    sdktest.Verdict
	}{
		{sdk.Allow(), sdktest.Verdict{Allowed: true}},
		{sdk.Allow().SetHeader("X-A", "1").AddHeader("X-A", "2").RemoveHeader("x-b").For(1500 * time.Microsecond).Ban(3),
			sdktest.Verdict{Allowed: true, For: time.Millisecond, Ban: 3,
				Edits: edits("set", "X-A", "1", "add", "X-A", "2", "remove", "x-b", "")}},
		{sdk.Allow().For(100 * time.Hour).Ban(1000), sdktest.Verdict{Allowed: true, For: 24 * time.Hour, Ban: 100}},
		{sdk.Allow().For(-time.Hour).Ban(-1), sdktest.Verdict{Allowed: true}},
		{sdk.Allow().DependsOn(sdk.Path), sdktest.Verdict{Allowed: true, DependsOn: []string{"request.path"}}},
		{sdk.Allow().DependsOn(sdk.CertURIs, sdk.Header("X-A"), sdk.CertURIs),
			sdktest.Verdict{Allowed: true, DependsOn: []string{"cert.uris", "cert.verified", "header:x-a"}}},
		{sdk.Allow().DependsOn(), sdktest.Verdict{Allowed: true, DependsOn: []string{}}},
		{sdk.Deny(401, "größer").SetHeader("WWW-Authenticate", "Mutual"),
			sdktest.Verdict{Status: 401, Reason: "größer", Edits: edits("set", "WWW-Authenticate", "Mutual")}},
		{sdk.Deny(200, "a\nb\x00\xff"), sdktest.Verdict{Status: 403, Reason: "a?b?\ufffd"}},
		{sdk.Deny(599, strings.Repeat("ä", 1000)), sdktest.Verdict{Status: 599, Reason: strings.Repeat("ä", 512)}},
		{sdk.Verdict{}, sdktest.Verdict{Status: 403}},
		{sdk.Verdict{}.SetHeader("X-A", "a").For(time.Second), sdktest.Verdict{Status: 403, For: time.Second, Edits: edits("set", "X-A", "a")}},
	} {
		got := judge(t, c.verdict, sdk.Path, sdk.CertURIs, sdk.Header("x-a"))
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%v: the edge reads %+v, want %+v", c.verdict, got, c.want)
		}
		if got.Allowed != c.verdict.Allowed() {
			t.Errorf("%v: Allowed is %v", c.verdict, c.verdict.Allowed())
		}
	}
}

// TestVerdictsThatCannotBe holds that what the edge would refuse denies, and that
// the plugin goes on.
func TestVerdictsThatCannotBe(t *testing.T) {
	many := sdk.Allow()
	for range 33 {
		many = many.RemoveHeader("X-A")
	}
	for what, v := range map[string]sdk.Verdict{
		"CR in a value":     sdk.Allow().SetHeader("X-A", "a\rb"),
		"LF in a value":     sdk.Allow().SetHeader("X-A", "a\nSet-Cookie: b"),
		"NUL in a value":    sdk.Allow().AddHeader("X-A", "a\x00b"),
		"no name":           sdk.Allow().SetHeader("", "a"),
		"name with a space": sdk.Allow().RemoveHeader("X A"),
		"name with NUL":     sdk.Allow().SetHeader("X\x00A", "b"),
		"long name":         sdk.Allow().SetHeader(strings.Repeat("a", 200), "b"),
		"33 edits":          many,
		"8193 bytes":        sdk.Allow().SetHeader("A", strings.Repeat("a", 8192)),
		"not declared":      sdk.Allow().DependsOn(sdk.Method),
		"other header":      sdk.Allow().DependsOn(sdk.Header("x-b")),
		"response's header": sdk.Allow().DependsOn(sdk.ResponseHeader("x-a")),
		"no field":          sdk.Allow().DependsOn("request.colour"),
		"later good edit":   sdk.Allow().SetHeader("", "a").SetHeader("X-A", "a"),
	} {
		plugin := sdktest.Start(t, deciding(func(context.Context, sdk.Request) sdk.Verdict { return v }, sdk.Path, sdk.Header("X-A")), nil)
		for range 2 {
			got := plugin.AuthorizeRequest(sdktest.Request{})
			if got.Allowed || got.Status != 500 || !strings.HasPrefix(got.Reason, "plugin's mistake: ") || len(got.Edits) > 0 {
				t.Errorf("%s: %v", what, got)
			}
		}
		plugin.WaitForLog("ERROR verdict cannot be sent hook=REQUEST why=")
	}
}

func TestKeptVerdictsAreNotShared(t *testing.T) {
	kept := sdk.Allow().SetHeader("A", "1").SetHeader("B", "2").SetHeader("C", "3")
	one, other := kept.SetHeader("D", "one"), kept.SetHeader("D", "other")
	if got := one.String(); got != "allow, set A: 1, set B: 2, set C: 3, set D: one" {
		t.Error(got)
	}
	if got := other.String(); got != "allow, set A: 1, set B: 2, set C: 3, set D: other" {
		t.Error(got)
	}
	if got := kept.String(); got != "allow, set A: 1, set B: 2, set C: 3" {
		t.Error(got)
	}
}

// TestAuthorizeAndShape holds how the verdicts of both hooks of a request are one.
func TestAuthorizeAndShape(t *testing.T) {
	for what, c := range map[string]struct {
		request, shape sdk.Verdict
		want           sdktest.Verdict
	}{
		"edits in order": {sdk.Allow().SetHeader("A", "1").Ban(1), sdk.Allow().SetHeader("A", "2").Ban(2),
			sdktest.Verdict{Allowed: true, Ban: 3, Edits: edits("set", "A", "1", "set", "A", "2")}},
		"denied first": {sdk.Deny(403, "no"), sdk.Allow().SetHeader("A", "2"), sdktest.Verdict{Status: 403, Reason: "no"}},
		"denied then":  {sdk.Allow().SetHeader("A", "1"), sdk.Deny(404, "no"), sdktest.Verdict{Status: 404, Reason: "no"}},
		"zero then":    {sdk.Allow().SetHeader("A", "1"), sdk.Verdict{}, sdktest.Verdict{Status: 403}},
		"shorter of both": {sdk.Allow().For(time.Second).DependsOn(sdk.Path), sdk.Allow().For(time.Minute).DependsOn(sdk.Header("x-tenant"), sdk.Path),
			sdktest.Verdict{Allowed: true, For: time.Second, DependsOn: []string{"request.path", "header:x-tenant"}}},
		"one for this once": {sdk.Allow().For(time.Second), sdk.Allow(), sdktest.Verdict{Allowed: true}},
		"one depends on all": {sdk.Allow().For(time.Second).DependsOn(sdk.Path), sdk.Allow().For(time.Second),
			sdktest.Verdict{Allowed: true, For: time.Second}},
		"both on nothing": {sdk.Allow().DependsOn(), sdk.Allow().DependsOn(), sdktest.Verdict{Allowed: true, DependsOn: []string{}}},
	} {
		p := allowing(1)
		p.request = func(context.Context, sdk.Request) sdk.Verdict { return c.request }
		p.shape = func(context.Context, sdk.Request) sdk.Verdict { return c.shape }
		if got := sdktest.Start(t, p, nil).AuthorizeRequest(sdktest.Request{}); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, want %+v", what, got, c.want)
		}
	}
	p := allowing(1)
	p.request = func(context.Context, sdk.Request) sdk.Verdict { return sdk.Allow().SetHeader("A", "\n") }
	if got := sdktest.Start(t, p, nil).AuthorizeRequest(sdktest.Request{}); got.Allowed || got.Status != 500 {
		t.Errorf("a broken verdict first: %v", got)
	}
}
