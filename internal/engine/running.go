package engine

import (
	"context"
	"fmt"
	"runtime/pprof"
	"sync"
	"sync/atomic"
	"time"
)

// seats are where a topic's handlers sit while they run: who asks what runs, and since when, looks there. A handler takes
// a seat without a lock, the one that was left last, so that there are no more seats than handlers ever ran at once.
type seats struct {
	group, topic string // logical

	all  atomic.Pointer[[]*seat]
	free atomic.Uint64 // number of the first free seat, 0 for none; above it, in the high half, a count of the changes

	mu sync.Mutex // to add a seat
}

type seat struct {
	number uint32
	label  string                         // seatLabel's value, by which the goroutine that sits here is found: no other in the process has it
	labels context.Context                //nolint:containedctx // it carries the pprof labels, and never ends
	taken  atomic.Pointer[handlerContext] // by whom; nil: nobody
	next   atomic.Uint32                  // number of the next free seat
}

// take gives a free seat, a new one if there is none.
func (s *seats) take() *seat {
	for {
		free := s.free.Load()
		if uint32(free) == 0 {
			return s.add()
		}
		first := (*s.all.Load())[uint32(free)-1]
		if s.free.CompareAndSwap(free, (free>>32+1)<<32|uint64(first.next.Load())) {
			return first
		}
	}
}

func (s *seats) leave(left *seat) {
	for {
		free := s.free.Load()
		left.next.Store(uint32(free))
		if s.free.CompareAndSwap(free, (free>>32+1)<<32|uint64(left.number)) {
			return
		}
	}
}

func (s *seats) add() *seat {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []*seat
	if have := s.all.Load(); have != nil {
		all = *have
	}
	n := len(all) + 1
	added := &seat{number: uint32(n)}
	added.label = fmt.Sprintf("%d at %p", n, added) // a process may have several members of a group, of other tenants or Clients
	added.labels = pprof.WithLabels(context.Background(), pprof.Labels("group", s.group, "topic", s.topic, seatLabel, added.label))
	all = append(all, added) // who reads the shorter slice doesn't see what lies behind it
	s.all.Store(&all)
	return added
}

// seatLabel is the pprof label that tells running handlers apart.
const seatLabel = "handler"

// running calls each with every handler that runs.
func (s *seats) running(each func(*handlerContext)) {
	all := s.all.Load()
	if all == nil {
		return
	}
	for _, seat := range *all {
		if h := seat.taken.Load(); h != nil {
			each(h)
		}
	}
}

// begin makes h the context of a handler that starts now, and shows that it runs. It must be ended.
func (e *Engine) begin(t task, h *handlerContext) {
	h.Context, h.topic, h.queue, h.raw, h.offset = e.handlers, t.topic, t.queue, t.raw, t.raw.QueueOffset
	h.began = e.now()
	if timeout := time.Duration(t.topic.live.timeout.Load()); timeout > 0 {
		h.deadline = h.began.Add(timeout)
	}
	h.seat = t.topic.seats.take()
	pprof.SetGoroutineLabels(h.seat.labels)
	h.seat.taken.Store(h)
}

// now is the time, for less: it reads one clock where time.Now reads two. The wall clock is the one at the engine's start
// and what has passed since.
func (e *Engine) now() time.Time { return e.epoch.Add(time.Since(e.epoch)) }

// returned is the end of a handler and of its context.
func (c *handlerContext) returned() {
	now := c.queue.engine.now()
	took := now.Sub(c.began)
	c.endAt(now)
	pprof.SetGoroutineLabels(c.topic.labels) // before another gets the seat, and its labels
	c.seat.taken.Store(nil)
	c.topic.seats.leave(c.seat)
	c.topic.times.add(now, took)
	if second := now.Unix(); c.queue.handled.Load() != second { // most find it noted
		c.queue.handled.Store(second)
	}
}

// longest is the handler of the topic that has run longest; nil when none runs.
func (t *topic) longest() (longest *handlerContext) {
	t.seats.running(func(h *handlerContext) {
		if longest == nil || h.began.Before(longest.began) {
			longest = h
		}
	})
	return longest
}

// running counts the handlers of the queue's messages and gives the one that has run longest.
func (q *queue) running() (n int, longest *handlerContext) {
	note := func(h *handlerContext) {
		if h.queue != q {
			return
		}
		if n++; longest == nil || h.began.Before(longest.began) {
			longest = h
		}
	}
	if q.topic != q.engine.retry {
		q.topic.seats.running(note)
		return n, longest
	}
	for _, t := range q.engine.topics { // its messages are with the topics they were sent to
		t.seats.running(note)
	}
	return n, longest
}
