package engine

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

// queue is one queue while this member owns it: a pull loop and the window of what it has handed out.
type queue struct {
	engine *Engine
	topic  *topic // subscription it belongs to
	id     protocol.Queue
	public rocketkit.Queue
	broker *broker
	before *queue        // a former ownership that is still being let go; nil when there is none
	room   chan struct{} // wakes the pull loop when there may be room again, or a reset to learn of
	stop   context.CancelFunc
	clock  *pullClock    // the pull loop's; nil before its first pull
	done   chan struct{} // closed when the pull loop has ended
	gone   chan struct{} // closed when a lost queue has been let go

	commits  sync.Mutex  // held over a commit: an older floor must not be stored over a newer one
	released atomic.Bool // let go: nothing is committed or sent back any more
	dirty    atomic.Bool // in the committer's list
	reset    atomic.Bool // an operator has moved the group: the next pull says where

	mu        sync.Mutex
	window    *window   // nil until the position is known
	position  int64     // next offset to pull
	maxOffset int64     // one past the newest, as of the last pull
	node      int64     // which replica the broker suggested to pull from
	committed int64     // last offset the broker took; -1 when unknown
	pulled    time.Time // when the last pull was answered
	why       error     // what the last pull failed of
}

// newQueue makes the ownership of a queue. Callers hold e.mu.
func newQueue(e *Engine, t *topic, id protocol.Queue) *queue {
	return &queue{
		engine: e, topic: t, id: id, broker: e.brokerOf(id.Broker), before: e.going[id],
		public:    rocketkit.Queue{Topic: t.name, Broker: id.Broker, ID: int(id.ID)},
		room:      make(chan struct{}, 1),
		done:      make(chan struct{}),
		gone:      make(chan struct{}),
		committed: -1,
	}
}

// start begins to pull, once a former ownership has ended.
func (q *queue) start(ctx context.Context) {
	ctx, q.stop = context.WithCancel(ctx)
	go func() {
		defer close(q.done)
		if q.before != nil {
			select {
			case <-q.before.gone:
			case <-ctx.Done():
				return
			}
		}
		q.run(ctx)
	}()
}

// run finds the position and pulls from there until ctx ends.
func (q *queue) run(ctx context.Context) {
	wait := minBackoff
	for ctx.Err() == nil {
		err := q.locate(ctx)
		if err == nil {
			err = q.pull(ctx)
		}
		if err == nil {
			wait = minBackoff
			continue
		}
		if ctx.Err() != nil {
			return
		}
		q.failed(ctx, err)
		_ = sleep(ctx, wait)
		wait = min(2*wait, maxBackoff)
	}
}

// locate asks for the group's committed offset when the queue has no position yet.
func (q *queue) locate(ctx context.Context) error {
	if q.current() != nil {
		return nil
	}
	offset, err := q.engine.startOffset(ctx, q)
	if err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.window, q.position, q.committed = newWindow(offset), offset, offset
	return nil
}

func (q *queue) current() *window {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.window
}

// failed notes why the queue doesn't move, and has what may be behind it looked into.
func (q *queue) failed(ctx context.Context, err error) {
	q.mu.Lock()
	first := q.why == nil
	q.why, q.node = err, 0
	q.mu.Unlock()
	if first { // and said so only again after one that worked
		q.engine.log.Warn("pull failed, trying on", "queue", q.public, "error", err)
	}
	switch {
	case errors.Is(err, rocketkit.ErrClosed):
		wake(q.engine.again) // ends Run
	case protocol.HasCode(err, protocol.CodeSubscriptionNotExist, protocol.CodeSubscriptionNotLatest):
		q.engine.view.Beat(ctx) // the broker has forgotten us, as it does when it restarts
	case protocol.HasCode(err, protocol.CodeTopicNotExist, protocol.CodeNoPermission, protocol.CodeInvalidParameter), !isRefusal(err):
		_, _ = q.engine.view.Routes().Refresh(ctx, q.id.Topic)
	}
}

// restart goes on at another position. What was handed out before is retired with its window, so that nothing of it is
// committed over the new position.
func (q *queue) restart(position int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.window != nil {
		q.window.discard()
	}
	q.window, q.position, q.committed = newWindow(position), position, -1
	q.moved()
	wake(q.room) // the loop may be parked for the old window
}

// letGo ends the ownership: nothing more is pulled or begun, handlers that run may finish for a while, and what they
// finished is committed, so that who gets the queue next starts behind it.
func (q *queue) letGo() {
	defer close(q.gone)
	q.stop()
	<-q.done
	if q.before != nil {
		<-q.before.gone
	}
	w := q.current()
	if w == nil {
		return
	}
	limit := time.NewTimer(releaseWithin)
	defer limit.Stop()
	select {
	case <-w.retire():
	case <-limit.C:
	}
	if err := q.release(); err != nil {
		q.engine.log.Warn("last commit of a lost queue failed: its new owner repeats some messages", "queue", q.public, "error", err)
	}
}
