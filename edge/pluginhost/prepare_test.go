package pluginhost

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/sdk/frame"
)

// readied counts what becomes of prepared starts.
type readied struct {
	fake                         *fake
	spec                         Spec
	prepared, started, discarded atomic.Int64
}

func (r *readied) prepare(spec Spec) (Prepared, error) {
	r.spec = spec
	r.prepared.Add(1)
	return r, nil
}

func (r *readied) Start(ctx context.Context) (Process, error) {
	r.started.Add(1)
	return r.fake.start(ctx, r.spec)
}

func (r *readied) Discard() { r.discarded.Add(1) }

// TestRestartsArePrepared: a start that is due later is prepared meanwhile, and what
// is prepared is used, or given back.
func TestRestartsArePrepared(t *testing.T) {
	f := &fake{hello: frame.HelloBody{Name: "f", Hooks: frame.HookRequest}}
	r := newRig(t, map[string]*fake{"p": f})
	ready := &readied{fake: f}
	r.host.prepare = ready.prepare
	if err := r.configure(map[string]config.Plugin{"p": pluginConfig(nil)}, "p"); err != nil {
		t.Fatal(err)
	}
	if ready.prepared.Load() != 0 {
		t.Error("the first start, which is due at once, was prepared")
	}
	f.peer().exit(errors.New("crashed"))
	r.await("started again", func() bool { return f.started() == 2 && r.host.Status()[0].State == Serving })
	if ready.prepared.Load() != 1 || ready.started.Load() != 1 || ready.discarded.Load() != 0 {
		t.Errorf("prepared %d, started %d, discarded %d", ready.prepared.Load(), ready.started.Load(), ready.discarded.Load())
	}
	if took := r.host.Status()[0].StartTook; took <= 0 || took > patience.Seconds() {
		t.Errorf("the start took %v s", took)
	}
	r.wants(r.ask(connection(), get("/")), Admitted, 0)

	// The configuration loses the plugin while it waits for its time.
	released := make(chan struct{})
	r.host.prepare = func(spec Spec) (Prepared, error) {
		defer close(released)
		return ready.prepare(spec)
	}
	p := r.host.plugins["p"]
	f.peer().exit(errors.New("crashed again"))
	<-released
	p.cancel()
	<-p.over
	if n := ready.started.Load() + ready.discarded.Load(); n != 2 {
		t.Errorf("of 2 that were prepared %d were used or given back", n)
	}
}
