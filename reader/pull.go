package reader

import (
	"context"
	"fmt"
	"time"

	"github.com/rocketkit/rocketkit/internal/protocol"
)

// pull waits until there is room, asks for the next block once, and puts it into the buffer.
func (q *queue) pull(ctx context.Context, l *loop) error {
	for !l.admits(q) {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-q.room:
		}
	}
	ctx, cancel := context.WithTimeout(ctx, pullTimeout)
	defer cancel()
	q.r.mu.Lock()
	b := &block{queue: q, age: q.age, next: q.next}
	node := q.node
	q.cancel = cancel
	q.r.mu.Unlock()
	result, err := q.ask(ctx, b.next, node)
	if moved := q.answered(b.age, &result, err); moved {
		return nil // by Seek, which has canceled the pull
	}
	if err != nil {
		return err
	}
	asked := b.next
	if err := q.take(b, &result); err != nil {
		return err
	}
	moved, next := b.moved, b.next
	if !l.put(b) { // from here on the block is the loop's
		return nil
	}
	if moved != nil {
		q.r.log.Warn("position moved by the broker", "queue", q.public, "from", moved.From, "to", moved.To, "skipped", moved.Skipped(), "why", result.Remark)
	}
	if next == asked && result.Status != protocol.PullNotFound {
		return sleep(ctx, minBackoff) // it leads nowhere, as on a replica that lags: don't ask as fast as it answers
	}
	return nil
}

// ask sends one pull. It brings its subscription along, since a Reader is no member and has told brokers none by
// heartbeats, and it commits nothing.
func (q *queue) ask(ctx context.Context, offset, node int64) (protocol.PullResult, error) {
	address, err := q.address(ctx, node)
	if err != nil {
		return protocol.PullResult{}, err
	}
	answer, err := q.r.view.Call(ctx, address, protocol.PullMessage{
		Group:          q.r.group,
		Topic:          q.id.Topic,
		QueueID:        q.id.ID,
		Offset:         offset,
		MaxMessages:    pullBatch,
		SysFlag:        protocol.PullSuspend | protocol.PullSubscription,
		SuspendMillis:  holdPull.Milliseconds(),
		Subscription:   q.r.sub.Expression,
		SubVersion:     q.r.sub.Version,
		ExpressionType: q.r.sub.ExpressionType,
		BrokerName:     q.id.Broker,
	}.Frame())
	if err != nil {
		return protocol.PullResult{}, err
	}
	return protocol.ParsePullResult(answer)
}

// answered notes what an answer says of the queue, and reports whether Seek moved the queue while it was awaited.
func (q *queue) answered(age int, result *protocol.PullResult, err error) (moved bool) {
	q.r.mu.Lock()
	q.cancel = nil
	moved = q.age != age
	worksAgain := false
	if err == nil {
		worksAgain, q.why = q.why != nil, nil
		q.node, q.maxOffset, q.pulled = result.SuggestBrokerID, result.MaxOffset, time.Now()
	}
	q.r.mu.Unlock()
	if worksAgain {
		q.r.log.Info("queue is read again", "queue", q.public)
	}
	return moved
}

// take fills the block with what the answer holds.
func (q *queue) take(b *block, result *protocol.PullResult) error {
	asked := b.next
	switch {
	case result.IsReset():
		return nil // an operator has reset the offsets of Config.Group; a Reader's are its caller's
	case lost(result) && result.NextOffset != asked:
		b.moved = &Move{Queue: q.public, From: asked, To: result.NextOffset}
		q.r.mu.Lock()
		q.skipped += b.moved.Skipped()
		q.r.mu.Unlock()
	case result.Status == protocol.PullFound:
		messages, err := protocol.DecodeMessages(result.Body, q.id.Topic)
		if err != nil && len(messages) == 0 {
			return fmt.Errorf("message at offset %d: %w: %w", asked, errUnreadable, err)
		}
		if err != nil { // give what came before it; the next pull begins with the bad one
			result.NextOffset = messages[len(messages)-1].QueueOffset + result.OffsetDelta + 1
		}
		wanted := messages[:0]
		for _, m := range messages {
			m.QueueOffset += result.OffsetDelta
			if m.QueueOffset >= asked && q.r.wants(&m) {
				wanted = append(wanted, m)
			}
		}
		if b.messages = wanted; len(wanted) > 0 {
			b.bytes = int64(len(result.Body)) // which its messages keep in memory
		}
	}
	b.next = result.NextOffset
	return nil
}

// lost tells whether the broker passes over what it no longer has.
func lost(result *protocol.PullResult) bool {
	return result.Status == protocol.PullOffsetMoved || result.Remark == "MESSAGE_WAS_REMOVING" // GetMessageStatus
}

// wants tells whether the subscription asks for the message. Brokers filter tags by their hash, which others share.
func (r *Reader) wants(m *protocol.Message) bool {
	if len(r.sub.Tags) == 0 {
		return true
	}
	tag, _ := m.Properties.Get(protocol.PropertyTags)
	return r.sub.Matches(tag)
}
