package engine

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rocketkit/rocketkit/internal/protocol"
)

// broker is the member's part with one broker: offsets to commit, messages that failed, locks of queues. Each broker has its
// own, so that one that is away or doesn't answer holds up nothing but its own.
type broker struct {
	commits committer
	backs   settler
	locks   locker
	working bool
}

// brokerOf returns the broker's part. Callers hold e.mu.
func (e *Engine) brokerOf(name string) *broker {
	b := e.brokers[name]
	if b == nil {
		b = &broker{
			commits: committer{wanted: make(chan struct{}, 1)},
			backs:   settler{wanted: make(chan struct{}, 1)},
			locks:   newLocker(),
		}
		e.brokers[name] = b
	}
	return b
}

// work has the broker's part begin, with the first queue that is owned on it. Callers hold e.mu.
func (e *Engine) work(b *broker) {
	if b.working {
		return
	}
	b.working = true
	e.working.Go(func() { b.commits.run(e.background, e) })
	e.working.Go(func() { b.backs.run(e.background, e) })
	e.working.Go(func() { b.locks.run(e.background, e) })
}

// rounds does a round of work whenever some is wanted, until ctx ends. After one it waits ten times as long as that took,
// so that much work costs no more than a tenth of the time, but no less than the round says and no more than most. While
// rounds fail it waits maxBackoff at least.
func rounds(ctx context.Context, wanted <-chan struct{}, most time.Duration, do func(failing bool) (least time.Duration, err error)) {
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-wanted:
		}
		began := time.Now()
		pause, err := do(failing)
		if failing = err != nil; failing {
			pause = maxBackoff
		}
		if sleep(ctx, min(max(pause, 10*time.Since(began)), most)) != nil {
			return
		}
	}
}

const atOnce = 16 // requests of one round that are under way to a broker

// round does what is to be done for each item, some at a time, and returns those that failed. Once the broker turns out
// to be out of reach the rest isn't tried: each would wait for its own time-out.
func round[T any](items []T, do func(T) error) (failed []T, err error) {
	results := make([]error, len(items))
	gone := make(chan struct{}, len(items))
	var group errgroup.Group
	group.SetLimit(atOnce)
	for i, item := range items {
		group.Go(func() error {
			if len(gone) > 0 {
				results[i] = errOutOfReach
				return nil
			}
			if results[i] = do(item); isOutOfReach(results[i]) {
				gone <- struct{}{}
			}
			return nil
		})
	}
	_ = group.Wait()
	for i, failure := range results {
		if failure == nil {
			continue
		}
		failed = append(failed, items[i])
		if err == nil || errors.Is(err, errOutOfReach) || errors.Is(err, errInDoubt) {
			err = failure // the one that says most
		}
	}
	return failed, err
}

var errOutOfReach = errors.New("the broker is out of reach")

// isOutOfReach tells whether a request failed for what concerns all requests to its broker.
func isOutOfReach(err error) bool {
	return err != nil && !isRefusal(err) && !errors.Is(err, errInDoubt)
}

func isRefusal(err error) bool {
	var refused *protocol.Error
	return errors.As(err, &refused)
}
