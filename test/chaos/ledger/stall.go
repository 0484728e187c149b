package ledger

import (
	"slices"
	"time"
)

// activity is what a queue, or all of them together, had to do and did.
type activity struct {
	waits []Span      // of each message, from its acknowledgment to the first call
	marks []time.Time // when handlers were called and when they returned
}

// stalls returns the longest stall over all queues together, and of a single one.
func (l *Ledger) stalls(away []Span) (anywhere, inQueue time.Duration) {
	var all activity
	queues := map[queue]*activity{}
	for i := range l.messages {
		m := &l.messages[i]
		for _, h := range m.calls {
			all.marks = append(all.marks, h.Began, h.Ended)
		}
		begun, called := m.begun()
		if !called || !m.acknowledged {
			continue
		}
		q := queues[m.sent.Place.queue()]
		if q == nil {
			q = &activity{}
			queues[m.sent.Place.queue()] = q
		}
		for _, a := range []*activity{&all, q} {
			if begun.After(m.sent.At) {
				a.waits = append(a.waits, Span{m.sent.At, begun})
			}
		}
		for _, h := range m.calls {
			if h.Attempt == 1 { // others come by the group's retry topic
				q.marks = append(q.marks, h.Began, h.Ended)
			}
		}
	}
	for _, q := range queues {
		inQueue = max(inQueue, q.stall(away))
	}
	return all.stall(away), inQueue
}

// stall returns the longest time without a mark in which something waited all along.
func (a *activity) stall(away []Span) time.Duration {
	slices.SortFunc(a.marks, time.Time.Compare)
	longest, next := time.Duration(0), 0
	for _, busy := range merged(a.waits) {
		from := busy.From
		for ; next < len(a.marks) && !a.marks[next].After(busy.To); next++ {
			if a.marks[next].After(from) {
				longest = max(longest, present(Span{from, a.marks[next]}, away))
				from = a.marks[next]
			}
		}
		longest = max(longest, present(Span{from, busy.To}, away))
	}
	return longest
}

// merged joins spans that touch and sorts them.
func merged(spans []Span) []Span {
	slices.SortFunc(spans, func(a, b Span) int { return a.From.Compare(b.From) })
	var joined []Span
	for _, s := range spans {
		if last := len(joined) - 1; last >= 0 && !s.From.After(joined[last].To) {
			if s.To.After(joined[last].To) {
				joined[last].To = s.To
			}
			continue
		}
		joined = append(joined, s)
	}
	return joined
}

// present returns how much of a span the broker was there.
func present(s Span, away []Span) time.Duration {
	d := s.To.Sub(s.From)
	for _, gone := range away {
		from, to := s.From, s.To
		if gone.From.After(from) {
			from = gone.From
		}
		if gone.To.Before(to) {
			to = gone.To
		}
		d -= max(0, to.Sub(from))
	}
	return d
}
