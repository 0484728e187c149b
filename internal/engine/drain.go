package engine

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"
)

// drain ends the consuming: pull loops stop, nothing more begins, what runs may finish within Config.Drain and is then
// canceled. It returns an error when handlers didn't return even so.
func (e *Engine) drain() error {
	e.setState(Draining, "")
	ends := time.Now().Add(e.cfg.Drain)
	owned, lost := e.ownedAndLost()
	for _, q := range owned {
		q.stop()
	}
	for _, q := range owned {
		<-q.done
	}
	windows := windowsOf(append(owned, lost...))
	windows = append(windows, e.directs)
	left := awaitIdle(windows, e.cfg.Drain)
	if left > 0 {
		e.log.Warn("drain time is over, canceling handlers", "unfinished", left, "drain", e.cfg.Drain)
		for _, w := range windows {
			w.close()
		}
		e.cancelHandlers()
		left = awaitIdle(windows, afterCancel)
	}
	close(e.gaveUp)
	e.letting.Wait()
	for _, t := range e.topics {
		if t.pool != nil {
			t.pool.Stop()
		}
		if t.batches != nil {
			t.batches.stop()
		}
	}
	if left > 0 {
		return fmt.Errorf("%d messages were still being handled %v after their context had ended and will be delivered again: "+
			"their handlers ignore it, or their broker doesn't take them back", left, afterCancel)
	}
	if e.awaitPools(time.Until(ends)) != nil {
		e.log.Warn("drain time is over, canceling handlers of queues that we have lost", "drain", e.cfg.Drain)
		e.cancelHandlers()
	}
	return e.awaitPools(afterCancel)
}

// awaitPools lets the workers that have finished their last message return, and the handlers whose messages no window
// counts any more: those that outlasted the letting go of their queue.
func (e *Engine) awaitPools(limit time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), max(limit, minBackoff))
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

// awaitIdle retires windows and waits until nothing of them runs; it returns how many messages still do.
func awaitIdle(windows []*window, limit time.Duration) (left int) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for _, w := range windows {
		w.retire()
	}
	for _, w := range windows {
		select {
		case <-w.retire():
			continue
		case <-timer.C:
		}
		for _, w := range windows {
			left += w.unfinished()
		}
		return left
	}
	return 0
}

// windowsOf lists the queues' windows, with those of before a reset.
func windowsOf(queues []*queue) []*window {
	windows := make([]*window, 0, len(queues))
	for _, q := range queues {
		q.mu.Lock()
		if windows = append(windows, q.former...); q.window != nil {
			windows = append(windows, q.window)
		}
		q.mu.Unlock()
	}
	return windows
}

func (e *Engine) allQueues() []*queue {
	owned, _ := e.ownedAndLost()
	return owned
}

// ownedAndLost lists the queues this member owns, and those it has lost and is still letting go: a queue that came and
// went more than once as often.
func (e *Engine) ownedAndLost() (owned, lost []*queue) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, q := range e.queues {
		owned = append(owned, q)
		lost = q.appendBefore(lost)
	}
	for id, q := range e.going {
		if e.queues[id] != nil && e.queues[id].before == q {
			continue // it has been listed
		}
		lost = q.appendBefore(append(lost, q))
	}
	return owned, lost
}

// appendBefore adds the former ownerships that are still being let go.
func (q *queue) appendBefore(list []*queue) []*queue {
	for b := q.before; b != nil && !isClosed(b.gone); b = b.before {
		list = append(list, b)
	}
	return list
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// allBrokers lists the brokers that we own queues on or have. Callers hold e.mu.
func (e *Engine) allBrokers() []*broker { return slices.Collect(maps.Values(e.brokers)) }
