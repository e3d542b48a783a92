package peers

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// Table writes the report for people to read in a terminal.
func (r *Report) Table(w io.Writer) error {
	out := bufio.NewWriter(w)
	for _, line := range r.preface() {
		fmt.Fprintln(out, line)
	}
	fmt.Fprintln(out)
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, row := range r.Rows {
		// Cells before the last are aligned; a line without any ends a column.
		fmt.Fprintf(t, "%s, %s\n", row.Scenario, row.Unit)
		for i, cell := range row.Cells {
			name := "  " + r.Servers[i].Name
			if cell.LeftOut != "" {
				fmt.Fprintf(t, "\t\t\t%s: left out, %s\n", name, cell.LeftOut)
				continue
			}
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", figure(cell.Median), spread(cell), ratio(cell), name)
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(out)
	for _, note := range r.notes() {
		fmt.Fprintf(out, "- %s\n", note)
	}
	return out.Flush()
}

// Markdown writes the report as a page's section, without a heading.
func (r *Report) Markdown(w io.Writer) error {
	out := bufio.NewWriter(w)
	for _, line := range r.preface() {
		fmt.Fprintf(out, "- %s\n", line)
	}
	fmt.Fprint(out, "\n| scenario | unit |")
	for _, s := range r.Servers {
		fmt.Fprintf(out, " %s |", s.Name)
	}
	fmt.Fprintf(out, "\n|---|---|%s\n", strings.Repeat("---|", len(r.Servers)))
	for _, row := range r.Rows {
		fmt.Fprintf(out, "| %s | %s |", row.Scenario, row.Unit)
		for _, cell := range row.Cells {
			switch {
			case cell.LeftOut != "":
				fmt.Fprintf(out, " – (%s) |", strings.ReplaceAll(cell.LeftOut, "|", "/"))
			case cell.Ratio > 0:
				fmt.Fprintf(out, " %s (%s), **%s** |", figure(cell.Median), spread(cell), ratio(cell))
			default:
				fmt.Fprintf(out, " %s (%s) |", figure(cell.Median), spread(cell))
			}
		}
		fmt.Fprintln(out)
	}
	fmt.Fprintln(out)
	for _, note := range r.notes() {
		fmt.Fprintf(out, "- %s\n", note)
	}
	return out.Flush()
}

// figure has three digits that count, or all of those before the point.
func figure(v float64) string {
	switch {
	case v < 10:
		return fmt.Sprintf("%.2f", v)
	case v < 100:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.0f", v)
}

func spread(c Cell) string { return figure(c.Min) + "–" + figure(c.Max) }

func ratio(c Cell) string {
	switch {
	case c.Ratio <= 0:
		return ""
	case c.Ratio < 0.1:
		return fmt.Sprintf("%.3f×", c.Ratio)
	}
	return fmt.Sprintf("%.2f×", c.Ratio)
}
