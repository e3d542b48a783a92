package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
)

// metric is one figure, with the windows of each server, pass by pass.
type metric struct {
	name, title string
	windows     [][]window
}

// report is what a run found. The first server is ours.
type report struct {
	machine string
	cores   cores
	options options
	servers []*server
	notes   []string
	metrics []metric
}

// result is one comparison in the file.
type result struct {
	Name   string  `json:"name"`
	Unit   string  `json:"unit"`
	Ours   float64 `json:"ours"`
	Peer   string  `json:"peer"`
	Theirs float64 `json:"theirs"`
	Ratio  float64 `json:"ratio"` // the median of ours/theirs within a pass
}

// results compares the first server with each other one.
func (r report) results() []result {
	results := []result{}
	for _, m := range r.metrics {
		ours := perUnit(m.windows[0])
		for i := 1; i < len(r.servers); i++ {
			theirs := perUnit(m.windows[i])
			results = append(results, result{
				Name: m.name, Unit: "us CPU", Ours: round(median(ours), 1),
				Peer: r.servers[i].name, Theirs: round(median(theirs), 1),
				Ratio: round(median(ratios(ours, theirs)), 3),
			})
		}
	}
	return results
}

func (r report) print(w io.Writer) error {
	o := r.options
	fmt.Fprintf(w, "Server CPU (user + system) per unit. %d passes, servers in turn, windows of %s at most.\n", o.passes, o.window)
	fmt.Fprintf(w, "%s; %s\n", r.machine, r.cores)
	fmt.Fprintf(w, "TLS 1.3, X25519, P-256 leaf + intermediate presented, CRLs of %d entries; suites: %s\n", entries, r.suites())
	for _, note := range r.notes {
		fmt.Fprintln(w, note)
	}
	for _, m := range r.metrics {
		fmt.Fprintf(w, "\n%s\n", m.title)
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprintf(t, "µs CPU\tratio\tcore used\tper pass\t  server\n")
		ours := perUnit(m.windows[0])
		for i, s := range r.servers {
			theirs, ratio := perUnit(m.windows[i]), ""
			if i > 0 {
				ratio = fmt.Sprintf("%.2f", median(ratios(ours, theirs)))
			}
			busy := make([]float64, len(m.windows[i]))
			for j, w := range m.windows[i] {
				busy[j] = 100 * w.busy()
			}
			fmt.Fprintf(t, "%.1f\t%s\t%.0f %%\t%s\t  %s\n", median(theirs), ratio, median(busy), list(theirs), s.name)
		}
		if err := t.Flush(); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(w, "\nMedians; ratio: Sallyport's to the server's, median of the ratios within a pass. Under 10 %% is noise.\n")
	return err
}

// suites are the cipher suites negotiated, each once.
func (r report) suites() string {
	var suites []string
	for _, s := range r.servers {
		if !slices.Contains(suites, s.suite) {
			suites = append(suites, s.suite)
		}
	}
	return strings.Join(suites, ", ")
}

// write writes the results as JSON; it makes the directory.
func (r report) write(file string) error {
	text, err := json.MarshalIndent(r.results(), "", "  ")
	if err != nil {
		return fmt.Errorf("encode results: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, append(text, '\n'), 0o644)
}

func perUnit(windows []window) []float64 {
	all := make([]float64, len(windows))
	for i, w := range windows {
		all[i] = w.perUnit()
	}
	return all
}

// ratios are ours/theirs, pass by pass.
func ratios(ours, theirs []float64) []float64 {
	all := make([]float64, len(ours))
	for i := range ours {
		all[i] = ours[i] / theirs[i]
	}
	return all
}

// median is the middle of values, or the mean of the two in the middle. There is
// at least one.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

func round(v float64, digits int) float64 {
	scale := math.Pow10(digits)
	return math.Round(v*scale) / scale
}

func list(values []float64) string {
	text := make([]string, len(values))
	for i, v := range values {
		text[i] = fmt.Sprintf("%.1f", v)
	}
	return strings.Join(text, " ")
}
