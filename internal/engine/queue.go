package engine

import (
	"context"
	"errors"
	"slices"
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
	lanes  *lanes        // of an ordered topic; nil otherwise
	room   chan struct{} // wakes the pull loop when there may be room again, or a reset to learn of
	stop   context.CancelFunc
	retry  chan struct{} // wakes a pull loop that pauses after a failure
	clock  *pullClock    // the pull loop's; nil before its first pull
	done   chan struct{} // closed when the pull loop has ended
	gone   chan struct{} // closed when a lost queue has been let go

	commits  sync.Mutex  // held over a commit: an older floor must not be stored over a newer one
	released atomic.Bool // let go: nothing is committed or sent back any more
	dirty    atomic.Bool // in the committer's list
	reset    atomic.Bool // an operator has moved the group: the next pull says where
	unsure   atomic.Bool // the broker didn't know the topic: the position may be one of a topic that is no more
	newest   int64       // commit-log offset of the last message received, -1 before the first; the pull loop's own

	lock lock
	away time.Time // since when no route has named the queue's broker, which is away; under e.mu

	handled atomic.Int64 // when one of its messages' handlers last returned, s since 1970; 0: none has

	mu        sync.Mutex
	window    *window   // nil until the position is known
	former    []*window // those before it of which handlers may still run
	position  int64     // next offset to pull
	maxOffset int64     // one past the newest, as of the last pull
	node      int64     // which replica the broker suggested to pull from
	committed int64     // last offset the broker took; -1 when unknown
	kept      int64     // last offset Config.Offsets took, or gave; -1 when unknown
	pulled    time.Time // when the last pull was answered
	why       error     // what the last pull failed of
	lockWait  string    // whom the queue's lock is waited for, by client id; empty when for nobody
	avoiding  time.Time // until when replicas aren't pulled from
	skipped   int64     // messages that had expired before they were received
}

// newQueue makes the ownership of a queue. Callers hold e.mu.
func newQueue(e *Engine, t *topic, id protocol.Queue) *queue {
	q := &queue{
		engine: e, topic: t, id: id, broker: e.brokerOf(id.Broker), before: e.going[id],
		public:    t.public(id),
		room:      make(chan struct{}, 1),
		retry:     make(chan struct{}, 1),
		done:      make(chan struct{}),
		gone:      make(chan struct{}),
		committed: -1,
		lock:      lock{begin: make(chan struct{})},
		newest:    -1,
		kept:      -1,
	}
	if t.keepsOrder() {
		q.lanes = newLanes(t, q.lockValid)
	}
	return q
}

// start begins to pull, once a former ownership has ended and the queue is locked.
func (q *queue) start(ctx context.Context) {
	ctx, q.stop = context.WithCancel(ctx)
	if q.before == nil {
		q.wantLock() // at once, so that one request asks for all of a rebalance
	}
	go func() {
		defer close(q.done)
		if q.before != nil {
			select {
			case <-q.before.gone:
			case <-ctx.Done():
				return
			}
			q.wantLock()
		}
		if q.awaitLock(ctx) != nil {
			q.broker.locks.passOn(q) // to what lets it go
			return
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
		if q.pause(ctx, wait); wait < maxBackoff {
			wait *= 2
		}
	}
}

// pause waits after a failure, less when its broker comes back.
func (q *queue) pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-q.retry:
	case <-timer.C:
	}
}

// locate asks for the group's committed offset when the queue has no position yet, or one that may count no more.
func (q *queue) locate(ctx context.Context) error {
	if q.current() != nil {
		if q.unsure.Load() {
			return q.locateAgain(ctx)
		}
		return nil
	}
	offset, err := q.engine.startOffset(ctx, q)
	if err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.window != nil {
		return nil // a reset has said where, since we asked
	}
	q.window, q.position, q.committed = q.windowAt(offset), offset, offset
	if q.kept = offset; q.engine.keep != nil {
		q.committed = -1 // the broker is yet to be told
		q.moved()
	}
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
	q.why = err
	q.avoid()
	q.mu.Unlock()
	if first { // and said so only again after one that worked
		q.engine.log.Warn("pull failed, trying on", "queue", q.public, "error", err)
	}
	switch {
	case errors.Is(err, rocketkit.ErrClosed):
		wake(q.engine.again) // ends Run
	case protocol.HasCode(err, protocol.CodeSubscriptionNotExist, protocol.CodeSubscriptionNotLatest,
		protocol.CodeFilterDataNotExist, protocol.CodeFilterDataNotLatest):
		q.engine.view.Beat(ctx)      // the broker has forgotten us, as it does when it restarts
		wake(q.engine.others.wanted) // or another member has pushed ours aside
	case protocol.HasCode(err, protocol.CodeTopicNotExist):
		q.topicGone()
		_, _ = q.engine.view.Routes().Refresh(ctx, q.id.Topic)
	case protocol.HasCode(err, protocol.CodeNoPermission, protocol.CodeInvalidParameter):
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
		q.former = slices.DeleteFunc(append(q.former, q.window), func(w *window) bool { return isClosed(w.idle) })
	}
	q.window, q.position, q.committed, q.kept = q.windowAt(position), position, -1, -1
	q.moved()
	wake(q.room) // the loop may be parked for the old window
}
