package sdk_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/sdk"
	"github.com/sallyport/sallyport/sdk/frame"
	"github.com/sallyport/sallyport/sdk/sdktest"
)

// background is a plugin with work in the background.
type background struct {
	*onRequest
	run func(context.Context, *sdk.Host) error
}

func (p *background) Run(ctx context.Context, host *sdk.Host) error { return p.run(ctx, host) }

func allow(context.Context, sdk.Request) sdk.Verdict { return sdk.Allow() }

func TestInvalidate(t *testing.T) {
	one := [32]byte{1, 2, 3}
	plugin := sdktest.Start(t, &background{deciding(allow), func(_ context.Context, host *sdk.Host) error {
		host.Invalidate(one)
		host.InvalidateAll()
		return nil
	}}, nil)
	if got, all := plugin.WaitForInvalidation(1); got != one || all {
		t.Errorf("first: %x, all %v", got, all)
	}
	if _, all := plugin.WaitForInvalidation(2); !all {
		t.Error("second: not all")
	}
	if !plugin.AuthorizeRequest(sdktest.Request{}).Allowed {
		t.Error("after Run has returned: denied")
	}
}

// TestVerdictsThatWereOvertaken holds that a verdict which was decided before an
// invalidation, and sent after it, is not kept by the edge.
func TestVerdictsThatWereOvertaken(t *testing.T) {
	for _, concurrency := range []int{1, 4} {
		hosts := make(chan *sdk.Host, 1)
		begun, release := make(chan struct{}, 1), make(chan struct{})
		p := deciding(func(_ context.Context, r sdk.Request) sdk.Verdict {
			if r.Path() == "/slow" {
				begun <- struct{}{}
				<-release
			}
			return sdk.Allow().For(time.Minute)
		}, sdk.Path)
		p.manifest.Concurrency = concurrency
		plugin := sdktest.Start(t, &background{p, func(_ context.Context, h *sdk.Host) error { hosts <- h; return nil }}, nil)
		host := receive(t, hosts, "Run is called")
		slow := plugin.BeginRequest(sdktest.Request{Path: "/slow"})
		receive(t, begun, "the hook begins")
		host.Invalidate([32]byte{})
		close(release)
		if got := slow.Verdict(); !got.Allowed || got.For != 0 {
			t.Errorf("concurrency %d, overtaken: %v", concurrency, got)
		}
		if got := plugin.AuthorizeRequest(sdktest.Request{}); got.For != time.Minute {
			t.Errorf("concurrency %d, after it: %v", concurrency, got)
		}
	}
}

func TestRun(t *testing.T) {
	ended := make(chan struct{})
	p := &background{deciding(allow), func(ctx context.Context, _ *sdk.Host) error {
		<-ctx.Done()
		close(ended)
		return ctx.Err()
	}}
	plugin := sdktest.Start(t, p, nil)
	if err := plugin.Stop(); err != nil {
		t.Errorf("after GOAWAY: %v", err)
	}
	receive(t, ended, "the context of Run ends")
	for want, run := range map[string]func(context.Context, *sdk.Host) error{
		"run: list is gone":          func(context.Context, *sdk.Host) error { return errors.New("list is gone") },
		"run: plugin panicked: boom": func(context.Context, *sdk.Host) error { panic("boom") },
	} {
		for _, concurrency := range []int{1, 4} {
			p := deciding(allow)
			p.manifest.Concurrency = concurrency
			h, served := serve(t, t.Context(), &background{p, run})
			if err := receive(t, served, "ServeConn returns"); err == nil || err.Error() != want {
				t.Errorf("ServeConn: %v, want %s", err, want)
			}
			h.conn.Close()
		}
	}
}

func TestLog(t *testing.T) {
	p := deciding(func(ctx context.Context, r sdk.Request) sdk.Verdict {
		l := sdk.Logger(ctx)
		l.Debug("not sent")
		l.Info("first", "path", r.Path(), slog.Group("of", "a", 1, slog.Group("b", "c", true)), "", "dropped")
		l.With("kept", time.Second).WithGroup("g").With("h", "i").Warn("second", "error", errors.New("bad\nvalue"))
		l.Error("long", "value", strings.Repeat("a", 20_000), "after", "b")
		l.Error(strings.Repeat("m", 20_000))
		l.Info("many", manyAttrs(100)...)
		l.Info("NUL in a key", "a\x00b", "c\x00d")
		return sdk.Allow()
	}, sdk.Path)
	plugin := sdktest.Start(t, p, nil)
	if !plugin.AuthorizeRequest(sdktest.Request{Path: "/a"}).Allowed {
		t.Error("denied")
	}
	for text, want := range map[string]string{
		"first":        "INFO first path=/a of.a=1 of.b.c=true",
		"second":       "WARN second kept=1s g.h=i g.error=bad\nvalue",
		"NUL in a key": "INFO NUL in a key a?b=c\x00d",
	} {
		if got := plugin.WaitForLog(text); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if got := plugin.WaitForLog("long value="); len(got) < 8000 {
		t.Errorf("long value was cut to %d bytes", len(got))
	}
	if got := plugin.WaitForLog("mmm"); len(got) < 8000 {
		t.Errorf("long message was cut to %d bytes", len(got))
	}
	if got := plugin.WaitForLog("many"); strings.Count(got, "=") != frame.MaxAttrs-1 {
		t.Errorf("%d facts in %s", strings.Count(got, "="), got)
	}
	if got := plugin.WaitForLog("INFO"); strings.Contains(got, "not sent") {
		t.Error(got)
	}
}

func manyAttrs(n int) (attrs []any) {
	for i := range n {
		attrs = append(attrs, fmt.Sprintf("k%d", i), i)
	}
	return attrs
}

func TestLogLevel(t *testing.T) {
	p := deciding(func(ctx context.Context, _ sdk.Request) sdk.Verdict {
		sdk.Logger(ctx).Debug("sent")
		return sdk.Allow()
	})
	p.manifest.LogLevel = slog.LevelDebug
	plugin := sdktest.Start(t, p, nil)
	plugin.AuthorizeRequest(sdktest.Request{})
	if got := plugin.WaitForLog("sent"); got != "DEBUG sent" {
		t.Error(got)
	}
}
