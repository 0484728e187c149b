package engine

import (
	"sync"
	"time"
)

// lanes keeps the order of one queue of an ordered topic. Its messages stand in lanes, one for each key, or one for all.
// Of a lane one message at a time is out: with the pool, at its handler, or waiting to be taken by the dead-letter topic.
// The others stand behind it, and take no worker. A lane lasts as long as it has a message.
//
// Lanes outlast the window: when the queue's position is moved, a handler that still runs keeps its lane, and what is
// delivered anew of its key comes after it.
type lanes struct {
	topic *topic
	held  func() bool // whether the queue is still ours, asked before each handler

	mu    sync.Mutex
	byKey map[string]*lane
	free  *lane // lanes to use again
	spare int   // how many

	ready []task // of the pull loop alone
}

// lane is the messages of one key, in order.
type lane struct {
	lanes       *lanes
	key         string
	first, last *task       // who stand
	timer       *time.Timer // not nil while first waits; then none of the lane is out
	due         time.Time   // when it has waited enough
	waits       uint64      // how often the lane has waited
	next        *lane       // in the free list
}

const maxSpareLanes = 64

func newLanes(t *topic, held func() bool) *lanes {
	return &lanes{topic: t, held: held, byKey: map[string]*lane{}}
}

// windowAt makes a window that begins at position, whose end is told to those who hold messages back: the queue's lanes,
// or the batchers.
func (q *queue) windowAt(position int64) *window {
	w := newWindow(position)
	if w.onEnd = q.engine.sweep; q.lanes != nil {
		w.onEnd = func() {
			q.lanes.ended(w)
			q.topic.dropEnded()
		}
	}
	return w
}

// add puts messages behind those of their lanes, and the first of each new lane into the pool. One goroutine at a time
// may call it: the queue's pull loop.
func (l *lanes) add(tasks []task) {
	var some [pullBatch]string
	keys := some[:0]
	for i := range tasks {
		keys = append(keys, l.topic.laneKey(&tasks[i]))
	}
	l.mu.Lock()
	for i, key := range keys {
		t := &tasks[i]
		if t.lane = l.byKey[key]; t.lane != nil {
			t.lane.push(t)
			continue
		}
		t.lane = l.open(key)
		l.ready = append(l.ready, *t)
	}
	l.mu.Unlock()
	l.topic.put(l.ready...)
	clear(l.ready)
	l.ready = l.ready[:0]
}

// open makes a lane. Callers hold mu.
func (l *lanes) open(key string) *lane {
	o := l.free
	if o == nil {
		o = &lane{lanes: l}
	} else {
		l.free, o.next = o.next, nil
		l.spare--
	}
	o.key = key
	l.byKey[key] = o
	return o
}

func (o *lane) push(t *task) {
	if o.last == nil {
		o.first = t
	} else {
		o.last.next = t
	}
	o.last = t
}

// pop takes out the first who stands; a lane that has none is no more. Callers hold mu.
func (l *lanes) pop(o *lane) (t task, ok bool) {
	first := o.first
	if first == nil {
		delete(l.byKey, o.key)
		if o.key = ""; l.spare < maxSpareLanes {
			l.free, o.next = o, l.free
			l.spare++
		}
		return task{}, false
	}
	if o.first = first.next; o.first == nil {
		o.last = nil
	}
	t = *first
	t.next = nil
	*first = task{} // it lies in its block's slice, and would keep all that stood behind it
	return t, true
}

// follower takes the message that follows the one of the lane that was out.
func (o *lane) follower() (t task, ok bool) {
	o.lanes.mu.Lock()
	defer o.lanes.mu.Unlock()
	return o.lanes.pop(o)
}

// goOn puts the follower into the pool.
func (o *lane) goOn() {
	if t, ok := o.follower(); ok {
		o.lanes.put(t)
	}
}

// put puts a message that is out into the pool. One that has stopped handles nothing more.
func (l *lanes) put(t task) {
	for ok := true; ok && !l.topic.put(t); {
		l.mu.Lock()
		l.giveUp(&t)
		t, ok = l.pop(t.lane)
		l.mu.Unlock()
	}
}
