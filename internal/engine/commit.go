package engine

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rocketkit/rocketkit/internal/protocol"
)

// committer commits the queues whose floor has moved, soon after it has. Brokers could take an offset along with each
// pull, but then 5.x stores it over one that an operator has just reset; a commit of its own it ignores instead.
type committer struct {
	wanted chan struct{}

	mu     sync.Mutex
	queues []*queue // moved since they were last committed
}

// moved has the queue committed with the next round.
func (q *queue) moved() {
	if q.dirty.Swap(true) {
		return
	}
	c := &q.engine.committer
	c.mu.Lock()
	c.queues = append(c.queues, q)
	c.mu.Unlock()
	wake(c.wanted)
}

func (c *committer) take() []*queue {
	c.mu.Lock()
	defer c.mu.Unlock()
	queues := c.queues
	c.queues = nil
	return queues
}

func (c *committer) run(ctx context.Context, e *Engine) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.wanted:
		}
		began := time.Now()
		pause := commitAfter
		// Not under ctx: a commit that is given up may reach the broker after the next one, and take the offset back.
		if !e.commit(context.WithoutCancel(ctx), c.take()) {
			pause = maxBackoff
		}
		if sleep(ctx, min(max(pause, commitShare*time.Since(began)), commitWithin)) != nil {
			return
		}
	}
}

// commit commits queues, a few at a time, so that a broker that is away delays only its own. What fails is left for the
// next round.
func (e *Engine) commit(ctx context.Context, queues []*queue) (all bool) {
	var failed atomic.Bool
	var round errgroup.Group
	round.SetLimit(commitsAtOnce)
	for _, q := range queues {
		q.dirty.Store(false) // before the floor is read, so that no move is missed
		round.Go(func() error {
			if err := q.commit(ctx); err != nil {
				failed.Store(true)
				q.moved()
				if !q.behind.Swap(true) {
					e.log.Warn("commits fail, trying on", "queue", q.public, "error", err)
				}
			} else if q.behind.Swap(false) {
				e.log.Info("commits work again", "queue", q.public)
			}
			return nil
		})
	}
	_ = round.Wait()
	return !failed.Load()
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
