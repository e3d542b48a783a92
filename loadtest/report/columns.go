package report

import (
	"bufio"
	"io"
	"strings"
	"unicode/utf8"
)

// columns prints rows under each other. Columns are set to the right, as numbers
// want it, but for the first and those past the header's last but one where
// lastLeft is set. Trailing blanks are left out.
func columns(w *bufio.Writer, indent string, lastLeft bool, rows [][]string) {
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range rows {
		var line strings.Builder
		line.WriteString(indent)
		for i, cell := range row {
			if i > 0 {
				line.WriteString("  ")
			}
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i == 0 || lastLeft && i == len(widths)-1 {
				line.WriteString(cell + pad)
			} else {
				line.WriteString(pad + cell)
			}
		}
		io.WriteString(w, strings.TrimRight(line.String(), " ")+"\n")
	}
}
