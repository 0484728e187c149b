package reader

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

// queue is one queue that the Reader reads. It keeps its position from one loop to the next.
type queue struct {
	r      *Reader
	id     protocol.Queue
	public rocketkit.Queue
	gained bool          // it appeared after the first loop had begun: it is read from its beginning
	room   chan struct{} // wakes its goroutine when there may be room in the buffer

	// Under r.mu:
	loop     *loop // the newest that reads it
	position int64 // what the loop is given next; -1 while it isn't known
	next     int64 // what is pulled next
	age      int   // rises when Seek moves the queue: what was asked for before is void
	pending  int   // its blocks in the buffer, and the newest of them
	tail     *block
	cancel   context.CancelFunc // of the pull under way

	node      int64 // which replica the broker suggested to pull from
	maxOffset int64
	skipped   int64
	pulled    time.Time // when the last pull was answered; it never was, while zero
	why       error     // what the last attempt failed of
}

// run locates the queue and pulls until ctx ends or the queue fails for good.
func (q *queue) run(ctx context.Context, l *loop) {
	started := false
	for wait := minBackoff; ctx.Err() == nil; {
		err := q.locate(ctx)
		if !started {
			started = true
			q.r.hasStarted(l)
		}
		if err == nil {
			err = q.pull(ctx, l)
		}
		switch {
		case err == nil:
			wait = minBackoff
			continue
		case ctx.Err() != nil:
			return
		case q.failed(ctx, l, err):
			return
		}
		_ = sleep(ctx, wait)
		wait = min(2*wait, maxBackoff)
	}
}

// hasStarted counts a queue whose start was asked for, with or without success.
func (r *Reader) hasStarted(l *loop) {
	r.mu.Lock()
	defer r.mu.Unlock()
	l.starting--
	if l.starting == 0 {
		wake(l.news)
	}
	r.checkReady()
}

// checkReady closes ready once all positions are known. Callers hold r.mu.
func (r *Reader) checkReady() {
	if !r.routed {
		return
	}
	for _, q := range r.queues {
		if q.position < 0 {
			return
		}
	}
	select {
	case <-r.ready:
	default:
		close(r.ready)
	}
}

// locate asks where the queue begins when it has no position yet.
func (q *queue) locate(ctx context.Context) error {
	q.r.mu.Lock()
	known, age := q.position >= 0, q.age
	q.r.mu.Unlock()
	if known {
		return nil
	}
	offset, err := q.firstOffset(ctx)
	if err != nil {
		return fmt.Errorf("start position: %w", err)
	}
	q.r.mu.Lock()
	defer q.r.mu.Unlock()
	if q.age == age { // or Seek has said where
		q.position, q.next = offset, offset
	}
	q.r.checkReady()
	return nil
}

func (q *queue) firstOffset(ctx context.Context) (int64, error) {
	var req *frame.Frame
	parse := protocol.ParseMinOffset
	start := q.r.cfg.Start
	switch {
	case q.gained || start.where == startEarliest:
		req = protocol.MinOffset{Topic: q.id.Topic, QueueID: q.id.ID, BrokerName: q.id.Broker}.Frame()
	case start.where == startTime:
		req, parse = protocol.SearchOffset{
			Topic: q.id.Topic, QueueID: q.id.ID, Time: start.time.UnixMilli(), BrokerName: q.id.Broker,
		}.Frame(), protocol.ParseSearchOffset
	default:
		req, parse = protocol.MaxOffset{Topic: q.id.Topic, QueueID: q.id.ID, BrokerName: q.id.Broker}.Frame(), protocol.ParseMaxOffset
	}
	address, err := q.address(ctx, protocol.MasterID)
	if err != nil {
		return 0, err
	}
	answer, err := q.r.view.Invoke(ctx, address, req)
	if err != nil {
		return 0, err
	}
	return parse(answer)
}

// address is where the queue's broker answers, as node if that is there.
func (q *queue) address(ctx context.Context, node int64) (string, error) {
	now, err := q.r.view.Routes().Get(ctx, q.id.Topic)
	if err != nil {
		return "", err
	}
	address, ok := now.Address(q.id.Broker, node)
	if !ok {
		return "", fmt.Errorf("broker %s: no name server knows where it is", q.id.Broker)
	}
	return address, nil
}

// failed notes why the queue doesn't move and has what may be behind it looked into; it reports true when waiting won't
// help, which ends the loop.
func (q *queue) failed(ctx context.Context, l *loop, err error) (forGood bool) {
	q.r.mu.Lock()
	first, never := q.why == nil, q.pulled.IsZero()
	q.why, q.node = err, protocol.MasterID
	age, next := q.age, q.next
	q.r.mu.Unlock()
	if errors.Is(err, rocketkit.ErrClosed) || errors.Is(err, errUnreadable) || never && refused(err) {
		return l.put(&block{queue: q, age: age, next: next, err: fmt.Errorf("queue %s: %w", q.public, err)})
	}
	if first { // and said so only again after one that worked
		q.r.log.Warn("queue not read, trying on", "queue", q.public, "error", err)
	}
	var answered *protocol.Error
	gone := protocol.HasCode(err, protocol.CodeTopicNotExist, protocol.CodeNoPermission, protocol.CodeInvalidParameter)
	if gone || !errors.As(err, &answered) {
		_, _ = q.r.view.Routes().Refresh(ctx, q.id.Topic)
	}
	return false
}

// errUnreadable is a message that no repetition makes readable.
var errUnreadable = errors.New("can't be read")

// refused tells whether the broker knows the request and says no.
func refused(err error) bool {
	if protocol.HasCode(err, protocol.CodeNoPermission, protocol.CodeGroupNotExist, protocol.CodeSubscriptionParseFailed) {
		return true
	}
	_, remark, _ := rocketkit.Code(err)
	return protocol.HasCode(err, protocol.CodeSystemError) && strings.Contains(remark, "does not support consumer to filter message by")
}
