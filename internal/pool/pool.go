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
//
// Beyond the workers that a pool always may have, it grows while items wait too long for those: see grow.go.
package pool

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Config says how many workers a pool has. With none, the zero Config, items wait until Resize asks for some.
type Config struct {
	Core int // workers there may always be; below 0 means 0
	Max  int // and as many while items wait too long for one of those; below Core means Core

	GrowAfter   time.Duration // how long an item waits before there is a worker more for it; 0 means 200 ms
	ShrinkAfter time.Duration // how long a worker beyond Core is idle before it goes; 0 means 60 s
}

// Pool runs items of one kind. Create it with [New]. All methods are safe for concurrent use and, except for Wait, never block.
type Pool[T any] struct {
	run   func(T)
	epoch time.Time     // what the ring's times are counted from
	done  chan struct{} // closed when the pool is stopped and no item runs

	mu      sync.Mutex
	waiting ring[T]
	idle    []parked // the last to park at the end
	core    int
	most    int  // never less than core
	workers int  // how many may take an item: parked, called, or running one
	active  int  // how many run one
	calling bool // one worker was called and hasn't arrived yet
	stopped bool

	late      time.Duration // what was put by then has waited too long, since the epoch
	growth    alarm         // while items wait and there may be more workers
	shrinkage alarm         // while workers beyond core are idle
}

// parked is an idle worker.
type parked struct {
	wake  chan struct{}
	since time.Duration // since the pool's epoch; only known of those that parked while there were more than core
}

// Stats is a pool at one moment.
type Stats struct {
	Core, Max int       // as asked for
	Workers   int       // how many there may be at the moment: Core, or as many more as it has grown by
	Active    int       // items running now; after a reduction more than Workers for a while
	Waiting   int       // items not yet started
	Oldest    time.Time // when the next item to start was put; zero when none waits
}

// New returns a pool that calls run with one item after the other, on as many workers at once as cfg says. Nothing is
// started before the first Put; a pool that has been put to must be stopped to release its workers.
//
// run must not panic: nothing here recovers. It may end its goroutine (runtime.Goexit, which t.FailNow calls);
// the item then counts as returned.
func New[T any](cfg Config, run func(T)) *Pool[T] {
	p := &Pool[T]{run: run, epoch: time.Now(), done: make(chan struct{}), late: -1}
	p.core, p.most = bounds(cfg.Core, cfg.Max)
	p.growth = alarm{after: cfg.GrowAfter, ring: p.grow}
	if cfg.GrowAfter == 0 {
		p.growth.after = growAfter
	}
	p.shrinkage = alarm{after: cfg.ShrinkAfter, ring: p.shrink}
	if cfg.ShrinkAfter == 0 {
		p.shrinkage.after = shrinkAfter
	}
	return p
}

func bounds(core, most int) (int, int) {
	core = max(core, 0)
	return core, max(core, most)
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

// Resize changes how many workers there may be, as [Config] has it; with 0 and 0 nothing starts. Both hold at once: idle
// workers beyond core end, and additional ones start if items wait for them. Running items go on. Those beyond core
// keep their workers until these are idle for long enough, those beyond most until they return: none starts before
// fewer than most run. After Stop it does nothing.
func (p *Pool[T]) Resize(core, most int) {
	p.mu.Lock()
	if !p.stopped {
		p.core, p.most = bounds(core, most)
		p.dismiss(p.workers - p.core)
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
	p.growth.stop()
	p.shrinkage.stop()
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
	s := Stats{
		Core: p.core, Max: p.most, Workers: min(p.most, max(p.core, p.workers)),
		Active: p.active, Waiting: p.waiting.len,
	}
	if s.Waiting > 0 {
		s.Oldest = p.epoch.Add(p.waiting.oldest())
	}
	return s
}

// Withdraw takes back the waiting items that which asks for, in order; the others keep their places. which must not call
// the pool.
func (p *Pool[T]) Withdraw(which func(*T) bool) []T {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.waiting.withdraw(which)
}
