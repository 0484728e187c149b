// Package ledger keeps what was sent and what was handled in a run under faults, and works out of it what was lost,
// repeated, out of order and late. It knows nothing of brokers or clients: what goes in are records.
package ledger

import (
	"sync"
	"time"
)

// Order is what a consumer promised about the order of messages.
type Order string

// The orders.
const (
	Unordered Order = ""      // none
	ByQueue   Order = "queue" // the messages of a queue one after the other
	ByKey     Order = "key"   // the messages of a key one after the other
)

// Place is where a broker has stored a message.
type Place struct {
	Broker string
	Queue  int
	Offset int64
}

// queue is a Place without its offset.
type queue struct {
	broker string
	id     int
}

func (p Place) queue() queue { return queue{p.Broker, p.Queue} }

// Sent is a message that a broker has acknowledged.
type Sent struct {
	Number int
	Place  Place
	At     time.Time // when the answer was there
}

// Handled is one call of a handler that came to its end.
type Handled struct {
	Number       int
	Place        Place // of this delivery: a retried message has another one than it was sent to
	Attempt      int   // 1 at first
	OK           bool  // false: the handler failed, and asked for another attempt thereby
	Began, Ended time.Time
}

// Ledger keeps the records of one run. Messages are numbered from 0; message n has the key n modulo Keys, and those of
// a key are sent one after the other, in the order of their numbers. It is safe for concurrent use.
type Ledger struct {
	keys int

	mu       sync.Mutex
	messages []message // by number
	asked    *Reset
	missing  int // acknowledged, and not handled with success
}

type message struct {
	acknowledged bool
	sent         Sent
	calls        []Handled // in the order in which they became known
	ok           bool
}

// New makes a Ledger for messages of so many keys.
func New(keys int) *Ledger { return &Ledger{keys: keys} }

// at returns a message, under the lock.
func (l *Ledger) at(number int) *message {
	for len(l.messages) <= number {
		l.messages = append(l.messages, message{})
	}
	return &l.messages[number]
}

// Sent enters an acknowledged message.
func (l *Ledger) Sent(s Sent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	m := l.at(s.Number)
	m.acknowledged, m.sent = true, s
	if !m.ok {
		l.missing++
	}
}

// Handled enters a call.
func (l *Ledger) Handled(h Handled) {
	l.mu.Lock()
	defer l.mu.Unlock()
	m := l.at(h.Number)
	m.calls = append(m.calls, h)
	if h.OK && !m.ok {
		m.ok = true
		if m.acknowledged {
			l.missing--
		}
	}
}

// Reset is an operator's wish to have messages again.
type Reset struct {
	Asked time.Time       // before it was asked for
	From  map[Place]int64 // first offset wanted again, by queue: its Place with offset 0
}

// wanted tells whether the reset goes back before a message that was sent to p.
func (r *Reset) wanted(p Place) bool {
	offset := p.Offset
	p.Offset = 0
	from, known := r.From[p]
	return known && offset >= from
}

// Reset enters that offsets are about to be reset; once in a run.
func (l *Ledger) Reset(r Reset) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked = &r
}

// Missing returns how many acknowledged messages weren't handled with success yet, those included that were, but not
// again after a reset that wants them again, and without those that a reset has skipped.
func (l *Ledger) Missing() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.asked == nil {
		return l.missing
	}
	n := 0
	for i := range l.messages {
		m := &l.messages[i]
		if _, done := m.done(l.asked); m.acknowledged && !done && !m.skipped(l.asked) {
			n++
		}
	}
	return n
}

// Acknowledged returns how many messages were.
func (l *Ledger) Acknowledged() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for i := range l.messages {
		if l.messages[i].acknowledged {
			n++
		}
	}
	return n
}

// Lost returns messages that were acknowledged and not handled as they should be, at most so many, and how often each was
// handled with success.
func (l *Ledger) Lost(most int) (lost []Sent, successes []int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.messages {
		m := &l.messages[i]
		if _, done := m.done(l.asked); done || !m.acknowledged || m.skipped(l.asked) || len(lost) == most {
			continue
		}
		n := 0
		for _, h := range m.calls {
			if h.OK {
				n++
			}
		}
		lost, successes = append(lost, m.sent), append(successes, n)
	}
	return lost, successes
}

// done returns when the message was handled as it should be: with success, and once more when a reset wants that.
func (m *message) done(reset *Reset) (time.Time, bool) {
	first, ok := m.firstOK(time.Time{})
	if ok && reset != nil && first.Began.Before(reset.Asked) && reset.wanted(m.sent.Place) {
		first, ok = m.firstOK(reset.Asked)
	}
	return first.Ended, ok
}

// skipped tells whether a reset has left the message out: it waited still, below where the reset went.
func (m *message) skipped(reset *Reset) bool {
	if reset == nil || m.ok || m.sent.At.After(reset.Asked) {
		return false
	}
	p := m.sent.Place
	p.Offset = 0
	from, known := reset.From[p]
	return known && m.sent.Place.Offset < from
}

// firstOK returns the success that came first of those that began at since or later.
func (m *message) firstOK(since time.Time) (first Handled, ok bool) {
	for _, h := range m.calls {
		if h.OK && !h.Began.Before(since) && (!ok || h.Ended.Before(first.Ended)) {
			first, ok = h, true
		}
	}
	return first, ok
}

// begun returns when a handler was first called with the message.
func (m *message) begun() (first time.Time, ok bool) {
	for _, h := range m.calls {
		if !ok || h.Began.Before(first) {
			first, ok = h.Began, true
		}
	}
	return first, ok
}
