package main

import (
	"strings"
	"unicode/utf8"
)

// align writes rows so that their columns line up, the first to the left, the others to the right. A cell with empty
// ones behind it that isn't the row's first or last may be as wide as those together.
func align(b *strings.Builder, rows [][]string) {
	widths := columns(rows)
	for _, row := range rows {
		var text strings.Builder
		text.WriteString("  ")
		for i := 0; i < len(row); i++ {
			width, cell := widths[i], row[i]
			for i > 0 && cell != "" && utf8.RuneCountInString(cell) > width && i+1 < len(row) && row[i+1] == "" {
				i++
				width += 2 + widths[i]
			}
			pad := strings.Repeat(" ", max(0, width-utf8.RuneCountInString(cell)))
			if i == 0 {
				text.WriteString(cell + pad)
			} else {
				text.WriteString("  " + pad + cell)
			}
		}
		b.WriteString(strings.TrimRight(text.String(), " ") + "\n")
	}
}

// columns returns how wide each column must be for those cells that can't spread.
func columns(rows [][]string) []int {
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			if i > 0 && i+1 < len(row) && row[i+1] == "" && cell != "" {
				continue
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	return widths
}
