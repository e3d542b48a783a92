package report

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/sallyport/sallyport/loadtest"
)

// MaxResults is how many one page can tell apart by colour.
const MaxResults = 8

//go:embed page.html
var pageText string

var pageTemplate = template.Must(template.New("page").Parse(pageText))

// page is what the template fills in.
type page struct {
	Title    string
	Results  []pageResult
	Warnings []string
	Tiles    []tile
	Measures []measureGroup // of several results, side by side
	Plots    []plot
}

type pageResult struct {
	Letter, Name string // no letter where there is one result only
	Colour       int
	Subtitle     []string
	Tables       []pageTable
	Plan         string
}

type pageTable struct {
	Header []string
	Rows   [][]string
	Text   bool
}

// tile is a figure to be seen first.
type tile struct{ Name, Value, Note string }

type measureGroup struct {
	Name string
	Rows []measureRow
}

type measureRow struct {
	Name  string
	Cells []measureCell
}

type measureCell struct {
	Value   string
	Compare bool // it is beside the first
	Ratio   string
	Verdict string
}

// HTML writes a page that shows results, MaxResults of them at most, in the same
// plots; several also side by side, each with its ratio to the first. The page
// asks for nothing from anywhere and runs no script, and has the browser see to
// that. The error is w's, or says that there are too few or too many results.
func HTML(w io.Writer, rs ...*loadtest.Result) error {
	if len(rs) == 0 || len(rs) > MaxResults {
		return fmt.Errorf("write page of %d results: want 1 to %d", len(rs), MaxResults)
	}
	p := page{Warnings: allWarnings(rs...), Title: title(rs[0])}
	var names []string
	for i, r := range rs {
		shown := pageResult{Name: title(r), Colour: i, Subtitle: subtitle(r)}
		if len(rs) > 1 {
			shown.Letter = letter(i)
			names = append(names, letter(i))
		} else {
			names = append(names, title(r))
		}
		for _, t := range tables(r) {
			shown.Tables = append(shown.Tables, pageTable{t.rows[0], t.rows[1:], t.text})
		}
		plan, err := yaml.Marshal(r.Plan) // as a plan's file has it
		if err != nil {
			return fmt.Errorf("encode plan: %w", err)
		}
		for line := range strings.Lines(string(plan)) {
			shown.Plan += plain(strings.TrimRight(line, "\n")) + "\n"
		}
		p.Results = append(p.Results, shown)
	}
	if len(rs) == 1 {
		p.Tiles = tiles(rs[0])
	} else {
		p.Title = fmt.Sprintf("%d load runs compared", len(rs))
		p.Measures = sideBySide(rs)
	}
	for _, c := range charts(rs, names) {
		p.Plots = append(p.Plots, c.layout())
	}
	// As a whole or not at all.
	var out bytes.Buffer
	if err := pageTemplate.Execute(&out, p); err != nil {
		return fmt.Errorf("write page: %w", err)
	}
	_, err := w.Write(out.Bytes())
	return err
}

// tiles are what one would ask first.
func tiles(r *loadtest.Result) []tile {
	u := r.Units
	done := tile{"done", rate(u.Rate), count(float64(u.Done)) + " units"}
	if openLoop(r) {
		done.Note = percent(float64(u.Done), float64(u.Due)) + " of " + rate(asked(r))
	}
	list := []tile{done}
	slow := func(name string, d loadtest.Distribution) {
		if d.Count > 0 {
			list = append(list,
				tile{name + " p50", duration(float64(d.P50)), "mean " + duration(float64(d.Mean))},
				tile{name + " p99", duration(float64(d.P99)), "max " + duration(float64(d.Max))})
		}
	}
	slow("latency", r.Latency)
	if u.Refused > 0 {
		list = append(list, tile{"refused", count(float64(u.Refused)), percent(float64(u.Refused), float64(u.Due)) + " of units"})
		if r.Latency.Count == 0 {
			slow("refusal", r.Refusal)
		}
	}
	list = append(list, tile{"failed", count(float64(u.Failed)), percent(float64(u.Failed), float64(u.Due)) + " of units"})
	if r.Server != nil {
		list = append(list,
			tile{"server CPU", duration(float64(r.Server.PerUnit)), "a unit, " + number(cores(r, r.Server)) + " cores"},
			tile{"server RSS peak", size(positive(float64(r.Server.RSSPeak))), "from " + size(positive(float64(r.Server.RSSBefore)))})
	}
	return list
}

func sideBySide(rs []*loadtest.Result) []measureGroup {
	var groups []measureGroup
	for _, m := range measures(rs) {
		row := measureRow{Name: m.name}
		first := m.of(rs[0])
		for i, r := range rs {
			v := m.of(r)
			cell := measureCell{Value: m.show(v), Compare: i > 0}
			if i > 0 {
				ratio, word := m.verdict(first, v)
				cell.Ratio, cell.Verdict = factor(ratio), word
			}
			row.Cells = append(row.Cells, cell)
		}
		if len(groups) == 0 || groups[len(groups)-1].Name != m.group {
			groups = append(groups, measureGroup{Name: m.group})
		}
		last := &groups[len(groups)-1]
		last.Rows = append(last.Rows, row)
	}
	return groups
}
