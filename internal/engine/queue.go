package engine

import (
	"context"
	"errors"
	"fmt"
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
	room   chan struct{} // wakes the pull loop when there may be room again
	stop   context.CancelFunc
	done   chan struct{} // closed when the pull loop has ended
	gone   chan struct{} // closed when a lost queue has been let go

	commits sync.Mutex  // held over a commit: an older floor must not be stored over a newer one
	dirty   atomic.Bool // in the committer's list
	behind  atomic.Bool // its last commit failed

	mu        sync.Mutex
	window    *window   // nil until the position is known
	position  int64     // next offset to pull
	maxOffset int64     // one past the newest, as of the last pull
	node      int64     // which replica the broker suggested to pull from
	committed int64     // last offset the broker took; -1 when unknown
	pulled    time.Time // when the last pull was answered
	why       error     // what the last pull failed of
}

func newQueue(e *Engine, t *topic, id protocol.Queue) *queue {
	return &queue{
		engine: e, topic: t, id: id,
		public:    rocketkit.Queue{Topic: t.name, Broker: id.Broker, ID: int(id.ID)},
		room:      make(chan struct{}, 1),
		done:      make(chan struct{}),
		gone:      make(chan struct{}),
		committed: -1,
	}
}

// start begins to pull, once before (a former ownership of the same queue that is still being let go) has ended.
func (q *queue) start(ctx context.Context, before *queue) {
	ctx, q.stop = context.WithCancel(ctx)
	go func() {
		defer close(q.done)
		if before != nil {
			select {
			case <-before.gone:
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
	if first {
		q.engine.log.Warn("pull failed, trying again", "queue", q.public, "error", err)
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

func isRefusal(err error) bool {
	var refused *protocol.Error
	return errors.As(err, &refused)
}

// pull waits until there is room, asks for the next block once, and hands it out.
func (q *queue) pull(ctx context.Context) error {
	if err := q.awaitRoom(ctx); err != nil {
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
	result, err := q.ask(ctx, address, position)
	if err != nil {
		return err
	}
	q.mu.Lock()
	q.why, q.node, q.maxOffset, q.pulled = nil, result.SuggestBrokerID, result.MaxOffset, time.Now()
	q.mu.Unlock()
	return q.take(w, result, position)
}

func (q *queue) ask(ctx context.Context, address string, position int64) (protocol.PullResult, error) {
	ctx, cancel := context.WithTimeout(ctx, pullTimeout)
	defer cancel()
	answer, err := q.engine.view.Call(ctx, address, protocol.PullMessage{
		Group:          q.engine.group,
		Topic:          q.id.Topic,
		QueueID:        q.id.ID,
		Offset:         position,
		MaxMessages:    pullBatch,
		SysFlag:        protocol.PullSuspend,
		SuspendMillis:  holdPull.Milliseconds(),
		SubVersion:     q.topic.sub.Version,
		ExpressionType: q.topic.sub.ExpressionType,
		BrokerName:     q.id.Broker,
	}.Frame())
	if err != nil {
		return protocol.PullResult{}, err
	}
	return protocol.ParsePullResult(answer)
}

// awaitRoom parks the loop until its topic and its window have room.
func (q *queue) awaitRoom(ctx context.Context) error {
	w := q.current()
	for !q.topic.budget.admits(q.room) || !w.within(maxSpan, q.room) {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-q.room:
		}
	}
	return nil
}

// take does what the answer to a pull says. w is the window at the time of the asking; when the queue was reset since,
// the answer is about a position that no longer counts.
func (q *queue) take(w *window, result protocol.PullResult, asked int64) error {
	switch result.Status {
	case protocol.PullOffsetMoved:
		q.engine.log.Warn("offset moved by the broker", "queue", q.public, "from", asked, "to", result.NextOffset, "reset", result.IsReset())
		if result.IsReset() || result.NextOffset < asked {
			q.restart(result.NextOffset)
			return nil
		}
		// What was to come has expired; what was received before has not, and is still to be handled.
	case protocol.PullFound:
		messages, err := protocol.DecodeMessages(result.Body, q.id.Topic)
		if err != nil {
			return fmt.Errorf("block at offset %d: %w", asked, err)
		}
		q.handOut(w, messages, asked)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.window == w {
		q.position = result.NextOffset
		w.advance(result.NextOffset)
		if result.NextOffset != asked {
			q.moved() // even where nothing was handed out, as when a filter leaves nothing
		}
	}
	return nil
}

// handOut gives each wanted message a ticket and puts it into the pool of the topic it was sent to.
func (q *queue) handOut(w *window, messages []protocol.Message, from int64) {
	tasks := make([]task, 0, len(messages))
	var bytes int64
	for i := range messages {
		m := &messages[i]
		if m.QueueOffset < from || !q.topic.wants(m) {
			continue
		}
		size := int32(len(m.Body))
		bytes += int64(size)
		tasks = append(tasks, task{queue: q, window: w, ticket: w.add(m.QueueOffset), topic: q.topic, raw: m, size: size})
	}
	q.topic.budget.take(len(tasks), bytes)
	if q.topic.pool != nil {
		q.topic.pool.Put(tasks...)
		return
	}
	for _, t := range tasks {
		q.handOutRetry(t)
	}
}

// handOutRetry puts a message of the retry topic into the pool of the topic it was first sent to. One whose topic this
// consumer doesn't handle, or no longer, goes back to be retried: another member may.
func (q *queue) handOutRetry(t task) {
	origin, _ := t.raw.Properties.Get(protocol.PropertyRetryTopic)
	t.topic = q.engine.topics[origin]
	if t.topic != nil && t.topic.pool != nil {
		t.topic.pool.Put(t)
		return
	}
	t.topic = nil
	if t.window.begin(t.ticket) {
		level, _ := q.engine.judge(t, errNoHandler)
		q.engine.settler.add(unsettled{task: t, level: level, failure: errNoHandler})
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
}

// letGo ends the ownership: nothing more is pulled or begun, handlers that run may finish for a while, and what they
// finished is committed, so that who gets the queue next starts behind it.
func (q *queue) letGo() {
	q.stop()
	<-q.done
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
	if err := q.commit(context.Background()); err != nil { // bounded by the request time-out
		q.engine.log.Warn("last commit of a lost queue failed: its new owner repeats some messages", "queue", q.public, "error", err)
	}
}
