package pool

import "slices"

// work is the life of a worker: it takes items while there are any, and parks between.
func (p *Pool[T]) work(wake chan struct{}) {
	running := false
	defer func() {
		if running { // run has ended this goroutine, so another must take its place
			p.mu.Lock()
			p.active--
			p.leave()
		}
	}()
	for called := true; called; _, called = <-wake {
		p.mu.Lock()
		p.calling = false
		for p.waiting.len > 0 && p.workers <= p.most {
			item := p.waiting.pop()
			p.active++
			p.callAndUnlock()
			running = true
			p.run(item)
			running = false
			p.mu.Lock()
			p.active--
		}
		if p.stopped || p.workers > p.most {
			p.leave()
			return
		}
		p.park(wake)
		p.mu.Unlock()
	}
}

// callAndUnlock calls a worker if items wait for one and none is on its way, and releases the lock, which the one called wants next.
func (p *Pool[T]) callAndUnlock() {
	if p.calling || p.waiting.len == 0 {
		p.mu.Unlock()
		return
	}
	if last := len(p.idle) - 1; last >= 0 {
		p.calling = true
		wake := p.idle[last].wake
		p.idle = p.idle[:last]
		p.mu.Unlock()
		wake <- struct{}{} // has room: a channel is either in idle or called, once
		return
	}
	start := p.workers < p.core
	if !start && p.workers < p.most {
		start = p.waiting.oldest() <= p.late
		if !start && !p.growth.set {
			p.awaitGrowth()
		}
	}
	if start {
		p.calling = true
		p.workers++
	}
	p.mu.Unlock()
	if start {
		go p.work(make(chan struct{}, 1))
	}
}

// leave takes a worker out of the count and releases the lock.
func (p *Pool[T]) leave() {
	p.workers--
	p.finish()
	p.callAndUnlock()
}

// dismiss ends up to n parked workers, those first that have slept longest. They are out of the count at once.
func (p *Pool[T]) dismiss(n int) {
	n = min(n, len(p.idle))
	if n <= 0 {
		return
	}
	for _, worker := range p.idle[:n] {
		close(worker.wake)
	}
	p.idle = slices.Delete(p.idle, 0, n)
	p.workers -= n
}

// finish tells Wait when there is nothing left to wait for.
func (p *Pool[T]) finish() {
	if p.stopped && p.workers == 0 {
		close(p.done)
	}
}
