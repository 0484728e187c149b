package engine

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"runtime/pprof"
	"time"

	"github.com/rocketkit/rocketkit"
)

var (
	errNoHandler = errors.New("this consumer has no handler for the topic")
	errGoexit    = errors.New("handler ended its goroutine (runtime.Goexit)")
)

// process is what a pool's worker does with one message.
func (e *Engine) process(t task) {
	if !t.window.begin(t.ticket) {
		t.release()
		return
	}
	pprof.SetGoroutineLabels(t.topic.labels)
	err := errGoexit
	defer func() { e.settle(t, err) }() // deferred, so that a handler's Goexit settles its message too
	err = e.handle(t)
}

// handle runs the handler under its time-out; a panic becomes an error.
func (e *Engine) handle(t task) (err error) {
	if err := t.raw.Inflate(maxInflated); err != nil {
		return &Verdict{Action: DeadLetter, Why: err}
	}
	m := rocketkit.Received(t.raw, t.topic.name, t.queue.public)
	ctx := &handlerContext{Context: e.handlers}
	if t.topic.cfg.Timeout > 0 {
		ctx.deadline = time.Now().Add(t.topic.cfg.Timeout)
	}
	defer ctx.end()
	returned := false
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("handler panicked: %v", p)
			e.log.Error("handler panicked", "topic", t.topic.name, "id", m.ID(), "panic", p, "stack", string(debug.Stack()))
		} else if !returned {
			err = errGoexit
		}
	}()
	err = t.topic.cfg.Handle(ctx, &m)
	returned = true
	return err
}

// release gives back the room that the message took.
func (t *task) release() {
	t.queue.topic.budget.give(1, int64(t.size))
}

// finish marks the message as done and gives back its room.
func (t *task) finish() {
	if t.window.finish(t.ticket) {
		t.queue.moved()
	}
	t.release()
}

// settle does what the handler's error says of the message. What can't be settled at once goes to the settler, so that
// no worker waits for a broker that is away.
func (e *Engine) settle(t task, err error) {
	if err == nil {
		t.topic.handled.Add(1)
		t.finish()
		return
	}
	level, done := e.judge(t, err)
	if done {
		t.finish()
		return
	}
	if failure := e.sendBack(e.handlers, t, level); failure != nil {
		e.settler.add(unsettled{task: t, level: level, failure: failure})
		return
	}
	t.finish()
}

// judge counts and logs a handler's error and returns the delay level it asks for; done when the message needs no
// further delivery.
func (e *Engine) judge(t task, err error) (level int32, done bool) {
	attempt := t.raw.ReconsumeTimes + 1
	log := e.log.With("topic", t.name(), "id", t.raw.ID(), "attempt", attempt, "error", err)
	if t.topic != nil {
		t.topic.failedWith(err)
	}
	var v *Verdict
	if !errors.As(err, &v) {
		v = &Verdict{Action: Retry, Delay: -1}
	}
	switch v.Action {
	case Drop:
		log.Warn("message dropped")
		return 0, true
	case DeadLetter:
		log.Warn("message goes to the dead-letter topic")
		return levelDeadLetter, false
	}
	if e.cfg.Retries == 0 {
		log.Warn("message goes to the dead-letter topic: the group has no retries")
		return levelDeadLetter, false
	}
	log.Warn("message will be retried")
	if v.Delay < 0 {
		return levelByBroker, false
	}
	return delayLevel(v.Delay), false
}

func (t *task) name() string {
	if t.topic != nil {
		return t.topic.name
	}
	return t.queue.topic.name
}

// sendBack has the broker write the message to the group's retry or dead-letter topic (CONSUMER_SEND_MSG_BACK 36).
func (e *Engine) sendBack(ctx context.Context, t task, level int32) error {
	_, err := e.invoke(ctx, t.queue.id.Broker, t.queue.id.Topic, e.sendBackFrame(t, level))
	return err
}
