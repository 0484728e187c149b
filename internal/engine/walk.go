package engine

import (
	"context"
	"time"
)

// A worker goes on with the messages of a lane for so many, or so long, before it looks whether others wait for it: so
// that a handler that takes no time doesn't pay a wake for each message, and a busy key starves nobody.
const (
	burstMessages = 32
	burstTime     = time.Millisecond
)

// walk is what a pool's worker does with a message whose order is kept, and with those that follow it in its lane.
func (e *Engine) walk(t task) {
	handling := false
	defer func() { // so that a handler's Goexit settles its message too, and its lane goes on
		if handling && e.settleInOrder(t, endedItsGoroutine()) {
			t.lane.goOn()
		}
	}()
	since, live := time.Now(), &t.topic.live
	for seen, n := live.changes.Load(), 1; ; n++ {
		goOn := true
		switch {
		case !t.lane.lanes.held():
			goOn = !t.lane.wait(t, lookAgain)
		case t.mayRun():
			handling = true
			o := t.unfit
			if o == nil {
				o = e.handle(t)
			} else {
				e.unhandled(&t, o)
			}
			handling = false
			goOn = e.settleInOrder(t, o)
		}
		if !goOn {
			return // whoever has the message will go on
		}
		lane := t.lane
		next, ok := lane.follower()
		if !ok {
			return
		}
		if n%burstMessages == 0 || time.Since(since) > burstTime || live.changes.Load() != seen || live.paused.Load() {
			if lane.lanes.topic.wanted() {
				lane.lanes.put(next)
				return
			}
			since, seen = time.Now(), live.changes.Load()
		}
		t = next
	}
}

// wanted tells whether a worker has something better to do than to go on with its lane: others wait for it, or there are
// to be fewer workers.
func (t *topic) wanted() bool {
	s := t.pool.Stats()
	return s.Waiting > 0 || s.Active > s.Workers
}

// mayRun tells whether the message, which is out, may be handled. One that may not is dropped.
func (t *task) mayRun() bool {
	if !t.begun() {
		if t.window.begin(t.ticket) {
			return true
		}
		t.release()
		return false
	}
	if !t.window.ending().closed {
		return true
	}
	t.lane.giveUp(t)
	return false
}

// settleInOrder does what the outcome says of the message, which has begun. It tells whether its lane may go on: not so
// when it waits for the message to be retried, or taken by the dead-letter topic.
func (e *Engine) settleInOrder(t task, o *outcome) (goOn bool) {
	if o == nil {
		t.topic.handled.Add(1)
		t.done()
		return true
	}
	stays, dead, done := e.judgeInOrder(&t, o)
	t.tries++
	switch {
	case done:
		t.done()
		return true
	case t.queue.released.Load() || t.window.isStale():
		t.lane.giveUp(&t)
		return true
	case dead:
		if e.sendBack(context.WithoutCancel(e.handlers), t, levelDeadLetter) != nil {
			t.queue.broker.backs.add(unsettled{task: t, level: levelDeadLetter})
			return false
		}
		t.done()
		return true
	}
	again := *t.raw // a copy: a handler may have kept the Message
	again.ReconsumeTimes++
	t.raw = &again
	return !t.lane.wait(t, stays)
}
