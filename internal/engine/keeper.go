package engine

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/rocketkit/rocketkit"
)

// Offsets keeps a group's positions elsewhere than on the brokers. consumer.Offsets says what it may rely on.
type Offsets interface {
	Load(ctx context.Context, queues []rocketkit.Queue) (map[rocketkit.Queue]int64, error)
	Commit(ctx context.Context, positions map[rocketkit.Queue]int64) error
}

// offsetsTimeout bounds one call of an Offsets.
const offsetsTimeout = 10 * time.Second

// keeper calls the Offsets, one call at a time, so that an older position can't be stored over a newer one.
type keeper struct {
	offsets Offsets
	turn    chan struct{}             // held over a call
	first   map[rocketkit.Queue]int64 // what was loaded before the first heartbeat

	mu      sync.Mutex
	waiting []*loading
	why     error // what the last call failed of
}

// loading is a queue whose position is asked for.
type loading struct {
	queue  rocketkit.Queue
	done   chan struct{}
	offset int64
	found  bool
	err    error
}

func newKeeper(offsets Offsets) *keeper {
	if offsets == nil {
		return nil
	}
	return &keeper{offsets: offsets, turn: make(chan struct{}, 1)}
}

// take waits for the turn to call, which give ends.
func (k *keeper) take(ctx context.Context) error {
	select {
	case k.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (k *keeper) give() { <-k.turn }

// load asks for one queue's position. Queues that ask while a call is under way share the next one.
func (k *keeper) load(ctx context.Context, q rocketkit.Queue) (offset int64, found bool, err error) {
	mine := &loading{queue: q, done: make(chan struct{})}
	k.mu.Lock()
	k.waiting = append(k.waiting, mine)
	k.mu.Unlock()
	if err := k.take(ctx); err != nil {
		return 0, false, err
	}
	defer k.give()
	select {
	case <-mine.done: // by another's call
	default:
		k.loadWaiting(ctx)
	}
	return mine.offset, mine.found, mine.err
}

// loadWaiting loads for all who ask, and tells them.
func (k *keeper) loadWaiting(ctx context.Context) {
	k.mu.Lock()
	asked := k.waiting
	k.waiting = nil
	k.mu.Unlock()
	queues := make([]rocketkit.Queue, len(asked))
	for i, l := range asked {
		queues[i] = l.queue
	}
	positions, err := k.loadAll(ctx, queues)
	for _, l := range asked {
		l.offset, l.found = positions[l.queue]
		l.err = err
		close(l.done)
	}
}

// loadAll is one call of Load. A negative position is none. Callers have the turn.
func (k *keeper) loadAll(ctx context.Context, queues []rocketkit.Queue) (positions map[rocketkit.Queue]int64, err error) {
	err = k.call(ctx, "load", func(ctx context.Context) error {
		loaded, err := k.offsets.Load(ctx, queues)
		positions = make(map[rocketkit.Queue]int64, len(loaded))
		for q, offset := range loaded {
			if offset >= 0 {
				positions[q] = offset
			}
		}
		return err
	})
	return positions, err
}

// commitAll is one call of Commit. Callers have the turn.
func (k *keeper) commitAll(ctx context.Context, positions map[rocketkit.Queue]int64) error {
	return k.call(ctx, "commit", func(ctx context.Context) error { return k.offsets.Commit(ctx, positions) })
}

// call makes a panic an error like any other, and notes how the call ended.
func (k *keeper) call(ctx context.Context, what string, do func(ctx context.Context) error) (err error) {
	ctx, cancel := context.WithTimeout(ctx, offsetsTimeout)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("offsets: %s: panicked: %v", what, p)
		}
		k.mu.Lock()
		k.why = err
		k.mu.Unlock()
	}()
	if err := do(ctx); err != nil {
		return fmt.Errorf("offsets: %s: %w", what, err)
	}
	return nil
}

// awaitCommit returns once no call is under way that may still store a position of a queue that was released before.
func (k *keeper) awaitCommit() {
	if k != nil {
		_ = k.take(context.Background())
		k.give()
	}
}

// lastError is why the last call failed; empty when it didn't.
func (k *keeper) lastError() string {
	if k == nil {
		return ""
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.why == nil {
		return ""
	}
	return k.why.Error()
}
