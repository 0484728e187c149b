package pool

import "time"

// A pool grows when items have waited for growth.after, which they only do while every worker is busy: each of those items
// gets a worker, as far as most allows. A worker beyond core that finds nothing to do goes after shrinkage.after. Until
// then the pool uses it like any other, so that of what comes in waves only the first has to wait.
//
// The timers run only while there is something to wait for, and are not touched by every item: one that is set is left
// alone, and looks when it rings for whom it is to ring next. So they cost a busy pool a look for each growth.after, and
// an idle one nothing.

// What the zero values in a Config mean.
const (
	growAfter   = 200 * time.Millisecond
	shrinkAfter = time.Minute
)

// alarm is a timer that is set for one moment at a time.
type alarm struct {
	after time.Duration
	ring  func()
	set   bool
	timer *time.Timer // nil before it is first needed
}

func (a *alarm) in(d time.Duration) {
	if a.set = true; a.timer == nil {
		a.timer = time.AfterFunc(d, a.ring)
		return
	}
	a.timer.Reset(d)
}

func (a *alarm) stop() {
	if a.timer != nil {
		a.timer.Stop()
	}
}

// awaitGrowth sets the alarm for when the oldest waiting item has waited too long. Callers hold mu.
func (p *Pool[T]) awaitGrowth() {
	p.growth.in(p.waiting.oldest() + p.growth.after - time.Since(p.epoch))
}

// grow lets each item that has waited too long have a worker. They are started as any are, one after the other, and only
// while such an item waits: others may have taken it.
func (p *Pool[T]) grow() {
	p.mu.Lock()
	p.growth.set = false
	p.late = time.Since(p.epoch) - p.growth.after
	p.callAndUnlock()
}

// park makes a worker an idle one. Callers hold mu.
func (p *Pool[T]) park(wake chan struct{}) {
	worker := parked{wake: wake}
	if p.workers > p.core {
		worker.since = time.Since(p.epoch)
		if !p.shrinkage.set {
			p.shrinkage.in(p.shrinkage.after)
		}
	}
	p.idle = append(p.idle, worker)
}

// shrink ends the workers beyond core that have been idle for too long.
func (p *Pool[T]) shrink() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shrinkage.set = false
	if p.stopped {
		return
	}
	since := time.Since(p.epoch) - p.shrinkage.after
	extra := max(p.workers-p.core, 0)
	gone := 0
	for gone < min(extra, len(p.idle)) && p.idle[gone].since <= since {
		gone++
	}
	p.dismiss(gone)
	if gone < extra && len(p.idle) > 0 {
		p.shrinkage.in(p.idle[0].since - since)
	}
}
