package engine

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// lookAgain is how soon a lane that may not handle its next message, because another member may hold the queue, looks
// again.
const lookAgain = 100 * time.Millisecond

// wait has the lane stand for a while before it goes on with t, which was out. Where t's window has ended and waits no
// longer, t is given up with all that follows it, and wait returns false: the lane goes on at once with what is left.
func (o *lane) wait(t task, d time.Duration) bool {
	l := o.lanes
	due := time.Now().Add(d)
	l.mu.Lock()
	defer l.mu.Unlock()
	end := t.window.ending()
	if !l.waitsFor(end, &t, due) {
		l.giveUp(&t)
		return false
	}
	t.last = end.retired && t.begun()
	if t.next = o.first; o.first == nil {
		o.last = &t
	}
	o.first, o.due = &t, due
	o.waits++
	n := o.waits
	o.timer = time.AfterFunc(d, func() { l.resume(o, n) })
	return true
}

// resume goes on with the message for which the lane has waited its nth time, unless it no longer does.
func (l *lanes) resume(o *lane, n uint64) {
	l.mu.Lock()
	if o.timer == nil || o.waits != n {
		l.mu.Unlock()
		return
	}
	o.timer = nil
	t, _ := l.pop(o)
	l.mu.Unlock()
	l.put(t)
}

// waitsFor tells whether a window at its end still waits until due for a message that has failed, or that may not begin.
// It does for a few seconds, and once for each message: who gets the queue next must not wait for long, and starts with
// the message that failed.
func (e ending) waitsFor(t *task, due time.Time) bool {
	switch {
	case !e.retired:
		return true
	case e.closed, !t.begun() && t.ticket >= e.limit, t.begun() && t.last:
		return false
	}
	return !due.After(e.since.Add(releaseWithin))
}

// waitsFor is that of the window's end, which waits for nothing of a paused topic: it wouldn't be handled then either.
func (l *lanes) waitsFor(end ending, t *task, due time.Time) bool {
	if end.retired && l.topic.live.paused.Load() {
		return false
	}
	return end.waitsFor(t, due)
}

// begun tells whether the message was out before; every other has yet to begin.
func (t *task) begun() bool { return t.tries > 0 }

// ended takes out what a window that has retired, or was closed, doesn't begin or wait for any more.
func (l *lanes) ended(w *window) {
	end := w.ending()
	var ready []task
	l.mu.Lock()
	for _, o := range l.byKey {
		waiting := o.first
		if o.timer == nil || waiting.window != w {
			l.prune(o, func(t *task) bool { return t.window != w || !end.closed && t.ticket < end.limit })
			continue
		}
		if l.waitsFor(end, waiting, o.due) {
			waiting.last = waiting.begun()
			l.prune(o, func(t *task) bool { return t.window != w || t == waiting || t.ticket < end.limit })
			continue
		}
		o.timer.Stop()
		o.timer = nil
		l.prune(o, func(t *task) bool { return t.window != w })
		if t, ok := l.pop(o); ok {
			ready = append(ready, t)
		}
	}
	l.mu.Unlock()
	for _, t := range ready {
		l.put(t)
	}
}

// giveUp ends a message that is out without its being done, and all that follow it in its lane and window: they will be
// delivered again, to whoever owns the queue then, in this order. Callers hold mu.
func (l *lanes) giveUp(t *task) {
	t.leave()
	l.prune(t.lane, func(other *task) bool { return other.window != t.window })
}

// giveUp is that of the lanes for who doesn't hold mu.
func (o *lane) giveUp(t *task) {
	o.lanes.mu.Lock()
	defer o.lanes.mu.Unlock()
	o.lanes.giveUp(t)
}

// prune takes out of a lane those who stand and are not to be kept. Callers hold mu.
func (l *lanes) prune(o *lane, keep func(*task) bool) {
	t := o.first
	o.first, o.last = nil, nil
	for t != nil {
		next := t.next
		t.next = nil
		if keep(t) {
			o.push(t)
		} else {
			t.leave()
			*t = task{}
		}
		t = next
	}
}

// leave ends a message that is not done and will not be.
func (t *task) leave() {
	if t.begun() {
		t.window.abandon()
	} else {
		t.window.forgo(t.ticket)
	}
	t.release()
}

// holds tells what the oldest message of a lane that stands waits for; empty when none does.
func (l *lanes) holds() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var standing []*lane
	for _, o := range l.byKey {
		if o.timer != nil {
			standing = append(standing, o)
		}
	}
	if len(standing) == 0 {
		return ""
	}
	o := slices.MinFunc(standing, func(a, b *lane) int { return cmp.Compare(a.first.raw.QueueOffset, b.first.raw.QueueOffset) })
	key := ""
	if o.key != "" {
		key = fmt.Sprintf(" of key %q", o.key)
	}
	if !o.first.begun() {
		return fmt.Sprintf("message at offset %d%s waits for the queue's lock", o.first.raw.QueueOffset, key)
	}
	return fmt.Sprintf("message at offset %d%s has failed %d times, and is retried in %v",
		o.first.raw.QueueOffset, key, o.first.tries, max(time.Until(o.due), 0).Round(time.Millisecond))
}
