//go:build unix

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/rocketkit/rocketkit/test/chaos/ledger"
)

// row is what a scenario made of a library.
type row struct {
	Scenario string         `json:"scenario"`
	Order    ledger.Order   `json:"order,omitempty"`
	Library  string         `json:"library"`
	Figures  ledger.Figures `json:"figures"`
	Took     time.Duration  `json:"took"`
	Away     []ledger.Span  `json:"away,omitempty"`   // when the broker was
	Notes    []string       `json:"notes,omitempty"`  // what else was seen
	Broken   []string       `json:"broken,omitempty"` // promises of rocketkit's that don't hold
	Late     bool           `json:"late,omitempty"`   // rocketkit stalled longer than it should
	Error    string         `json:"error,omitempty"`  // why there are no figures
}

// heading says what the columns mean.
const heading = `RocketMQ %s; %d messages/s of %d bytes, %d keys, %d queues; handlers take %v, %d at once
order         what the consumer promised: none, by queue (Java's and client-go's orderly listeners), by key
acknowledged  sends that were answered well
consumed      of these, handled with success at least once
lost          not handled (after an offset reset: not again) %v after the last send
duplicates    successes beyond a message's first, those aside that a reset wanted
out of order  first called before a lower message of its queue or key had succeeded
stall         longest time without any call or return of a handler, anywhere, while a message waited that came later;
              the broker's absence, from the signal until it answers and the name server knows it, isn't counted
in a queue    the same of any single queue
recovery      from the end of the last fault (failing: of the last send) until all acknowledged by then had succeeded

`

func writeText(out io.Writer, s settings, version string, rows []row) error {
	if _, err := fmt.Fprintf(out, heading, version, s.Rate, s.Size, s.Keys, s.Queues, s.Work, s.Workers, s.Deadline); err != nil {
		return err
	}
	_, err := io.WriteString(out, table(rows))
	return err
}

// table lines the rows up, with a rule between scenarios, and puts what else there is to say below.
func table(rows []row) string {
	cells := [][]string{{
		"scenario", "order", "library", "acknowledged", "consumed", "lost", "duplicates", "out of order", "stall", "in a queue", "recovery", "",
	}}
	for _, r := range rows {
		cells = append(cells, r.cells())
	}
	widths := make([]int, len(cells[0]))
	for _, line := range cells {
		for i, cell := range line {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var text strings.Builder
	for n, line := range cells {
		if n > 1 && rows[n-1].Scenario != rows[n-2].Scenario {
			text.WriteByte('\n')
		}
		var padded []string
		for i, cell := range line {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i < 3 || i == len(line)-1 {
				padded = append(padded, cell+pad)
			} else {
				padded = append(padded, pad+cell)
			}
		}
		text.WriteString(strings.TrimRight(strings.Join(padded, "  "), " ") + "\n")
	}
	for _, r := range rows {
		for _, note := range r.Notes {
			fmt.Fprintf(&text, "\n%s: %s", r.name(), note)
		}
	}
	return strings.TrimRight(text.String(), "\n") + "\n"
}

func (r row) name() string { return rowName(r.Scenario, r.Order) + " " + r.Library }

// rowName names a scenario with an order: "rolling-restart", "rolling-restart/key".
func rowName(scenario string, order ledger.Order) string {
	if order == ledger.Unordered {
		return scenario
	}
	return scenario + "/" + string(order)
}

func (r row) cells() []string {
	f := r.Figures
	order, outOfOrder := "-", "-"
	if r.Order != ledger.Unordered {
		order, outOfOrder = string(r.Order), number(f.OutOfOrder)
	}
	start := []string{r.Scenario, order, r.Library}
	if r.Error != "" {
		return append(start, "", "", "", "", "", "", "", "", "failed: "+r.Error)
	}
	recovery := duration(f.Recovery)
	if f.Recovery == ledger.Never {
		recovery = "never"
	}
	verdict := strings.Join(r.Broken, ", ")
	if verdict != "" {
		verdict = "BROKEN: " + verdict
	} else if r.Late {
		verdict = "late"
	}
	return append(start, number(f.Acknowledged), number(f.Consumed), number(f.Lost), number(f.Duplicates), outOfOrder,
		duration(f.Stall), duration(f.QueueStall), recovery, verdict)
}

func duration(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', 2, 64) + " s" }

// number writes thousands apart.
func number(n int) string {
	text := strconv.Itoa(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

func writeJSON(out io.Writer, s settings, version string, rows []row) error {
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(struct {
		RocketMQ string   `json:"rocketmq"`
		Settings settings `json:"settings"`
		Rows     []row    `json:"rows"`
	}{version, s, rows})
}
