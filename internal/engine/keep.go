package engine

import (
	"context"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

// loadKept asks for the positions of all queues that are known before the first heartbeat, and notes the topics that none
// are kept of: they begin at the group's start. It waits while that fails.
func (e *Engine) loadKept(ctx context.Context) error {
	if e.keep == nil {
		return nil
	}
	known := map[*topic][]protocol.Queue{}
	var all []rocketkit.Queue
	for _, t := range e.topics {
		if t == e.retry {
			continue // made by the first heartbeat; retries start at their beginning
		}
		r, err := e.view.Routes().Get(ctx, t.physical)
		if err != nil {
			return err
		}
		known[t] = r.Read
		for _, q := range r.Read {
			all = append(all, t.public(q))
		}
	}
	err := e.keepTrying(ctx, func() (err error) {
		if err = e.keep.take(ctx); err == nil {
			defer e.keep.give()
			e.keep.first, err = e.keep.loadAll(ctx, all)
		}
		return err
	})
	for t, queues := range known {
		t.unkept = map[protocol.Queue]bool{}
		for _, q := range queues {
			t.unkept[q] = true
		}
		for _, q := range queues {
			if _, kept := e.keep.first[t.public(q)]; kept {
				t.unkept = nil
				break
			}
		}
	}
	return err
}

// keepTrying repeats what fails of the Offsets until it works or ctx ends, and says so once.
func (e *Engine) keepTrying(ctx context.Context, do func() error) error {
	for wait := minBackoff; ; wait = min(2*wait, maxBackoff) {
		failedBefore := e.keep.lastError() != ""
		err := do()
		if err == nil || ctx.Err() != nil {
			return err
		}
		if !isClosed(e.ready) {
			e.waitFor("offsets", err)
		} else if !failedBefore {
			e.log.Warn("positions not loaded, trying on", "error", err)
		}
		if err := sleep(ctx, wait); err != nil {
			return err
		}
	}
}

// keptOffset is where to pull a queue from when the positions are kept elsewhere. Of one that has none it is as with
// offsets on the broker: the group's start, or the beginning of a queue that is newer than the group. What it chooses is
// kept before the first pull, or the next process would choose anew.
func (e *Engine) keptOffset(ctx context.Context, q *queue) (offset int64, err error) {
	found := false
	err = e.keepTrying(ctx, func() (err error) {
		offset, found, err = e.keep.load(ctx, q.public)
		return err
	})
	if err != nil || found {
		return offset, err
	}
	if offset, err = e.firstOffset(ctx, q.id, q.topic.unkept[q.id]); err != nil {
		return 0, err
	}
	return offset, e.keepStart(ctx, q, offset)
}

// keepStart has the Offsets take where a queue begins.
func (e *Engine) keepStart(ctx context.Context, q *queue, offset int64) error {
	return e.keepTrying(ctx, func() error {
		if err := e.keep.take(ctx); err != nil {
			return err
		}
		defer e.keep.give()
		return e.keep.commitAll(ctx, map[rocketkit.Queue]int64{q.public: offset})
	})
}

// seedOffset is what a queue that the group has no offset of on its broker is told to begin at there.
func (e *Engine) seedOffset(ctx context.Context, t *topic, q protocol.Queue) (int64, error) {
	if e.keep != nil {
		if offset, ok := e.keep.first[t.public(q)]; ok {
			return offset, nil
		}
	}
	return e.firstOffset(ctx, q, t.fresh)
}

// keepFloors has the Offsets take the lowest unfinished offsets of the queues that have moved, in one call.
func (e *Engine) keepFloors(ctx context.Context, queues []*queue) error {
	if e.keep == nil {
		return nil
	}
	if err := e.keep.take(ctx); err != nil {
		return err
	}
	defer e.keep.give() // the floors are read within the turn, or an older one could be stored over a newer one
	moved := make([]floorOf, 0, len(queues))
	positions := make(map[rocketkit.Queue]int64, len(queues))
	for _, q := range queues {
		if f, ok := q.unkeptFloor(); ok {
			moved = append(moved, f)
			positions[q.public] = f.offset
		}
	}
	if len(moved) == 0 {
		return nil
	}
	if err := e.keep.commitAll(ctx, positions); err != nil {
		return err
	}
	for _, f := range moved {
		f.queue.mu.Lock()
		if f.queue.window == f.window { // or the position was moved meanwhile
			f.queue.kept = f.offset
		}
		f.queue.mu.Unlock()
	}
	return nil
}

// floorOf is the lowest unfinished offset of a queue's window.
type floorOf struct {
	queue  *queue
	window *window
	offset int64
}

// unkeptFloor is what the Offsets are to take of the queue; false when they have it.
func (q *queue) unkeptFloor() (f floorOf, ok bool) {
	q.mu.Lock()
	w, kept := q.window, q.kept
	q.mu.Unlock()
	if w == nil || !q.ours() || !q.lockValid() {
		return floorOf{}, false
	}
	f = floorOf{q, w, w.floor()}
	return f, f.offset != kept
}

// public is the name of one of the topic's queues that users see.
func (t *topic) public(q protocol.Queue) rocketkit.Queue {
	return rocketkit.Queue{Topic: t.name, Broker: q.Broker, ID: int(q.ID)}
}
