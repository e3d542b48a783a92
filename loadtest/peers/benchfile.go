package peers

import (
	"math"

	"github.com/sallyport/sallyport/loadtest/benchmark"
)

// comparisons are Sallyport with each peer, in each scenario that both have.
func (r *Report) comparisons() []benchmark.Comparison {
	var all []benchmark.Comparison
	for _, row := range r.Rows {
		for i, cell := range row.Cells {
			if cell.Ratio == 0 {
				continue
			}
			all = append(all, benchmark.Comparison{
				Name: row.Scenario, Unit: row.Unit, Ours: round(row.Cells[0].Median, 2),
				Peer: r.Servers[i].Name, Theirs: round(cell.Median, 2), Ratio: round(cell.Ratio, 4),
			})
		}
	}
	return all
}

// WriteBench writes a JSON list of comparisons: name of the scenario, unit, our
// figure, the peer's name and figure, and the ratio of the two. It makes the
// folder if need be.
func (r *Report) WriteBench(path string) error {
	return benchmark.WriteComparisons(path, r.comparisons())
}

func round(v float64, digits int) float64 {
	scale := math.Pow10(digits)
	return math.Round(v*scale) / scale
}
