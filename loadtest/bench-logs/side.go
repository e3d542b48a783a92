package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"text/template"
	"time"
)

// side is Sallyport in one configuration.
type side struct {
	name   string
	config string // what it has beyond the others
	log    string // the file that gets a line for each request, if one does
	spans  bool   // traces are recorded
	scrape time.Duration
}

// plain is the side that the others are compared to.
const plain = "no log"

func sides() []*side {
	return []*side{
		{name: plain},
		{name: "access log, alb", config: "logs: {access: {file: {{.Dir}}/access.log, format: alb}}", log: "access.log"},
		{name: "access log, json", config: "logs: {access: {file: {{.Dir}}/access.log, format: json}}", log: "access.log"},
		{name: "connection log, json", config: "logs: {connection: {file: {{.Dir}}/connection.log, format: json}}"},
		{name: "metrics, scraped each second", scrape: time.Second},
		{name: "tracing, 1 % sampled", config: `tracing: {sample: 0.01, otlp: {endpoint: "http://{{.Collector}}"}}`, spans: true},
		{name: "all of it", log: "access.log", spans: true, scrape: time.Second,
			config: "logs: {access: {file: {{.Dir}}/access.log, format: json}, connection: {file: {{.Dir}}/connection.log, format: json}}\n" +
				`tracing: {sample: 0.01, otlp: {endpoint: "http://{{.Collector}}"}}`},
	}
}

// site is where a side is set up.
type site struct {
	Address, Metrics  string // to listen at
	Target, Collector string
	PKI, Dir          string
}

// common is of all sides. Its defaults stand but for connections per address, since
// all of them come from one.
const common = `
state_dir: {{.Dir}}/state
admin: {socket: {{.Dir}}/admin/admin.sock, metrics: "{{.Metrics}}"}
trust_stores:
  clients: {ca_bundle: {file: {{.PKI}}/` + caFile + `}}
certificates:
  - {name: server, file: {cert: {{.PKI}}/` + serverCertFile + `, key: {{.PKI}}/` + serverKeyFile + `}}
target_groups:
  target: {targets: ["http://{{.Target}}"]}
listeners:
  bench:
    address: "{{.Address}}"
    mutual_authentication: {mode: verify, trust_store: clients}
    limits: {connections_per_address: 10000}
    default_action: {forward: target}
`

// write writes the configuration of a side, and returns its name.
func (s site) write(one *side) (string, error) {
	t, err := template.New("").Option("missingkey=error").Parse(one.config + common)
	if err != nil {
		return "", err
	}
	var text bytes.Buffer
	if err := t.Execute(&text, s); err != nil {
		return "", err
	}
	if err := os.Mkdir(filepath.Join(s.Dir, "admin"), 0o700); err != nil {
		return "", err
	}
	path := filepath.Join(s.Dir, "sallyport.yaml")
	return path, os.WriteFile(path, text.Bytes(), 0o600)
}

// logged checks, of an edge that has ended, that every request has its line.
func (s site) logged(one *side, requests int64) error {
	if one.log == "" {
		return nil
	}
	text, err := os.ReadFile(filepath.Join(s.Dir, one.log))
	if err != nil {
		return err
	}
	if lines := int64(bytes.Count(text, []byte("\n"))); lines < requests {
		return fmt.Errorf("%d lines in %s for %d requests: want one for each", lines, one.log, requests)
	}
	return nil
}

var (
	exportedSpans = regexp.MustCompile(`(?m)^sallyport_trace_spans_total\{result="exported"\} (\S+)$`)
	lostLines     = regexp.MustCompile(`(?m)^sallyport_log_lines_dropped_total\{log="\w+"\} (\S+)$`)
)

// accounted checks, by a scrape, that a side that traces has exported spans, one that
// does not has none, and that no line was lost.
func accounted(one *side, scrape string) error {
	exported, err := sum(exportedSpans, scrape)
	if err != nil {
		return err
	}
	lost, err := sum(lostLines, scrape)
	switch {
	case err != nil:
		return err
	case lost > 0:
		return fmt.Errorf("%.0f lines of its logs were dropped: want none", lost)
	case (exported > 0) != one.spans:
		return fmt.Errorf("%.0f spans exported: want tracing %t", exported, one.spans)
	}
	return nil
}

func sum(metric *regexp.Regexp, scrape string) (total float64, err error) {
	for _, match := range metric.FindAllStringSubmatch(scrape, -1) {
		n, err := strconv.ParseFloat(match[1], 64)
		if err != nil {
			return 0, fmt.Errorf("read metrics: %q: %w", match[0], err)
		}
		total += n
	}
	return total, nil
}
