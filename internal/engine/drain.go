package engine

import (
	"context"
	"fmt"
	"time"
)

// drain ends the consuming: pull loops stop, nothing more begins, what runs may finish within Config.Drain and is then
// canceled. It returns an error when handlers didn't return even so.
func (e *Engine) drain() error {
	e.setState(Draining, "")
	queues := e.allQueues()
	for _, q := range queues {
		q.stop()
	}
	for _, q := range queues {
		<-q.done
	}
	left := awaitIdle(queues, e.cfg.Drain)
	if left > 0 {
		e.log.Warn("drain time is over, canceling handlers", "running", left, "drain", e.cfg.Drain)
		e.cancelHandlers()
		left = awaitIdle(queues, afterCancel)
	}
	e.letting.Wait()
	for _, t := range e.topics {
		if t.pool != nil {
			t.pool.Stop()
		}
	}
	if left > 0 {
		return fmt.Errorf("%d messages were still being handled %v after the drain and will be delivered again: their handlers ignore their context", left, afterCancel)
	}
	return e.awaitPools()
}

// awaitPools lets the workers that have finished their last message return.
func (e *Engine) awaitPools() error {
	ctx, cancel := context.WithTimeout(context.Background(), afterCancel)
	defer cancel()
	for _, t := range e.topics {
		if t.pool == nil {
			continue
		}
		if err := t.pool.Wait(ctx); err != nil {
			return fmt.Errorf("topic %s: workers: %w", t.name, err)
		}
	}
	return nil
}

// awaitIdle retires the queues' windows and waits until nothing of them runs; it returns how many messages still do.
func awaitIdle(queues []*queue, limit time.Duration) (left int) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for _, q := range queues {
		if w := q.current(); w != nil {
			w.retire()
		}
	}
	for i, q := range queues {
		w := q.current()
		if w == nil {
			continue
		}
		select {
		case <-w.retire():
		case <-timer.C:
			for _, rest := range queues[i:] {
				if w := rest.current(); w != nil {
					left += w.unfinished()
				}
			}
			return left
		}
	}
	return 0
}

func (e *Engine) allQueues() []*queue {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := make([]*queue, 0, len(e.queues))
	for _, q := range e.queues {
		all = append(all, q)
	}
	return all
}
