package engine

import (
	"bytes"
	"fmt"
	"runtime/pprof"
	"strings"
	"time"
)

// maxStacks bounds what a running info holds of the process's goroutines.
const maxStacks = 1 << 20

// stacks is where the process's goroutines are, for a tool that asks (mqadmin consumerStatus -s): first that of the handler
// which has run longest and so, since messages begin in the order they came, holds the oldest one; then all.
func (e *Engine) stacks() string {
	var longest *handlerContext
	for _, t := range e.topics {
		if h := t.longest(); h != nil && (longest == nil || h.began.Before(longest.began)) {
			longest = h
		}
	}
	var profile bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&profile, 1); err != nil {
		return err.Error()
	}
	var b strings.Builder
	if longest == nil {
		b.WriteString("no handler runs\n")
	} else {
		fmt.Fprintf(&b, "%s, since %s\n", longest, longest.began.Format(time.RFC3339Nano))
		b.WriteString(longest.stackIn(profile.String()))
	}
	b.WriteString("\nall goroutines of the process\n")
	b.Write(profile.Bytes())
	return cutLines(b.String(), maxStacks)
}

// stackIn finds the handler's goroutine in a profile in text form, whose records end with an empty line and name the
// labels in their second.
func (c *handlerContext) stackIn(profile string) string {
	mark := fmt.Sprintf("%q:%q", seatLabel, c.seat.label)
	for record := range strings.SplitSeq(profile, "\n\n") {
		_, rest, _ := strings.Cut(record, "\n")
		labels, stack, _ := strings.Cut(rest, "\n")
		if strings.HasPrefix(labels, "# labels: ") && strings.Contains(labels, mark) {
			return stack + "\n"
		}
	}
	return "its goroutine isn't found: it has just returned, or has replaced its pprof labels\n"
}

// cutLines cuts text to at most so many bytes, at the end of a line.
func cutLines(text string, most int) string {
	if len(text) <= most {
		return text
	}
	text = text[:most]
	return text[:strings.LastIndexByte(text, '\n')+1] + "and more\n"
}
