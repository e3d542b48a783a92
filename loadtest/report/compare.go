package report

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/sallyport/sallyport/loadtest"
)

// Compare sets b beside a, quantity by quantity, with the ratio of b to a. A
// difference under ten per cent is called noise; a larger one better or worse
// where a quantity has a good direction. Whatever makes the two hard to compare,
// another machine or another load, is said first. The error is w's.
func Compare(w io.Writer, a, b *loadtest.Result) error {
	out := bufio.NewWriter(w)
	for _, side := range []struct {
		letter string
		r      *loadtest.Result
	}{{"A", a}, {"B", b}} {
		fmt.Fprintf(out, "%s  %s\n", side.letter, title(side.r))
		for _, line := range subtitle(side.r) {
			fmt.Fprintf(out, "   %s\n", line)
		}
	}
	writeWarnings(out, allWarnings(a, b))

	rs := []*loadtest.Result{a, b}
	rows := [][]string{{"", "A", "B", "B/A", ""}}
	group := ""
	for _, m := range measures(rs) {
		if m.group != group {
			group = m.group
			rows = append(rows, []string{group})
		}
		va, vb := m.of(a), m.of(b)
		ratio, word := m.verdict(va, vb)
		rows = append(rows, []string{"  " + m.name, m.show(va), m.show(vb), factor(ratio), word})
	}
	fmt.Fprintln(out)
	columns(out, "", true, rows)
	fmt.Fprintf(out, "\nnoise: a difference under %g %%, which the same load gives twice on a shared host\n", 100*noise)
	return out.Flush()
}

// allWarnings are those of each result by its letter, after what sets them apart.
func allWarnings(rs ...*loadtest.Result) []string {
	list := differences(rs)
	for i, r := range rs {
		for _, warning := range r.Warnings {
			if len(rs) > 1 {
				warning = letter(i) + ": " + warning
			}
			list = append(list, plain(warning))
		}
	}
	return list
}

// letter is the short name of one of several results: A, B, …
func letter(i int) string { return string(rune('A' + i)) }

// differences says in what respects results are not of one kind, so that a
// comparison may tell of these and not of what was to be compared.
func differences(rs []*loadtest.Result) []string {
	var list []string
	for _, of := range []struct {
		what  string
		value func(*loadtest.Result) string
	}{
		{"processors", func(r *loadtest.Result) string { return r.Machine.CPU }},
		{"numbers of cores", func(r *loadtest.Result) string { return fmt.Sprint(r.Machine.Cores) }},
		{"kernels", func(r *loadtest.Result) string { return r.Machine.Kernel }},
		{"Go versions", func(r *loadtest.Result) string { return r.Machine.Go }},
		{"scenarios", func(r *loadtest.Result) string { return string(r.Plan.Scenario) }},
		{"protocols", func(r *loadtest.Result) string { return cmp.Or(string(r.Plan.Protocol), "by profile") }},
		{"clients' profiles", func(r *loadtest.Result) string { return cmp.Or(r.Plan.Profile, "go") }},
		{"numbers of connections", func(r *loadtest.Result) string { return fmt.Sprint(r.Plan.Connections) }},
		{"kinds of load", func(r *loadtest.Result) string {
			if openLoop(r) {
				return "open loop"
			}
			return "closed loop"
		}},
	} {
		var each []string
		same := true
		for i, r := range rs {
			each = append(each, letter(i)+" "+known(of.value(r)))
			same = same && of.value(r) == of.value(rs[0])
		}
		if !same {
			list = append(list, fmt.Sprintf("the %s differ: %s", of.what, strings.Join(each, "; ")))
		}
	}
	return list
}

func known(s string) string { return cmp.Or(plain(s), "unknown") }
