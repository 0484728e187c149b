package engine

import (
	"sync"
	"time"
)

// window is what a queue has handed out and not seen finished, in offset order. Its floor, the lowest unfinished offset,
// is the only offset that may be committed: whatever dies, nothing below it is unfinished.
//
// Each message handed out is a ticket; tickets are numbered, so that finishing one finds its entry without a search.
//
// A window is retired when its queue is given up. From then on nothing begins beyond the highest ticket that has begun,
// but what lies below still does: so that no message is finished above one that was never started, and the floor leaves
// nothing behind that would be delivered twice. Where order is kept per key, what lies below may be many messages, those
// that stand in lanes behind others; it is left to the next owner only where one before it has failed (see wait.go).
type window struct {
	mu      sync.Mutex
	entries []entry // a ring; its length is a power of two
	first   uint64  // oldest ticket not finished
	next    uint64  // ticket the next message gets
	after   int64   // the floor when nothing is unfinished: the pull position

	begun   uint64 // one past the highest ticket that has begun
	skipped uint64 // tickets below begun that haven't begun yet
	running int    // begun and not finished

	retired bool
	closed  bool          // nothing begins at all
	since   time.Time     // when it retired
	onEnd   func()        // called when it retires or is closed; may be nil
	stale   bool          // the queue's position was moved: what still runs counts for nothing
	idle    chan struct{} // closed when retired and nothing runs or is still to begin
	room    chan struct{} // parked pull loop; nil when none
}

type entry struct {
	offset int64
	done   bool
}

func newWindow(position int64) *window {
	return &window{entries: make([]entry, 64), after: position, idle: make(chan struct{})}
}

func (w *window) at(ticket uint64) *entry { return &w.entries[ticket&uint64(len(w.entries)-1)] }

// extend hands out the messages at offsets, which must rise, and returns the ticket of the first; the others' follow it.
// The queue has then been read up to position, which may lie beyond the last of them where others were filtered away.
// Both happen at once: between them the floor would be wrong.
func (w *window) extend(offsets []int64, position int64) (first uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	first = w.next
	for _, offset := range offsets {
		if w.next-w.first == uint64(len(w.entries)) {
			w.grow()
		}
		*w.at(w.next) = entry{offset: offset}
		w.next++
	}
	w.after = position
	return first
}

func (w *window) grow() {
	old := w.entries
	w.entries = make([]entry, 2*len(old))
	for t := w.first; t < w.next; t++ {
		*w.at(t) = old[t&uint64(len(old)-1)]
	}
}

// begin is asked before a message is handled; false means that it must not be any more.
func (w *window) begin(ticket uint64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.retired && ticket >= w.begun {
		return false
	}
	if ticket >= w.begun {
		w.skipped += ticket - w.begun
		w.begun = ticket + 1
	} else {
		w.skipped--
	}
	w.running++
	return true
}

// finish marks a begun ticket as done and tells whether that has raised the floor.
func (w *window) finish(ticket uint64) (raised bool) {
	w.mu.Lock()
	w.at(ticket).done = true
	for w.first < w.next && w.at(w.first).done {
		w.first++
		raised = true
	}
	w.ended()
	room := w.room
	w.room = nil
	w.mu.Unlock()
	wake(room)
	return raised
}

// abandon ends a begun ticket without its being done: its message could not be settled and will be delivered again.
func (w *window) abandon() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended()
}

func (w *window) ended() {
	w.running--
	w.checkIdle()
}

func (w *window) checkIdle() {
	if w.retired && w.running == 0 && w.skipped == 0 {
		select {
		case <-w.idle:
		default:
			close(w.idle)
		}
	}
}

// forgo tells that a ticket which hasn't begun never will: what had to be handled before it is given up. Only the lanes
// of a retired window give up.
func (w *window) forgo(ticket uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if ticket < w.begun {
		w.skipped--
		w.checkIdle()
	}
}

// retire lets nothing begin beyond what has begun. The channel it returns is closed once nothing runs and nothing is
// left to begin.
func (w *window) retire() <-chan struct{} {
	w.end(func() bool {
		news := !w.retired
		if news {
			w.retired, w.since = true, time.Now()
		}
		return news
	})
	return w.idle
}

// end changes what may begin, and calls onEnd when that is news, without the lock: whoever holds messages back asks for
// the window's under their own.
func (w *window) end(change func() (news bool)) {
	w.mu.Lock()
	news := change()
	w.checkIdle()
	w.mu.Unlock()
	if news && w.onEnd != nil {
		w.onEnd()
	}
}

// ending is how far a window is at its end.
type ending struct {
	retired, closed bool
	since           time.Time // when it retired
	limit           uint64    // of what begins, once it has retired
}

func (w *window) ending() ending {
	w.mu.Lock()
	defer w.mu.Unlock()
	return ending{retired: w.retired, closed: w.closed, since: w.since, limit: w.begun}
}

// discard retires the window of a queue whose position was moved: nothing more of it begins at all, and what runs counts
// for nothing.
func (w *window) discard() {
	w.mu.Lock()
	w.stale = true
	w.mu.Unlock()
	w.close()
}

// close retires the window and lets nothing more of it begin.
func (w *window) close() {
	w.end(func() bool {
		news := !w.closed
		w.retired, w.closed, w.begun, w.skipped = true, true, 0, 0
		return news
	})
}

func (w *window) isStale() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.stale
}

// floor is the lowest unfinished offset.
func (w *window) floor() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.first < w.next {
		return w.at(w.first).offset
	}
	return w.after
}

// unfinished counts what has begun and is not done, and what a retired window is still to begin.
func (w *window) unfinished() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.retired {
		return w.running + int(w.skipped)
	}
	return w.running
}

// held counts the tickets from the oldest unfinished one on.
func (w *window) held() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return int(w.next - w.first)
}

// within tells whether fewer than limit tickets lie between the oldest unfinished and the newest. When not, room is
// woken by the next finish.
func (w *window) within(limit uint64, room chan struct{}) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.next-w.first < limit {
		return true
	}
	w.room = room
	return false
}

// wake gives a parked goroutine its one token; a nil channel is nobody.
func wake(parked chan struct{}) {
	select {
	case parked <- struct{}{}:
	default:
	}
}
