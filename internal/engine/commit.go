package engine

import (
	"context"
	"sync"
	"time"

	"github.com/rocketkit/rocketkit/internal/protocol"
)

// commitEvery commits what has moved, each interval, until ctx ends.
func (e *Engine) commitEvery(ctx context.Context) {
	tick := time.NewTicker(commitEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			e.commitAll(ctx)
		}
	}
}

// commitAll commits every queue that has moved; brokers at the same time, so that one that is away delays only its own.
func (e *Engine) commitAll(ctx context.Context) {
	byBroker := map[string][]*queue{}
	for _, q := range e.allQueues() {
		byBroker[q.id.Broker] = append(byBroker[q.id.Broker], q)
	}
	var wg sync.WaitGroup
	for _, queues := range byBroker {
		wg.Go(func() {
			for _, q := range queues {
				if err := q.commit(ctx); err != nil && ctx.Err() == nil {
					e.log.Warn("commit failed, trying again with the next one", "queue", q.public, "error", err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// commit tells the broker the lowest unfinished offset, if it has changed. It is a request with an answer, not one-way:
// only the answer tells that an operator has reset the group's offset and the commit was ignored.
func (q *queue) commit(ctx context.Context) error {
	q.commits.Lock() // one at a time, or an older floor could be stored over a newer one
	defer q.commits.Unlock()
	q.mu.Lock()
	w, last := q.window, q.committed
	q.mu.Unlock()
	if w == nil {
		return nil
	}
	floor := w.floor()
	if floor == last {
		return nil
	}
	answer, err := q.engine.call(ctx, q.id.Broker, q.id.Topic, protocol.UpdateOffset{
		Group: q.engine.group, Topic: q.id.Topic, QueueID: q.id.ID, Offset: floor, BrokerName: q.id.Broker,
	}.Frame())
	if err != nil {
		return err
	}
	reset, err := protocol.ParseUpdateOffset(answer)
	if err != nil || reset {
		return err // after a reset the next pull brings the new position
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.window == w {
		q.committed = floor
	}
	return nil
}
