package sdk_test

import (
	"context"
	"testing"

	"go.uber.org/goleak"

	"github.com/sallyport/sallyport/sdk"
	"github.com/sallyport/sallyport/sdk/sdktest"
)

func TestMain(m *testing.M) {
	runPlugin()
	goleak.VerifyTestMain(m)
}

// onRequest is a plugin that is one function.
type onRequest struct {
	manifest sdk.Manifest
	decide   func(context.Context, sdk.Request) sdk.Verdict
}

func (p *onRequest) Manifest() sdk.Manifest { return p.manifest }

func (p *onRequest) AuthorizeRequest(ctx context.Context, r sdk.Request) sdk.Verdict {
	return p.decide(ctx, r)
}

// deciding is a plugin that needs some fields.
func deciding(decide func(context.Context, sdk.Request) sdk.Verdict, needs ...sdk.Field) *onRequest {
	return &onRequest{sdk.Manifest{Name: "test", Needs: needs}, decide}
}

// everything is a plugin with every hook.
type everything struct {
	manifest   sdk.Manifest
	configure  func(sdk.Config) error
	connection func(context.Context, sdk.Connection) sdk.Verdict
	request    func(context.Context, sdk.Request) sdk.Verdict
	shape      func(context.Context, sdk.Request) sdk.Verdict
	response   func(context.Context, sdk.Response) sdk.Verdict
	observe    func(sdk.Response)
}

func (p *everything) Manifest() sdk.Manifest { return p.manifest }

func (p *everything) Configure(c sdk.Config) error {
	if p.configure == nil {
		return nil
	}
	return p.configure(c)
}

func (p *everything) AuthorizeConnection(ctx context.Context, c sdk.Connection) sdk.Verdict {
	return p.connection(ctx, c)
}

func (p *everything) AuthorizeRequest(ctx context.Context, r sdk.Request) sdk.Verdict {
	return p.request(ctx, r)
}

func (p *everything) ShapeRequest(ctx context.Context, r sdk.Request) sdk.Verdict {
	return p.shape(ctx, r)
}

func (p *everything) ShapeResponse(ctx context.Context, r sdk.Response) sdk.Verdict {
	return p.response(ctx, r)
}

func (p *everything) Observe(r sdk.Response) { p.observe(r) }

// allowing is a plugin with every hook that allows.
func allowing(concurrency int) *everything {
	return &everything{
		manifest: sdk.Manifest{Name: "everything", Concurrency: concurrency,
			Needs: []sdk.Field{sdk.CertChain, sdk.CertURIs, sdk.Path, sdk.Header("x-tenant"), sdk.Status}},
		connection: func(_ context.Context, c sdk.Connection) sdk.Verdict {
			c.Peer().Chain()
			return sdk.Allow()
		},
		request: func(_ context.Context, r sdk.Request) sdk.Verdict {
			r.Path()
			return sdk.Allow().SetHeader("X-A", "a")
		},
		shape:    func(context.Context, sdk.Request) sdk.Verdict { return sdk.Allow().AddHeader("X-B", "b") },
		response: func(context.Context, sdk.Response) sdk.Verdict { return sdk.Allow() },
		observe:  func(sdk.Response) {},
	}
}

func TestConformance(t *testing.T) {
	for name, concurrency := range map[string]int{"in order": 1, "concurrent": 8} {
		t.Run(name, func(t *testing.T) {
			sdktest.Conformance(t, func(t *testing.T) *sdktest.Plugin {
				return sdktest.Start(t, allowing(concurrency), nil)
			})
		})
	}
}
