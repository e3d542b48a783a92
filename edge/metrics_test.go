package edge

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

var update = flag.Bool("update", false, "write generated documentation anew")

const metricsPage = "../docs/metrics.md"

// cloudWatch is which of ALB's CloudWatch metrics is what of ours.
var cloudWatch = [][2]string{
	{"ActiveConnectionCount", "sum(sallyport_connections_open)"},
	{"NewConnectionCount", "increase(sallyport_connections_total[1m])"},
	{"RejectedConnectionCount", `increase(sallyport_handshakes_total{code="LimitExceeded"}[1m])`},
	{"ClientTLSNegotiationErrorCount", `increase(sallyport_handshakes_total{code!="Success"}[1m])`},
	{"RequestCount", "increase(sallyport_requests_total[1m])"},
	{"HTTPCode_ELB_4XX_Count", `increase(sallyport_requests_total{class="4xx"}[1m]), with those of targets`},
	{"HTTPCode_ELB_5XX_Count", `increase(sallyport_requests_total{class="5xx"}[1m]), with those of targets`},
	{"HTTPCode_ELB_502_Count", `increase(sallyport_request_failures_total{reason=~"Target.*Error"}[1m])`},
	{"HTTPCode_ELB_503_Count", `increase(sallyport_request_failures_total{reason=~"No.*Target"}[1m]), without those of plugins`},
	{"HTTPCode_ELB_504_Count", `increase(sallyport_request_failures_total{reason=~"Target.*Timeout"}[1m])`},
	{"TargetConnectionErrorCount", `increase(sallyport_request_failures_total{reason=~"TargetConnect.*"}[1m])`},
	{"TargetResponseTime", "sallyport_target_duration_seconds"},
	{"HealthyHostCount", `sallyport_targets{state="healthy"}`},
	{"UnHealthyHostCount", `sallyport_targets{state="unhealthy"}`},
}

// metricsDocument is docs/metrics.md.
func metricsDocument() []byte {
	var b bytes.Buffer
	b.WriteString("# Metrics\n\nWhat the address `admin.metrics` serves under `/metrics`, beside those of the process and of the Go runtime. " +
		"Labels are names of the configuration, CAs of trust stores, issuers of configured CRLs and closed sets of words. " +
		"Counters by what has happened, such as handshakes by code, are there from the first time on, and `increase` does not see that one; those that alerts are about begin with 0.\n\n" +
		"```yaml\nadmin: {metrics: \"10.0.0.5:9901\"}   # without a password: an address that only Prometheus reaches\n```\n\n" +
		"In Prometheus, with `docs/prometheus/alerts.yml` beside its configuration:\n\n" +
		"```yaml\nrule_files: [alerts.yml]\nscrape_configs:\n  - job_name: sallyport\n    static_configs: [{targets: [\"10.0.0.5:9901\"]}]\n```\n\n" +
		"`docs/grafana/sallyport.json` is a dashboard: Dashboards, New, Import. The alert `SallyportGone` wants the job to be called `sallyport`. " +
		"Times are Unix times: `- time()` is what is left. Sums over `rate` are of all edges; add `by (instance)` for one.\n\n" +
		"| metric | kind | labels | what it counts |\n|---|---|---|---|\n")
	docs := slices.Clone(described)
	slices.SortFunc(docs, func(x, y metricDoc) int { return strings.Compare(x.name, y.name) })
	for _, d := range docs {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", d.name, d.kind, strings.Join(d.labels, ", "), d.help)
	}
	b.WriteString("\n## ALB's names\n\n| CloudWatch | here |\n|---|---|\n")
	for _, row := range cloudWatch {
		expression, note, _ := strings.Cut(row[1], "), ")
		if note != "" {
			expression, note = expression+")", ", "+note
		}
		fmt.Fprintf(&b, "| `%s` | `%s`%s |\n", row[0], expression, note)
	}
	return b.Bytes()
}

// The page is generated of the code: go test ./edge -run TestMetricsPage -update.
func TestMetricsPage(t *testing.T) {
	want := metricsDocument()
	if *update {
		if err := os.WriteFile(metricsPage, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(metricsPage)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("docs/metrics.md is not what the code says: go test ./edge -run TestMetricsPage -update")
	}
}

// Names keep to Prometheus' conventions, and nothing is declared twice.
func TestMetricNames(t *testing.T) {
	seen := map[string]bool{}
	for _, d := range described {
		if !regexp.MustCompile(`^sallyport_[a-z]+(_[a-z]+)*$`).MatchString(d.name) || seen[d.name] {
			t.Errorf("metric %q: not a name, or declared twice", d.name)
		}
		seen[d.name] = true
		if d.help == "" || !strings.HasSuffix(d.help, ".") {
			t.Errorf("metric %s: help %q: want a sentence", d.name, d.help)
		}
	}
}

// Whatever a collector sends was declared: the registry refuses the rest.
func TestRegistryTakesAll(t *testing.T) {
	s := &Server{log: slog.New(slog.DiscardHandler)}
	m := newMetrics(s)
	names := make(chan *prometheus.Desc, 200)
	(&stateCollector{s}).Describe(names)
	close(names)
	sent := 0
	for range names {
		sent++
	}
	kept := 0
	for _, d := range described {
		if d.desc == nil {
			kept++
		}
	}
	if sent+kept != len(described) || m.registry == nil {
		t.Errorf("%d described and %d kept of %d", sent, kept, len(described))
	}
}

// mentioned are the metrics in a text, without what histograms add to a name.
func mentioned(text string) []string {
	var names []string
	for _, name := range regexp.MustCompile(`sallyport_[a-z_]+`).FindAllString(text, -1) {
		for _, d := range described {
			if d.kind == "histogram" {
				for _, suffix := range []string{"_bucket", "_sum", "_count"} {
					if name == d.name+suffix {
						name = d.name
					}
				}
			}
		}
		names = append(names, name)
	}
	return names
}

// Rules and dashboard ask for metrics that exist, with labels that they have.
func TestRulesAndDashboard(t *testing.T) {
	known := map[string]bool{}
	for _, d := range described {
		known[d.name] = true
	}
	for _, file := range []string{"../docs/prometheus/alerts.yml", "../docs/grafana/sallyport.json"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		names := mentioned(string(text))
		if len(names) < 10 {
			t.Errorf("%s names %d metrics", file, len(names))
		}
		for _, name := range names {
			if !known[name] {
				t.Errorf("%s: no metric %s", file, name)
			}
		}
	}
	dashboard, err := os.ReadFile("../docs/grafana/sallyport.json")
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr, LegendFormat string }
		}
	}
	if err := json.Unmarshal(dashboard, &d); err != nil {
		t.Fatal(err)
	}
	for _, panel := range d.Panels {
		for _, target := range panel.Targets {
			for _, label := range regexp.MustCompile(`\{\{(\w+)\}\}`).FindAllStringSubmatch(target.LegendFormat, -1) {
				if !slices.ContainsFunc(described, func(d metricDoc) bool {
					return slices.Contains(mentioned(target.Expr), d.name) && slices.Contains(d.labels, label[1])
				}) {
					t.Errorf("panel %q: %q has no label %s", panel.Title, target.Expr, label[1])
				}
			}
		}
	}
}

func TestPromtool(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("promtool is missing, and CI must not skip")
		}
		t.Skip("promtool (Debian: prometheus) is not installed")
	}
	for _, args := range [][]string{{"check", "rules", "../docs/prometheus/alerts.yml"}, {"test", "rules", "../docs/prometheus/alerts_test.yml"}} {
		if out, err := exec.Command(promtool, args...).CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", args, err, out)
		}
	}
}
