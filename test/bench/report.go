package main

import (
	"fmt"
	"io"
	"runtime"
	"strings"
	"time"
)

// report is all that a run found.
type report struct {
	Machine string  `json:"machine"`
	Took    string  `json:"took"`
	Tables  []table `json:"tables"`
}

// table is what one section found.
type table struct {
	Name     string    `json:"name"`
	Title    string    `json:"title"`
	Results  []result  `json:"results,omitempty"`
	Findings []finding `json:"findings"`
}

// result is what one arm did, in all its turns.
type result struct {
	Name     string `json:"name"`
	Settings string `json:"settings"`
	Turns    []turn `json:"turns"`
}

func (r result) each(value func(turn) float64) []float64 {
	values := make([]float64, 0, len(r.Turns))
	for _, t := range r.Turns {
		values = append(values, value(t))
	}
	return values
}

// filled computes the findings.
func (t table) filled() table {
	for i, f := range t.Findings {
		t.Findings[i] = f.filled()
	}
	return t
}

// machine says where the figures are from.
func machine(rocketmq string) string {
	return fmt.Sprintf("%d processors shared with the broker, %s/%s, %s, RocketMQ %s, %s", runtime.NumCPU(), runtime.GOOS, runtime.GOARCH,
		runtime.Version(), rocketmq, time.Now().Format("2006-01-02"))
}

// compare adds how an arm's rate compares to another's, turn by turn. wanted is the least that the median should be, 0 when nothing is.
func (t *table) compare(name, other string, wanted float64) {
	var mine, others result
	for _, r := range t.Results {
		switch r.Name {
		case name:
			mine = r
		case other:
			others = r
		}
	}
	if mine.Name == "" || others.Name == "" {
		return // -who left one of them out
	}
	rate := func(t turn) float64 { return t.Rate() }
	t.Findings = append(t.Findings, finding{
		What: fmt.Sprintf("%s, %s / %s", t.Name, name, other), AtLeast: wanted, values: ratios(mine.each(rate), others.each(rate)),
	})
}

// print writes the report as text, the findings last.
func (r report) print(out io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", r.Machine)
	var findings []finding
	for _, t := range r.Tables {
		fmt.Fprintf(&b, "\n%s\n", t.Title)
		width := 0
		for _, result := range t.Results {
			width = max(width, len(result.Name))
		}
		for _, result := range t.Results {
			fmt.Fprintf(&b, "  %-*s  %s\n", width, result.Name, result.Settings)
		}
		if len(t.Results) > 0 {
			b.WriteString("\n")
			t.rates(&b)
		}
		findings = append(findings, t.Findings...)
	}
	b.WriteString("\nwhat it comes to\n\n")
	rows := [][]string{{"", "median", "min", "max", "wanted", ""}}
	for _, f := range findings {
		rows = append(rows, f.row())
	}
	align(&b, rows)
	fmt.Fprintf(&b, "\nratios are of turns that followed each other; it took %s\n", r.Took)
	_, err := io.WriteString(out, b.String())
	return err
}

// rates writes what the arms did.
func (t table) rates(b *strings.Builder) {
	rows := [][]string{
		{"", "messages/s", "", "", "CPU s per million", "", "allocations", "MB"},
		{"", "median", "min", "max", "its own", "broker's", "a message", "resident"},
	}
	for _, r := range t.Results {
		rate := r.each(func(t turn) float64 { return t.Rate() })
		own := median(r.each(func(t turn) float64 { return t.CPUPerMillion() }))
		broker := median(r.each(func(t turn) float64 { return (figures{CPU: t.Broker, Messages: t.Messages}).CPUPerMillion() }))
		rows = append(rows, []string{
			r.Name, grouped(int64(median(rate))), grouped(int64(least(rate))), grouped(int64(most(rate))),
			known("%.2f", own), known("%.2f", broker), known("%.2f", median(r.each(func(t turn) float64 { return t.PerMessage() }))),
			known("%.0f", median(r.each(func(t turn) float64 { return float64(t.RSS) / 1e6 }))),
		})
	}
	align(b, rows)
}

// known writes a number, or a dash for one that isn't known.
func known(format string, value float64) string {
	if value == 0 {
		return "-"
	}
	return fmt.Sprintf(format, value)
}
