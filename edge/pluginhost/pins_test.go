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
	for _, name := range []string{"pkg"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	links := map[string]string{"pyrun": "python3", "again": "pyrun", "rule": "rule.py", "bin": ".", "far": "bin/again"}
	for name, target := range links {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	resolve := func(name string) string {
		if filepath.IsAbs(name) {
			return name
		}
		return filepath.Join(dir, name)
	}
	sum := config.Fingerprint{1}
	python := filepath.Join(dir, "python3")
	for what, test := range map[string]struct {
		command []string
		dir     string
		sum     config.Fingerprint
		pinned  []string
		env     map[string]string
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
		"nothing to run":            {command: []string{python}, sum: sum, want: "no argument is a pinned script"},
		"options only":              {command: []string{python, "-u"}, sum: sum, want: "no argument is a pinned script"},
		"a directory":               {command: []string{python, "./pkg"}, sum: sum, want: `argument "./pkg": is not a regular file`},
		"a pinned directory":        {command: []string{python, "./pkg"}, pinned: []string{"./pkg"}, want: `argument "./pkg": is not a regular file`},
		"a directory for a script":  {command: []string{python, "./rule.py", "./pkg"}, pinned: []string{"./rule.py"}},
		"a module":                  {command: []string{python, "-m", "rules", "./rule.py"}, pinned: []string{"./rule.py"}, want: `argument "-m"`},
		"a module, in one":          {command: []string{python, "-umrules", "./rule.py"}, pinned: []string{"./rule.py"}, want: `argument "-umrules"`},
		"code":                      {command: []string{python, "-c", "import rules", "./rule.py"}, pinned: []string{"./rule.py"}, want: `argument "-c"`},
		"standard input":            {command: []string{python, "-", "./rule.py"}, pinned: []string{"./rule.py"}, want: `argument "-"`},
		"an option of the script":   {command: []string{python, "-u", "--", "./rule.py", "-c", "x"}, pinned: []string{"./rule.py"}},
		"behind the last option":    {command: []string{python, "--", "-c", "./rule.py"}, pinned: []string{"./rule.py"}, want: `argument "-c": is not pinned`},
		"a name of nothing":         {command: []string{python, "rules"}, sum: sum, want: `argument "rules": is not pinned`},
		"a link":                    {command: []string{"./pyrun", "./rule.py"}, sum: sum, want: "is not pinned, and what ./pyrun runs"},
		"a link to a link":          {command: []string{"./far", "-m", "rules"}, sum: sum, want: `argument "-m"`},
		"a link in the path":        {command: []string{"pyrun", "-m", "rules"}, sum: sum, env: map[string]string{"PATH": "/nowhere:" + dir}, want: `argument "-m"`},
		"a link, pinned":            {command: []string{"./pyrun", "./rule.py"}, sum: sum, pinned: []string{"./rule.py"}},
		"a link to a script":        {command: []string{"./rule", "-m"}, sum: sum},
		"node requires":             {command: []string{"node", "--require=./other.py", "./rule.py"}, pinned: []string{"./rule.py"}, want: `argument "--require=./other.py"`},
		"node requires, apart":      {command: []string{"nodejs", "-r", "./other.py", "./rule.py"}, pinned: []string{"./rule.py"}, want: `argument "-r"`},
		"node imports":              {command: []string{"node20", "--import=data:text/javascript,0", "./rule.py"}, pinned: []string{"./rule.py"}, want: `argument "--import=`},
		"node evaluates":            {command: []string{"/usr/bin/node", "--eval", "0", "./rule.py"}, pinned: []string{"./rule.py"}, want: `argument "--eval"`},
		"node by its environment":   {command: []string{"node", "./rule.py"}, pinned: []string{"./rule.py"}, env: map[string]string{"NODE_OPTIONS": "--require=/x.js"}, want: `environment variable "NODE_OPTIONS"`},
		"node with less memory":     {command: []string{"node", "--max-old-space-size=64", "--no-warnings", "./rule.py"}, pinned: []string{"./rule.py"}, env: map[string]string{"TZ": "UTC"}},
		"a shell's code":            {command: []string{"sh", "-ec", "./rule.py"}, pinned: []string{"./rule.py"}, want: `argument "-ec"`},
		"a shell":                   {command: []string{"sh", "-eu", "./rule.py"}, pinned: []string{"./rule.py"}},
		"perl's code":               {command: []string{"perl5.36-x86_64-linux-gnu", "-e", "0"}, sum: sum, want: `argument "-e"`},
		"one that runs another":     {command: []string{"env", python, "./rule.py"}, pinned: []string{"./rule.py"}, want: "is not pinned, and what env runs"},
		"a program in deno":         {command: []string{"deno", "run", "--allow-env", "./rule.py"}, pinned: []string{"./rule.py"}},
		"deno's code":               {command: []string{"deno", "eval", "0"}, sum: sum, want: `argument "eval": is not pinned`},
		"the loader itself":         {command: []string{"/lib64/ld-linux-x86-64.so.2", filepath.Join(dir, "policy")}, sum: sum, want: "is not pinned"},
		"assemblies":                {command: []string{"/usr/bin/dotnet", "./rule.py"}, sum: sum, want: "is not pinned"},
		"mawk":                      {command: []string{"mawk", "-f", "./rule.py"}, sum: sum, want: `argument "-f"`},
		"a name that begins so":     {command: []string{filepath.Join(dir, "python-policy"), "./rule.py"}, sum: sum},
	} {
		cfg := config.Plugin{Command: test.command, Dir: test.dir, SHA256: test.sum, Env: test.env}
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
