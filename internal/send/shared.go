package send

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

// Shared is what a Request says that holds messages of several callers, or that others wait behind.
type Shared struct {
	// Several has Send return with an Error of Content also when brokers answer SYSTEM_ERROR in the second round still:
	// that may be an exception that one of the messages causes.
	Several bool

	// Pinned, when not zero, is the queue of the ShardingKey, as KeyQueue gave it. When the topic has lost it, Send
	// returns with an Error that says Moved rather than choosing anew: several keys don't move to one queue together.
	Pinned protocol.Queue

	// Failed, when not nil, is called after each attempt that failed, on Send's goroutine. When it returns false, Send
	// returns at once: there is another request to be made of what this one holds.
	Failed func(error) (again bool)
}

// KeyQueue gives the queue that the messages of a sharding key go to by the route that is known. It asks nobody: false
// tells that no route is known, or one without queues to write to.
func (t *Topic) KeyQueue(key string) (protocol.Queue, bool) {
	r := t.sender.view.Routes().Known(t.physical)
	if r == nil || len(r.Write) == 0 {
		return protocol.Queue{}, false
	}
	return r.Write[hashIndex(key, len(r.Write))], true
}

// Lost tells whether the route that is known has queues to write to, and not this one any more: the name servers have
// dropped its broker, say, and a key that begins anew has another queue.
func (t *Topic) Lost(q protocol.Queue) bool {
	r := t.sender.view.Routes().Known(t.physical)
	return r != nil && len(r.Write) > 0 && !slices.Contains(r.Write, q)
}

// forContent tells whether an attempt failed for what the request holds.
func (s *sending) forContent(err error) bool {
	answer := (*protocol.Error)(nil)
	switch s.why {
	case refused:
		return errors.As(err, &answer) || errors.Is(err, frame.ErrTooLarge)
	case busy:
		return s.request.Several && errors.As(err, &answer) && answer.Code == protocol.CodeSystemError
	}
	return false
}

// Left is the Error of a caller whose context ended while its message waited, or was sent together with others'. last is
// what there is to say of that.
func (t *Topic) Left(ctx context.Context, attempts int, began time.Time, last error) *Error {
	return &Error{
		Op: "send", Topic: t.logical, Attempts: attempts, Took: rounded(time.Since(began)), Last: last, Ended: endOf(ctx), Retryable: true,
	}
}
