package engine

import (
	"fmt"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

// Order says which messages of a topic are handled one after the other.
type Order int

// The orders.
const (
	OrderNone  Order = iota // none
	OrderKey                // those of one queue with the same key
	OrderQueue              // those of one queue
)

// What a failing message of an ordered topic, which is retried where it stands, gets by default and at least.
const (
	defaultRetries  = 16                    // SubscriptionGroupConfig.retryMaxTimes
	retryInPlace    = time.Second           // the Java client's suspendCurrentQueueTimeMillis
	minRetryInPlace = 10 * time.Millisecond // so that a handler that says "now" doesn't spin; the Java client has the same bound
)

// retries is how often a failing message may be tried again: where the configuration leaves it to the group's setting on
// the brokers, what RocketMQ has that be at first.
func (e *Engine) retries() int32 {
	if now := e.retriesNow.Load(); now >= 0 {
		return int32(now)
	}
	return defaultRetries
}

// enqueue hands the topic's runner messages of one queue, in the order of their offsets. It keeps the slice.
func (t *topic) enqueue(tasks []task) {
	switch {
	case len(tasks) == 0:
	case t.batches != nil:
		t.batches.add(tasks)
		t.dropLate(tasks)
	case tasks[0].queue.lanes != nil:
		tasks[0].queue.lanes.add(tasks)
	default:
		t.put(tasks...)
	}
}

// laneKey names the lane of a message within its queue. A panic of the caller's function is the message's failure: it
// stands in the lane of those that have no key.
func (t *topic) laneKey(m *task) (key string) {
	switch {
	case t.cfg.Order != OrderKey:
		return ""
	case t.cfg.Key == nil:
		received := rocketkit.Received(m.raw, t.name, m.queue.public)
		return received.ShardingKey()
	}
	defer func() {
		if p := recover(); p != nil {
			key, m.unfit = "", panicked("Key", p)
		}
	}()
	raw := m.raw
	if raw.SysFlag&protocol.SysCompressed != 0 {
		inflated := *raw // of its own: held messages stay as small as they came
		if inflated.Inflate(maxInflated) != nil {
			return "" // it becomes a dead letter when its turn comes
		}
		raw = &inflated
	}
	received := rocketkit.Received(raw, t.name, m.queue.public)
	return t.cfg.Key(&received)
}

// orderly tells whether a topic is consumed as the Java client's orderly listeners do.
func (e *Engine) orderly() bool {
	for _, t := range e.topics {
		if t.cfg.Order == OrderQueue {
			return true
		}
	}
	return false
}

// judgeInOrder counts and logs an outcome: the message is done with, dead, or stays where it stands for a while.
func (e *Engine) judgeInOrder(t *task, o *outcome) (stays time.Duration, dead, done bool) {
	becomes := ""
	switch {
	case o.Action == Drop:
		becomes, done = "is dropped", true
	case e.cfg.Broadcast && (o.Action == DeadLetter || t.tries >= e.retries()):
		becomes, done = "is dropped: what every member receives has no dead-letter topic", true
	case o.Action == DeadLetter, t.tries >= e.retries():
		becomes, dead = "goes to the dead-letter topic", true
	case o.Delay < 0:
		stays = retryInPlace
	default:
		stays = max(o.Delay, minRetryInPlace)
	}
	if becomes == "" {
		becomes = fmt.Sprintf("is retried in its place in %v", stays)
	}
	e.report(t, o, becomes)
	return stays, dead, done
}
