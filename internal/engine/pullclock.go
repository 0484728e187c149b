package engine

import (
	"context"
	"sync/atomic"
	"time"
)

// pullClock is the context of a queue's pulls, with a time-out that is set anew for each: what context.WithTimeout makes
// costs about as much as decoding the 32 messages that a pull brings. It belongs to the queue's pull loop.
type pullClock struct {
	context.Context //nolint:containedctx // it is a context, and this what ends it
	cancel          context.CancelFunc
	timer           *time.Timer
	expired         atomic.Bool
}

// start returns a clock that ends with ctx or after limit: the same one, unless it has ended, or is nil.
func (c *pullClock) start(ctx context.Context, limit time.Duration) *pullClock {
	if c != nil && c.Err() == nil {
		c.timer.Reset(limit)
		return c
	}
	c = &pullClock{}
	c.Context, c.cancel = context.WithCancel(ctx)
	c.timer = time.AfterFunc(limit, c.expire)
	return c
}

// stop ends a pull. It must be called, or the time-out ends what comes next.
func (c *pullClock) stop() { c.timer.Stop() }

func (c *pullClock) expire() {
	if c.Context.Err() == nil {
		c.expired.Store(true)
	}
	c.cancel()
}

// Err tells a time-out from the end of the parent, as a context with a deadline does.
func (c *pullClock) Err() error {
	if c.expired.Load() {
		return context.DeadlineExceeded
	}
	return c.Context.Err()
}
