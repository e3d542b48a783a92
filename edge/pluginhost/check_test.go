package pluginhost

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/sallyport/sallyport/edge/config"
)

// TestContested finds what two plugins of templates own, in any spelling.
func TestContested(t *testing.T) {
	errs := Contested(map[string]config.Plugin{
		"a": templates(map[string]string{"X-Unit": "a", "X-A": "a"}),
		"b": templates(map[string]string{"X-B": "b"}),
		"c": templates(map[string]string{"x_unit": "c"}),
		"d": changes(config.PluginHeaders{Add: map[string]string{"X-B": "d"}, Remove: []string{"X-A"}}),
		"e": pluginConfig(nil),
	})
	if len(errs) != 1 || errs[0].Error() != "plugins a and c both own the header x_unit" || errs[0].(*Error).Plugin != "c" {
		t.Errorf("got %v", errs)
	}
}

// TestCheckLooksWhereTheLauncherDoes: the edge's PATH decides neither what a plugin's
// program is nor whether there is one.
func TestCheckLooksWhereTheLauncherDoes(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a-policy")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	resolve := func(name string) string { return name }
	command := func(env map[string]string) config.Plugin {
		return pluginConfig(func(p *config.Plugin) { p.Command, p.Env = []string{"a-policy"}, env })
	}
	t.Setenv("PATH", dir)
	if err := Check(command(nil), resolve); err == nil {
		t.Error("found by the edge's PATH")
	}
	own := command(map[string]string{"PATH": "/nowhere:" + dir})
	t.Setenv("PATH", "/nowhere")
	if err := Check(own, resolve); err != nil {
		t.Errorf("not found by the plugin's own PATH: %v", err)
	}
	if err := Check(command(map[string]string{"PATH": "."}), resolve); err == nil {
		t.Error("found by a relative PATH")
	}
	h := &Host{stats: map[string]*stats{}}
	if files := h.newPlugin("p", own, resolve).files; len(files) != 1 || files[0].name != path {
		t.Errorf("looks for changes of %v, want %s", files, path)
	}
}
