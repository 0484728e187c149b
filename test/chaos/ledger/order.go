package ledger

import (
	"cmp"
	"slices"
	"time"
)

// step is a message in its lane, which is a queue or a key.
type step struct {
	position int64
	begun    time.Time // when its handler was first called
	done     time.Time // when one first succeeded; zero when none did
}

// outOfOrder counts the messages that were begun before a lower one of their lane was done.
func (l *Ledger) outOfOrder(order Order) int {
	n := 0
	for _, lane := range l.lanes(order) {
		slices.SortFunc(lane, func(a, b step) int { return cmp.Compare(a.position, b.position) })
		var below time.Time // when all lower ones were done
		for _, s := range lane {
			if s.begun.Before(below) {
				n++
			}
			if s.done.After(below) {
				below = s.done
			}
		}
	}
	return n
}

func (l *Ledger) lanes(order Order) map[queue][]step {
	lanes := map[queue][]step{}
	for number := range l.messages {
		m := &l.messages[number]
		begun, called := m.begun()
		if !called {
			continue
		}
		done, _ := m.firstOK(time.Time{})
		lane, position := queue{id: number % l.keys}, int64(number)
		if order == ByQueue {
			place := m.lowest()
			lane, position = place.queue(), place.Offset
		}
		lanes[lane] = append(lanes[lane], step{position, begun, done.Ended})
	}
	return lanes
}

// lowest returns where the message stands first: one that was stored twice is first delivered from there.
func (m *message) lowest() Place {
	lowest, known := m.sent.Place, m.acknowledged
	for _, h := range m.calls {
		if h.Attempt == 1 && (!known || h.Place.queue() == lowest.queue() && h.Place.Offset < lowest.Offset) {
			lowest, known = h.Place, true
		}
	}
	return lowest
}
