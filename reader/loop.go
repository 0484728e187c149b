package reader

import (
	"context"
	"fmt"
	"sync"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

// loop is one range over Messages: the goroutines that pull for it, and what they have received for it.
type loop struct {
	r       *Reader
	working sync.WaitGroup
	news    chan struct{} // wakes the loop

	// Under r.mu:
	blocks   []*block
	messages int
	bytes    int64
	parked   []chan struct{} // queues that wait for room
	starting int             // queues whose start has not been asked for yet
}

// block is what one answer held. A queue's blocks follow each other without a gap.
type block struct {
	queue    *queue
	age      int // the queue's age at the time it was asked for
	messages []protocol.Message
	next     int64 // the queue's position once they are all given
	moved    *Move // the broker has moved the position, to before the messages
	err      error // instead of messages: what ends the loop
	held     int   // messages it counts for in the buffer
	bytes    int64
}

// newLoop makes the Reader's new loop. Queues that were met before go on where they are.
func newLoop(r *Reader) *loop {
	l := &loop{r: r, news: make(chan struct{}, 1)}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.loop = l
	return l
}

// end waits for the goroutines, whose context has ended.
func (l *loop) end() {
	l.working.Wait()
	l.r.mu.Lock()
	defer l.r.mu.Unlock()
	l.r.loop, l.r.waits = nil, ""
	for _, q := range l.r.queues {
		q.pending, q.tail, q.next = 0, nil, q.position
	}
}

// next waits for what comes next: a message, a move or an error.
func (l *loop) next(ctx context.Context) (*rocketkit.Message, *Move, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		m, move, err := l.take()
		if m != nil || move != nil || err != nil {
			return m, move, err
		}
		select {
		case <-ctx.Done():
		case <-l.news:
		}
	}
}

// take gives what comes next, or nothing when nothing is there. Nothing is given before each queue's start has been
// asked for, so that the positions of those that could be reached are all there with the first message.
func (l *loop) take() (*rocketkit.Message, *Move, error) {
	l.r.mu.Lock()
	defer l.r.mu.Unlock()
	for len(l.blocks) > 0 && l.starting == 0 {
		b := l.blocks[0]
		switch {
		case b.age != b.queue.age:
			l.drop(b)
			continue
		case b.moved != nil:
			move := b.moved
			b.moved, b.queue.position = nil, move.To
			return nil, move, nil
		case b.err != nil:
			return nil, nil, b.err
		case len(b.messages) == 0:
			b.queue.position = b.next
			l.drop(b)
			continue
		}
		raw := &b.messages[0]
		if raw.SysFlag&protocol.SysCompressed != 0 {
			if err := l.inflate(b, raw); err != nil {
				return nil, nil, err
			}
			continue // Seek may have come meanwhile
		}
		b.messages = b.messages[1:]
		b.queue.position = raw.QueueOffset + 1
		if len(b.messages) == 0 { // what lies behind it was filtered away
			b.queue.position = b.next
			l.drop(b)
		}
		m := rocketkit.Received(raw, l.r.sentTo(raw), b.queue.public)
		return &m, nil, nil
	}
	return nil, nil, nil
}

// inflate decompresses a body, without holding up who asks for positions meanwhile.
func (l *loop) inflate(b *block, raw *protocol.Message) error {
	l.r.mu.Unlock()
	err := raw.Inflate(maxInflated)
	l.r.mu.Lock()
	if err != nil && b.age == b.queue.age {
		return fmt.Errorf("queue %s: message at offset %d: %w", b.queue.public, raw.QueueOffset, err)
	}
	return nil
}

// sentTo is the logical topic that a message was sent to, also when it is a retry or a dead letter.
func (r *Reader) sentTo(raw *protocol.Message) string {
	if origin, ok := raw.Properties.Get(protocol.PropertyRetryTopic); ok && r.derived {
		if name, ok := r.view.Names.LogicalTopic(origin); ok {
			return name
		}
	}
	return r.cfg.Topic
}

// put adds what was received. It reports false when the queue was moved meanwhile by Seek.
func (l *loop) put(b *block) bool {
	l.r.mu.Lock()
	defer l.r.mu.Unlock()
	q := b.queue
	if b.age != q.age {
		return false
	}
	q.next = b.next
	if last := q.tail; last != nil && len(b.messages) == 0 && b.moved == nil && b.err == nil {
		last.next = b.next // so that a filter that leaves nothing fills no memory
		return true
	}
	b.held = len(b.messages)
	q.pending++
	q.tail = b
	l.blocks = append(l.blocks, b)
	l.messages += b.held
	l.bytes += b.bytes
	wake(l.news)
	return true
}

// drop takes the oldest block out of the buffer. Callers hold r.mu.
func (l *loop) drop(b *block) {
	l.blocks[0] = nil
	l.blocks = l.blocks[1:]
	if q := b.queue; b.age == q.age {
		if q.pending--; q.tail == b {
			q.tail = nil
		}
	}
	l.messages -= b.held
	l.bytes -= b.bytes
	if l.hasRoom() {
		for _, room := range l.parked {
			wake(room)
		}
		l.parked = nil
	}
	wake(b.queue.room) // it may pull when nothing of it is left
}

func (l *loop) hasRoom() bool {
	return l.messages < l.r.cfg.BufferMessages && l.bytes < l.r.cfg.BufferBytes
}

// admits tells whether the queue may pull now; if not, its room is woken once it is worth asking again.
func (l *loop) admits(q *queue) bool {
	l.r.mu.Lock()
	defer l.r.mu.Unlock()
	if q.pending == 0 || l.hasRoom() {
		return true
	}
	l.parked = append(l.parked, q.room)
	return false
}
