package report

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/sallyport/sallyport/loadtest"
)

// charts are what a page plots of its results. Of one result each quantity has
// its colour; of several, each result has.
func charts(rs []*loadtest.Result, names []string) []*chart {
	unhappy := overTime(rs, names, "Refusals and failures", "units a second", false, rate,
		quantity{"refused", 4, true, func(_ *loadtest.Result, s loadtest.Second) float64 { return float64(s.Refused) }},
		quantity{"failed", 5, false, func(_ *loadtest.Result, s loadtest.Second) float64 { return float64(s.Failed) }})
	if !unhappy.above(0) {
		unhappy.empty = "None was refused, and none failed."
	}
	list := []*chart{
		percentiles(rs, names),
		overTime(rs, names, "Rate", "units a second", false, rate,
			quantity{"asked", quiet, true, func(r *loadtest.Result, s loadtest.Second) float64 {
				if !openLoop(r) {
					return math.NaN()
				}
				return s.Asked
			}},
			quantity{"done", 0, false, func(_ *loadtest.Result, s loadtest.Second) float64 { return float64(s.Done) }}),
		latencyOverTime(rs, names),
		unhappy,
	}
	open := overTime(rs, names, "Open connections", "at the end of each second", false, count,
		quantity{"open", 0, false, func(_ *loadtest.Result, s loadtest.Second) float64 { return float64(s.Open) }})
	if open.above(0) {
		list = append(list, open)
	}
	if slices.ContainsFunc(rs, func(r *loadtest.Result) bool { return r.Server != nil }) {
		list = append(list,
			overTime(rs, names, "Server CPU", "of one core", false, func(v float64) string { return number(v) + " %" },
				quantity{"CPU", 0, false, func(r *loadtest.Result, s loadtest.Second) float64 {
					return accounted(r, 100*float64(s.CPU)/float64(time.Second))
				}}),
			overTime(rs, names, "Server memory", "resident set", true, size,
				quantity{"RSS", 0, false, func(r *loadtest.Result, s loadtest.Second) float64 { return accounted(r, float64(s.RSS)) }}))
	}
	return list
}

// above says whether anything is.
func (c *chart) above(v float64) bool {
	return slices.ContainsFunc(c.lines, func(l line) bool {
		return slices.ContainsFunc(l.points, func(p point) bool { return p.y > v })
	})
}

// accounted is v where the server's process was known.
func accounted(r *loadtest.Result, v float64) float64 {
	if r.Server == nil {
		return math.NaN()
	}
	return v
}

// percentiles is the whole of each result's latency. The slow end, which
// matters, has as much room as the rest.
func percentiles(rs []*loadtest.Result, names []string) *chart {
	c := &chart{title: "Latency by percentile", note: "logarithmic", xTitle: "percentile of units", wide: true, x: percentileAxis()}
	var curves []loadtest.Distribution
	add := func(d loadtest.Distribution, name string, colour int, dashed bool) {
		if points := curve(d); len(points) > 0 {
			c.lines = append(c.lines, line{name: name, colour: colour, dashed: dashed, points: points})
			curves = append(curves, d)
		}
	}
	for i, r := range rs {
		if len(rs) > 1 {
			add(r.Latency, names[i], i, false)
			if r.Latency.Count == 0 {
				add(r.Refusal, names[i]+" (refusals)", i, true)
			}
			continue
		}
		if openLoop(r) {
			add(r.Latency, "from when it was due", 0, false)
			if serviceDiffers(r) {
				add(r.Service, "from when it was begun", 1, false)
			}
		} else {
			add(r.Latency, "from when it was begun", 0, false)
		}
		add(r.Refusal, "until refused", 2, true)
	}
	if len(c.lines) == 0 {
		c.empty = "No unit was done."
		return c
	}
	c.y = c.logScale()
	for _, t := range c.x.ticks {
		p := 100 * (1 - math.Pow(10, -t.at*c.x.hi))
		col := column{x: p, head: t.label + " % took no longer than"}
		for _, l := range c.lines {
			y := at(l.points, p)
			col.rows = append(col.rows, columnRow{l.colour, duration(y) + "  " + l.name, []float64{y}})
		}
		c.columns = append(c.columns, col)
	}
	return c
}

// curve is a distribution's, up to the end of the axis.
func curve(d loadtest.Distribution) []point {
	if d.Count == 0 || len(d.Curve) == 0 {
		return nil
	}
	var points []point
	for _, p := range d.Curve {
		if p.Percentile >= 0 && p.Percentile < lastPercentile {
			points = append(points, point{p.Percentile, float64(p.Value)})
		}
	}
	if len(points) == 0 || points[0].x > 0 {
		points = slices.Insert(points, 0, point{0, float64(d.Min)})
	}
	return append(points, point{lastPercentile, float64(d.P9999)})
}

// at is what a rising curve has at x: the value that was recorded for the next
// point, as for percentiles between two.
func at(points []point, x float64) float64 {
	for _, p := range points {
		if p.x >= x-1e-9 {
			return p.y
		}
	}
	return points[len(points)-1].y
}

// logScale is a logarithmic axis for all lines of a chart.
func (c *chart) logScale() axis {
	lo, hi := math.Inf(1), 0.0
	for _, l := range c.lines {
		for _, p := range l.points {
			if p.y > 0 && finite(p.y) {
				lo, hi = min(lo, p.y), max(hi, p.y)
			}
		}
	}
	return logAxis(lo, hi, duration)
}

// quiet is the colour of what is there to be compared with.
const quiet = 7

// quantity is what a chart shows of each second.
type quantity struct {
	name   string
	colour int  // where there is one result
	dashed bool // where colours tell results apart
	of     func(*loadtest.Result, loadtest.Second) float64
}

func latencyOverTime(rs []*loadtest.Result, names []string) *chart {
	q := func(name string, colour int, dashed bool, value func(loadtest.Second) time.Duration) quantity {
		return quantity{name, colour, dashed, func(_ *loadtest.Result, s loadtest.Second) float64 {
			if s.Done == 0 {
				return math.NaN()
			}
			return float64(value(s))
		}}
	}
	c := overTime(rs, names, "Latency over time", "logarithmic", false, duration,
		q("p50", 0, true, func(s loadtest.Second) time.Duration { return s.P50 }),
		q("p99", 1, false, func(s loadtest.Second) time.Duration { return s.P99 }))
	if c.empty == "" {
		c.y = c.logScale()
	}
	return c
}

// overTime plots quantities by second.
func overTime(rs []*loadtest.Result, names []string, title, note string, binary bool, show func(float64) string, quantities ...quantity) *chart {
	c := &chart{title: title, note: note, xTitle: "seconds from the start"}
	last, top := 0, 0.0
	for i, r := range rs {
		for _, q := range quantities {
			l := line{name: q.name, what: q.name, colour: q.colour, dashed: q.colour == quiet, filled: len(rs)*len(quantities) == 1}
			if len(rs) > 1 {
				l.name, l.result, l.colour, l.dashed = names[i]+" "+q.name, names[i], i, q.dashed
			}
			some := false
			for _, s := range r.Seconds {
				v := q.of(r, s)
				l.points = append(l.points, point{float64(s.At), v})
				if finite(v) {
					some, last, top = true, max(last, s.At), max(top, v)
				}
			}
			if some {
				c.lines = append(c.lines, l)
			}
		}
	}
	if len(c.lines) == 0 {
		c.empty = "Nothing was recorded."
		return c
	}
	if last >= 120 {
		c.xTitle = "minutes from the start"
	}
	c.x, c.y = timeAxis(last), linearAxis(top, binary, show)
	c.columns = secondColumns(c, show)
	return c
}

// secondColumns are one for each second that any line has.
func secondColumns(c *chart, show func(float64) string) []column {
	bySecond := map[float64]*column{}
	var seconds []float64
	for _, l := range c.lines {
		for _, p := range l.points {
			if !finite(p.y) {
				continue
			}
			col := bySecond[p.x]
			if col == nil {
				col = &column{x: p.x, head: fmt.Sprintf("second %d", int(p.x))}
				bySecond[p.x] = col
				seconds = append(seconds, p.x)
			}
			text := show(p.y) + " " + l.what
			if l.result == "" {
				col.rows = append(col.rows, columnRow{l.colour, text, []float64{p.y}})
				continue
			}
			if n := len(col.rows); n > 0 && col.rows[n-1].colour == l.colour {
				row := &col.rows[n-1]
				row.text += ", " + text
				row.marks = append(row.marks, p.y)
				continue
			}
			col.rows = append(col.rows, columnRow{l.colour, l.result + "  " + text, []float64{p.y}})
		}
	}
	slices.Sort(seconds)
	var columns []column
	for _, s := range seconds {
		columns = append(columns, *bySecond[s])
	}
	return columns
}
