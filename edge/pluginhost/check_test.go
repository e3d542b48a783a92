package pluginhost

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/edge/config"
)

// TestUnpinned: to pin an interpreter and not its script is to pin nothing.
func TestUnpinned(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"rule.py", "other.py", "python3", "policy"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	resolve := func(name string) string { return filepath.Join(dir, name) }
	sum := config.Fingerprint{1}
	python := filepath.Join(dir, "python3")
	for what, test := range map[string]struct {
		command []string
		dir     string
		sum     config.Fingerprint
		pinned  []string
		want    string // of the error; empty for none
	}{
		"nothing is pinned":         {command: []string{python, "./rule.py"}},
		"the interpreter alone":     {command: []string{python, "./rule.py"}, sum: sum, want: `argument "./rule.py": is not pinned`},
		"in its own directory":      {command: []string{python, "rule.py"}, dir: ".", sum: sum, want: `argument "rule.py": is not pinned`},
		"absolute":                  {command: []string{python, filepath.Join(dir, "rule.py")}, sum: sum, want: "is not pinned"},
		"both":                      {command: []string{python, "./rule.py"}, sum: sum, pinned: []string{"./rule.py"}},
		"one of two":                {command: []string{python, "./rule.py", "./other.py"}, pinned: []string{"./rule.py"}, want: `argument "./other.py"`},
		"what is no file":           {command: []string{python, "-u", "./rule.py", "--strict"}, sum: sum, pinned: []string{"./rule.py"}},
		"a program with files":      {command: []string{filepath.Join(dir, "policy"), "./rule.py"}, sum: sum},
		"a script that is pinned":   {command: []string{filepath.Join(dir, "rule.py")}, sum: sum},
		"an interpreter by version": {command: []string{"/usr/bin/python3.11", "./rule.py"}, sum: sum, want: "is not pinned"},
	} {
		cfg := config.Plugin{Command: test.command, Dir: test.dir, SHA256: test.sum}
		for _, name := range test.pinned {
			cfg.Pinned = map[string]config.Fingerprint{name: sum}
		}
		err := unpinned(&cfg, resolve)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", what, err, test.want)
		}
	}
	if err := Check(config.Plugin{Command: []string{python, "./rule.py"}, SHA256: sum}, resolve); err == nil {
		t.Error("Check finds nothing wrong")
	}
}

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
