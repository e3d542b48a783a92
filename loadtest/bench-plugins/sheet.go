package main

import (
	"fmt"
	"math"
	"slices"

	"github.com/sallyport/sallyport/loadtest/benchmark"
)

// sheet is the values of all rounds, by side, in the order of rounds. The zero
// sheet is empty.
type sheet struct{ values map[string][]value }

func (s *sheet) add(side string, v value) {
	if s.values == nil {
		s.values = map[string][]value{}
	}
	s.values[side] = append(s.values[side], v)
}

// median is that of one figure of a side.
func (s *sheet) median(side string, figure func(value) float64) float64 {
	all := make([]float64, 0, len(s.values[side]))
	for _, v := range s.values[side] {
		all = append(all, figure(v))
	}
	return median(all)
}

func median(all []float64) float64 {
	if len(all) == 0 {
		return math.NaN()
	}
	slices.Sort(all)
	n := len(all)
	return (all[(n-1)/2] + all[n/2]) / 2
}

// added is what a decision costs on a side, in µs of CPU: the median of what each
// round says. Two windows of one round have seen the machine more alike than two
// medians have.
func (s *sheet) added(side *side) (us float64, measured bool) {
	with, without := s.values[side.name], s.values[side.base]
	if side.base == "" || len(with) == 0 || len(with) != len(without) {
		return 0, false
	}
	all := make([]float64, len(with))
	for i := range with {
		all[i] = with[i].each - without[i].each
	}
	return median(all), true
}

// rows are all comparisons: each of our ways with each peer.
func (s *sheet) rows(all []*side) []benchmark.Comparison {
	var rows []benchmark.Comparison
	for _, ours := range all {
		a, measured := s.added(ours)
		if ours.row == "" || !measured {
			continue
		}
		for _, peer := range all {
			if b, measured := s.added(peer); peer.peer && measured {
				rows = append(rows, benchmark.Compare("added CPU per request, "+ours.row, "us CPU", a, peer.name, b))
			}
		}
	}
	return rows
}

// table is the sheet as text, its first row the heading.
func (s *sheet) table(all []*side) [][]string {
	table := [][]string{{"", "CPU per request", "added", "requests/s", "server busy", "load busy"}}
	for _, side := range all {
		if len(s.values[side.name]) == 0 {
			continue
		}
		added := ""
		if v, measured := s.added(side); measured {
			added = fmt.Sprintf("%+.1f µs", v)
		}
		table = append(table, []string{
			side.name,
			fmt.Sprintf("%.1f µs", s.median(side.name, func(v value) float64 { return v.each })),
			added,
			fmt.Sprintf("%.0f", s.median(side.name, func(v value) float64 { return v.rate })),
			fmt.Sprintf("%.0f %%", 100*s.median(side.name, func(v value) float64 { return v.busy })),
			fmt.Sprintf("%.0f %%", 100*s.median(side.name, func(v value) float64 { return v.load })),
		})
	}
	return table
}
