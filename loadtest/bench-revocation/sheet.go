package main

import (
	"fmt"
	"math"
	"slices"
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

// row is one comparison in the file.
type row struct {
	Name   string  `json:"name"`
	Unit   string  `json:"unit"`
	Ours   float64 `json:"ours"`
	Peer   string  `json:"peer"`
	Theirs float64 `json:"theirs"`
	Ratio  float64 `json:"ratio"` // ours/theirs, of the medians: below 1 ours is better
}

// rows are all comparisons, the largest lists first.
func (s *sheet) rows() []row {
	rows := []row{}
	for _, entries := range slices.Backward(s.sizes) {
		for _, m := range allMetrics {
			a, measured := s.median(m.name, entries, ours)
			if !measured {
				continue
			}
			for _, peer := range peers {
				if b, measured := s.median(m.name, entries, peer); measured {
					rows = append(rows, row{m.name + " " + count(entries), m.unit, significant(a, 4), peer, significant(b, 4), significant(a/b, 3)})
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
			line := []string{m.label + ", " + count(entries), m.show(a)}
			for _, peer := range peers {
				text := ""
				if b, measured := s.median(m.name, entries, peer); measured {
					text = fmt.Sprintf("%s (%s×)", m.show(b), digits(b/a))
				}
				line = append(line, text)
			}
			table = append(table, line)
		}
	}
	return table
}

// count is a number of entries in short: 10M, 100k, 1500.
func count(n int) string {
	switch {
	case n >= 1e6 && n%1e6 == 0:
		return fmt.Sprintf("%dM", n/1e6)
	case n >= 1e3 && n%1e3 == 0:
		return fmt.Sprintf("%dk", n/1e3)
	}
	return fmt.Sprint(n)
}

// significant rounds to so many significant digits.
func significant(v float64, digits int) float64 {
	if v == 0 {
		return 0
	}
	scale := math.Pow10(digits - 1 - int(math.Floor(math.Log10(math.Abs(v)))))
	return math.Round(v*scale) / scale
}

// digits is a number for people: three significant digits at most, none of them
// in an exponent.
func digits(v float64) string {
	if v = significant(v, 3); v >= 100 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%g", v)
}

func seconds(v float64) string {
	switch {
	case v < 1e-3:
		return digits(v*1e6) + " µs"
	case v < 1:
		return digits(v*1e3) + " ms"
	}
	return digits(v) + " s"
}

func microseconds(v float64) string { return nanoseconds(v * 1e3) }

func mebibytes(v float64) string { return digits(v) + " MiB" }

func nanoseconds(v float64) string {
	if v < 1e3 {
		return digits(v) + " ns"
	}
	return seconds(v / 1e9)
}

func appendNew(list []string, text string) []string {
	if slices.Contains(list, text) {
		return list
	}
	return append(list, text)
}
