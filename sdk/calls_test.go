package sdk_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/sdk"
	"github.com/sallyport/sallyport/sdk/frame"
	"github.com/sallyport/sallyport/sdk/sdktest"
)

// patience is how long a test waits for what must happen.
const patience = 30 * time.Second

func receive[T any](t *testing.T, from <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-from:
	case <-time.After(patience):
		t.Fatalf("%s: not within %v", what, patience)
	}
	return v
}

func TestInOrder(t *testing.T) {
	var at atomic.Int32
	var order []string
	plugin := sdktest.Start(t, deciding(func(_ context.Context, r sdk.Request) sdk.Verdict {
		if at.Add(1) != 1 {
			t.Error("two hooks at once")
		}
		order = append(order, r.Path())
		at.Add(-1)
		return sdk.Allow()
	}, sdk.Path), nil)
	var calls []*sdktest.Call
	for i := range 200 {
		calls = append(calls, plugin.BeginRequest(sdktest.Request{Path: fmt.Sprint(i)}))
	}
	for _, c := range calls {
		c.Verdict()
	}
	for i, path := range order {
		if path != fmt.Sprint(i) {
			t.Fatalf("call %s came as number %d", path, i)
		}
	}
}

// TestAtOnce holds that as many hooks run at once as were declared, and not more,
// also when there are workers that have nothing to do.
func TestAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const declared, calls = 4, 12
		release := make(chan struct{})
		var at atomic.Int32
		p := deciding(func(_ context.Context, r sdk.Request) sdk.Verdict {
			if r.Path() == "/wait" {
				at.Add(1)
				<-release
				at.Add(-1)
			}
			return sdk.Allow()
		}, sdk.Path)
		p.manifest.Concurrency = declared
		ours, theirs := net.Pipe()
		h, served := serveOn(t, t.Context(), p, ours, theirs)
		h.call(t, "/")
		h.expect(t, frame.Verdict)
		for i := range calls {
			h.call(t, "/wait")
			synctest.Wait()
			if got, want := int(at.Load()), min(i+1, declared); got != want {
				t.Errorf("of %d calls %d are under way, want %d", i+1, got, want)
			}
		}
		close(release)
		for range calls {
			h.expect(t, frame.Verdict)
		}
		ours.Close()
		<-served
	})
}

// waiting is a plugin whose hooks wait for the end of their context, if the path
// says so, and tell of it.
func waiting(concurrency int) (*onRequest, chan string, chan error) {
	begun, ended := make(chan string, 100), make(chan error, 100)
	p := deciding(func(ctx context.Context, r sdk.Request) sdk.Verdict {
		begun <- r.Path()
		if !strings.HasPrefix(r.Path(), "/wait") {
			return sdk.Allow()
		}
		// A derived context must end as well.
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		<-ctx.Done()
		ended <- ctx.Err()
		return sdk.Allow()
	}, sdk.Path)
	p.manifest.Concurrency = concurrency
	return p, begun, ended
}

func TestCancel(t *testing.T) {
	for _, concurrency := range []int{1, 2} {
		t.Run(fmt.Sprint(concurrency), func(t *testing.T) {
			p, begun, ended := waiting(concurrency)
			plugin := sdktest.Start(t, p, nil)
			for range 20 { // the context of a later call must be a new one
				c := plugin.BeginRequest(sdktest.Request{Path: "/wait"})
				receive(t, begun, "the hook begins")
				c.Cancel()
				if err := receive(t, ended, "the context ends"); !errors.Is(err, context.Canceled) {
					t.Errorf("context: %v", err)
				}
				if got := plugin.AuthorizeRequest(sdktest.Request{Path: "/"}); !got.Allowed {
					t.Errorf("next call: %v", got)
				}
				receive(t, begun, "the next hook begins")
			}
		})
	}
}

// TestCancelWhileAllAreBusy cancels calls that run, and calls that nobody has
// begun: those must not be begun at all.
func TestCancelWhileAllAreBusy(t *testing.T) {
	p, begun, ended := waiting(2)
	plugin := sdktest.Start(t, p, nil)
	one, other := plugin.BeginRequest(sdktest.Request{Path: "/wait/1"}), plugin.BeginRequest(sdktest.Request{Path: "/wait/2"})
	receive(t, begun, "the first hook begins")
	receive(t, begun, "the second hook begins")
	for range 10 {
		plugin.BeginRequest(sdktest.Request{Path: "/queued"}).Cancel()
	}
	one.Cancel()
	receive(t, ended, "the first context ends")
	other.Cancel()
	receive(t, ended, "the second context ends")
	if got := plugin.AuthorizeRequest(sdktest.Request{Path: "/last"}); !got.Allowed {
		t.Errorf("after all were cancelled: %v", got)
	}
	if path := receive(t, begun, "a hook begins"); path != "/last" {
		t.Errorf("a hook began for %s, which was cancelled before", path)
	}
}

// TestContextsThatAreKept holds that a context which is first looked at when its
// hook has returned has ended, and leaves the next calls alone.
func TestContextsThatAreKept(t *testing.T) {
	for _, concurrency := range []int{1, 2} {
		kept := make(chan context.Context, 100)
		p := deciding(func(ctx context.Context, _ sdk.Request) sdk.Verdict { kept <- ctx; return sdk.Allow() })
		p.manifest.Concurrency = concurrency
		plugin := sdktest.Start(t, p, nil)
		for range 3 {
			if !plugin.AuthorizeRequest(sdktest.Request{}).Allowed {
				t.Error("denied")
			}
			ctx := <-kept
			receive(t, ctx.Done(), "the kept context has ended")
			if ctx.Err() == nil {
				t.Error("the kept context has no error")
			}
		}
	}
}

// TestVerdictsDoNotWait holds that the verdicts of calls before one that waits are
// sent, though all came in one read.
func TestVerdictsDoNotWait(t *testing.T) {
	p, begun, ended := waiting(1)
	plugin := sdktest.Start(t, p, nil)
	hold := plugin.BeginRequest(sdktest.Request{Path: "/wait/first"})
	receive(t, begun, "the first hook begins")
	before := plugin.BeginRequest(sdktest.Request{Path: "/before"})
	after := plugin.BeginRequest(sdktest.Request{Path: "/wait/second"})
	hold.Cancel()
	receive(t, ended, "the first context ends")
	if !before.Verdict().Allowed {
		t.Error("denied")
	}
	after.Cancel()
	receive(t, ended, "the second context ends")
}

// TestTheEdgeGoes holds that hooks are told, and that ServeConn says so.
func TestTheEdgeGoes(t *testing.T) {
	for _, concurrency := range []int{1, 3} {
		p, begun, ended := waiting(concurrency)
		host, served := serve(t, t.Context(), p)
		host.call(t, "/wait")
		receive(t, begun, "the hook begins")
		host.conn.Close()
		receive(t, ended, "the context ends")
		if err := receive(t, served, "ServeConn returns"); !errors.Is(err, sdk.ErrHostGone) {
			t.Errorf("concurrency %d: ServeConn: %v", concurrency, err)
		}
	}
}

func TestTheContextOfServeConnEnds(t *testing.T) {
	for _, concurrency := range []int{1, 3} {
		p, begun, ended := waiting(concurrency)
		ctx, cancel := context.WithCancel(t.Context())
		host, served := serve(t, ctx, p)
		host.call(t, "/wait")
		receive(t, begun, "the hook begins")
		cancel()
		receive(t, ended, "the context ends")
		if err := receive(t, served, "ServeConn returns"); !errors.Is(err, context.Canceled) {
			t.Errorf("concurrency %d: ServeConn: %v", concurrency, err)
		}
		host.conn.Close()
	}
}

// TestHooksThatDoNotHeed holds that ServeConn returns although a hook goes on.
func TestHooksThatDoNotHeed(t *testing.T) {
	begun, release := make(chan struct{}), make(chan struct{})
	var done sync.WaitGroup
	done.Add(1)
	p := deciding(func(context.Context, sdk.Request) sdk.Verdict {
		defer done.Done()
		close(begun)
		<-release
		return sdk.Allow()
	}, sdk.Path)
	p.manifest.Concurrency = 2
	host, served := serve(t, t.Context(), p)
	host.call(t, "/")
	receive(t, begun, "the hook begins")
	host.conn.Close()
	if err := receive(t, served, "ServeConn returns"); !errors.Is(err, sdk.ErrHostGone) {
		t.Errorf("ServeConn: %v", err)
	}
	close(release)
	done.Wait()
}

func TestPanics(t *testing.T) {
	for _, concurrency := range []int{1, 4} {
		p := allowing(concurrency)
		p.connection = func(context.Context, sdk.Connection) sdk.Verdict { panic("in connection") }
		p.request = func(context.Context, sdk.Request) sdk.Verdict { panic(errors.New("in request")) }
		p.response = func(_ context.Context, r sdk.Response) sdk.Verdict {
			return sdk.Allow().SetHeader("X-A", r.HeaderValues("x-tenant")[0]) // There is none.
		}
		p.observe = func(sdk.Response) { panic("in observe") }
		plugin := sdktest.Start(t, p, nil)
		for range 3 {
			plugin.Observe(sdktest.Response{})
			for kind, got := range map[string]sdktest.Verdict{
				"connection": plugin.AuthorizeConnection(sdktest.Connection{}),
				"request":    plugin.AuthorizeRequest(sdktest.Request{}),
				"response":   plugin.ShapeResponse(sdktest.Response{}),
			} {
				if got.Allowed || got.Status != 500 || got.Reason != "plugin panicked" {
					t.Errorf("%s: %v", kind, got)
				}
			}
		}
		for _, text := range []string{"panic=in connection", "panic=in request", "panic=runtime error: index out of range [0]", "panic=in observe", "calls_test.go"} {
			plugin.WaitForLog(text)
		}
	}
}

func TestObserve(t *testing.T) {
	for _, concurrency := range []int{1, 4} {
		seen := make(chan int, 1)
		p := allowing(concurrency)
		p.observe = func(r sdk.Response) { seen <- r.Status() }
		sdktest.Start(t, p, nil).Observe(sdktest.Response{Status: 418})
		if got := receive(t, seen, "the observer is told"); got != 418 {
			t.Errorf("status %d", got)
		}
	}
}

// TestHooksThatWereNotOffered holds that a host which asks for more is denied.
func TestHooksThatWereNotOffered(t *testing.T) {
	plugin := sdktest.Start(t, deciding(func(context.Context, sdk.Request) sdk.Verdict { return sdk.Allow() }), nil)
	for kind, got := range map[string]sdktest.Verdict{
		"connection": plugin.AuthorizeConnection(sdktest.Connection{}),
		"response":   plugin.ShapeResponse(sdktest.Response{}),
	} {
		if got.Allowed {
			t.Errorf("%s: %v", kind, got)
		}
	}
	plugin.Observe(sdktest.Response{})
	if got := plugin.AuthorizeRequest(sdktest.Request{}); !got.Allowed {
		t.Errorf("request: %v", got)
	}
}
