// Package sallyport_test holds what is true of the repository as a whole.
package sallyport_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/sallyport/sallyport/"

// mayImport is the table of docs/architecture.md: what each folder may import of
// ours. Imports go one way; a folder that is not here may import nothing.
var mayImport = []struct {
	folder  string
	imports []string
}{
	// Vocabulary: what every station may speak.
	{"edge/reason", nil},
	{"edge/config", []string{"edge/reason"}},
	{"edge/identity", []string{"edge/config"}},
	{"edge/securitypolicy", []string{"edge/config"}},
	{"edge/filewatch", nil},
	{"edge/http1", nil},
	{"edge/logfile", []string{"edge/albline", "edge/jsonline"}},
	{"edge/ja4", nil},
	{"edge/albline", nil},
	{"edge/jsonline", []string{"edge/albline"}},
	{"edge/tickets", nil},
	{"edge/trace/w3c", nil},
	{"edge/handoff", nil},
	{"edge/privilege", nil},

	// Libraries.
	{"bpf", nil},
	{"revocation", []string{"revocation/internal/segment"}},
	{"revocation/internal/segment", nil},
	{"revocation/ocsp", nil},
	{"loadtest/pki", nil},
	{"loadtest/port", nil},

	// For authors of plugins.
	{"sdk", []string{"sdk/frame"}},
	{"sdk/frame", nil},
	{"sdk/frame/frametest", []string{"sdk/frame"}}, // for tests
	{"sdk/sdktest", []string{"sdk", "sdk/frame"}},
	{"plugins/examples", nil},
	{"plugins/examples/go", []string{"sdk"}},
	{"plugins/cert-policy", []string{"sdk"}},
	{"docs", []string{"edge/config"}},       // the test of its examples
	{"github.com/sallyport/sallyport", nil}, // the root, which carries the SDK's source

	// Stations. None imports another.
	{"edge/accesslog", append(vocabulary(), "edge/logfile")},
	{"edge/admin", vocabulary()},
	{"edge/ban", vocabulary()},
	{"edge/page", vocabulary()},
	{"edge/connlog", vocabulary()},
	{"edge/fetch", nil},
	{"edge/health", append(vocabulary(), "edge/accesslog")},
	{"edge/ocsp", []string{"edge/fetch", "revocation/ocsp"}},
	{"edge/pluginhost/launch", nil},
	{"edge/pluginhost", append(vocabulary(), "edge/pluginhost/template", "sdk/frame")},
	{"edge/pluginhost/template", []string{"sdk/frame"}},
	{"edge/plugintest", append(vocabulary(), "edge/pluginhost", "sdk/frame")},
	{"edge/proxy", append(vocabulary(), "edge/accesslog")},
	{"edge/servercert", append(vocabulary(), "revocation/ocsp")},
	{"edge/servercert/pebble", []string{"loadtest/port"}}, // a CA for tests
	{"edge/trace", []string{"edge/trace/w3c"}},
	// fetch is to a trust store what filewatch is: it knows nothing of stores, and
	// what it says of a URL is in the store's status.
	{"edge/truststore", append(vocabulary(), "revocation", "revocation/ocsp", "edge/fetch")},

	// The whole, and the commands.
	{"edge", append(vocabulary(), "edge/accesslog", "bpf", "revocation", "edge/admin", "edge/ban", "edge/connlog", "edge/fetch", "edge/health", "edge/ja4", "edge/ocsp", "edge/page", "edge/pluginhost", "edge/pluginhost/launch", "edge/proxy", "edge/servercert", "edge/trace", "edge/truststore", "edge/tickets", "edge/filewatch", "edge/logfile", "edge/handoff", "edge/privilege")},
	{"cmd/sallyport", append(vocabulary(), "revocation", "edge", "edge/admin", "edge/connlog", "edge/fetch", "edge/pluginhost", "edge/pluginhost/launch", "edge/plugintest", "edge/servercert", "edge/truststore", "cmd/sallyport/demo", "bpf", "edge/privilege")},
	{"cmd/sallyport/demo", []string{"edge", "edge/admin", "edge/config", "loadtest/pki", "loadtest/port"}},

	// Load and measurements: they talk to an edge over the network only.
	{"loadtest", nil},
	{"loadtest/report", []string{"loadtest"}},
	{"loadtest/benchmark", []string{"loadtest/port"}},
	{"loadtest/peers", []string{"loadtest", "loadtest/pki", "loadtest/benchmark"}},
	{"loadtest/bench-revocation", []string{"loadtest/pki", "revocation", "loadtest/benchmark"}},
	{"loadtest/bench-kernel", []string{"bpf", "loadtest", "loadtest/pki", "loadtest/benchmark"}},
	{"loadtest/bench-logs", []string{"loadtest", "loadtest/pki", "loadtest/benchmark"}},
	{"loadtest/bench-plugins", []string{"edge/config", "edge/http1", "edge/identity", "edge/proxy", "loadtest", "loadtest/pki", "sdk", "loadtest/benchmark"}},
	{"cmd/sallyload", []string{"loadtest", "loadtest/pki", "loadtest/peers", "loadtest/report"}},
}

func vocabulary() []string {
	return []string{"edge/reason", "edge/config", "edge/identity", "edge/securitypolicy", "edge/filewatch", "edge/albline", "edge/jsonline", "edge/http1", "edge/trace/w3c"}
}

// leaves may be imported by any test.
var leaves = []string{"loadtest/pki", "loadtest/port", "sdk", "sdk/frame", "sdk/frame/frametest", "sdk/sdktest", "edge/servercert/pebble"}

func TestImportsGoOneWay(t *testing.T) {
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports,TestImports,XTestImports", "./...").Output()
	if err != nil {
		t.Fatalf("list packages: %v", err)
	}
	allowed := map[string][]string{}
	for _, row := range mayImport {
		allowed[row.folder] = row.imports
	}
	seen := map[string]bool{}
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p struct {
			ImportPath                         string
			Imports, TestImports, XTestImports []string
		}
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		folder := strings.TrimPrefix(p.ImportPath, module)
		seen[folder] = true
		imports, known := allowed[folder]
		if len(p.Imports) > 0 && !known {
			t.Errorf("%s is not in the table of imports", folder)
		}
		check := func(kind string, list, also []string) {
			for _, path := range list {
				imported, ours := strings.CutPrefix(path, module)
				if ours && imported != folder && !slices.Contains(imports, imported) && !slices.Contains(also, imported) {
					t.Errorf("%s %s %s, which the table does not allow", folder, kind, imported)
				}
			}
		}
		check("imports", p.Imports, nil)
		check("tests import", append(p.TestImports, p.XTestImports...), leaves)
	}
	for _, row := range mayImport {
		if !seen[row.folder] {
			t.Errorf("the table names %s, which does not exist", row.folder)
		}
	}
}
