package sdk_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/sdk"
	"github.com/sallyport/sallyport/sdk/frame"
	"github.com/sallyport/sallyport/sdk/sdktest"
)

func TestConfigure(t *testing.T) {
	type config struct {
		Allow []string `json:"allow"`
		Limit int      `json:"limit"`
	}
	start := func(c any) (got config, err error) {
		got.Limit = 5 // a default of the plugin's
		p := allowing(1)
		p.configure = func(c sdk.Config) error { return c.Decode(&got) }
		if text, ok := c.(string); ok && strings.HasPrefix(text, "bad ") {
			return got, sdktest.StartError(t, p, strings.TrimPrefix(text, "bad "))
		}
		sdktest.Start(t, p, c)
		return got, nil
	}
	for _, c := range []any{nil, "", "{}", "null", []byte(" {} ")} {
		if got, _ := start(c); got.Limit != 5 || got.Allow != nil {
			t.Errorf("%q: %+v", c, got)
		}
	}
	for _, c := range []any{`{"allow": ["a"], "limit": 7}`, map[string]any{"allow": []string{"a"}, "limit": 7}} {
		if got, _ := start(c); got.Limit != 7 || len(got.Allow) != 1 {
			t.Errorf("%v: %+v", c, got)
		}
	}
	for c, want := range map[string]string{
		`bad {"alow": []}`:    `unknown field "alow"`,
		`bad {"limit": "a"}`:  "cannot unmarshal",
		`bad {"limit": 1} {}`: "want one JSON value",
		`bad {`:               "unexpected EOF",
	} {
		if _, err := start(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q in it", c, err, want)
		}
	}
}

func TestConfigurationIsRefused(t *testing.T) {
	p := allowing(1)
	p.configure = func(sdk.Config) error { return errors.New("allow: want a unit\nor two") }
	if err := sdktest.StartError(t, p, nil); !strings.Contains(err.Error(), "allow: want a unit?or two") {
		t.Errorf("an error: %v", err)
	}
	p.configure = func(sdk.Config) error { panic("boom") }
	if err := sdktest.StartError(t, p, nil); !strings.Contains(err.Error(), "plugin panicked: boom") {
		t.Errorf("a panic: %v", err)
	}
	p.configure = func(sdk.Config) error { return errors.New("") }
	if err := sdktest.StartError(t, p, nil); !strings.Contains(err.Error(), "not ready") {
		t.Errorf("an error without a text: %v", err)
	}
	plain := deciding(func(context.Context, sdk.Request) sdk.Verdict { return sdk.Allow() })
	if err := sdktest.StartError(t, plain, `{"allow": []}`); !strings.Contains(err.Error(), "takes no configuration") {
		t.Errorf("no Configurer: %v", err)
	}
	sdktest.Start(t, plain, `{}`)
}

// noHook is a plugin that can be asked for nothing.
type noHook struct{}

func (noHook) Manifest() sdk.Manifest { return sdk.Manifest{Name: "none"} }

func TestManifestsThatCannotBe(t *testing.T) {
	with := func(m sdk.Manifest) sdk.Plugin { return &onRequest{manifest: m} }
	for want, p := range map[string]sdk.Plugin{
		"has no hook":                               noHook{},
		`name ""`:                                   with(sdk.Manifest{}),
		`name "a b"`:                                with(sdk.Manifest{Name: "a b"}),
		`need "cert.age": no such field`:            with(sdk.Manifest{Name: "a", Needs: []sdk.Field{"cert.age"}}),
		`field "header:x-a" twice`:                  with(sdk.Manifest{Name: "a", Needs: []sdk.Field{sdk.Header("X-A"), sdk.Header("x-a")}}),
		`owned header "X A"`:                        with(sdk.Manifest{Name: "a", Owns: []string{"X A"}}),
		"tag 7: 2000, want 1 to 1024":               with(sdk.Manifest{Name: "a", Concurrency: 2000}),
		"tag 8: 100, want 32768 to 1048576":         with(sdk.Manifest{Name: "a", MaxFrame: 100}),
		`manifest of plugin "a": HELLO: tag 3: "\n`: with(sdk.Manifest{Name: "a", Version: "\n"}),
	} {
		ours, theirs := net.Pipe()
		err := sdk.ServeConn(t.Context(), theirs, p)
		ours.Close()
		if err == nil || !strings.Contains(strings.ToLower(err.Error()), strings.ToLower(want)) {
			t.Errorf("error %v: want %q in it", err, want)
		}
	}
}

func TestHello(t *testing.T) {
	p := allowing(7)
	p.manifest.Version, p.manifest.Owns, p.manifest.MaxFrame = "1.2.3", []string{"X-A"}, 1<<20
	got := sdktest.Start(t, p, nil).Hello()
	if got.Name != "everything" || got.Version != "1.2.3" || got.Concurrency != 7 || got.MaxFrame != 1<<20 ||
		got.Hooks.String() != "connection, request, shape_request, shape_response, observe" || got.Owns[0] != "x-a" {
		t.Errorf("%+v", got)
	}
	if needs := strings.Join(got.Needs, " "); needs != "cert.chain cert.uris request.path header:x-tenant response.status cert.verified" {
		t.Errorf("needs %s", needs)
	}
	plain := sdktest.Start(t, deciding(func(context.Context, sdk.Request) sdk.Verdict { return sdk.Allow() }, sdk.Path), nil).Hello()
	if plain.Hooks != frame.HookRequest || len(plain.Needs) != 1 || plain.Concurrency != 1 || plain.MaxFrame != frame.DefaultMax {
		t.Errorf("%+v", plain)
	}
}

// TestHostsThatAreWrong are edges that do not answer HELLO as they must.
func TestHostsThatAreWrong(t *testing.T) {
	newer := frame.ConfigureBody{Protocol: 2, MaxFrame: frame.DefaultMax}
	longer := frame.ConfigureBody{Protocol: 1, MaxFrame: frame.DefaultMax + 1}
	body := func(c frame.ConfigureBody) []byte {
		return frame.End(c.Append(frame.Begin(nil, frame.Configure, 0)), 0)
	}
	for what, c := range map[string]struct {
		says []byte
		want string
	}{
		"call before CONFIGURE": {frame.Append(nil, frame.Request, 1), "REQUEST is not expected here"},
		"another protocol":      {body(newer), "protocol 2: want 1"},
		"longer frames":         {body(longer), "want at most 262144"},
		"nothing in it":         {frame.Append(nil, frame.Configure, 0), "no version of the protocol"},
		"garbage":               {[]byte("HTTP/1.1 400 Bad Request\r\n\r\n"), "length 1347703880"},
		"nothing":               {nil, sdk.ErrHostGone.Error()},
	} {
		ours, theirs := socketpair(t)
		served := make(chan error, 1)
		go func() { served <- sdk.ServeConn(t.Context(), theirs, allowing(1)) }()
		h := &rawHost{conn: ours}
		h.expect(t, frame.Hello)
		h.send(t, c.says)
		if c.says == nil {
			ours.Close()
		}
		if err := receive(t, served, "ServeConn returns"); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q in it", what, err, c.want)
		}
		ours.Close()
	}
}
