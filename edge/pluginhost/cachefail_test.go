package pluginhost

import (
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/sdk/frame"
)

// TestFailuresOfOneFlight: each question without a verdict counts, those that waited
// for the answer to another one too.
func TestFailuresOfOneFlight(t *testing.T) {
	f := &fake{hello: frame.HelloBody{Needs: []string{"request.path"}}}
	f.answer = func(p *peer, call frame.Frame) {
		for _, field := range fields(call) {
			if field == "request.path=/kept" {
				p.verdict(call.ID, frame.VerdictBody{Decision: frame.Allow, TTL: time.Minute})
			}
		}
	}
	r := one(t, f, func(p *config.Plugin) { p.Timeout = config.Duration(300 * time.Millisecond) })
	r.wants(r.ask(connection(), get("/kept")), Admitted, 0)
	const n = 4
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			if d := r.ask(connection(), get("/never")); d.Outcome != Unavailable {
				t.Errorf("got outcome %v", d.Outcome)
			}
		})
	}
	all.Wait()
	failed := uint64(0)
	for _, count := range r.host.Status()[0].Stats["request"].Failed {
		failed += count
	}
	if failed != n {
		t.Errorf("%d failures counted, want %d", failed, n)
	}
}
