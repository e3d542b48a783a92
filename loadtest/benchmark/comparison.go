package benchmark

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// Comparison is one row of a benchmark's file.
type Comparison struct {
	Name   string  `json:"name"`
	Unit   string  `json:"unit"`
	Ours   float64 `json:"ours"`
	Peer   string  `json:"peer"`
	Theirs float64 `json:"theirs"`
	Ratio  float64 `json:"ratio"` // ours/theirs
}

// Compare makes one of two figures.
func Compare(name, unit string, ours float64, peer string, theirs float64) Comparison {
	return Comparison{name, unit, Significant(ours, 4), peer, Significant(theirs, 4), Significant(ours/theirs, 3)}
}

// WriteComparisons writes them as a JSON list.
func WriteComparisons(path string, all []Comparison) error {
	if all == nil {
		all = []Comparison{} // a list, if an empty one
	}
	text, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return fmt.Errorf("encode comparisons: %w", err)
	}
	return WriteFile(path, append(text, '\n'))
}

// WriteFile writes a file, and makes its directory if need be.
func WriteFile(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o644)
}
