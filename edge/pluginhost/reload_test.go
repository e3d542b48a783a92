package pluginhost

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/sdk/frame"
)

// TestReloadLosesNothing changes a plugin's configuration again and again under
// load: each request has its verdict, and nothing of the old processes is left.
func TestReloadLosesNothing(t *testing.T) {
	f := &fake{}
	f.answer = func(p *peer, f frame.Frame) {
		go func() { time.Sleep(time.Millisecond); allow(p, f) }() // so that some are always on their way
	}
	r := one(t, f, nil)
	var chain atomic.Pointer[Chain]
	chain.Store(r.chain)
	var asked, lost atomic.Int64
	stop := make(chan struct{})
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				c := chain.Load()
				if !c.Enter() {
					continue
				}
				var d Decision
				if c.Request(connection(), get("/"), nil, &d); d.Outcome != Admitted {
					lost.Add(1)
				}
				c.Leave()
				asked.Add(1)
			}
		})
	}
	var peers []*peer
	for i := range 10 {
		before := asked.Load()
		r.await("asked", func() bool { return asked.Load() > before+20 })
		peers = append(peers, f.peer())
		cfg := pluginConfig(func(p *config.Plugin) { p.Config = config.PluginConfig(`{"n":` + string(rune('0'+i)) + `}`) })
		if err := r.configure(map[string]config.Plugin{"p": cfg}, "p"); err != nil {
			t.Fatal(err)
		}
		chain.Store(r.chain)
	}
	for _, p := range peers {
		r.await("dismissed", func() bool { return p.saw(frame.GoAway) })
		<-p.done
	}
	close(stop)
	group.Wait()
	if lost.Load() > 0 {
		t.Errorf("%d of %d requests had no verdict", lost.Load(), asked.Load())
	}
	if f.config != `{"n":9}` {
		t.Errorf("the last one has the configuration %s", f.config)
	}
}

func TestReloadKeepsWhatIsUnchanged(t *testing.T) {
	f := &fake{}
	r := one(t, f, nil)
	before := r.chain
	if err := r.configure(map[string]config.Plugin{"p": pluginConfig(nil)}, "p"); err != nil {
		t.Fatal(err)
	}
	if f.started() != 1 || r.chain != before {
		t.Errorf("started %d times, and the same chain is %t", f.started(), r.chain == before)
	}
}

// TestUpgrade: another file under the same name is another plugin.
func TestUpgrade(t *testing.T) {
	program := filepath.Join(t.TempDir(), "program")
	write := func(text string) {
		if err := os.WriteFile(program+".new", []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(program+".new", program); err != nil {
			t.Fatal(err)
		}
	}
	write("one")
	f := &fake{}
	change := func(p *config.Plugin) { p.Command = []string{program} }
	r := one(t, f, change)
	reload := func() {
		t.Helper()
		if err := r.configure(map[string]config.Plugin{"p": pluginConfig(change)}, "p"); err != nil {
			t.Fatal(err)
		}
	}
	reload()
	if f.started() != 1 {
		t.Error("started again for nothing")
	}
	write("two")
	first := f.peer()
	reload()
	if f.started() != 2 {
		t.Error("the new program was not started")
	}
	r.await("gone", func() bool { return first.saw(frame.GoAway) })
}

// TestRefusedReload leaves everything as it was.
func TestRefusedReload(t *testing.T) {
	r := one(t, &fake{}, nil)
	chain := r.chain
	for _, test := range []struct {
		name   string
		want   string
		change func(*config.Plugin)
		spoil  func(*fake)
	}{
		{"it does not start", "no such program", func(p *config.Plugin) { p.Command = []string{"missing"} }, nil},
		{"it refuses its configuration", "refuses its configuration: no", nil, func(f *fake) { f.refuse = "no" }},
		{"a hook that it does not have", "want shape_response too", func(p *config.Plugin) { p.Hooks = []config.PluginHook{"request", "shape_response"} }, nil},
		{"another protocol", "speaks versions [7]", nil, func(f *fake) { f.hello.Protocols = []uint32{7} }},
		{"an identity header of its own", "carries a client's identity", nil, func(f *fake) { f.hello.Owns = []string{"X_Client_Subject"} }},
		{"framing of its own", "it frames the message", nil, func(f *fake) { f.hello.Owns = []string{"transfer-encoding"} }},
		{"a HELLO that is none", "malformed", nil, func(f *fake) { f.hello.Name = "a b" }},
		{"too slow", "wait for", func(p *config.Plugin) { p.StartTimeout = config.Duration(30 * time.Millisecond) }, func(f *fake) { f.deaf.Store(true); f.refuse = ""; f.hello.Name = "" }},
	} {
		// One of its own: the plugin of the round before may still be ending.
		g := &fake{hello: frame.HelloBody{Name: "g", Hooks: frame.HookRequest}}
		r.fakes["q"] = g
		if test.spoil != nil {
			test.spoil(g)
		}
		err := r.configure(map[string]config.Plugin{"p": pluginConfig(func(p *config.Plugin) { p.Config = `"new"` }), "q": pluginConfig(test.change)}, "p", "q")
		if err == nil {
			t.Fatalf("%s: not refused", test.name)
		}
		if !strings.Contains(err.Error(), test.want) && test.name != "too slow" {
			t.Errorf("%s: %v, want %q in it", test.name, err, test.want)
		}
		r.chain = chain
		r.wants(r.ask(connection(), get("/")), Admitted, 0)
	}
}

// TestOwnedByTwo: what two plugins say means what neither says.
func TestOwnedByTwo(t *testing.T) {
	hello := frame.HelloBody{Name: "h", Hooks: frame.HookRequest, Owns: []string{"x-role"}}
	other := hello
	other.Owns = []string{"x_role"}
	r := newRig(t, map[string]*fake{"p": {hello: hello}, "q": {hello: other}})
	err := r.configure(map[string]config.Plugin{"p": pluginConfig(nil), "q": pluginConfig(nil)}, "p", "q")
	if err == nil || !strings.Contains(err.Error(), "plugins p and q both own the header x_role") {
		t.Errorf("got %v", err)
	}
}

// TestRemovedPluginServesWhoHasIt: a request that began under it is judged by it
// to its end.
func TestRemovedPluginServesWhoHasIt(t *testing.T) {
	f := &fake{}
	r := one(t, f, nil)
	old := r.chain
	if !old.Enter() {
		t.Fatal("cannot enter")
	}
	if err := r.configure(nil); err != nil {
		t.Fatal(err)
	}
	if old.Enter() {
		t.Error("a chain that is out of force lets somebody in")
	}
	var d Decision
	old.Request(connection(), get("/"), nil, &d)
	r.wants(&d, Admitted, 0)
	p := f.peer()
	if p.saw(frame.GoAway) {
		t.Error("dismissed while it is used")
	}
	old.Leave()
	r.await("dismissed", func() bool { return p.saw(frame.GoAway) })
}

// TestRestartOwnsMore is refused: clients may have sent that header meanwhile.
func TestRestartOwnsMore(t *testing.T) {
	f := &fake{}
	r := one(t, f, nil)
	f.hello.Owns = []string{"x-new"}
	f.peer().exit(nil)
	r.await("refused", func() bool { return strings.Contains(r.host.Status()[0].Trouble, "want a reload") })
	r.wants(r.ask(connection(), get("/")), Unavailable, Down)
	if err := r.configure(map[string]config.Plugin{"p": pluginConfig(func(p *config.Plugin) { p.InFlight = 3 })}, "p"); err != nil {
		t.Fatal(err)
	}
	r.wants(r.ask(connection(), get("/")), Admitted, 0)
}

// TestAttach takes a plugin that listens itself, and comes back to it.
func TestAttach(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	f := &fake{hello: frame.HelloBody{Name: "debugged", Hooks: frame.HookRequest}}
	peers := make(chan *peer, 8)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			p := &peer{fake: f, conn: conn, done: make(chan struct{})}
			peers <- p
			go p.serve()
		}
	}()
	r := newRig(t, nil)
	cfg := pluginConfig(func(p *config.Plugin) { p.Command, p.Attach = nil, socket })
	if err := r.configure(map[string]config.Plugin{"p": cfg}, "p"); err != nil {
		t.Fatal(err)
	}
	r.wants(r.ask(connection(), get("/")), Admitted, 0)
	(<-peers).exit(nil)
	r.await("attached again", func() bool { return len(peers) == 1 && r.ask(connection(), get("/")).Outcome == Admitted })
}

// TestEndOfHost leaves no process.
func TestEndOfHost(t *testing.T) {
	f := &fake{hello: frame.HelloBody{Name: "f", Hooks: frame.HookRequest}}
	h := New(Options{Log: newRig(t, nil).host.log, Start: f.start})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); h.Run(ctx) }()
	next, err := h.Prepare(ctx, &config.Config{Plugins: map[string]config.Plugin{"p": pluginConfig(nil)}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	next.Commit()
	cancel()
	<-done
	<-f.peer().done
	if !f.peer().saw(frame.GoAway) {
		t.Error("ended without a word")
	}
}

// TestRulesChange: what was kept under other rules is not used under these.
func TestRulesChange(t *testing.T) {
	c := &counting{verdict: frame.VerdictBody{Decision: frame.Allow, TTL: time.Minute, Edits: []frame.Edit{{Op: frame.SetHeader, Name: "X-Role", Value: "a"}}}}
	f := &fake{answer: c.answer}
	r := one(t, f, nil)
	r.wants(r.ask(connection(), get("/")), Admitted, 0)
	r.fakes["q"] = &fake{hello: frame.HelloBody{Name: "q", Hooks: frame.HookObserve, Owns: []string{"x-role"}}}
	if err := r.configure(map[string]config.Plugin{"p": pluginConfig(nil), "q": pluginConfig(nil)}, "p", "q"); err != nil {
		t.Fatal(err)
	}
	if f.started() != 1 {
		t.Fatal("started again")
	}
	r.wants(r.ask(connection(), get("/")), Unavailable, Malformed)
}
