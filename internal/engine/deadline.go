package engine

import (
	"context"
	"sync"
	"time"

	"github.com/rocketkit/rocketkit/internal/protocol"
)

// handlerContext is the context a handler gets: the consumer's, with the handler's time-out. It makes its timer and its
// channel only when somebody asks for Done: a context.WithTimeout per message costs more than a fast handler does. Until
// then it finds out that it has ended when it is asked; if both its deadline has passed and its parent has ended by
// then, it says the former.
type handlerContext struct {
	context.Context           //nolint:containedctx // it is a context, and this its parent, which ends when a drain gives up waiting
	deadline        time.Time // only its monotonic reading counts, until it is shown

	seat   *seat // where the handler sits, and with what: see begin
	topic  *topic
	queue  *queue
	raw    *protocol.Message
	offset int64
	began  time.Time

	mu     sync.Mutex
	timed  context.Context //nolint:containedctx // what the standard library would have made at once; nil until it is needed
	cancel context.CancelFunc
	over   bool // the handler has returned
	shown  bool // the deadline was asked for, and is set by the wall clock as it was then
}

func (c *handlerContext) Deadline() (time.Time, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.deadline.IsZero() {
		return c.Context.Deadline()
	}
	return c.show(), true
}

// show returns the deadline by the wall clock. Callers hold mu.
func (c *handlerContext) show() time.Time {
	if !c.shown {
		c.deadline, c.shown = time.Now().Add(time.Until(c.deadline)), true
	}
	return c.deadline
}

func (c *handlerContext) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.look(); c.timed == nil {
		c.make(c.Context)
	}
	return c.timed.Done()
}

func (c *handlerContext) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.look(); c.timed == nil {
		return nil
	}
	return c.timed.Err()
}

// errAt is Err for who knows the time.
func (c *handlerContext) errAt(now time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lookAt(now); c.timed == nil {
		return nil
	}
	return c.timed.Err()
}

// Value lets contexts derived from this one, and context.Cause, find the real one, so that the standard library needs no
// goroutine to link them.
func (c *handlerContext) Value(key any) any {
	c.mu.Lock()
	c.look()
	timed := c.timed
	c.mu.Unlock()
	value := c.Context.Value(key)
	if timed != nil {
		value = timed.Value(key)
	}
	if value == nil && c.seat != nil {
		value = c.seat.labels.Value(key) // so that a handler's pprof.Do adds to them
	}
	return value
}

// endAt ends the context once the handler has returned.
func (c *handlerContext) endAt(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lookAt(now)
	c.over = true
	if c.cancel != nil {
		c.cancel()
	}
}

// look makes the real context once this one has ended, so that it says the same for ever after. Callers hold mu.
func (c *handlerContext) look() {
	if c.timed != nil {
		return
	}
	var now time.Time
	if !c.deadline.IsZero() {
		now = time.Now()
	}
	c.lookAt(now)
}

func (c *handlerContext) lookAt(now time.Time) {
	switch {
	case c.timed != nil:
	case c.over:
		c.make(context.WithoutCancel(c.Context))
		c.cancel()
	case !c.deadline.IsZero() && !now.Before(c.deadline):
		c.make(context.WithoutCancel(c.Context)) // its deadline has passed, so it is made ended
	case c.Context.Err() != nil:
		c.make(c.Context)
	}
}

// make makes the real context. Callers hold mu.
func (c *handlerContext) make(parent context.Context) {
	if c.deadline.IsZero() || c.over {
		c.timed, c.cancel = context.WithCancel(parent)
	} else {
		c.timed, c.cancel = context.WithDeadline(parent, c.show())
	}
}
