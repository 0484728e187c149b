package engine

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rocketkit/rocketkit/internal/protocol"
)

// committer commits the queues of one broker soon after their floor has moved. Brokers would take an offset along with
// each pull, but those of 5.x store it over one that an operator has just reset; a commit of its own they then ignore.
type committer struct {
	wanted   chan struct{}
	messages atomic.Int64 // by how many the present round has raised offsets

	mu     sync.Mutex
	queues []*queue // moved since they were last committed
}

// moved has the queue committed with the next round.
func (q *queue) moved() {
	if q.dirty.Swap(true) {
		return
	}
	c := &q.broker.commits
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

// run commits until ctx ends. The commits themselves don't end with ctx: one that is given up may reach the broker after
// the next, and take the offset back.
func (c *committer) run(ctx context.Context, e *Engine) {
	rounds(ctx, c.wanted, commitWithin, func(failing bool) (time.Duration, error) {
		c.messages.Store(0)
		err := e.commit(context.WithoutCancel(ctx), c.take(), false)
		if errors.Is(err, errInDoubt) && !failing {
			return minBackoff, nil // the others don't wait for those
		}
		switch {
		case err != nil && !failing:
			e.log.Warn("commits fail, trying on", "error", err)
		case err == nil && failing:
			e.log.Info("commits work again")
		}
		return min(max(commitAfter, time.Duration(c.messages.Load())*commitPer), commitBusy), err
	})
}

// commit commits queues of one broker; those that fail are left for the next round.
func (e *Engine) commit(ctx context.Context, queues []*queue, anyway bool) error {
	for _, q := range queues {
		q.dirty.Store(false) // before the floor is read, so that no move is missed
	}
	if err := e.keepFloors(ctx, queues); err != nil {
		for _, q := range queues {
			q.moved()
		}
		return err
	}
	failed, err := round(queues, func(q *queue) error { return q.commit(ctx, anyway) })
	for _, q := range failed {
		q.moved()
	}
	return err
}

// commit tells the broker the lowest unfinished offset if it has changed, or anyway. It is a request with an answer, not
// one-way: only the answer tells that an operator has reset the group's offset, and that the commit was ignored.
func (q *queue) commit(ctx context.Context, anyway bool) error {
	q.commits.Lock() // one at a time, or an older floor could be stored over a newer one
	defer q.commits.Unlock()
	q.mu.Lock()
	w, last, kept := q.window, q.committed, q.kept
	q.mu.Unlock()
	if w == nil || !q.ours() || q.engine.cfg.Broadcast {
		return nil
	}
	if !q.lockValid() {
		return errInDoubt // tried again as soon as the lock is confirmed; see assure
	}
	floor := w.floor()
	if q.engine.keep != nil {
		floor = kept // the broker is told no more than was kept
	}
	if floor < 0 || floor == last && !anyway {
		return nil
	}
	reset, err := q.engine.storeOffset(ctx, q.id, floor)
	if protocol.HasCode(err, protocol.CodeTopicNotExist) {
		q.topicGone()
		return nil // there is nothing left to commit for
	}
	if err != nil {
		return err
	}
	if reset {
		q.reset.Store(true) // the next pull brings the new position
		wake(q.room)
		return nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.window == w {
		q.committed = floor
	}
	if last >= 0 {
		q.broker.commits.messages.Add(floor - last)
	}
	return nil
}

// ours tells whether the queue's position is still ours to say.
func (q *queue) ours() bool {
	return !q.released.Load() && !q.unsure.Load() && !q.lock.lost.Load()
}

var errInDoubt = errors.New("the queue's lock hasn't been confirmed for too long: another member may be far ahead")

// connected has everything committed anew that the broker at address had confirmed, and its locks confirmed: one that
// crashed has lost what it had not yet written, and its groups would begin there again, or at the end; locks it keeps in
// memory alone. What has failed there is tried again at once.
func (e *Engine) connected(address string) {
	owned, lost := e.ownedAndLost()
	renewed := map[*broker]bool{}
	for _, q := range append(owned, lost...) {
		r, err := e.view.Routes().Get(e.background, q.id.Topic)
		if err != nil {
			continue
		}
		if at, ok := r.Address(q.id.Broker, protocol.MasterID); !ok || at != address {
			continue
		}
		if !renewed[q.broker] {
			renewed[q.broker] = true
			q.broker.locks.renewNow()
		}
		q.mu.Lock()
		q.committed = -1
		q.mu.Unlock()
		q.moved()
		wake(q.retry)
	}
}

// storeOffset commits an offset; reset means that the broker ignored it for an operator's.
func (e *Engine) storeOffset(ctx context.Context, q protocol.Queue, offset int64) (reset bool, err error) {
	answer, err := e.call(ctx, q.Broker, q.Topic, protocol.UpdateOffset{
		Group: e.group, Topic: q.Topic, QueueID: q.ID, Offset: offset, BrokerName: q.Broker,
	}.Frame())
	if err != nil {
		return false, err
	}
	return protocol.ParseUpdateOffset(answer)
}

// release commits a last time; from then on nothing is committed for this ownership, however long its handlers still
// run: the queue's next owner may be far ahead.
func (q *queue) release() error {
	err := q.engine.keepFloors(context.Background(), []*queue{q})
	if err == nil {
		err = q.commit(context.Background(), false) // bounded by the request time-out
	}
	q.commits.Lock()
	q.released.Store(true)
	q.commits.Unlock()
	if w := q.current(); w != nil {
		w.close() // what hasn't begun is the next owner's
	}
	q.engine.keep.awaitCommit()
	return err
}
