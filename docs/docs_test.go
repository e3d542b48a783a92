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

// TestConfigurationOfSteering wants the operators' example to be one.
func TestConfigurationOfSteering(t *testing.T) {
	for _, text := range blocks(t, "steering.md", "yaml") {
		if _, problems := config.Parse("steering.yaml", []byte(text), "/etc"); len(problems) > 0 {
			t.Error(problems)
		}
	}
}

// pluginExamples are the operators' examples of plugins, each a whole configuration:
// with the rest of a listener, which they do not show.
func pluginExamples(t *testing.T) []string {
	const rest = "    address: \":80\"\n    protocol: http\n    default_action: {fixed_response: {status_code: 200}}\n"
	var list []string
	for _, text := range blocks(t, "plugins.md", "yaml") {
		if !strings.Contains(text, "listeners:\n") {
			text += "listeners:\n  public:\n"
		}
		list = append(list, strings.Replace(text, "  public:\n", "  public:\n"+rest, 1))
	}
	return list
}

// TestConfigurationOfPlugins reads the operators' examples as the edge does.
func TestConfigurationOfPlugins(t *testing.T) {
	for i, text := range pluginExamples(t) {
		cfg, problems := config.Parse("plugins.yaml", []byte(text), "/etc")
		if cfg == nil || problems.Err() != nil || len(cfg.Plugins) == 0 {
			t.Errorf("example %d: %v", i+1, problems)
		}
	}
}

// TestShippedPluginIsInstalled installs cert-policy as the page says, and starts it
// with the page's first configuration, in its sandbox.
func TestShippedPluginIsInstalled(t *testing.T) {
	bin := t.TempDir()
	install := exec.Command("go", "install", "../plugins/cert-policy", "../cmd/sallyport")
	install.Env = append(os.Environ(), "GOBIN="+bin, "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false")
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("go install: %v\n%s", err, out)
	}
	const shown = "/usr/lib/sallyport/cert-policy"
	text := pluginExamples(t)[0]
	if !strings.Contains(text, shown) {
		t.Fatalf("the first example does not start %s", shown)
	}
	file := filepath.Join(bin, "sallyport.yaml")
	check := func(text string) (string, error) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(filepath.Join(bin, "sallyport"), "check", "--plugins", "-c", file).CombinedOutput()
		return string(out), err
	}
	text = "state_dir: " + bin + "/state\n" + strings.ReplaceAll(text, shown, filepath.Join(bin, "cert-policy"))
	if out, err := check(text); err != nil {
		t.Errorf("check --plugins: %v\n%s", err, out)
	}
	// What the page shows is really read by the plugin.
	if out, err := check(strings.Replace(text, "cert.organizational_units &&", "cert.organisational_units &&", 1)); err == nil || !strings.Contains(out, "undeclared reference") {
		t.Errorf("with a wrong rule: %v\n%s", err, out)
	}
}

// TestConfigurationOfRevocation reads the examples of trust stores as the edge
// does, but for the listeners, which they do not show.
func TestConfigurationOfRevocation(t *testing.T) {
	for i, text := range blocks(t, "revocation.md", "yaml") {
		cfg, problems := config.Parse("revocation.yaml", []byte(text+"listeners: {plain: {address: \":80\", protocol: http, default_action: {fixed_response: {status_code: 200}}}}\n"), "/etc")
		if err := problems.Err(); err != nil || len(cfg.TrustStores) != 1 {
			t.Errorf("block %d: %v", i+1, err)
		}
	}
}

// TestConfigurationOfCertificates reads each example as the edge does.
func TestConfigurationOfCertificates(t *testing.T) {
	for i, text := range blocks(t, "certificates.md", "yaml") {
		if _, problems := config.Parse("certificates.yaml", []byte(text), "/etc"); len(problems) > 0 {
			t.Errorf("block %d: %v", i+1, problems)
		}
	}
}
