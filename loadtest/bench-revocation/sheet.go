package main

import (
	"fmt"
	"slices"

	"github.com/sallyport/sallyport/loadtest/benchmark"
)

// ours is the name of our side.
const ours = "Sallyport"

// peers are the other sides, in the table's order.
var peers = []string{"OpenSSL", "crypto/x509", "Go map", "nginx"}

// metric is a thing measured. Less is better of all.
type metric struct {
	name, unit string
	label      string // in the table, which says the unit with each figure
	show       func(v float64) string
}

// allMetrics are in the table's order.
var allMetrics = []metric{
	{"load", "s wall", "load (wall)", seconds},
	{"load CPU", "s CPU", "load (CPU)", seconds},
	{"peak memory", "MiB", "peak memory", mebibytes},
	{"miss", "ns CPU", "miss (CPU)", nanoseconds},
	{"hit", "ns CPU", "hit (CPU)", nanoseconds},
	{"restart", "s wall", "restart (wall)", seconds},
	{"handshake", "us CPU", "handshake (CPU)", microseconds},
	{"first server start", "s wall", "first server start (wall)", seconds},
	{"server restart", "s wall", "server restart (wall)", seconds},
}

// cell is where a value belongs.
type cell struct {
	metric  string
	entries int
	side    string
}

// sheet is the values of all rounds. The zero sheet is empty.
type sheet struct {
	values map[cell][]float64
	sizes  []int // ascending
}

// add adds the value of a round.
func (s *sheet) add(metric string, entries int, side string, value float64) {
	if s.values == nil {
		s.values = map[cell][]float64{}
	}
	at := cell{metric, entries, side}
	s.values[at] = append(s.values[at], value)
	if !slices.Contains(s.sizes, entries) {
		s.sizes = append(s.sizes, entries)
		slices.Sort(s.sizes)
	}
}

// median is that of the rounds; measured is false where there is none.
func (s *sheet) median(metric string, entries int, side string) (value float64, measured bool) {
	values := s.values[cell{metric, entries, side}]
	if len(values) == 0 {
		return 0, false
	}
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2, true
}

// rows are all comparisons, the largest lists first.
func (s *sheet) rows() []benchmark.Comparison {
	var rows []benchmark.Comparison
	for _, entries := range slices.Backward(s.sizes) {
		for _, m := range allMetrics {
			a, measured := s.median(m.name, entries, ours)
			if !measured {
				continue
			}
			for _, peer := range peers {
				if b, measured := s.median(m.name, entries, peer); measured {
					rows = append(rows, benchmark.Compare(m.name+" "+benchmark.Count(entries), m.unit, a, peer, b))
				}
			}
		}
	}
	return rows
}

// table is the sheet as text, its first row the heading. A peer's cell says in
// parentheses how many times ours it is.
func (s *sheet) table() [][]string {
	table := [][]string{append([]string{"", ours}, peers...)}
	for _, m := range allMetrics {
		for _, entries := range s.sizes {
			a, measured := s.median(m.name, entries, ours)
			if !measured {
				continue
			}
			line := []string{m.label + ", " + benchmark.Count(entries), m.show(a)}
			for _, peer := range peers {
				text := ""
				if b, measured := s.median(m.name, entries, peer); measured {
					text = fmt.Sprintf("%s (%s×)", m.show(b), benchmark.Digits(b/a))
				}
				line = append(line, text)
			}
			table = append(table, line)
		}
	}
	return table
}

func seconds(v float64) string {
	switch {
	case v < 1e-3:
		return benchmark.Digits(v*1e6) + " µs"
	case v < 1:
		return benchmark.Digits(v*1e3) + " ms"
	}
	return benchmark.Digits(v) + " s"
}

func microseconds(v float64) string { return nanoseconds(v * 1e3) }

func mebibytes(v float64) string { return benchmark.Digits(v) + " MiB" }

func nanoseconds(v float64) string {
	if v < 1e3 {
		return benchmark.Digits(v) + " ns"
	}
	return seconds(v / 1e9)
}

func appendNew(list []string, text string) []string {
	if slices.Contains(list, text) {
		return list
	}
	return append(list, text)
}
