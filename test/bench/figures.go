package main

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/rocketkit/rocketkit/test/peer/meter"
)

type figures = meter.Figures

// finding is one number that the run is about, over its turns.
type finding struct {
	What    string  `json:"what"`
	Median  float64 `json:"median"`
	Min     float64 `json:"min"`
	Max     float64 `json:"max"`
	AtLeast float64 `json:"at_least,omitempty"` // wanted of the median; 0 means nothing
	AtMost  float64 `json:"at_most,omitempty"`

	values []float64
}

func (f finding) filled() finding {
	f.Median, f.Min, f.Max = median(f.values), least(f.values), most(f.values)
	return f
}

func (f finding) met() bool {
	return f.Median >= f.AtLeast && (f.AtMost == 0 || f.Median <= f.AtMost)
}

// row writes the finding for a table.
func (f finding) row() []string {
	row := []string{f.What, fmt.Sprintf("%.2f", f.Median), "", "", "", ""}
	if len(f.values) > 1 {
		row[2], row[3] = fmt.Sprintf("%.2f", f.Min), fmt.Sprintf("%.2f", f.Max)
	}
	switch {
	case f.AtLeast > 0:
		row[4] = fmt.Sprintf(">= %.2f", f.AtLeast)
	case f.AtMost > 0:
		row[4] = fmt.Sprintf("<= %.2f", f.AtMost)
	default:
		return row
	}
	row[5] = "met"
	if !f.met() {
		row[5] = "missed"
	}
	return row
}

// median returns the middle, or the mean of the two in the middle; 0 of nothing.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

func least(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	return slices.Min(values)
}

func most(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	return slices.Max(values)
}

// ratios divides two lists, turn by turn.
func ratios(a, b []float64) []float64 {
	var all []float64
	for i := range min(len(a), len(b)) {
		if b[i] > 0 && !math.IsInf(a[i], 0) {
			all = append(all, a[i]/b[i])
		}
	}
	return all
}

// grouped writes a number with a comma for each thousand.
func grouped(n int64) string {
	text := strconv.FormatInt(n, 10)
	for at := len(text) - 3; at > 0 && text[at-1] != '-'; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}
