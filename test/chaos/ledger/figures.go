package ledger

import "time"

// Span is a stretch of time.
type Span struct{ From, To time.Time }

// Course is what happened in a run beside sending and handling.
type Course struct {
	Order Order     // what was promised
	Away  []Span    // when the broker was away; these mustn't overlap
	Over  time.Time // when the last fault was over
}

// Never is the Recovery of a run that has lost messages.
const Never time.Duration = -1

// Figures are what came out of a run.
type Figures struct {
	Acknowledged int // messages whose send was answered well
	Consumed     int // of these, handled with success at least once

	// Lost are acknowledged messages that weren't handled with success until the run's end, or not again after a reset
	// that wants them again.
	Lost int

	// Duplicates are successes beyond the first of each message: calls beyond the first that no failing handler has asked
	// for. The second copy of a message that was stored twice isn't one, and neither is what a reset wants again.
	Duplicates int

	// OutOfOrder are messages whose handler was first called before a lower message of their queue or key had been
	// handled with success; lost ones aside. 0 when nothing was promised.
	OutOfOrder int

	// Stall is the longest time in which no handler was called or returned anywhere, though a message waited for its first
	// call; QueueStall the same of a single queue. The broker's absence isn't counted, nor messages that nobody ever got.
	Stall, QueueStall time.Duration

	// Recovery is how long after the end of the last fault the last of the messages acknowledged by then was handled with
	// success, 0 when all were before, Never when some are lost.
	Recovery time.Duration

	Skipped     int // acknowledged messages that waited when a reset went past them: not lost, as that is what resets do
	Failed      int // calls that ended with a failure or a panic
	StoredTwice int // copies beyond the first that the broker holds of messages, as far as they were delivered
	Unanswered  int // messages that were handled, though their send was never answered well
}

// Figures works out what happened.
func (l *Ledger) Figures(c Course) Figures {
	l.mu.Lock()
	defer l.mu.Unlock()
	var f Figures
	rewound := l.rewound()
	for i := range l.messages {
		l.count(&f, &l.messages[i], c.Over, rewound)
	}
	if f.Lost > 0 {
		f.Recovery = Never
	}
	if c.Order != Unordered {
		f.OutOfOrder = l.outOfOrder(c.Order)
	}
	f.Stall, f.QueueStall = l.stalls(c.Away)
	return f
}

// count adds one message.
func (l *Ledger) count(f *Figures, m *message, over time.Time, rewound map[queue]time.Time) {
	if len(m.calls) > 0 && !m.acknowledged {
		f.Unanswered++
	}
	done, ok := m.done(l.asked)
	switch {
	case !m.acknowledged:
	case !ok && m.skipped(l.asked):
		f.Acknowledged++
		f.Skipped++
	case !ok:
		f.Acknowledged++
		f.Lost++
	default:
		f.Acknowledged++
		if !m.sent.At.After(over) {
			f.Recovery = max(f.Recovery, done.Sub(over))
		}
	}
	if m.ok && m.acknowledged {
		f.Consumed++
	}
	copies, successes := map[Place]bool{}, 0
	for _, h := range m.calls {
		if h.OK {
			successes++
		} else {
			f.Failed++
		}
		if h.Attempt == 1 {
			copies[h.Place] = true
		}
	}
	due := max(1, len(copies))
	f.StoredTwice += due - 1
	if began, called := m.begun(); called && l.asked != nil && l.asked.wanted(m.sent.Place) && began.Before(rewound[m.sent.Place.queue()]) {
		due++
	}
	f.Duplicates += max(0, successes-due)
}

// rewound returns when each queue went back after the reset: when the first of those messages was handled again that the
// reset wants again. Until then what was handled counts as handled before the reset.
func (l *Ledger) rewound() map[queue]time.Time {
	if l.asked == nil {
		return nil
	}
	first := map[queue]time.Time{}
	for i := range l.messages {
		m := &l.messages[i]
		began, called := m.begun()
		if !called || !l.asked.wanted(m.sent.Place) {
			continue
		}
		for _, h := range m.calls {
			at, known := first[m.sent.Place.queue()]
			if h.Attempt == 1 && h.Began.After(began) && h.Began.After(l.asked.Asked) && (!known || h.Began.Before(at)) {
				first[m.sent.Place.queue()] = h.Began
			}
		}
	}
	return first
}
