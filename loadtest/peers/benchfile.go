package peers

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
)

// comparison is one line of the file that WriteBench writes.
type comparison struct {
	Name   string  `json:"name"` // the scenario
	Unit   string  `json:"unit"`
	Ours   float64 `json:"ours"`
	Peer   string  `json:"peer"`
	Theirs float64 `json:"theirs"`
	Ratio  float64 `json:"ratio"` // ours by theirs, the median of those within a round
}

// comparisons are Sallyport with each peer, in each scenario that both have.
func (r *Report) comparisons() []comparison {
	all := []comparison{}
	for _, row := range r.Rows {
		for i, cell := range row.Cells {
			if cell.Ratio == 0 {
				continue
			}
			all = append(all, comparison{
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
	text, err := json.MarshalIndent(r.comparisons(), "", "  ")
	if err != nil {
		return fmt.Errorf("encode comparisons: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}

func round(v float64, digits int) float64 {
	scale := math.Pow10(digits)
	return math.Round(v*scale) / scale
}
