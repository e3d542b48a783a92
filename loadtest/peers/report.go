package peers

import (
	"slices"
	"time"

	"github.com/sallyport/sallyport/loadtest"
)

// Report is what a run found.
type Report struct {
	Started time.Time
	Machine loadtest.Machine
	Load    float64 // average of the minute before
	Cores   string  // who ran on which
	Rounds  int
	Quick   bool
	Servers []Server // that were measured, Sallyport first
	Rows    []Row    // a scenario each
	Notes   []string // what has to be known to read the figures
}

// Server is one that was measured.
type Server struct {
	Name    string
	Version string // with that of its TLS library, where that is not its own
	Suite   string // of TLS 1.3, negotiated with the client
}

// Row is a scenario, with a cell for each of Report.Servers.
type Row struct {
	Scenario string
	Unit     string // of the figures, of which less is better
	Cells    []Cell
}

// Cell is what a server's figures in a scenario came to.
type Cell struct {
	Samples          []float64 // by round; none where LeftOut says why
	Median, Min, Max float64
	// Ratio is the median of Sallyport's figure by this server's, of the same
	// round. It is 0 for Sallyport itself, and where either was left out.
	Ratio   float64
	LeftOut string
}

// newRow sums up the samples of a scenario: of each server by round, or why
// there are none.
func newRow(s *scenario, samples [][]float64, leftOut []string) Row {
	row := Row{Scenario: s.name, Unit: s.unit, Cells: make([]Cell, len(samples))}
	for i, values := range samples {
		cell := Cell{Samples: values, LeftOut: leftOut[i]}
		if len(values) > 0 {
			cell.Median, cell.Min, cell.Max = median(values), slices.Min(values), slices.Max(values)
		}
		if i > 0 {
			if ratios := ratios(samples[0], values); len(ratios) > 0 {
				cell.Ratio = median(ratios)
			}
		}
		row.Cells[i] = cell
	}
	return row
}

// ratios are ours/theirs, round by round, where both have a figure that can be
// compared.
func ratios(ours, theirs []float64) []float64 {
	var all []float64
	for i := range min(len(ours), len(theirs)) {
		if theirs[i] > 0 {
			all = append(all, ours[i]/theirs[i])
		}
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
