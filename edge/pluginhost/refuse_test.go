package pluginhost

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/sdk/frame"
)

func failOpen(p *config.Plugin) { p.OnError = config.OnErrorAllow }

// TestOnErrorAllowIsForNoAnswer: a plugin that has said something, however wrongly,
// may have said no.
func TestOnErrorAllowIsForNoAnswer(t *testing.T) {
	for _, test := range []struct {
		name   string
		answer func(p *peer, f frame.Frame)
	}{
		{"denial with the status of a success", func(p *peer, f frame.Frame) {
			p.verdict(f.ID, frame.VerdictBody{Decision: frame.Deny, Status: 200})
		}},
		{"denial with a reason that is not printable", func(p *peer, f frame.Frame) {
			p.verdict(f.ID, frame.VerdictBody{Decision: frame.Deny, Reason: "\xff\n"})
		}},
		{"denial with a header that frames the answer", func(p *peer, f frame.Frame) {
			p.verdict(f.ID, frame.VerdictBody{Decision: frame.Deny, Edits: []frame.Edit{{Op: frame.SetHeader, Name: "Content-Length", Value: "1"}}})
		}},
		{"allow with somebody's identity", func(p *peer, f frame.Frame) {
			p.verdict(f.ID, frame.VerdictBody{Decision: frame.Allow, Edits: []frame.Edit{{Op: frame.SetHeader, Name: "X-Client-Subject", Value: "root"}}})
		}},
		{"verdict of half a field", func(p *peer, f frame.Frame) {
			p.send(frame.End(append(frame.Begin(nil, frame.Verdict, f.ID), 1, 2, 3), 0))
		}},
		{"no frame", func(p *peer, f frame.Frame) { p.send([]byte(strings.Repeat("garbage ", 100))) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := one(t, &fake{answer: test.answer}, failOpen)
			r.wants(r.ask(connection(), get("/")), Unavailable, Malformed)
			if n := r.host.Status()[0].Stats["request"].AllowedOnError; n != 0 {
				t.Errorf("let in without a verdict: counted %d, want none", n)
			}
		})
	}
}

// TestOnErrorAllowByFailure has every Failure: those added later are to be thought
// about here.
func TestOnErrorAllowByFailure(t *testing.T) {
	allowed := map[Failure]bool{Timeout: true, Down: true, Overload: true, Breaker: true, Malformed: false, Oversized: false}
	for _, f := range append(Failures(), 0, failures) {
		if f.mayAllow() != allowed[f] {
			t.Errorf("failure %q: may allow is %t, want %t", f, f.mayAllow(), allowed[f])
		}
	}
}

// TestOversizedNeverPasses: how long a request is, is up to the client. Nor does it
// pass as something else while the plugin is away.
func TestOversizedNeverPasses(t *testing.T) {
	f := &fake{hello: frame.HelloBody{Needs: []string{"request.path"}, MaxFrame: frame.MinMax}}
	r := one(t, f, failOpen)
	long := func() *Request { return get("/" + strings.Repeat("x", frame.MinMax)) }
	r.wants(r.ask(connection(), long()), Unavailable, Oversized)
	f.peer().exit(errors.New("gone"))
	first := r.chain.plugins[0].current.Load()
	<-first.dead
	r.wants(r.ask(connection(), long()), Unavailable, Oversized)
	r.wants(r.ask(connection(), get("/")), Admitted, 0)

	// A canary that is too long would keep the breaker open.
	i := r.chain.plugins[0].current.Load()
	i.breaker.word.Store(ajar)
	r.wants(r.ask(connection(), long()), Unavailable, Oversized)
	if i.breaker.word.Load() != ajar {
		t.Error("what is too long was the canary")
	}
}

// TestBadVerdictsCostTheirCallsOnly: a client who can have a plugin answer badly
// must not have it ended, and shut out everybody else so.
func TestBadVerdictsCostTheirCallsOnly(t *testing.T) {
	f := &fake{hello: frame.HelloBody{Needs: []string{"request.path"}}}
	var mu sync.Mutex
	var held []uint32
	f.answer = func(p *peer, f frame.Frame) {
		switch path := fields(f)[0]; {
		case strings.HasSuffix(path, "/held"):
			mu.Lock()
			defer mu.Unlock()
			held = append(held, f.ID)
		default: // the path, as it came, is the reason
			p.verdict(f.ID, frame.VerdictBody{Decision: frame.Deny, Reason: path})
		}
	}
	r := one(t, f, nil)
	var group sync.WaitGroup
	group.Go(func() { r.wants(r.ask(connection(), get("/held")), Admitted, 0) })
	waits := func() bool { mu.Lock(); defer mu.Unlock(); return len(held) == 1 }
	r.await("asked", waits)
	for range 4 * budget {
		r.wants(r.ask(connection(), get("/\x01")), Unavailable, Malformed)
		r.wants(r.ask(connection(), get("/a")), Denied, 0)
	}
	f.peer().verdict(held[0], frame.VerdictBody{Decision: frame.Allow})
	group.Wait()
	s := r.host.Status()[0]
	if f.started() != 1 || s.State != Serving {
		t.Errorf("%d starts, state %s; want 1, %s", f.started(), s.State, Serving)
	}
	if n := s.Stats["request"].Failed["malformed"]; n != 4*budget {
		t.Errorf("%d counted as malformed, want %d", n, 4*budget)
	}
}

// TestLateBadVerdict is nobody's, as a good one is.
func TestLateBadVerdict(t *testing.T) {
	held := make(chan frame.Frame, 1)
	f := &fake{answer: func(p *peer, f frame.Frame) {
		select {
		case held <- f:
		default:
			allow(p, f)
		}
	}}
	r := one(t, f, short)
	r.wants(r.ask(connection(), get("/")), Unavailable, Timeout)
	late := <-held
	held <- late
	f.peer().verdict(late.ID, frame.VerdictBody{Decision: frame.Deny, Status: 200})
	r.await("serving", func() bool { return r.ask(connection(), get("/")).Outcome == Admitted })
	if f.started() != 1 {
		t.Error("a late answer ended the plugin")
	}
}

// TestOpenOutlastsTheNextVerdict: that another plugin has allowed what one has said
// nothing about makes no verdict of that one. And a decision that is used again
// forgets it.
func TestOpenOutlastsTheNextVerdict(t *testing.T) {
	gone := &fake{hello: frame.HelloBody{Name: "gone", Hooks: frame.HookConnection}}
	there := &fake{hello: frame.HelloBody{Name: "there", Hooks: frame.HookConnection}}
	r := newRig(t, map[string]*fake{"gone": gone, "there": there})
	err := r.configure(map[string]config.Plugin{"gone": pluginConfig(failOpen), "there": pluginConfig(failOpen)}, "gone", "there")
	if err != nil {
		t.Fatal(err)
	}
	var d Decision
	if r.chain.Connection(connection(), &d); d.Outcome != Admitted || d.Open {
		t.Errorf("with both verdicts: outcome %d, open %t", d.Outcome, d.Open)
	}
	r.chain.plugins[0].current.Load().breaker.word.Store(open)
	if r.chain.Connection(connection(), &d); d.Outcome != Admitted || !d.Open {
		t.Errorf("with one verdict: outcome %d, open %t", d.Outcome, d.Open)
	}
	r.chain.plugins[0].current.Load().breaker.word.Store(0)
	if r.chain.Connection(connection(), &d); d.Outcome != Admitted || d.Open {
		t.Errorf("with both again: outcome %d, open %t", d.Outcome, d.Open)
	}
}
