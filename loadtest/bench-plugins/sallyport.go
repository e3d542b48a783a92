package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

// sallyportConfig is Sallyport's. Its defaults stand but for connections per
// address, since all of them come from one, and for the plugin's deadline and
// cache.
var sallyportConfig = configuration(`state_dir: {{.Dir}}/state
admin: {socket: {{.Dir}}/admin/admin.sock}
trust_stores:
  clients: {ca_bundle: {file: {{.PKI}}/` + caFile + `}}
certificates:
  - {name: server, file: {cert: {{.PKI}}/` + serverCertFile + `, key: {{.PKI}}/` + serverKeyFile + `}}
target_groups:
  target: {targets: ["http://{{.Target}}"]}
{{- if .Command}}
plugins:
  policy:
    command: {{.Command}}
    timeout: ` + deadline.String() + `
    start_timeout: 1m
{{- if .Directory}}
    dir: {{.Directory}}
    config: {allow: [` + allowedUnit + `]}
{{- end}}
    cache: {entries: {{if .Cached}}1000{{else}}0{{end}}}
{{- end}}
listeners:
  bench:
    address: "{{.Address}}"
    mutual_authentication: {mode: verify, trust_store: clients}
    limits: {connections_per_address: 10000}
{{- if .Command}}
    plugins: [policy]
{{- end}}
    default_action: {forward: target}
`)

// program is how a plugin is started: a command, in JSON, and the directory it has
// for its own if it is one of the examples.
type program func(b *bench) (command, directory string, err error)

// sallyportSides are Sallyport with plugins.
func sallyportSides() []*side {
	ours := func(row string, p program, missing func(*bench) string) *side {
		return &side{name: row, base: plainSallyport, row: row, missing: missing, command: sallyport(p, false), check: called}
	}
	return []*side{
		{name: "cached", base: plainSallyport, row: "cached", missing: noSallyport, command: sallyport(goPlugin(1), true), check: kept},
		ours("Go plugin", goPlugin(1), noSallyport),
		ours("Go plugin, concurrent", goPlugin(64), noSallyport),
		ours("Python plugin", example("python3", "python", "ou_policy.py"), noExample("python3", "/usr/bin/python3")),
		ours("Node plugin", example("node", "node", "ou-policy.js"), noExample("node", "/usr/bin/node")),
	}
}

func noSallyport(b *bench) string {
	if _, err := os.Stat(b.sallyport); err != nil {
		return fmt.Sprintf("there is no Sallyport: %v", err)
	}
	return ""
}

// noExample looks where plugins are looked for: an interpreter of somebody's own
// is not there for them.
func noExample(name, path string) func(*bench) string {
	return func(b *bench) string {
		if _, err := os.Stat(path); err != nil {
			return fmt.Sprintf("there is no %s (Debian: %s)", path, map[string]string{"python3": "python3", "node": "nodejs"}[name])
		}
		if _, err := os.Stat(b.examples); err != nil {
			return fmt.Sprintf("the examples are not there: %v", err)
		}
		return noSallyport(b)
	}
}

func goPlugin(concurrency int) program {
	return func(*bench) (string, string, error) {
		args, err := self(rolePlugin, strconv.Itoa(concurrency))
		if err != nil {
			return "", "", err
		}
		command, err := json.Marshal(args)
		return string(command), "", err
	}
}

func example(interpreter, folder, script string) program {
	return func(b *bench) (string, string, error) {
		directory := filepath.Join(b.examples, folder)
		command, err := json.Marshal([]string{"/usr/bin/" + interpreter, filepath.Join(directory, script)})
		return string(command), directory, err
	}
}

// sallyport is how to start Sallyport with a plugin, or with none.
func sallyport(p program, cached bool) func(*bench, site) ([]string, error) {
	return func(b *bench, s site) ([]string, error) {
		data := struct {
			site
			Command, Directory string
			Cached             bool
		}{site: s, Cached: cached}
		if p != nil {
			var err error
			if data.Command, data.Directory, err = p(b); err != nil {
				return nil, err
			}
		}
		if err := os.Mkdir(filepath.Join(s.Dir, "admin"), 0o700); err != nil {
			return nil, err
		}
		file, err := s.write(configFile, sallyportConfig, data)
		return []string{b.sallyport, "run", "-c", file}, err
	}
}

const configFile = "sallyport.yaml"

// counts is what Sallyport says of its plugin.
type counts struct {
	Calls  int64 `json:"calls"`
	Cached int64 `json:"cached"`
}

func (b *bench) counts(ctx context.Context, s site) (counts, error) {
	text, err := exec.CommandContext(ctx, b.sallyport, "plugins", "-c", filepath.Join(s.Dir, configFile), "--json").Output()
	if err != nil {
		return counts{}, fmt.Errorf("ask Sallyport for its plugins: %w", err)
	}
	return parseCounts(text)
}

func parseCounts(text []byte) (counts, error) {
	var plugins []struct {
		Stats map[string]counts `json:"stats"`
	}
	if err := json.Unmarshal(text, &plugins); err != nil {
		return counts{}, fmt.Errorf("decode Sallyport's plugins: %w", err)
	}
	if len(plugins) != 1 {
		return counts{}, fmt.Errorf("%d plugins in what Sallyport says, want 1", len(plugins))
	}
	return plugins[0].Stats["request"], nil
}

// called checks that every request was a call.
func called(ctx context.Context, b *bench, s site, requests int64) error {
	c, err := b.counts(ctx, s)
	if err == nil && (c.Calls < requests || c.Cached > 0) {
		err = fmt.Errorf("of %d requests %d were asked about, and %d answered by the cache: want all and none", requests, c.Calls, c.Cached)
	}
	return err
}

// kept checks that hardly one was.
func kept(ctx context.Context, b *bench, s site, requests int64) error {
	c, err := b.counts(ctx, s)
	if err == nil && (c.Cached < requests || c.Calls > 10+requests/100) {
		err = fmt.Errorf("of %d requests %d were asked about, and %d answered by the cache: want hardly one and all", requests, c.Calls, c.Cached)
	}
	return err
}
