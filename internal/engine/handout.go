package engine

import (
	"github.com/rocketkit/rocketkit/internal/protocol"
)

// handOut gives each wanted message a ticket and puts it into the pool of the topic it was sent to.
func (q *queue) handOut(w *window, messages []protocol.Message, from, to int64) {
	q.topic.received.Add(int64(len(messages)))
	tasks := make([]task, 0, len(messages))
	offsets := make([]int64, 0, len(messages))
	var bytes int64
	for i := range messages {
		m := &messages[i]
		if m.QueueOffset < from || !q.topic.wants(m) {
			continue
		}
		size := int32(len(m.Body))
		bytes += int64(size)
		tasks = append(tasks, task{queue: q, window: w, topic: q.topic, raw: m, size: size})
		offsets = append(offsets, m.QueueOffset)
	}
	first := w.extend(offsets, to)
	for i := range tasks {
		tasks[i].ticket = first + uint64(i)
	}
	q.topic.budget.take(len(tasks), bytes)
	if q.topic.pool != nil {
		q.topic.enqueue(tasks)
		return
	}
	for _, t := range tasks {
		q.handOutRetry(t)
	}
}

// handOutRetry puts a message of the retry topic into the pool of the topic it was first sent to. One whose topic this
// consumer doesn't handle, or no longer, goes back to be retried: another member may.
func (q *queue) handOutRetry(t task) {
	if t.topic = q.engine.retried(t.raw); t.topic != nil {
		t.topic.enqueue([]task{t})
		return
	}
	if !t.window.begin(t.ticket) {
		t.release()
		return
	}
	level, done := q.engine.judge(t, &outcome{Delay: -1, why: "this consumer has no handler for the topic"})
	if done {
		t.finish()
		return
	}
	q.broker.backs.add(unsettled{task: t, level: level})
}

// retried is the topic whose handler gets a message of the retry topic; nil when there is none. A dead letter that is
// retried still names the topic it was sent to at first, so a consumer of dead letters gets what it has no topic for.
func (e *Engine) retried(m *protocol.Message) *topic {
	origin, _ := m.Properties.Get(protocol.PropertyRetryTopic)
	if t := e.topics[origin]; t != nil && t.pool != nil {
		return t
	}
	return e.deadLetters
}
