package main

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/sallyport/sallyport/loadtest/benchmark"
)

// report is what a run found: µs of CPU for a request, by side, in the order of
// rounds.
type report struct {
	machine benchmark.Machine
	cores   string
	values  map[string][]float64
}

// added is the median of what each round says that a side costs beyond none. Two
// windows of one round have seen the machine more alike than two medians have.
func (r *report) added(name string) float64 {
	with, without := r.values[name], r.values[plain]
	var all []float64
	for i := range min(len(with), len(without)) {
		all = append(all, with[i]-without[i])
	}
	return benchmark.Median(all)
}

// rows compare each side, ours, with the one that has none of it. What is with is
// what is without and what was added, so that a row says the same as the table.
func (r *report) rows() (rows []benchmark.Comparison) {
	without := benchmark.Median(r.values[plain])
	for _, s := range sides() {
		if s.name != plain && len(r.values[s.name]) > 0 {
			rows = append(rows, benchmark.Compare("CPU per request, "+s.name, "us CPU", without+r.added(s.name), plain, without))
		}
	}
	return rows
}

func (r *report) print(w io.Writer) error {
	fmt.Fprintf(w, "%s\n%s\n\n", r.machine, r.cores)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\tCPU per request\tadded")
	for _, s := range sides() {
		added := ""
		if s.name != plain {
			added = fmt.Sprintf("%+.1f µs", r.added(s.name))
		}
		fmt.Fprintf(t, "%s\t%.1f µs\t%s\n", s.name, benchmark.Median(r.values[s.name]), added)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprint(w, `
A request is one by HTTP/1.1 on a connection that is there already, with a client certificate, passed on to a target. CPU time is the edge's, its writer of logs and its exporter of spans included; the kernel's work of writing to the disk afterwards is not.
Added is the median of the rounds' differences. What is below a µs is within what a repetition changes: a connection log has nothing to do with a request but when its connection begins or ends.
Metrics are counted on every side, and cannot be turned off; what a scrape costs is shared here by the requests of one second.
`)
	return err
}
