package engine

import (
	"fmt"
	"strings"
	"time"
)

// slow is how long a handler runs, or a message waits for one, before it is named as what holds a queue back.
const slow = time.Second

// heldBy says in a few words what keeps the queue from going on; empty when nothing does: it is at its end, or moving.
func (q *queue) heldBy() string {
	q.mu.Lock()
	w, why, lock := q.window, q.why, q.lockWait
	q.mu.Unlock()
	switch {
	case lock != "":
		return "waiting for the " + lock
	case why != nil:
		return "pulls fail: " + why.Error()
	case w == nil && q.before != nil && !isClosed(q.before.gone):
		return "waiting for handlers that still run since this queue was lost and gained again"
	case w == nil:
		return "its position is being asked for"
	}
	counts := w.counts()
	limit := q.limit(w)
	if counts.retired {
		limit = fmt.Sprintf("given up: %d messages are still to be finished", counts.cached)
	}
	return strings.Join(nonEmpty(limit, q.holder(w, counts, limit != "")), "; ")
}

// limit is the bound that keeps the queue from pulling; empty when none does.
func (q *queue) limit(w *window) string {
	if q.engine.paused.Load() {
		return "the consumer is paused"
	}
	if q.topic.live.paused.Load() {
		return "the topic is paused"
	}
	if w.held() >= maxSpan {
		return fmt.Sprintf("window full: %d messages received from offset %d on, the oldest that isn't finished", w.held(), w.floor())
	}
	return q.topic.budget.full()
}

// full says which bound of the topic's memory is reached; empty when none is.
func (b *budget) full() string {
	b.mu.Lock()
	messages, bytes, most := b.messages, b.bytes, b.maxMessages
	b.mu.Unlock()
	switch {
	case messages == 0:
		return ""
	case messages >= most:
		return fmt.Sprintf("budget full: the topic holds %d messages, as many as it may", messages)
	case bytes >= b.maxBytes:
		return fmt.Sprintf("budget full: the topic holds %d MiB of messages, as much as it may", bytes>>20)
	}
	b.shared.mu.Lock()
	defer b.shared.mu.Unlock()
	if b.shared.bytes >= b.shared.max {
		return fmt.Sprintf("budget full: the consumer's topics hold %d MiB of messages, as much as they may together", b.shared.bytes>>20)
	}
	return ""
}

// holder is what the messages wait for that the queue has received. anyway names the longest running handler however
// short it has run.
func (q *queue) holder(w *window, counts counts, anyway bool) string {
	if counts.cached == 0 {
		return ""
	}
	if q.lanes != nil {
		if text := q.lanes.holds(); text != "" {
			return text
		}
	}
	active, longest := q.running()
	switch {
	case longest != nil && (anyway || time.Since(longest.began) >= slow):
		return longest.String()
	case counts.begun > active && q.broker.backs.count() > 0:
		return fmt.Sprintf("a failing message at offset %d or behind, which its broker hasn't taken back yet", w.floor())
	case counts.waiting > 0 && q.topic.pool != nil:
		return q.topic.busy()
	case counts.waiting > 0 && q.engine.pausedTopics() != "":
		return "retried messages wait for paused topics: " + q.engine.pausedTopics()
	}
	return ""
}

// busy says why messages of the topic wait for a worker; empty when they don't wait long.
func (t *topic) busy() string {
	s := t.pool.Stats()
	switch {
	case t.live.paused.Load():
		return "" // its queues say so
	case s.Waiting == 0 || time.Since(s.Oldest) < slow:
		return ""
	}
	text := fmt.Sprintf("%d messages wait for a worker, the first for %v; %d of at most %d are busy",
		s.Waiting, time.Since(s.Oldest).Round(time.Millisecond), s.Active, s.Max)
	if longest := t.longest(); longest != nil {
		text += ", the longest with the " + longest.String()
	}
	return text
}

// String names the handler by its message.
func (c *handlerContext) String() string {
	return fmt.Sprintf("handler of message %s, offset %d of %s, which has run for %v",
		c.raw.ID(), c.offset, c.queue.public, time.Since(c.began).Round(time.Millisecond))
}

// counts is how many messages a window has that aren't finished.
type counts struct {
	cached  int // received
	waiting int // and not begun
	begun   int // and handed to a handler, or failed and not settled
	retired bool
}

func (w *window) counts() counts {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := counts{waiting: int(w.skipped), begun: w.running, retired: w.retired}
	if !w.retired {
		c.waiting += int(w.next - w.begun)
	}
	c.cached = c.waiting + c.begun
	return c
}

func nonEmpty(texts ...string) []string {
	some := texts[:0]
	for _, text := range texts {
		if text != "" {
			some = append(some, text)
		}
	}
	return some
}
