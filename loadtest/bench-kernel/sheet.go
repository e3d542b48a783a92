package main

import (
	"slices"

	"github.com/sallyport/sallyport/loadtest/benchmark"
)

// The sides of floods of packets. Of nftables' there is one for each hook, as in
// "nftables, ingress"; where none is named, the one on which it costs less.
const (
	xdp          = "XDP"
	dropAll      = "XDP, all dropped"
	noFilter     = "no filter"
	nftables     = "nftables"
	nftFixed     = "nftables without timeouts"
	emptyProgram = "empty program"
)

// The sides of the good client. Bans are in XDP while they are listed.
const (
	undisturbed   = "undisturbed"
	bansOff       = "off"
	bansUserSpace = "user space"
	bansXDP       = "XDP"
	bansListed    = "all bans listed"
)

// Metrics, but for those of a number of bans, which dropping, load and running
// name.
const (
	goodShare      = "good client, in time"
	goodP50        = "good client, p50"
	goodP99        = "good client, p99"
	goodSettled    = "good client, p99 once settled"
	serverBusy     = "server core"
	attackTried    = "attackers' connections"
	attackAnswered = "attackers answered"
	edgeStart      = "start of the edge"
	listTook       = "list"
)

func dropping(n int) string { return "drop per packet " + benchmark.Count(n) + " bans" }

func load(n int) string { return "load " + benchmark.Count(n) + " bans" }

func running(name string, n int) string {
	return "test run, " + name + ", " + benchmark.Count(n) + " bans"
}

// cell is where a value belongs.
type cell struct{ metric, side string }

// sheet is the values of all passes.
type sheet struct {
	sizes  []int // numbers of bans, ascending
	listed int   // bans that were listed
	values map[cell][]float64
}

// add adds the value of a pass.
func (s *sheet) add(metric, side string, value float64) {
	if s.values == nil {
		s.values = map[cell][]float64{}
	}
	at := cell{metric, side}
	s.values[at] = append(s.values[at], value)
}

// median is that of the passes; measured is false where there is none.
func (s *sheet) median(metric, side string) (value float64, measured bool) {
	values := s.values[cell{metric, side}]
	if len(values) == 0 {
		return s.cheapestHook(metric, side)
	}
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2, true
}

// cheapestHook is the least of the medians of a side that has one for each hook.
func (s *sheet) cheapestHook(metric, side string) (least float64, measured bool) {
	if side != nftables && side != nftFixed {
		return 0, false
	}
	for hook := range nftHooks {
		if v, there := s.median(metric, side+", "+hook); there && (!measured || v < least) {
			least, measured = v, true
		}
	}
	return least, measured
}

// rows are the comparisons that are kept from run to run; the tables have more.
// More is better of what is in time, less of all else.
func (s *sheet) rows() []benchmark.Comparison {
	var rows []benchmark.Comparison
	compare := func(name, unit, metric, ours, theirs string) {
		a, measured := s.median(metric, ours)
		b, also := s.median(metric, theirs)
		if measured && also && b > 0 {
			rows = append(rows, benchmark.Compare(name, unit, a, theirs, b))
		}
	}
	for _, n := range s.sizes {
		m := dropping(n)
		for _, peer := range []string{nftables, noFilter} {
			compare(m, "ns CPU", m, xdp, peer)
		}
	}
	for _, of := range []struct{ name, unit, metric string }{
		{"good client under flood", "% in time", goodShare},
		{"good client's p50 under flood", "ms", goodP50},
		{"good client's p99 under flood, settled", "ms", goodSettled},
		{"server core under flood, settled", "% busy", serverBusy},
	} {
		for _, side := range []string{bansXDP, bansUserSpace, bansOff} {
			compare(of.name+", "+side, of.unit, of.metric, side, undisturbed)
		}
	}
	return rows
}
