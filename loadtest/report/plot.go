package report

import (
	"fmt"
	"math"
	"strings"
)

// Measures of a plot in its own coordinates, which are pixels where the page is
// wide enough.
const (
	plotHeight   = 280
	halfWidth    = 620
	fullWidth    = 1260
	marginLeft   = 66
	marginRight  = 18
	marginTop    = 14
	marginBottom = 44
	hoverWidth   = 7.1 // of a character in a hover box, at most
)

// chart is what a plot shows, in the units of its axes.
type chart struct {
	title, note string // note: what is on the axes
	xTitle      string
	wide        bool
	x, y        axis
	lines       []line
	columns     []column
	empty       string // why there is nothing to see
}

// line is a series of points. Gaps are points that are no number.
type line struct {
	name   string
	result string // whose it is, where there are several
	what   string // the quantity
	colour int
	dashed bool
	filled bool
	points []point
}

type point struct{ x, y float64 }

// column is what is shown when the pointer is at x.
type column struct {
	x    float64
	head string
	rows []columnRow
}

// columnRow tells of one line, or of all lines of one result.
type columnRow struct {
	colour int
	text   string
	marks  []float64 // y of what it tells of
}

// plot is a chart laid out, as the page's template draws it.
type plot struct {
	Title, Note, XTitle, Empty string
	Wide                       bool
	Width, Height              int
	Left, Right, Top, Bottom   float64
	XTicks, YTicks             []placedTick
	Lines                      []placedLine
	Columns                    []placedColumn
}

type placedTick struct {
	At    string
	Label string
}

type placedLine struct {
	Name       string
	Colour     int
	Dashed     bool
	Path, Fill string
	Alone      []placedPoint // points without neighbours, which no stroke shows
}

type placedPoint struct {
	X, Y   string
	Colour int
}

type placedColumn struct {
	X, From, Width         string // the band that the pointer has to be in
	BoxX, BoxY, BoxW, BoxH string
	TextX, DotX            string
	Head                   placedText
	Rows                   []placedText
	Dots                   []placedPoint
}

type placedText struct {
	Y, DotY string
	Text    string
	Colour  int
}

func (c *chart) layout() plot {
	p := plot{Title: c.title, Note: c.note, XTitle: c.xTitle, Wide: c.wide, Empty: c.empty,
		Width: halfWidth, Height: plotHeight, Left: marginLeft, Top: marginTop, Bottom: plotHeight - marginBottom}
	if c.wide {
		p.Width = fullWidth
	}
	p.Right = float64(p.Width) - marginRight
	if c.empty != "" {
		return p
	}
	for _, t := range c.x.ticks {
		p.XTicks = append(p.XTicks, placedTick{pixel(p.x(t.at)), t.label})
	}
	for _, t := range c.y.ticks {
		p.YTicks = append(p.YTicks, placedTick{pixel(p.y(t.at)), t.label})
	}
	for _, l := range c.lines {
		p.Lines = append(p.Lines, p.trace(c, l))
	}
	c.placeColumns(&p)
	return p
}

// Inside is the height between the margins.
func (p plot) Inside() float64 { return p.Bottom - p.Top }

// x and y turn places on an axis into coordinates.
func (p *plot) x(at float64) float64 { return p.Left + at*(p.Right-p.Left) }
func (p *plot) y(at float64) float64 { return p.Bottom - at*(p.Bottom-p.Top) }

func pixel(v float64) string {
	return strings.TrimSuffix(fmt.Sprintf("%.1f", v), ".0")
}

// trace draws a line, broken where it has gaps.
func (p *plot) trace(c *chart, l line) placedLine {
	placed := placedLine{Name: l.name, Colour: l.colour, Dashed: l.dashed}
	var path, fill strings.Builder
	var run []placedPoint
	end := func() {
		switch {
		case len(run) == 1:
			placed.Alone = append(placed.Alone, run[0])
		case len(run) > 1:
			for i, at := range run {
				command := "L"
				if i == 0 {
					command = "M"
				}
				path.WriteString(command + at.X + " " + at.Y)
			}
			if l.filled {
				fmt.Fprintf(&fill, "M%s %s", run[0].X, pixel(p.Bottom))
				for _, at := range run {
					fill.WriteString("L" + at.X + " " + at.Y)
				}
				fmt.Fprintf(&fill, "L%s %sZ", run[len(run)-1].X, pixel(p.Bottom))
			}
		}
		run = nil
	}
	for _, at := range thin(l.points) {
		x, y := c.x.pos(at.x), c.y.pos(at.y)
		if math.IsNaN(x) || math.IsNaN(y) {
			end()
			continue
		}
		run = append(run, placedPoint{pixel(p.x(x)), pixel(p.y(y)), l.colour})
	}
	end()
	placed.Path, placed.Fill = path.String(), fill.String()
	return placed
}

// mostPoints is more than a plot has pixels to show.
const mostPoints = 1400

// thin leaves of many points the lowest and the highest of each neighbourhood,
// so that no peak is lost.
func thin(points []point) []point {
	if len(points) <= mostPoints {
		return points
	}
	size := (2*len(points) + mostPoints - 1) / mostPoints
	var kept []point
	for i := 0; i < len(points); i += size {
		low, high := i, i
		for j := i; j < min(i+size, len(points)); j++ {
			if points[j].y < points[low].y || math.IsNaN(points[low].y) {
				low = j
			}
			if points[j].y > points[high].y || math.IsNaN(points[high].y) {
				high = j
			}
		}
		kept = append(kept, points[min(low, high)])
		if low != high {
			kept = append(kept, points[max(low, high)])
		}
	}
	return kept
}
