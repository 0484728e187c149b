package mqtest

import (
	"context"
	"sync"
	"time"
)

// longestWait bounds a wait whose ctx has no deadline, so that in a synctest bubble, where time passes as fast as the
// clients' tickers run, a state that never comes ends the test rather than spinning it.
const longestWait = 24 * time.Hour

// reportTime is how long before go test's own time-out a wait ends, so that it can still say what is missing.
const reportTime = 2 * time.Second

// deadlineOf is when the test's waits end at the latest; zero when nothing says.
func deadlineOf(t TB) (end time.Time) {
	test, ok := t.(interface{ Deadline() (time.Time, bool) })
	if !ok {
		return time.Time{}
	}
	defer func() { _ = recover() }() // a bubble's T has no deadline and panics when asked
	if at, ok := test.Deadline(); ok {
		end = at.Add(-reportTime)
	}
	return end
}

// state lets helpers wait for a change of the cluster's state rather than poll it.
type state struct {
	mu      sync.Mutex
	changed chan struct{} // closed by the next change; nil when nobody waits
}

// change wakes whoever waits. It may be called under a broker's lock.
func (s *state) change() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}

func (s *state) next() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changed == nil {
		s.changed = make(chan struct{})
	}
	return s.changed
}

func (c *Cluster) longestWait() time.Duration {
	if c.deadline.IsZero() {
		return longestWait
	}
	return time.Until(c.deadline)
}

// wait returns nil as soon as reached does. When ctx ends before, it returns what is still missing and why ctx ended.
func (c *Cluster) wait(ctx context.Context, reached func() error) error {
	if c.bubble != inBubble() {
		return errBubble
	}
	if _, limited := ctx.Deadline(); !limited {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.longestWait())
		defer cancel()
	}
	var over error
	for {
		changed := c.state.next() // before looking, so that no change is missed
		missing := reached()
		switch {
		case missing == nil:
			return nil
		case over != nil:
			return &waitError{missing, over}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			over = context.Cause(ctx)
		case <-c.closing:
			over = errClosed
		}
	}
}
