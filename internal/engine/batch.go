package engine

import (
	"sync"
	"time"
)

// batcher holds what a topic's handler is to get in batches. A batch that is due is a token in the topic's pool; the
// worker that takes it takes the oldest messages then, up to the size, so that batches fill while workers are busy.
//
// Messages are taken in the order they were put, and begin while the lock is held. So of one queue whose messages all
// come here none can begin behind another that waits, and a half-full batch of a queue that is given up stays behind
// whole. Those of a retry topic are spread over several topics: see sweep.
type batcher struct {
	size  int
	wait  time.Duration // from the arrival of a batch's first message; 0 hands out what is there
	token func()        // puts one into the pool

	mu      sync.Mutex
	pending []pending
	due     int // of pending, from the oldest on: how many a batch may begin with now
	called  int // tokens in the pool
	active  int // messages that batches have taken and not settled
	timer   *time.Timer
	stopped bool
}

type pending struct {
	task task
	at   time.Time
}

func newBatcher(size int, wait time.Duration, token func()) *batcher {
	return &batcher{size: size, wait: wait, token: token}
}

// add takes messages in.
func (b *batcher) add(tasks []task) {
	now := time.Now()
	b.change(func() {
		for _, t := range tasks {
			b.pending = append(b.pending, pending{t, now})
		}
	})
}

// take gives a worker that came with a token the oldest messages that may begin; none when others have taken them.
func (b *batcher) take() (batch []task) {
	b.change(func() {
		b.called--
		if b.due == 0 {
			return
		}
		taken := 0
		for ; taken < len(b.pending) && len(batch) < b.size; taken++ {
			if t := b.pending[taken].task; t.window.begin(t.ticket) {
				batch = append(batch, t)
			} else {
				t.release()
			}
		}
		clear(b.pending[:taken])
		b.pending = b.pending[taken:]
		b.due = max(b.due-taken, 0)
		b.active += len(batch)
	})
	return batch
}

// settled notes the end of a batch.
func (b *batcher) settled(messages int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.active -= messages
}

// flush has all that is there handed out, without waiting for more: none may come.
func (b *batcher) flush() { b.change(func() { b.due = len(b.pending) }) }

// sweep is called after windows were retired. What must not begin any more goes; a message that still is to begin,
// because one behind it in its queue has, is handed out at once, since the queue can't be let go before.
func (b *batcher) sweep() {
	b.change(func() {
		kept, wasDue, urgent := b.pending[:0], b.due, 0
		for i, p := range b.pending {
			refused, retired := p.task.window.standing(p.task.ticket)
			if refused {
				p.task.release()
				if i < wasDue {
					b.due--
				}
				continue
			}
			if kept = append(kept, p); retired {
				urgent = len(kept)
			}
		}
		clear(b.pending[len(kept):])
		b.pending, b.due = kept, max(b.due, urgent)
	})
}

// withdraw takes out what is asked for, in order.
func (b *batcher) withdraw(which func(*task) bool) (taken []task) {
	b.change(func() {
		kept, wasDue := b.pending[:0], b.due
		for i := range b.pending {
			if p := &b.pending[i]; !which(&p.task) {
				kept = append(kept, *p)
				continue
			}
			taken = append(taken, b.pending[i].task)
			if i < wasDue {
				b.due--
			}
		}
		clear(b.pending[len(kept):])
		b.pending = kept
	})
	return taken
}

// stop ends the timer; what waits stays.
func (b *batcher) stop() {
	b.change(func() { b.stopped = true })
}

func (b *batcher) counts() (waiting, active int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.pending), b.active
}

// change does something under the lock, and then sees to it that there is a token for each batch that is due and the
// timer runs for the next.
func (b *batcher) change(do func()) {
	b.mu.Lock()
	do()
	tokens := b.look(time.Now())
	b.mu.Unlock()
	for range tokens {
		b.token()
	}
}

// look finds out what is due and returns how many tokens are missing. Callers hold mu.
func (b *batcher) look(now time.Time) (tokens int) {
	due := max(b.due, len(b.pending)/b.size*b.size)
	for due < len(b.pending) && now.Sub(b.pending[due].at) >= b.wait {
		due = min(due+b.size, len(b.pending))
	}
	b.due = due
	tokens = max((due+b.size-1)/b.size-b.called, 0)
	b.called += tokens
	switch {
	case b.stopped || due == len(b.pending):
		if b.timer != nil {
			b.timer.Stop()
		}
	case b.timer == nil:
		b.timer = time.AfterFunc(b.wait-now.Sub(b.pending[due].at), func() { b.change(func() {}) })
	default:
		b.timer.Reset(b.wait - now.Sub(b.pending[due].at))
	}
	return tokens
}

// sweep has batchers and paused topics look for messages of windows that were just retired.
func (e *Engine) sweep() {
	for _, t := range e.batched {
		t.batches.sweep()
	}
	for _, t := range e.topics {
		t.dropEnded()
	}
}

// flush hands out the batches that wait in a topic's batcher, or in all of them when it is the retry topic's queue that
// can't pull on.
func (e *Engine) flush(t *topic) {
	for _, other := range e.batched {
		if other == t || t == e.retry {
			other.batches.flush()
		}
	}
}

// standing tells whether a ticket that hasn't begun must not any more, and whether the window is retired.
func (w *window) standing(ticket uint64) (refused, retired bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.retired && ticket >= w.begun, w.retired
}
