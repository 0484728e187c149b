package reader

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/rocketkit/rocketkit"
)

// Positions returns for each queue the offset after the last message that the loop was given, or of its start when it
// wasn't given any. Messages that are received and wait in the buffer don't count.
//
// So what Positions returns within the body of the loop includes the message that the body has been given: once that is
// dealt with, and before the next turn, it is an exact checkpoint. Another goroutine that asks while the body works
// gets the same, and has to see to it that the body is through, as by a lock that both hold. A loop that is left by break or
// return counts the message it was left with; Seek goes back to it.
//
// Offsets that a filter left out are passed over with the message before them. A queue is missing until its
// position is known; with the first message that the loop gets none is, but those whose broker doesn't answer.
func (r *Reader) Positions() map[rocketkit.Queue]int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := maps.Clone(r.positions)
	for name, q := range r.queues {
		if q.position >= 0 {
			all[name] = q.position
		}
	}
	return all
}

// Seek has the loop, also one that runs, go on in a queue with the message at offset, or the next one there is. What was
// received of the queue is dropped: after Seek the loop is given nothing else of it first. A queue that isn't this
// Reader's, or a negative offset, is an error that wraps rocketkit.ErrConfig.
func (r *Reader) Seek(q rocketkit.Queue, offset int64) error {
	if why := r.cfg.badPosition(q, offset); why != "" {
		return fmt.Errorf("reader: seek %s: %s: %w", q, why, rocketkit.ErrConfig)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	known := r.queues[q]
	if known == nil {
		r.positions[q] = offset
		return nil
	}
	known.age++
	known.position, known.next = offset, offset
	known.pending, known.tail = 0, nil
	if known.cancel != nil {
		known.cancel()
	}
	wake(known.room)
	return nil
}

// Stats is a Reader at one moment.
type Stats struct {
	WaitingFor    string // what the loop's start waits for, such as name servers that don't answer; else empty
	Buffered      int    // messages received and not yet given to the loop
	BufferedBytes int64  // the memory they take, properties included
	Queues        []QueueStats
	Unread        []rocketkit.Queue // those that the topic has gained and that Config.Queues doesn't name
}

// QueueStats is one queue of a Reader.
type QueueStats struct {
	Queue     rocketkit.Queue
	Position  int64     // as Reader.Positions has it; -1 while it isn't known
	Max       int64     // one past the newest message, as of LastPull
	Skipped   int64     // offsets passed over because the broker had no longer what was there
	LastPull  time.Time // when the broker last answered; zero before the first answer
	LastError string    // why the last attempt to read failed; empty after one that worked
	Lag       int64     // how many messages are stored from Position on, as of LastPull; -1 while that isn't known
}

// Stats reads the state of the Reader; it asks no server. An idle queue's pull is answered each 15 s, one that has
// messages at once.
func (r *Reader) Stats() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := Stats{WaitingFor: r.waits, Unread: slices.Clone(r.unread)}
	if r.loop != nil {
		s.BufferedBytes = r.loop.bytes
		for _, b := range r.loop.blocks {
			s.Buffered += len(b.messages)
		}
	}
	for name, q := range r.queues {
		queue := QueueStats{Queue: name, Position: q.position, Max: q.maxOffset, Skipped: q.skipped, LastPull: q.pulled, Lag: -1}
		if q.position >= 0 && !q.pulled.IsZero() {
			queue.Lag = max(0, q.maxOffset-q.position)
		}
		if q.why != nil {
			queue.LastError = q.why.Error()
		}
		s.Queues = append(s.Queues, queue)
	}
	slices.SortFunc(s.Queues, func(a, b QueueStats) int {
		return cmp.Or(cmp.Compare(a.Queue.Broker, b.Queue.Broker), cmp.Compare(a.Queue.ID, b.Queue.ID))
	})
	return s
}
