package producer

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"time"

	"github.com/rocketkit/rocketkit/internal/protocol"
	"github.com/rocketkit/rocketkit/internal/send"
)

// batch is messages that are sent in one request.
type batch struct {
	messages []*waiting

	// Under the line's lock.
	cancel   context.CancelFunc // nil before its request is made
	live     int                // whose callers wait
	attempts int                // that have failed
	last     error
	regroup  bool // what is left of it goes in another request
}

// left takes out a caller, and tells what is known of its message.
func (b *batch) left() (attempts int, err error) {
	if b.live--; b.live == 0 && b.cancel != nil {
		b.cancel()
	}
	return b.attempts + 1, errUnknown(b.attempts, b.last)
}

// take takes the messages of the next request out of a lane that holds some.
func (l *line) take(n *lane) *batch {
	b := &batch{}
	size := 0
	for w := n.first; w != nil; w = n.first {
		if len(b.messages) > 0 && (w.alone != nil || len(b.messages) >= n.limit || size+len(w.encoded) > l.p.cfg.Linger.Bytes) {
			break
		}
		n.remove(w)
		w.state, w.shared = underWay, b
		if b.messages == nil {
			b.messages = make([]*waiting, 0, min(n.count+1, n.limit))
		}
		b.messages = append(b.messages, w)
		if size += len(w.encoded); w.alone != nil {
			break
		}
	}
	b.live = len(b.messages)
	return b
}

// run sends what is in a lane, until nothing is left. It begins with b, unless that is nil.
func (l *line) run(n *lane, b *batch) {
	for {
		if b == nil {
			// Let callers that are ready to run line up first, those above all that the last request has given their
			// outcomes: without it every other request holds a single message.
			runtime.Gosched()
			if b = l.next(n); b == nil {
				return
			}
		}
		l.deliver(n, b)
		b = nil
	}
}

// next takes the next batch; nil when there is none, which ends the lane's run.
func (l *line) next(n *lane) *batch {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n.count > 0 {
		return l.take(n)
	}
	n.running--
	if n.running == 0 && l.queues[n.queue] == n {
		delete(l.queues, n.queue)
	}
	return nil
}

// deliver sends a batch and gives its messages their outcomes, or puts them back.
func (l *line) deliver(n *lane, b *batch) {
	if a := b.messages[0].alone; a != nil {
		result, err := l.p.sendOne(a.ctx, l.target(), &a.message, a.id, a.watched, send.Request{})
		l.finish(n, b, result, err)
		return
	}
	ctx := l.contextOf(b)
	defer b.cancel()
	buffer := l.p.scratch.Get().(*[]byte) //nolint:errcheck // the pool holds nothing else
	defer func() {
		if cap(*buffer) <= l.p.cfg.Linger.Bytes*2 {
			l.p.scratch.Put(buffer)
		}
	}()
	result, err := l.p.send(ctx, l.name, l.target(), l.request(n, b, buffer))
	l.finish(n, b, result, err)
}

// contextOf gives the context of a batch: it ends with the last of its messages' deadlines, if all have one, and when the
// last caller has left.
func (l *line) contextOf(b *batch) context.Context {
	var latest time.Time
	limited := true
	for _, w := range b.messages {
		limited = limited && w.limited
		if w.deadline.After(latest) {
			latest = w.deadline
		}
	}
	ctx := context.Background() //nolint:contextcheck // it is several callers'
	var cancel context.CancelFunc
	if limited {
		ctx, cancel = context.WithDeadline(ctx, latest)
	} else {
		ctx, cancel = context.WithCancel(ctx)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if b.cancel = cancel; b.live == 0 {
		cancel()
	}
	return ctx
}

// request makes the request of a batch, in the buffer. A single message goes as one, not as a batch of one.
func (l *line) request(n *lane, b *batch, buffer *[]byte) *send.Request {
	first := b.messages[0]
	r := &send.Request{Group: l.p.group, ShardingKey: first.key}
	r.Several = len(b.messages) > 1 || n.serial && !n.own && n != &l.unrouted
	r.Pinned = n.queue
	r.Failed = func(err error) bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		b.attempts++
		b.last = err
		b.regroup = 0 < b.live && b.live < len(b.messages)                             // nobody wants the others sent again
		if n != &l.unrouted || !protocol.HasCode(err, protocol.CodeInvalidParameter) { // else the route isn't true
			l.desert(n, b)
		}
		return !b.regroup
	}
	if len(b.messages) == 1 {
		r.Body, r.Properties = protocol.SplitBatchMessage(first.encoded)
		return r
	}
	*buffer = (*buffer)[:0]
	for _, w := range b.messages {
		*buffer = append(*buffer, w.encoded...)
	}
	r.Batch, r.Body = true, *buffer
	return r
}

// finish ends a batch.
func (l *line) finish(n *lane, b *batch, result send.Result, err error) {
	l.mu.Lock()
	var failure *send.Error
	switch single := len(b.messages) == 1; {
	case err == nil:
		n.limit = min(n.limit*2, l.p.cfg.Linger.Messages)
		if n == &l.unrouted {
			n.limit = 1
		}
	case b.messages[0].alone != nil, !errors.As(err, &failure):
	case b.regroup:
		l.putBack(n, b)
		l.mu.Unlock()
		return
	case failure.Moved:
		l.putBack(n, b)
		l.unroute(n)
		l.mu.Unlock()
		return
	case failure.Content && !single:
		l.putBack(n, b)
		n.limit = max(1, len(b.messages)/2)
		for !n.serial && n.count > n.limit && l.full(n) {
			n.running++
			go l.run(n, l.take(n))
		}
		l.mu.Unlock()
		return
	case failure.Content && failure.Retryable:
		l.putBack(n, b)
		l.part(n, b.messages[0].key)
		l.mu.Unlock()
		return
	}
	ended := l.outcomes(b, result, err)
	if err != nil || n == &l.unrouted { // that send has seen to the route
		l.desert(n, b)
	}
	l.mu.Unlock()
	for _, w := range ended {
		w.settled()
	}
}

// outcomes gives the messages of a batch theirs, and returns those whose callers wait for it.
func (l *line) outcomes(b *batch, result send.Result, err error) []*waiting {
	rest := result.OffsetID
	ended := b.messages[:0]
	for i, w := range b.messages {
		l.unkey(w)
		offsetID := rest
		if err == nil && len(b.messages) > 1 {
			offsetID, rest, _ = strings.Cut(rest, ",")
		}
		if w.state == over {
			continue
		}
		w.state, w.result, w.err = over, result, err
		w.result.OffsetID, w.result.QueueOffset = offsetID, result.QueueOffset+int64(i)
		ended = append(ended, w)
	}
	return ended
}

// putBack puts the messages of a batch that was not stored back to the front of their lane, but for those whose callers
// have left.
func (l *line) putBack(n *lane, b *batch) {
	for i := len(b.messages) - 1; i >= 0; i-- {
		w := b.messages[i]
		w.shared = nil
		w.unsure = w.unsure || b.attempts > 1 || b.regroup && !send.Refused(b.last)
		if w.state == over {
			l.unkey(w)
			continue
		}
		n.pushFront(w)
	}
	if !n.serial && n.count > 0 && !n.armed {
		n.arm(l)
	}
}
