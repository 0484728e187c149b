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
		w = &waiter{ready: make(chan struct{}, 1)}
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

// alarm is a timer that is set for one moment at a time.
type alarm struct {
	set   bool
	at    time.Duration
	timer *time.Timer // nil before it is first needed
}

// serve gives permits to those in line as far as there are some. Callers hold mu and have counted tokens.
func (l *Limiter) serve(now time.Duration) {
	for w := l.line.head; w != nil && (l.bucket.free() || !l.bucket.paused && l.bucket.has(float64(w.n))); w = l.line.head {
		if l.bucket.rate > 0 {
			l.bucket.tokens -= float64(w.n)
		}
		l.line.remove(w, now)
		w.granted = true
		w.ready <- struct{}{}
	}
}

// arm sets the alarm for the first in line. One that rings earlier is left alone and looks again then. Callers hold mu and have
// counted tokens.
func (l *Limiter) arm() {
	if l.line.len == 0 || l.bucket.paused {
		if l.alarm.set {
			l.alarm.set = false
			l.alarm.timer.Stop()
		}
		return
	}
	in := l.bucket.until(float64(l.line.head.n))
	at := l.bucket.last + min(in, never-l.bucket.last)
	if l.alarm.set && l.alarm.at <= at {
		return
	}
	l.alarm.set, l.alarm.at = true, at
	if l.alarm.timer == nil {
		l.alarm.timer = time.AfterFunc(in, l.ring)
	} else {
		l.alarm.timer.Reset(in)
	}
}

func (l *Limiter) ring() {
	now := l.now()
	l.mu.Lock()
	l.alarm.set = false
	l.advance(now)
	l.arm()
	l.mu.Unlock()
}

// leave takes a waiter that gives up out of line, and reports whether it had been given its permits before. Those behind move up.
func (l *Limiter) leave(w *waiter) bool {
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if !w.granted {
		l.advance(now)
	}
	if w.granted {
		<-w.ready
		l.line.recycle(w)
		return true
	}
	first := l.line.head == w
	l.line.remove(w, now)
	l.line.recycle(w)
	if first {
		l.bucket.clamp(l.need()) // what had gathered beyond the burst was for this one
		l.serve(now)
		l.arm()
	}
	return false
}
