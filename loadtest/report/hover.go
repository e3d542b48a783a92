package report

import (
	"math"
	"unicode/utf8"
)

// mostColumns bounds how much of a page is there to be pointed at.
const mostColumns = 120

const hoverLine = 17 // height of a line in a hover box

// placeColumns gives each column the band half way to its neighbours, and a box
// on the side that has room.
func (c *chart) placeColumns(p *plot) {
	columns := c.columns
	if stride := (len(columns) + mostColumns - 1) / mostColumns; stride > 1 {
		var kept []column
		for i := 0; i < len(columns); i += stride {
			kept = append(kept, columns[i])
		}
		columns = kept
	}
	at := func(i int) float64 { return p.x(c.x.pos(columns[i].x)) }
	for i, col := range columns {
		x, from, to := at(i), p.Left, p.Right
		if i > 0 {
			from = (at(i-1) + x) / 2
		}
		if i < len(columns)-1 {
			to = (x + at(i+1)) / 2
		}
		placed := placedColumn{X: pixel(x), From: pixel(from), Width: pixel(to - from)}
		longest := utf8.RuneCountInString(col.head)
		for _, row := range col.rows {
			longest = max(longest, utf8.RuneCountInString(row.text)+2)
		}
		width := float64(longest)*hoverWidth + 18
		height := float64(1+len(col.rows))*hoverLine + 12
		left := x + 10
		if left+width > p.Right && x-10-width >= 0 {
			left = x - 10 - width
		}
		top := p.Top + 4
		placed.BoxX, placed.BoxY, placed.BoxW, placed.BoxH = pixel(left), pixel(top), pixel(width), pixel(height)
		placed.TextX, placed.DotX = pixel(left+9), pixel(left+13)
		placed.Head = placedText{Y: pixel(top + hoverLine), Text: col.head}
		for j, row := range col.rows {
			baseline := top + float64(2+j)*hoverLine
			placed.Rows = append(placed.Rows, placedText{Y: pixel(baseline), DotY: pixel(baseline - 4), Text: row.text, Colour: row.colour})
			for _, mark := range row.marks {
				if y := c.y.pos(mark); !math.IsNaN(y) {
					placed.Dots = append(placed.Dots, placedPoint{pixel(x), pixel(p.y(y)), row.colour})
				}
			}
		}
		p.Columns = append(p.Columns, placed)
	}
}
