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
	broker *broker
	before *queue        // a former ownership that is still being let go; nil when there is none
	room   chan struct{} // wakes the pull loop when there may be room again, or a reset to learn of
	stop   context.CancelFunc
	done   chan struct{} // closed when the pull loop has ended
	gone   chan struct{} // closed when a lost queue has been let go

	commits  sync.Mutex  // held over a commit: an older floor must not be stored over a newer one
	released bool        // let go: nothing is committed any more; under commits
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
	q.node, q.maxOffset, q.pulled = result.SuggestBrokerID, result.MaxOffset, time.Now()
	q.mu.Unlock()
	if err := q.take(w, result, position); err != nil {
		return err
	}
	q.mu.Lock()
	q.why = nil
	q.mu.Unlock()
	if result.NextOffset == position && result.Status != protocol.PullNotFound {
		return sleep(ctx, minBackoff) // it leads nowhere, as on a replica that lags: don't ask as fast as it answers
	}
	return nil
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

// awaitRoom parks the loop until its topic and its window have room. An operator may reset the group meanwhile, since a
// queue that stands is what resets are for: a commit each 5 s asks, and a pull is let through when there was one.
func (q *queue) awaitRoom(ctx context.Context) error {
	for !q.hasRoom() {
		timer := time.NewTimer(commitWithin)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-q.room:
		case <-timer.C:
			if err := q.commit(ctx, true); err != nil {
				return err
			}
		}
		timer.Stop()
	}
	return nil
}

func (q *queue) hasRoom() bool {
	if q.reset.Swap(false) {
		return true
	}
	return q.topic.budget.admits(q.room) && q.current().within(maxSpan, q.room)
}

// take does what the answer to a pull says. w is the window at the time of the asking; when the queue was reset since,
// the answer is about a position that no longer counts.
func (q *queue) take(w *window, result protocol.PullResult, asked int64) error {
	var messages []protocol.Message
	switch result.Status {
	case protocol.PullOffsetMoved:
		if result.NextOffset != asked || result.IsReset() {
			q.engine.log.Warn("offset moved by the broker", "queue", q.public, "from", asked, "to", result.NextOffset, "reset", result.IsReset())
		}
		if result.IsReset() || result.NextOffset < asked {
			q.restart(result.NextOffset)
			return nil
		}
		// What was to come has expired; what was received before has not, and is still to be handled.
	case protocol.PullFound:
		var err error
		if messages, err = protocol.DecodeMessages(result.Body, q.id.Topic); err != nil {
			return fmt.Errorf("block at offset %d: %w", asked, err)
		}
		for i := range messages {
			messages[i].QueueOffset += result.OffsetDelta
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

// handOut gives each wanted message a ticket and puts it into the pool of the topic it was sent to.
func (q *queue) handOut(w *window, messages []protocol.Message, from, to int64) {
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
	if t.topic = q.engine.retried(t.raw); t.topic != nil {
		t.topic.pool.Put(t)
		return
	}
	if !t.window.begin(t.ticket) {
		t.release()
		return
	}
	level, done := q.engine.judge(t, errNoHandler)
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
