// Package pool runs items on a number of workers that may change at any moment. It stands between the loops that pull
// a topic's messages and the handler that takes them.
//
// Three promises shape it. Items start in the order in which they were put, so that what [Pool.Stop] gives back is a
// tail and leaves no hole in a window of offsets. A change of size is in force when [Pool.Resize] returns, and never
// interrupts an item. And a pool costs no goroutine before it has an item: workers start one by one as items wait for them.
//
// There is no polling and no broadcast. An idle worker parks on a channel of its own and the one that parked last is
// woken first. Only one worker at a time is on its way from sleep to its first item, and it calls the next when
// it takes that item and finds more. So a burst of items that take no time wakes one or two workers instead of all,
// while items that block bring up, one after the other and without waiting for any of them, as many as there are items.
package pool

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Pool runs items of one kind. Create it with [New]. All methods are safe for concurrent use and, except for Wait, never block.
type Pool[T any] struct {
	run   func(T)
	epoch time.Time     // what the ring's times are counted from
	done  chan struct{} // closed when the pool is stopped and no item runs

	mu      sync.Mutex
	waiting ring[T]
	idle    []chan struct{} // parked workers by their channels, the last to park at the end
	size    int             // how many workers there may be
	workers int             // how many may take an item: parked, called, or running one
	active  int             // how many run one
	calling bool            // one worker was called and hasn't arrived yet
	stopped bool
}

// Stats is a pool at one moment.
type Stats struct {
	Workers int       // the size asked for; after a reduction more may be Active for a while
	Active  int       // items running now
	Waiting int       // items not yet started
	Oldest  time.Time // when the next item to start was put; zero when none waits
}

// New returns a pool that calls run with one item after the other, on at most so many workers at once. With 0 workers or
// fewer, items wait until Resize asks for some. Nothing is started before the first Put; a pool that has been
// put to must be stopped to release its workers.
//
// run must not panic: nothing here recovers. It may end its goroutine (runtime.Goexit, which t.FailNow calls);
// the item then counts as returned.
func New[T any](workers int, run func(T)) *Pool[T] {
	return &Pool[T]{run: run, epoch: time.Now(), done: make(chan struct{}), size: max(workers, 0)}
}

// Put adds items behind those that wait. It takes all, however many wait already: the caller bounds what it puts.
// It reports false when the pool is stopped; then it took none.
//
// Items of one call stay together and in order. The slice is copied and may be used again.
func (p *Pool[T]) Put(items ...T) bool {
	now := time.Since(p.epoch)
	p.mu.Lock()
	if p.stopped {
		p.mu.Unlock()
		return false
	}
	p.waiting.push(items, now)
	p.callAndUnlock()
	return true
}

// Resize changes how many workers there may be; less than 0 means 0, at which nothing starts. Additional workers start at once
// if items wait for them. With fewer, running items go on, and none starts until fewer than that many run.
// After Stop it does nothing.
func (p *Pool[T]) Resize(workers int) {
	p.mu.Lock()
	if !p.stopped {
		p.size = max(workers, 0)
		p.dismiss(p.workers - p.size)
	}
	p.callAndUnlock()
}

// Stop ends the pool and returns the items that never started, in order; those that did start run on, see Wait.
// An item has started as soon as a worker has claimed it, so that run may be entered just after Stop returns, for
// items that were not given back. Later calls return nil.
func (p *Pool[T]) Stop() []T {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped {
		return nil
	}
	p.stopped = true
	p.dismiss(len(p.idle))
	p.finish()
	return p.waiting.drain()
}

// Wait blocks until the pool is stopped and every item that started has returned, or until ctx ends. Its error says how
// many still run, and wraps the cause of ctx's end.
func (p *Pool[T]) Wait(ctx context.Context) error {
	select {
	case <-p.done:
		return nil
	default:
	}
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("pool: %d items still running: %w", p.Stats().Active, context.Cause(ctx))
	}
}

// Stats returns the pool's figures, all of the same moment.
func (p *Pool[T]) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := Stats{Workers: p.size, Active: p.active, Waiting: p.waiting.len}
	if s.Waiting > 0 {
		s.Oldest = p.epoch.Add(p.waiting.oldest())
	}
	return s
}
