package limiter

import "time"

// line is those who wait, in the order in which they came.
type line struct {
	head, tail *waiter
	len        int
	wanted     int64 // permits of all of them

	since time.Duration // when the first came to an empty line
	spent time.Duration // how long somebody stood in line before that

	spare  *waiter // used ones, linked by next, so that steady waiting allocates nothing
	spares int
}

// waiter is a call that waits.
type waiter struct {
	n          int
	since      time.Duration
	granted    bool
	ready      chan struct{} // has room for the one word that it gets
	timer      *time.Timer   // rings when it is due; only the first in line's is set
	set        bool
	at         time.Duration // when the timer rings, if it is set
	prev, next *waiter
}

// spareMost is how many used waiters are kept: as many as a pool of a usual size has workers.
const spareMost = 256

func (q *line) push(n int, now time.Duration) *waiter {
	w := q.spare
	if w != nil {
		q.spare, w.next = w.next, nil
		q.spares--
	} else {
		w = &waiter{ready: make(chan struct{}, 1), timer: time.NewTimer(never)}
		w.timer.Stop()
	}
	w.n, w.since, w.prev = n, now, q.tail
	if q.len == 0 {
		q.head, q.since = w, now
	} else {
		q.tail.next = w
	}
	q.tail = w
	q.len++
	q.wanted += int64(n)
	return w
}

func (q *line) remove(w *waiter, now time.Duration) {
	if w.prev == nil {
		q.head = w.next
	} else {
		w.prev.next = w.next
	}
	if w.next == nil {
		q.tail = w.prev
	} else {
		w.next.prev = w.prev
	}
	w.prev, w.next = nil, nil
	w.silence()
	q.len--
	q.wanted -= int64(w.n)
	if q.len == 0 {
		q.spent += max(now-q.since, 0)
	}
}

// recycle keeps a waiter that is out of line and whose word was taken.
func (q *line) recycle(w *waiter) {
	if w.granted = false; q.spares < spareMost {
		w.next, q.spare = q.spare, w
		q.spares++
	}
}

// waited is how long somebody has waited, all times added up.
func (q *line) waited(now time.Duration) time.Duration {
	if q.len == 0 {
		return q.spent
	}
	return q.spent + max(now-q.since, 0)
}

// serve gives permits to those in line as far as there are some, and has the next one woken in time. Callers hold mu and have
// counted tokens.
func (l *Limiter) serve(now time.Duration) {
	w := l.line.head
	for ; w != nil && (l.bucket.free() || !l.bucket.paused && l.bucket.has(float64(w.n))); w = l.line.head {
		if l.bucket.rate > 0 {
			l.bucket.tokens -= float64(w.n)
		}
		l.line.remove(w, now)
		w.granted = true
		w.ready <- struct{}{}
	}
	if w != nil && !w.set {
		l.arm()
	}
}

// silence stops a timer that may be set.
func (w *waiter) silence() {
	if w.set {
		w.set = false
		w.timer.Stop()
	}
}

// arm sets the timer of the first in line. One that rings earlier than it needs to is left alone: its owner looks again then. Callers
// hold mu and have counted tokens.
func (l *Limiter) arm() {
	w := l.line.head
	if w == nil {
		return
	}
	if l.bucket.paused {
		w.silence()
		return
	}
	in := l.bucket.until(float64(w.n))
	if at := l.bucket.last + min(in, never-l.bucket.last); !w.set || at < w.at {
		w.set, w.at = true, at
		w.timer.Reset(in)
	}
}

// rung serves those who are due when w's timer has rung, and reports whether w was among them.
func (l *Limiter) rung(w *waiter) bool {
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	w.set = false
	l.advance(now)
	return l.granted(w)
}

// granted takes the word that w has its permits. Callers hold mu.
func (l *Limiter) granted(w *waiter) bool {
	if !w.granted {
		return false
	}
	<-w.ready
	l.line.recycle(w)
	return true
}

// leave takes a waiter that gives up out of line, and reports whether it had been given its permits before. Those behind move up.
func (l *Limiter) leave(w *waiter) bool {
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if !w.granted {
		l.advance(now)
	}
	if l.granted(w) {
		return true
	}
	first := l.line.head == w
	l.line.remove(w, now)
	l.line.recycle(w)
	if first {
		l.bucket.clamp(l.need()) // what had gathered beyond the burst was for this one
		l.serve(now)
	}
	return false
}
