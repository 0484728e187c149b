package engine

import (
	"math"
	"slices"
	"strings"
)

// What waits while its topic is paused lies in the topic's pool, or its batcher, and in lanes. It holds up nobody but
// where it would hold up others:
//
//   - A queue that ends, as it is lost, moved or the member stops, waits for what has to be handled before it can be let go.
//     What is paused is not waited for. A message of the group's retry topic, above which others have begun, goes back to
//     the broker, so that those aren't repeated. One that waits in its lane is left, with those behind it, to the
//     queue's next owner; what was handled above it, of other keys, is delivered again.
//   - The retry topic mixes the messages of all. When those of paused topics are so many that a queue of it has no room to
//     pull on, they go back to the broker for half an hour; unless all topics are paused, and nobody is held up.
//
// Going back counts as an attempt, since brokers count so; but none becomes a dead letter by it.

// How long messages of paused topics stay away that go back to the broker.
const (
	levelNextOwner = 1  // 1 s
	levelSpilled   = 16 // 30 min
)

// neverDead is a number of retries that no message reaches.
const neverDead = math.MaxInt32

// put hands tasks to the topic's pool, whose workers take them in this order. It reports false when the pool has stopped.
func (t *topic) put(tasks ...task) bool {
	if !t.pool.Put(tasks...) {
		return false
	}
	t.dropLate(tasks)
	return true
}

// dropLate is called behind what puts tasks into the pool or the batcher: too late for who looked when the topic was
// paused, or when their window ended.
func (t *topic) dropLate(tasks []task) {
	if t.live.paused.Load() && anyEnded(tasks) {
		t.dropEnded()
	}
}

func anyEnded(tasks []task) bool {
	for i := range tasks {
		if w := tasks[i].window; w != nil && w.ending().retired {
			return true
		}
	}
	return false
}

// dropEnded takes what waits of windows that have ended out of a topic, if it is paused.
func (t *topic) dropEnded() {
	if !t.live.paused.Load() {
		return
	}
	for _, waiting := range t.takeParked(func(waiting *task) bool { return waiting.window.ending().retired }) {
		waiting.leaveParked(levelNextOwner)
	}
}

// takeParked takes out what waits for a worker, as far as it is asked for, in order.
func (t *topic) takeParked(which func(*task) bool) []task {
	parked := t.pool.Withdraw(func(waiting *task) bool { return waiting.window != nil && which(waiting) })
	if t.batches != nil {
		parked = append(parked, t.batches.withdraw(which)...)
	}
	return parked
}

// leaveParked ends a task that was taken out, without its being handled.
func (t *task) leaveParked(level int32) {
	switch {
	case t.lane != nil:
		t.lane.giveUp(t)
		t.lane.goOn()
	case !t.window.begin(t.ticket): // nothing above it has begun
		t.release()
	default:
		t.queue.broker.backs.add(unsettled{task: *t, level: level, unhandled: true})
	}
}

// spill makes room in a queue of the retry topic that can't pull on: what waits there of paused topics goes back.
func (e *Engine) spill(q *queue) {
	w, full := q.current(), !q.topic.budget.hasOwnRoom() || e.pausedHoldAll()
	if !full && w.held() < maxSpan || e.allPaused() {
		return // what it lacks is not theirs to give, or nobody's to have
	}
	n := 0
	for _, t := range e.topics {
		if t.pool == nil || !t.live.paused.Load() {
			continue
		}
		for _, waiting := range t.takeParked(func(of *task) bool { return of.window == w || full && of.queue.topic == e.retry }) {
			waiting.leaveParked(levelSpilled)
			n++
		}
	}
	if n > 0 {
		e.log.Warn("retried messages of paused topics go back to their broker, to make room for others", "queue", q.public,
			"messages", n, "for", LevelDelay(levelSpilled))
	}
}

// allPaused tells whether every topic that has handlers is paused.
func (e *Engine) allPaused() bool {
	for _, t := range e.topics {
		if t.pool != nil && !t.live.paused.Load() {
			return false
		}
	}
	return true
}

// pausedHoldAll tells whether the consumer holds as many bytes as it may, and wouldn't without what paused topics hold.
// The retry topic may then pull only while it holds nothing itself.
func (e *Engine) pausedHoldAll() bool {
	all, most := e.bytes.held()
	if all < most {
		return false
	}
	for _, t := range e.topics {
		if t == e.retry || t.live.paused.Load() {
			_, bytes := t.budget.held()
			all -= bytes
		}
	}
	return all < most
}

// pausedTopics names those that retried messages may wait for.
func (e *Engine) pausedTopics() string {
	var names []string
	for _, t := range e.topics {
		if t.live.paused.Load() {
			names = append(names, t.name)
		}
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}
