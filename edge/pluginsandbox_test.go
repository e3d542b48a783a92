package edge

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/pluginhost"
	"github.com/sallyport/sallyport/edge/pluginhost/launch"
)

// TestSandboxOf: what the configuration says of a sandbox is what the launcher is
// told, and required is what was promised, no less.
func TestSandboxOf(t *testing.T) {
	always := []string{launch.MeasureCapabilities, launch.MeasureNoNewPrivs, launch.MeasureLimits, launch.MeasureLandlock, launch.MeasureSeccomp}
	for what, test := range map[string]struct {
		spec pluginhost.Spec
		want []string
	}{
		"nothing is required": {pluginhost.Spec{User: "nobody", CPU: 1}, nil},
		"without a network":   {pluginhost.Spec{Require: true}, append(slices.Clone(always), launch.MeasureNetwork)},
		"with a network":      {pluginhost.Spec{Require: true, Network: true}, always},
		"a user":              {pluginhost.Spec{Require: true, Network: true, User: "dynamic"}, append(slices.Clone(always), launch.MeasureUser)},
		"memory":              {pluginhost.Spec{Require: true, Network: true, Memory: 1 << 30}, append(slices.Clone(always), launch.MeasureCgroup)},
		"processors":          {pluginhost.Spec{Require: true, Network: true, CPU: 0.5}, append(slices.Clone(always), launch.MeasureCgroup)},
	} {
		if got := sandboxOf(&test.spec).Require; !slices.Equal(got, test.want) {
			t.Errorf("%s: requires %q, want %q", what, got, test.want)
		}
	}
	s := sandboxOf(&pluginhost.Spec{Files: []string{"/r"}, Write: []string{"/w"}, Network: true, User: "u", Memory: 1, CPU: 2, Tasks: 3})
	if s.Read[0] != "/r" || s.Write[0] != "/w" || !s.Network || s.User != "u" || s.Memory != 1 || s.CPU != 2 || s.Tasks != 3 {
		t.Errorf("got %+v", s)
	}
	if s := sandboxOf(&pluginhost.Spec{}); s.Tasks >= 0 || s.AllFiles || s.AllSyscalls || s.Network {
		t.Errorf("the least is %+v", s)
	}
}

// TestWritingEverywhereIsWarnedOf in all spellings, and writing in a place is not.
func TestWritingEverywhereIsWarnedOf(t *testing.T) {
	dir := t.TempDir()
	if err := os.Symlink("/", filepath.Join(dir, "all")); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{"/": true, "//": true, "/usr/..": true, "./all": true, "/var/lib": false, "./data": false} {
		text := fmt.Sprintf("state_dir: %s/state\nplugins: {p: {command: [/bin/sh], sandbox: {write: [/tmp, %s]}}}\n"+
			"listeners: {a: {address: ':80', protocol: http, default_action: {fixed_response: {status_code: 200}}}}", dir, path)
		cfg, problems := config.Parse("test.yaml", []byte(text), dir)
		if err := problems.Err(); err != nil {
			t.Fatal(err)
		}
		problems = Check(cfg)
		if err := problems.Err(); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		warned := slices.ContainsFunc(problems, func(p config.Problem) bool {
			return p.Severity == config.Warning && p.Path == "plugins.p.sandbox.write[1]" && strings.Contains(p.String(), "whole file system")
		})
		if warned != want {
			t.Errorf("%s: warned %t, want %t: %v", path, warned, want, problems)
		}
	}
}
