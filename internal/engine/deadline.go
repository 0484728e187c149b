package engine

import (
	"context"
	"sync"
	"time"
)

// handlerContext is the context a handler gets: the consumer's, with the handler's time-out. It makes its timer and its
// channel only when somebody asks for Done: a context.WithTimeout per message costs more than a fast handler does.
type handlerContext struct {
	context.Context //nolint:containedctx // it is a context, and this its parent, which ends when a drain gives up waiting
	deadline        time.Time

	mu     sync.Mutex
	timed  context.Context //nolint:containedctx // the same with the deadline; nil until Done is asked for
	cancel context.CancelFunc
	over   bool // the handler has returned
}

func (c *handlerContext) Deadline() (time.Time, bool) {
	if c.deadline.IsZero() {
		return c.Context.Deadline()
	}
	return c.deadline, true
}

func (c *handlerContext) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.real().Done()
}

// real makes the context that the standard library would have made at once. Callers hold mu.
func (c *handlerContext) real() context.Context {
	if c.timed != nil {
		return c.timed
	}
	if c.deadline.IsZero() {
		c.timed, c.cancel = context.WithCancel(c.Context)
	} else {
		c.timed, c.cancel = context.WithDeadline(c.Context, c.deadline)
	}
	if c.over {
		c.cancel()
	}
	return c.timed
}

func (c *handlerContext) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.timed != nil:
		return c.timed.Err()
	case c.Context.Err() != nil:
		return c.Context.Err()
	case !c.deadline.IsZero() && !time.Now().Before(c.deadline):
		return context.DeadlineExceeded
	case c.over:
		return context.Canceled
	}
	return nil
}

// Value lets contexts derived from this one find the real one, so that the standard library needs no goroutine to link
// them.
func (c *handlerContext) Value(key any) any {
	c.mu.Lock()
	timed := c.timed
	c.mu.Unlock()
	if timed != nil {
		return timed.Value(key)
	}
	return c.Context.Value(key)
}

// end releases the context's resources once the handler has returned.
func (c *handlerContext) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over = true
	if c.cancel != nil {
		c.cancel()
	}
}
