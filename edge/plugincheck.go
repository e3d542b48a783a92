package edge

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/pluginhost"
	"github.com/sallyport/sallyport/edge/pluginhost/launch"
)

// CheckPlugins reports what Check cannot know: it starts the plugins of cfg in their
// sandboxes, as a start or a reload would, gives them their configuration, and ends
// them. What they say of themselves is held against each other: no two may own one
// header. Nobody asks them anything. Those that the edge attaches to are left out,
// since they may serve another one. What the plugins log is discarded. It returns
// when nothing of them is left.
func CheckPlugins(ctx context.Context, cfg *config.Config) config.Problems {
	log := slog.New(slog.DiscardHandler)
	b := builder{cfg: cfg, readOnly: true, log: log}
	next, problems := b.build()
	if problems.Err() != nil {
		return nil // which Check reports
	}
	b.problems = nil
	for name, p := range cfg.Plugins {
		if p.Attach != "" {
			b.warning("plugins."+name+".attach", "not checked: it is there for the edge that runs")
		}
	}
	started := *cfg
	started.Plugins = maps.Clone(cfg.Plugins)
	maps.DeleteFunc(started.Plugins, func(_ string, p config.Plugin) bool { return p.Attach != "" })
	dir, err := os.MkdirTemp(RunDirPattern())
	if err != nil {
		b.problem("plugins", "make a run directory: %v", err)
		return b.problems
	}
	defer os.RemoveAll(dir)
	host := pluginhost.New(pluginhost.Options{Log: log, Start: PluginStarter(launch.Options{RunDir: dir, Log: log})})
	plugins, err := host.Prepare(ctx, &started, next.identityNames)
	if err == nil {
		plugins.Abandon()
	}
	for _, err := range each(err) {
		b.pluginProblem(err, "")
	}
	b.problems.Sort()
	return b.problems
}

// each takes joined errors apart.
func each(err error) []error {
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var list []error
	for _, err := range joined.Unwrap() {
		list = append(list, each(err)...)
	}
	return list
}

// pluginProblem reports an error at the plugin that it is about.
func (b *builder) pluginProblem(err error, key string) {
	if about, ok := err.(*pluginhost.Error); ok {
		b.problem(fmt.Sprintf("plugins.%s%s", about.Plugin, key), "%v", err)
		return
	}
	b.problem("plugins", "%v", err)
}
