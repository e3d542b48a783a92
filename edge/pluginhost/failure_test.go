package pluginhost

import (
	"encoding/binary"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/sdk/frame"
)

// short is a timeout that a test wants to be missed.
func short(p *config.Plugin) { p.Timeout = config.Duration(20 * time.Millisecond) }

func TestVerdicts(t *testing.T) {
	f := &fake{answer: func(p *peer, f frame.Frame) {
		if f.Type == frame.Connection {
			p.verdict(f.ID, frame.VerdictBody{Decision: frame.Deny, Status: 401, Reason: "who", Ban: 3, Edits: []frame.Edit{{Op: frame.SetHeader, Name: "WWW-Authenticate", Value: "x"}}})
			return
		}
		p.verdict(f.ID, frame.VerdictBody{Decision: frame.Allow, Edits: []frame.Edit{{Op: frame.SetHeader, Name: "X-Unit", Value: "a"}}})
	}}
	r := one(t, f, nil)
	d := r.ask(connection(), get("/"))
	r.wants(d, Admitted, 0)
	if !d.Edits.Drops("x-unit") {
		t.Error("the verdict's edit is not there")
	}
	var c Decision
	r.chain.Connection(connection(), &c)
	r.wants(&c, Denied, 0)
	if c.Status != 401 || c.Reason != "who" || c.Plugin != "p" || c.Ban != 3 || !c.Edits.Drops("WWW-Authenticate") {
		t.Errorf("got %+v", c)
	}
}

// TestZeroDecisionRefuses is about who forgets to ask.
func TestZeroDecisionRefuses(t *testing.T) {
	var d Decision
	if d.Outcome == Admitted {
		t.Error("the zero Decision admits")
	}
}

// TestMisbehaviour has a plugin do what it must not: nothing is admitted, and it
// serves again afterwards.
func TestMisbehaviour(t *testing.T) {
	raw := func(id uint32, parts ...byte) []byte {
		b := frame.Begin(nil, frame.Verdict, id)
		return frame.End(append(b, parts...), 0)
	}
	tooLong := make([]byte, 12)
	binary.LittleEndian.PutUint32(tooLong, frame.DefaultMax+1)
	tooLong[4] = byte(frame.Verdict)
	for _, test := range []struct {
		name    string
		answer  func(p *peer, f frame.Frame)
		failure Failure
		restart bool
	}{
		{"exits", func(p *peer, f frame.Frame) { p.exit(nil) }, Down, true},
		{"garbage", func(p *peer, f frame.Frame) { p.send([]byte(strings.Repeat("garbage ", 100))) }, Malformed, true},
		{"no field", func(p *peer, f frame.Frame) { p.send(raw(f.ID, 1, 2, 3)) }, Malformed, true},
		{"an id that is none", func(p *peer, f frame.Frame) { p.verdict(f.ID+7, frame.VerdictBody{Decision: frame.Allow}) }, Malformed, true},
		{"an id of another time", func(p *peer, f frame.Frame) { p.verdict(1, frame.VerdictBody{Decision: frame.Allow}) }, Malformed, true},
		{"id zero", func(p *peer, f frame.Frame) { p.send(raw(0)) }, Malformed, true},
		{"a frame too long", func(p *peer, f frame.Frame) { p.send(tooLong) }, Malformed, true},
		{"half a frame", func(p *peer, f frame.Frame) { p.send(raw(f.ID)[:7]); p.exit(nil) }, Down, true},
		{"a host's frame", func(p *peer, f frame.Frame) { p.send(frame.Append(nil, frame.Ping, 9)) }, Malformed, true},
		{"HELLO again", func(p *peer, f frame.Frame) {
			p.send(frame.End(p.fake.hello.Append(frame.Begin(nil, frame.Hello, 0)), 0))
		}, Malformed, true},
		{"PONG without PING", func(p *peer, f frame.Frame) { p.send(frame.Append(nil, frame.Pong, 3)) }, Malformed, true},
		{"bad INVALIDATE", func(p *peer, f frame.Frame) {
			p.send(frame.End(frame.AppendString(frame.Begin(nil, frame.Invalidate, 0), frame.TagLeaf, "short"), 0))
		}, Malformed, true},
		{"bad status", func(p *peer, f frame.Frame) { p.verdict(f.ID, frame.VerdictBody{Decision: frame.Deny, Status: 200}) }, Malformed, false},
		{"CR LF in a value", func(p *peer, f frame.Frame) {
			p.verdict(f.ID, frame.VerdictBody{Decision: frame.Allow, Edits: []frame.Edit{{Op: frame.SetHeader, Name: "A", Value: "b\r\nC: d"}}})
		}, Malformed, false},
		{"33 edits", func(p *peer, f frame.Frame) {
			p.verdict(f.ID, frame.VerdictBody{Decision: frame.Allow, Edits: make33()})
		}, Malformed, false},
		{"a reason that no log may have", func(p *peer, f frame.Frame) {
			p.verdict(f.ID, frame.VerdictBody{Decision: frame.Deny, Reason: "no\x1b[2J"})
		}, Malformed, false},
		{"depends on what was not declared", func(p *peer, f frame.Frame) {
			p.verdict(f.ID, frame.VerdictBody{Decision: frame.Allow, TTL: time.Second, Depends: []string{"request.path"}})
		}, Malformed, false},
		{"touches framing", func(p *peer, f frame.Frame) {
			p.verdict(f.ID, frame.VerdictBody{Decision: frame.Allow, Edits: []frame.Edit{{Op: frame.SetHeader, Name: "Content_Length", Value: "3"}}})
		}, Malformed, false},
		{"touches identity", func(p *peer, f frame.Frame) {
			p.verdict(f.ID, frame.VerdictBody{Decision: frame.Allow, Edits: []frame.Edit{{Op: frame.AddHeader, Name: "x-client.subject", Value: "root"}}})
		}, Malformed, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			var once sync.Once
			f := &fake{answer: func(p *peer, f frame.Frame) {
				bad := false
				once.Do(func() { bad = true })
				if bad {
					test.answer(p, f)
				} else {
					allow(p, f)
				}
			}}
			r := one(t, f, nil)
			r.wants(r.ask(connection(), get("/")), Unavailable, test.failure)
			r.await("serving again", func() bool { return r.ask(connection(), get("/")).Outcome == Admitted })
			if restarted := f.started() > 1; restarted != test.restart {
				t.Errorf("restarted is %t, want %t", restarted, test.restart)
			}
			if n := r.host.Status()[0].Stats["request"].Failed[test.failure.String()]; n == 0 {
				t.Errorf("the failure %q was not counted", test.failure)
			}
		})
	}
}

func make33() []frame.Edit {
	edits := make([]frame.Edit, 33)
	for i := range edits {
		edits[i] = frame.Edit{Op: frame.SetHeader, Name: "A", Value: "b"}
	}
	return edits
}

// TestSecondAnswer is malformed: an answer to a call that has had its own could be
// another one's.
func TestSecondAnswer(t *testing.T) {
	f := &fake{answer: func(p *peer, f frame.Frame) {
		v := frame.VerdictBody{Decision: frame.Allow}
		one := frame.End(v.Append(frame.Begin(nil, frame.Verdict, f.ID)), 0)
		p.send(append(one, one...))
	}}
	r := one(t, f, nil)
	r.wants(r.ask(connection(), get("/")), Admitted, 0)
	r.await("started again", func() bool { return f.started() > 1 })
}

// TestLateAnswer comes behind the CANCEL: it is dropped, and nobody's.
func TestLateAnswer(t *testing.T) {
	held := make(chan frame.Frame, 1)
	f := &fake{}
	f.answer = func(p *peer, f frame.Frame) {
		select {
		case held <- f:
		default:
			allow(p, f)
		}
	}
	r := one(t, f, short)
	r.wants(r.ask(connection(), get("/")), Unavailable, Timeout)
	p := f.peer()
	r.await("cancelled", func() bool { return p.saw(frame.Cancel) })
	late := <-held
	held <- late // from now on calls are answered
	p.verdict(late.ID, frame.VerdictBody{Decision: frame.Allow})
	r.await("serving", func() bool { return r.ask(connection(), get("/")).Outcome == Admitted })
	if f.started() != 1 {
		t.Error("a late answer ended the plugin")
	}
	p.verdict(late.ID, frame.VerdictBody{Decision: frame.Allow})
	r.await("ended by the same answer once more", func() bool { return f.started() == 2 })
}

// TestHang kills what neither answers calls nor PINGs, and starts it again.
func TestHang(t *testing.T) {
	for _, test := range []struct {
		name string
		hang func(*fake, bool)
	}{
		{"reads, and answers nothing", func(f *fake, on bool) { f.notPing.Store(on) }},
		{"does not read", func(f *fake, on bool) { f.deaf.Store(on) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := &fake{answer: func(p *peer, f frame.Frame) {
				if !p.fake.notPing.Load() && !p.fake.deaf.Load() {
					allow(p, f)
				}
			}}
			r := one(t, f, short)
			first := f.peer()
			r.await("serving", func() bool { return r.ask(connection(), get("/")).Outcome == Admitted })
			test.hang(f, true)
			began := time.Now()
			for f.started() == 1 && time.Since(began) < patience {
				d := r.ask(connection(), get("/"+strings.Repeat("x", 4000)))
				if d.Outcome == Admitted && f.started() == 1 {
					t.Fatal("admitted by a plugin that hangs")
				}
				select {
				case <-first.done:
					test.hang(f, false)
				default:
				}
			}
			r.await("serving again", func() bool { return r.ask(connection(), get("/")).Outcome == Admitted })
			if n := r.host.Status()[0].Stats["request"].Failed["breaker"]; n == 0 {
				t.Error("the breaker never opened")
			}
		})
	}
}

// TestCanary: a plugin that is slow and not gone is asked again, one question at
// a time, once it answers in time.
func TestCanary(t *testing.T) {
	f := &fake{answer: func(*peer, frame.Frame) {}}
	var slow sync.Mutex
	slow.Lock()
	f.answer = func(p *peer, f frame.Frame) {
		if slow.TryLock() {
			slow.Unlock()
			allow(p, f)
		}
	}
	r := one(t, f, short)
	for range breakerRow {
		r.wants(r.ask(connection(), get("/")), Unavailable, Timeout)
	}
	r.await("not asked", func() bool { return r.ask(connection(), get("/")).Failure == Breaker })
	slow.Unlock()
	r.await("asked again", func() bool { return r.ask(connection(), get("/")).Outcome == Admitted })
	if f.started() != 1 {
		t.Error("it was started again")
	}
}

func TestOverload(t *testing.T) {
	release := make(chan struct{})
	f := &fake{}
	f.answer = func(p *peer, f frame.Frame) {
		go func() { <-release; allow(p, f) }()
	}
	r := one(t, f, func(p *config.Plugin) { p.InFlight = 2 })
	var group sync.WaitGroup
	for range 2 {
		group.Go(func() { r.wants(r.ask(connection(), get("/")), Admitted, 0) })
	}
	r.await("in flight", func() bool { return r.host.Status()[0].InFlight == 2 })
	r.wants(r.ask(connection(), get("/")), Unavailable, Overload)
	close(release)
	group.Wait()
	r.wants(r.ask(connection(), get("/")), Admitted, 0)
}

func TestOversized(t *testing.T) {
	f := &fake{hello: frame.HelloBody{Needs: []string{"request.path"}, MaxFrame: frame.MinMax}}
	r := one(t, f, nil)
	r.wants(r.ask(connection(), get("/"+strings.Repeat("x", frame.MinMax))), Unavailable, Oversized)
	r.wants(r.ask(connection(), get("/")), Admitted, 0)
}

func TestOnErrorAllow(t *testing.T) {
	f := &fake{answer: func(p *peer, f frame.Frame) { p.exit(nil) }}
	r := one(t, f, func(p *config.Plugin) { p.OnError = config.OnErrorAllow })
	d := r.ask(connection(), get("/"))
	if r.wants(d, Admitted, 0); !d.Open {
		t.Error("what is let in without a verdict is not told from what is")
	}
	if n := r.host.Status()[0].Stats["request"].AllowedOnError; n != 1 {
		t.Errorf("let in without a verdict: counted %d, want 1", n)
	}
	if !strings.Contains(r.log.String(), "LET IN WITHOUT A VERDICT") {
		t.Error("not logged")
	}
}
