package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/rocketkit/rocketkit/internal/protocol"
)

// pull waits until there is room, asks for the next block once, and hands it out.
func (q *queue) pull(ctx context.Context) error {
	if err := q.awaitRoom(ctx); err != nil || q.unsure.Load() {
		return err
	}
	r, err := q.engine.view.Routes().Get(ctx, q.id.Topic)
	if err != nil {
		return err
	}
	q.mu.Lock()
	w, position, node := q.window, q.position, q.node
	q.mu.Unlock()
	address, ok := r.Address(q.id.Broker, node)
	if !ok {
		return fmt.Errorf("broker %s: no name server knows where it is", q.id.Broker)
	}
	asked := time.Now()
	result, err := q.ask(ctx, address, position, pullBatch)
	if err != nil || q.unsure.Load() {
		return err
	}
	if q.pullsNothing() && !result.IsReset() {
		return nil // what it brought is asked for again, then
	}
	if doubted, master := q.doubted(r, address, &result, position); doubted {
		if master {
			return nil
		}
		return sleep(ctx, minBackoff)
	}
	q.mu.Lock()
	q.suggest(result.SuggestBrokerID)
	q.maxOffset, q.pulled = result.MaxOffset, time.Now()
	q.mu.Unlock()
	if err := q.correct(ctx, address, &result, position, time.Since(asked)); err != nil {
		return err
	}
	if err := q.take(w, result, position); err != nil {
		return err
	}
	q.mu.Lock()
	failed := q.why != nil
	q.why = nil
	q.mu.Unlock()
	if failed {
		q.engine.log.Info("pulls work again", "queue", q.public)
	}
	if result.NextOffset == position && result.Status != protocol.PullNotFound {
		return sleep(ctx, minBackoff) // it leads nowhere, as on a replica that lags: don't ask as fast as it answers
	}
	return nil
}

func (q *queue) ask(ctx context.Context, address string, position int64, most int32) (protocol.PullResult, error) {
	q.clock = q.clock.start(ctx, pullTimeout)
	defer q.clock.stop()
	asked := time.Now()
	answer, err := q.engine.view.Call(q.clock, address, protocol.PullMessage{
		Group:          q.engine.group,
		Topic:          q.id.Topic,
		QueueID:        q.id.ID,
		Offset:         position,
		MaxMessages:    most,
		SysFlag:        protocol.PullSuspend,
		SuspendMillis:  holdPull.Milliseconds(),
		SubVersion:     q.topic.sub.Version,
		ExpressionType: q.topic.sub.ExpressionType,
		BrokerName:     q.id.Broker,
	}.Frame())
	if err != nil {
		return protocol.PullResult{}, err
	}
	if answer.Code == protocol.CodeSuccess {
		now := time.Now()
		q.topic.pulls.add(now, now.Sub(asked))
	}
	return protocol.ParsePullResult(answer)
}

// awaitRoom parks the loop until its topic and its window have room. An operator may reset the group meanwhile, since a
// queue that stands is what resets are for: a commit each 5 s asks, and a pull is let through when there was one.
func (q *queue) awaitRoom(ctx context.Context) error {
	for n := 0; !q.hasRoom(); n++ {
		if n == 0 && !q.pullsNothing() {
			q.topic.heldBack.Add(1)
		}
		timer := time.NewTimer(askResetEvery)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-q.room:
		case <-timer.C:
			if err := q.commit(context.WithoutCancel(ctx), true); err != nil {
				return err
			}
		}
		timer.Stop()
	}
	return nil
}

func (q *queue) hasRoom() bool {
	if q.reset.Swap(false) || q.unsure.Load() {
		return true
	}
	if q.pullsNothing() {
		return false
	}
	if q.topic.budget.admits(q.room) && q.current().within(maxSpan, q.room) {
		return true
	}
	q.engine.flush(q.topic) // batches that wait for more would wait for what can't come
	if q.topic == q.engine.retry {
		q.engine.spill(q)
	}
	return false
}

// take does what the answer to a pull says. w is the window at the time of the asking; when the queue was reset since,
// the answer is about a position that no longer counts.
func (q *queue) take(w *window, result protocol.PullResult, asked int64) error {
	if q.current() != w && !result.IsReset() {
		return nil
	}
	var messages []protocol.Message
	switch result.Status {
	case protocol.PullOffsetMoved:
		if q.follow(&result, asked) {
			return nil
		}
	case protocol.PullFound:
		q.engine.received(len(result.Body))
		var err error
		if messages, err = protocol.DecodeMessages(result.Body, q.id.Topic); err != nil {
			return fmt.Errorf("block at offset %d: %w", asked, err)
		}
		for i := range messages {
			messages[i].QueueOffset += result.OffsetDelta
			q.newest = max(q.newest, messages[i].CommitLogOffset)
		}
	}
	q.handOut(w, messages, asked, result.NextOffset)
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.window == w {
		q.position = result.NextOffset
		if result.NextOffset != asked {
			q.moved() // even where nothing was handed out, as when a filter leaves nothing
		}
	}
	return nil
}
