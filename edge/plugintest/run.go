package plugintest

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/http1"
	"github.com/sallyport/sallyport/edge/pluginhost"
)

// Program is the plugin that is tried out.
type Program struct {
	Command []string            // its program, absolute, and arguments
	Attach  string              // or a socket that it listens on, absolute
	Start   pluginhost.Starter  // of Command
	Prepare pluginhost.Preparer // of its restarts; may be nil
	Log     *slog.Logger        // gets what it says; nil discards it
}

// Result is what became of one case, or one kind of misbehaviour.
type Result struct {
	Name string `json:"name"`
	// Got tells the verdict, or what happened.
	Got    string `json:"got"`
	Failed bool   `json:"failed"`
	// Wrong says what should have been otherwise.
	Wrong []string `json:"wrong,omitempty"`
}

// live is a plugin in a host of its own.
type live struct {
	host  *pluginhost.Host
	chain *pluginhost.Chain
	over  chan struct{}
	end   context.CancelFunc
}

const pluginName = "plugin"

// begin starts the plugin as the edge would. Close must be called.
func (p *Program) begin(ctx context.Context, f *File, noCache bool) (*live, error) {
	cfg, err := p.configuration(f)
	if err != nil {
		return nil, err
	}
	if !noCache {
		cfg.Cache = config.PluginCache{Entries: 1024, TTL: config.Duration(maxTTL), DenyTTL: config.Duration(maxTTL)}
	}
	log := p.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	l := &live{host: pluginhost.New(pluginhost.Options{Start: p.Start, Prepare: p.Prepare, Log: log}), over: make(chan struct{})}
	next, err := l.host.Prepare(ctx, &config.Config{Plugins: map[string]config.Plugin{pluginName: *cfg}}, nil)
	if err != nil {
		return nil, err
	}
	l.chain = next.Chain([]string{pluginName})
	next.Commit()
	l.chain.Enter()
	run, end := context.WithCancel(ctx)
	l.end = end
	go func() {
		defer close(l.over)
		l.host.Run(run)
	}()
	return l, nil
}

const maxTTL = 60_000_000_000 // a minute, which is the edge's default

// close ends the plugin, and waits for it.
func (l *live) close() {
	l.chain.Leave()
	l.end()
	<-l.over
}

func (l *live) status() pluginhost.Status { return l.host.Status()[0] }

// configuration is the plugin's section, with its program.
func (p *Program) configuration(f *File) (*config.Plugin, error) {
	section, err := f.section()
	if err != nil {
		return nil, err
	}
	cfg := &config.Plugin{
		Command: p.Command, Attach: p.Attach, Config: config.PluginConfig(section),
		Timeout: config.Duration(f.Timeout), StartTimeout: config.Duration(startTimeout),
		OnError: config.OnErrorDeny, InFlight: 1024,
		Sandbox: config.PluginSandbox{Tasks: 256},
	}
	if p.Attach == "" {
		cfg.Env, cfg.Network = f.Env, f.Network
		for _, name := range f.Files {
			if !filepath.IsAbs(name) {
				name = filepath.Join(f.dir, name)
			}
			cfg.Files = append(cfg.Files, name)
		}
	}
	return cfg, nil
}

const startTimeout = 10_000_000_000 // ten seconds, which is the edge's default

// Run asks about each case, and compares.
func (p *Program) Run(ctx context.Context, f *File) ([]Result, error) {
	l, err := p.begin(ctx, f, false)
	if err != nil {
		return nil, err
	}
	defer l.close()
	hooks := l.status().Hooks
	var results []Result
	for i := range f.Cases {
		c := &f.Cases[i]
		s, err := c.subject(f.dir)
		if err != nil {
			return nil, fmt.Errorf("case %q: %w", c.Name, err)
		}
		if !asked(hooks, c.Hook) {
			return nil, fmt.Errorf("case %q: the plugin is not asked at the hook %s: it implements %s", c.Name, c.Hook, strings.Join(hooks, ", "))
		}
		// Twice: the second answer may be a kept one, and must be the same.
		var first, second pluginhost.Decision
		s.ask(l.chain, &first)
		s.ask(l.chain, &second)
		r := Result{Name: c.Name, Got: tell(&first), Wrong: c.Want.compare(&first)}
		if again := tell(&second); again != r.Got {
			r.Wrong = append(r.Wrong, "asked again, the answer is another one: "+again)
		}
		r.Failed = len(r.Wrong) > 0
		results = append(results, r)
	}
	return results, nil
}

// asked says whether a plugin with these hooks is asked there.
func asked(hooks []string, hook string) bool {
	switch hook {
	case "request":
		return slices.Contains(hooks, "request") || slices.Contains(hooks, "shape_request")
	case "response":
		return slices.Contains(hooks, "shape_response")
	}
	return slices.Contains(hooks, hook)
}

// tell is a decision in one line.
func tell(d *pluginhost.Decision) string {
	var s strings.Builder
	switch d.Outcome {
	case pluginhost.Admitted:
		s.WriteString("allow")
	case pluginhost.Denied:
		fmt.Fprintf(&s, "deny %d (%s)", d.Status, d.Reason)
	default:
		fmt.Fprintf(&s, "none (%v)", d.Failure)
	}
	made, removed := changes(d.Edits)
	for _, name := range slices.Sorted(maps.Keys(made)) {
		for _, value := range made[name] {
			fmt.Fprintf(&s, ", %s: %s", name, value)
		}
	}
	for _, name := range removed {
		fmt.Fprintf(&s, ", remove %s", name)
	}
	if d.Ban > 0 {
		fmt.Fprintf(&s, ", ban %d", d.Ban)
	}
	return s.String()
}

// changes are the lines that edits make, and the names that they only drop.
func changes(edits http1.Edits) (made map[string][]string, removed []string) {
	made = map[string][]string{}
	edits.Lines(func(name, value string) bool {
		made[fold(name)] = append(made[fold(name)], value)
		return true
	})
	for _, list := range edits {
		for _, e := range list {
			if e.Op == http1.RemoveField && made[fold(e.Name)] == nil && !slices.Contains(removed, fold(e.Name)) {
				removed = append(removed, fold(e.Name))
			}
		}
	}
	slices.Sort(removed)
	return made, removed
}

func fold(name string) string { return strings.ToLower(name) }

// compare says what is not as it should be.
func (w *Expectation) compare(d *pluginhost.Decision) (wrong []string) {
	fail := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	got := map[pluginhost.Outcome]string{pluginhost.Admitted: "allow", pluginhost.Denied: "deny", pluginhost.Unavailable: "none"}[d.Outcome]
	if got != w.Verdict {
		fail("verdict: got %s, want %s", got, w.Verdict)
		return wrong
	}
	if w.Status != 0 && d.Status != w.Status {
		fail("status: got %d, want %d", d.Status, w.Status)
	}
	if w.Reason != "" && d.Reason != w.Reason {
		fail("reason: got %q, want %q", d.Reason, w.Reason)
	}
	if w.Failure != "" && d.Failure.String() != w.Failure {
		fail("failure: got %v, want %s", d.Failure, w.Failure)
	}
	if w.Ban != nil && d.Ban != *w.Ban {
		fail("ban: got %d, want %d", d.Ban, *w.Ban)
	}
	made, removed := changes(d.Edits)
	if w.Headers != nil {
		names := map[string]string{}
		for name := range w.Headers {
			names[fold(name)] = name
		}
		for name := range made {
			if _, ok := names[name]; !ok {
				fail("header %s: got %q, want none", name, made[name])
			}
		}
		for _, name := range slices.Sorted(maps.Keys(names)) {
			if want := w.Headers[names[name]]; !slices.Equal(made[name], want) {
				fail("header %s: got %q, want %q", names[name], made[name], []string(want))
			}
		}
	}
	if w.Removes != nil {
		want := make([]string, len(w.Removes))
		for i, name := range w.Removes {
			want[i] = fold(name)
		}
		slices.Sort(want)
		if !slices.Equal(removed, want) {
			fail("removes: got %q, want %q", removed, want)
		}
	}
	return wrong
}
