package report

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/loadtest"
)

// Text sums up one result for people: what was asked and what was held, how
// units ended, latency, errors, and what it cost. The error is w's.
func Text(w io.Writer, r *loadtest.Result) error {
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "%s\n", title(r))
	for _, line := range subtitle(r) {
		fmt.Fprintf(b, "  %s\n", line)
	}
	writeWarnings(b, allWarnings(r))
	for _, t := range tables(r) {
		fmt.Fprintln(b)
		columns(b, "", t.text, t.rows)
	}
	return b.Flush()
}

// table is rows under a header.
type table struct {
	rows [][]string
	text bool // the last column is text
}

// tables are those of one result that have anything in them.
func tables(r *loadtest.Result) []table {
	all := []table{{unitRows(r), false}, {usageRows(r), false}, {latencyRows(r), false}, {errorRows(r), true}}
	return slices.DeleteFunc(all, func(t table) bool { return len(t.rows) < 2 })
}

// title names a result.
func title(r *loadtest.Result) string {
	if r.Name == "" {
		return plain(r.Plan.Target)
	}
	return plain(r.Name)
}

// subtitle says what was run, when and where.
func subtitle(r *loadtest.Result) []string {
	p := r.Plan
	var what []string
	if title(r) != plain(p.Target) {
		what = append(what, plain(p.Target))
	}
	for _, word := range []string{string(p.Scenario), string(p.Protocol)} {
		if word != "" {
			what = append(what, plain(word))
		}
	}
	if p.Profile != "" && p.Profile != "go" {
		what = append(what, "as "+plain(p.Profile))
	}
	if p.Connections == 1 {
		what = append(what, "1 connection")
	} else if p.Connections > 1 {
		what = append(what, count(float64(p.Connections))+" connections")
	}
	loop := "closed loop"
	if openLoop(r) {
		loop = "open loop at " + r.Plan.Pace.String() + "/s"
	}
	what = append(what, loop)

	where := []string{duration(float64(r.Wall)) + " measured"}
	if !r.Started.IsZero() {
		where[0] += " from " + stamp(r.Started)
	}
	m := r.Machine
	if m.CPU != "" {
		where = append(where, plain(m.CPU))
	}
	if m.Cores == 1 {
		where = append(where, "1 core")
	} else if m.Cores > 1 {
		where = append(where, count(float64(m.Cores))+" cores")
	}
	if m.Kernel != "" {
		where = append(where, "kernel "+plain(m.Kernel))
	}
	if m.Go != "" {
		where = append(where, plain(m.Go))
	}
	return []string{strings.Join(what, ", "), strings.Join(where, ", ")}
}

func writeWarnings(w *bufio.Writer, warnings []string) {
	for i, warning := range warnings {
		if i == 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "WARNING: %s\n", warning)
	}
}

func unitRows(r *loadtest.Result) [][]string {
	u := r.Units
	wall := r.Wall.Seconds()
	row := func(name string, n int64) []string {
		return []string{name, count(float64(n)), percent(float64(n), float64(u.Due)), rate(float64(n) / wall)}
	}
	first := row("due", u.Due)
	if !openLoop(r) {
		first[0] = "begun"
	}
	rows := [][]string{{"UNITS", "COUNT", "SHARE", "RATE"}, first, row("done", u.Done)}
	rows[2][3] = rate(u.Rate)
	for _, more := range []struct {
		name string
		n    int64
	}{{"refused", u.Refused}, {"failed", u.Failed}, {"resumed", u.Resumed}} {
		if more.n != 0 || more.name == "failed" {
			rows = append(rows, row(more.name, more.n))
		}
	}
	if u.Unfinished != 0 {
		rows = append(rows, row("unfinished", u.Unfinished)[:3])
	}
	if finite(positive(r.Capacity)) {
		rows = append(rows, []string{"capacity", "", "", rate(r.Capacity)})
	}
	for _, body := range []struct {
		name string
		n    int64
	}{{"bytes in", u.BytesIn}, {"bytes out", u.BytesOut}} {
		if body.n > 0 {
			perSecond := size(float64(body.n) / wall)
			if perSecond != none {
				perSecond += "/s"
			}
			rows = append(rows, []string{body.name, size(float64(body.n)), "", perSecond})
		}
	}
	return rows
}

func latencyRows(r *loadtest.Result) [][]string {
	rows := [][]string{{"LATENCY", "MIN", "MEAN", "P50", "P90", "P99", "P99.9", "P99.99", "MAX", "OF"}}
	for _, d := range distributions(r) {
		row := []string{d.name}
		for _, v := range []time.Duration{d.of.Min, d.of.Mean, d.of.P50, d.of.P90, d.of.P99, d.of.P999, d.of.P9999, d.of.Max} {
			row = append(row, duration(float64(v)))
		}
		rows = append(rows, append(row, count(float64(d.of.Count))))
	}
	return rows
}

type distribution struct {
	name string
	of   loadtest.Distribution
}

// distributions are those of a result that have something in them.
func distributions(r *loadtest.Result) []distribution {
	var list []distribution
	add := func(name string, d loadtest.Distribution) {
		if d.Count > 0 {
			list = append(list, distribution{name, d})
		}
	}
	if openLoop(r) {
		add("from due", r.Latency)
		if serviceDiffers(r) {
			add("service", r.Service)
		}
	} else {
		add("service", r.Latency)
	}
	add("refusal", r.Refusal)
	for _, phase := range phases([]*loadtest.Result{r}) {
		add(phaseName(phase), r.Phases[phase])
	}
	return list
}

func errorRows(r *loadtest.Result) [][]string {
	rows := [][]string{{"ERRORS", "COUNT", "SHARE", "EXAMPLE"}}
	for _, e := range r.Errors {
		kind := plain(e.Kind)
		if e.Refusal {
			kind += " (refused)"
		}
		rows = append(rows, []string{kind, count(float64(e.Count)), percent(float64(e.Count), float64(r.Units.Due)), plain(e.Example)})
	}
	return rows
}

func usageRows(r *loadtest.Result) [][]string {
	rows := [][]string{{"COST", "CPU/UNIT", "USER", "SYSTEM", "CORES", "RSS BEFORE", "PEAK", "AFTER"}}
	add := func(name string, u *loadtest.Usage) {
		if u == nil || u.User+u.System == 0 && u.RSSPeak == 0 {
			return
		}
		row := []string{name}
		row = append(row, duration(positive(float64(u.PerUnit))))
		for _, v := range []time.Duration{u.User, u.System} {
			row = append(row, duration(float64(v)))
		}
		row = append(row, number(cores(r, u)))
		for _, v := range []int64{u.RSSBefore, u.RSSPeak, u.RSSAfter} {
			row = append(row, size(positive(float64(v))))
		}
		rows = append(rows, row)
	}
	if r.Server != nil {
		add(fmt.Sprintf("server (pid %d)", r.Server.PID), r.Server)
	}
	add("generator", &r.Generator)
	return rows
}

// Line tells of one second in one line, as it happens.
func Line(s loadtest.Second) string {
	words := []string{fmt.Sprintf("%d s", s.At+1), rate(float64(s.Done)) + " done"}
	if s.Asked > 0 {
		words[1] += " of " + rate(s.Asked)
	}
	if s.Refused > 0 {
		words = append(words, count(float64(s.Refused))+" refused")
	}
	if s.Failed > 0 {
		words = append(words, count(float64(s.Failed))+" failed")
	}
	if s.Done > 0 {
		words = append(words, "p50 "+duration(float64(s.P50)), "p99 "+duration(float64(s.P99)))
	}
	if s.Open > 0 {
		words = append(words, count(float64(s.Open))+" open")
	}
	if s.CPU > 0 {
		words = append(words, "server "+percent(float64(s.CPU), float64(time.Second))+" CPU")
	}
	if s.RSS > 0 {
		words = append(words, size(float64(s.RSS)))
	}
	return strings.Join(words, "   ")
}
