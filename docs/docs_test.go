// Package docs_test keeps what the documents show true.
package docs_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/edge/config"
)

// blocks are the code blocks of a document in one language.
func blocks(t *testing.T, document, language string) []string {
	t.Helper()
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for i, part := range strings.Split(string(text), "```") {
		if code, ok := strings.CutPrefix(part, language+"\n"); ok && i%2 == 1 {
			list = append(list, code)
		}
	}
	if len(list) == 0 {
		t.Fatalf("%s: no block of %s", document, language)
	}
	return list
}

// TestGoBlocksCompile builds each block as a program, or runs it as a test.
func TestGoBlocksCompile(t *testing.T) {
	source, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	for i, code := range blocks(t, "plugin-authors.md", "go") {
		dir := t.TempDir()
		name, args := "main.go", []string{"vet", "."}
		if strings.Contains(code, "testing.T") {
			name, args = "main_test.go", []string{"test", "."}
		}
		mod := fmt.Sprintf("module block\n\ngo 1.26.0\n\nrequire github.com/sallyport/sallyport v0.0.0\n\nreplace github.com/sallyport/sallyport => %s\n", source)
		for file, text := range map[string]string{name: code, "go.mod": mod} {
			if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		cmd := exec.Command("go", args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOPROXY=off", "GOFLAGS=-buildvcs=false", "GOWORK=off")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("block %d: go %s: %v\n%s\n%s", i+1, strings.Join(args, " "), err, out, code)
		}
		formatted, err := exec.Command("gofmt", "-l", filepath.Join(dir, name)).CombinedOutput()
		if err != nil || len(formatted) > 0 {
			t.Errorf("block %d is not as gofmt wants it: %v", i+1, err)
		}
	}
}

// TestConfigurationOfPlugins reads the operators' example as the edge does, but for
// the rest of the listener, which it does not show.
func TestConfigurationOfPlugins(t *testing.T) {
	text := strings.Replace(blocks(t, "plugins.md", "yaml")[0], "  public:\n", "  public:\n    address: \":80\"\n    protocol: http\n    default_action: {fixed_response: {status_code: 200}}\n", 1)
	cfg, problems := config.Parse("plugins.yaml", []byte(text), "/etc")
	if cfg == nil || len(cfg.Plugins) != 2 {
		t.Errorf("%v", problems)
	}
}
