package main

import (
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/sallyport/sallyport/loadtest/benchmark"
)

// report is what a run found.
type report struct {
	machine  benchmark.Machine
	cores    cores
	versions []string
	notes    []string
	rate     float64 // of the good client
	sheet    *sheet
	options  options
}

// publish prints the tables and writes the file asked for.
func (r report) publish(output string) error {
	if err := r.print(os.Stdout); err != nil {
		return err
	}
	if output == "" {
		return nil
	}
	return benchmark.WriteComparisons(output, r.sheet.rows())
}

// print writes tables for people.
func (r report) print(w io.Writer) error {
	fmt.Fprintf(w, "%s; server on core %d, clients on core %d\n", r.machine, r.cores.server, r.cores.client)
	for _, text := range append(r.versions, r.notes...) {
		fmt.Fprintln(w, text)
	}
	for _, t := range r.tables() {
		if len(t.lines) == 0 {
			continue
		}
		fmt.Fprintf(w, "\n%s\n", t.title)
		out := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
		for _, line := range append([][]string{t.heading}, t.lines...) {
			fmt.Fprintln(out, strings.Join(line, "\t")+"\t")
		}
		if err := out.Flush(); err != nil {
			return err
		}
	}
	fmt.Fprintln(w)
	for _, text := range r.caveats() {
		fmt.Fprintln(w, text)
	}
	return nil
}

// table is one of them.
type table struct {
	title   string
	heading []string
	lines   [][]string
}

func (r report) tables() []table {
	return []table{r.receiving(), r.runningAlone(), r.loading(), r.goodClient()}
}

func (r report) receiving() table {
	sides := []string{xdp}
	for _, kind := range []string{nftables, nftFixed} {
		for _, hook := range slices.Sorted(maps.Keys(nftHooks)) {
			sides = append(sides, kind+", "+hook)
		}
	}
	sides = append(sides, noFilter, dropAll)
	t := table{title: "Receive CPU per packet of a banned address, ns (× that of XDP)", heading: append([]string{"bans"}, sides...)}
	for _, n := range r.sheet.sizes {
		t.compare(r.sheet, benchmark.Count(n), dropping(n), sides)
	}
	return t
}

func (r report) runningAlone() table {
	t := table{title: "The XDP program alone, ns per packet (BPF_PROG_TEST_RUN, its own cost included)", heading: []string{"bans"}}
	for _, a := range alone {
		t.heading = append(t.heading, a.name)
	}
	t.heading = append(t.heading, emptyProgram)
	for _, n := range r.sheet.sizes {
		line := []string{benchmark.Count(n)}
		for _, a := range alone {
			line = append(line, r.sheet.show(running(a.name, n), xdp))
		}
		if line = append(line, r.sheet.show(running(alone[0].name, n), emptyProgram)); line[1] != "" {
			t.lines = append(t.lines, line)
		}
	}
	return t
}

func (r report) loading() table {
	sides := []string{xdp, nftables, nftFixed}
	t := table{title: "Loading bans into the kernel, s (× that of XDP)", heading: append([]string{"bans"}, sides...)}
	for _, n := range r.sheet.sizes {
		t.compare(r.sheet, benchmark.Count(n), load(n), sides)
	}
	return t
}

// compare adds a line in which all but the first side say how many times that
// they are.
func (t *table) compare(s *sheet, label, metric string, sides []string) {
	ours, measured := s.median(metric, sides[0])
	if !measured {
		return
	}
	line := []string{label, benchmark.Digits(ours)}
	for _, side := range sides[1:] {
		text := ""
		if v, measured := s.median(metric, side); measured {
			text = fmt.Sprintf("%s (%s×)", benchmark.Digits(v), benchmark.Digits(v/ours))
		}
		line = append(line, text)
	}
	t.lines = append(t.lines, line)
}

func (r report) goodClient() table {
	t := table{
		title: fmt.Sprintf("The good client: full mutual-TLS handshakes, %.0f due each second, for %s", r.rate, r.options.flood),
		heading: []string{"bans", "done in time, %", "p50, ms", "p99, ms", "settled p99, ms", "settled server core, %",
			"attackers' connections /s", "and answered /s"},
	}
	for _, side := range []string{undisturbed, bansOff, bansUserSpace, bansXDP, bansListed} {
		line := []string{side}
		if side == bansListed {
			line[0] = fmt.Sprintf("%s, %s in XDP", side, benchmark.Count(r.sheet.listed))
		}
		for _, m := range []string{goodShare, goodP50, goodP99, goodSettled, serverBusy, attackTried, attackAnswered} {
			line = append(line, r.sheet.show(m, side))
		}
		if line[1] != "" {
			t.lines = append(t.lines, line)
		}
	}
	if v, measured := r.sheet.median(listTook, bansXDP); measured {
		start, _ := r.sheet.median(edgeStart, bansXDP)
		t.title += fmt.Sprintf(".\nListing %s bans took %s s beside it; the edge had them all in the kernel %s s after its start",
			benchmark.Count(r.sheet.listed), benchmark.Digits(v), benchmark.Digits(start))
	}
	return t
}

// show is a median as text, empty where there is none.
func (s *sheet) show(metric, side string) string {
	v, measured := s.median(metric, side)
	if !measured {
		return ""
	}
	return benchmark.Digits(v)
}

// caveats say how to read the figures.
func (r report) caveats() []string {
	return []string{
		fmt.Sprintf("Figures are medians of %d passes. Both cores may have been shared with others: CPU time suffers less from that than wall time, and ratios least.", r.options.passes),
		"Receive CPU: what the thread that receives (threaded NAPI of a veth, native XDP) has run, by the packets that it took from the wire. More are sent than it takes, so packets a second say nothing. A network card is not a veth: what receiving costs there, this does not tell.",
		"Sources are at random among the banned, so that most look-ups miss the CPU's caches. No filter: the SYN comes to a listener, which answers with a cookie. All dropped: by a program that looks at nothing, which is the least that a ban can cost.",
		"nftables: one set of single addresses, of which each ends by itself as bans in XDP do, and the fastest that there is, in which none does. Unlike XDP it counts nothing for each ban, and the rule looks at no port.",
		"The program alone: of the same source each time, its entry is in the cache; of any source of so many, it is not, and making one up is included. The empty program says what the measuring costs.",
		fmt.Sprintf("The good client has half the rate that it reaches alone, a timeout of %s, and precedence over the attackers on their core: what it lacks is the server's doing. %d attackers have the server do its part of handshakes, %d at once each, and then fail. Bans: %d failures within 30 s, for 10 minutes; what came before the first bans is included. Settled: from %s on, when all that will be are banned; the p99 is the median of those of each second, and the server core's share is that of the edge and of receiving for it.",
			inTime, attackerCount, r.options.atOnce, r.options.failures, settling(r.options.flood)),
		"Where the good client has all in time whatever the bans, the attackers' core cannot make more than the server's core and its queue can bear. Then the modes differ in how long the good client waits (without bans) and in what the attackers cost the server's core (in user space, a connection accepted and closed each; in XDP, a packet dropped).",
	}
}
